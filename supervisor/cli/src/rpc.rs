//! The tenants' side of the gateway: a token to call it with, and one method call.

use std::time::Duration;

use bytes::Bytes;
use control_api::{CreateToken, Deleted, IssuedToken, Status};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use types::{Clock as _, Scopes, Secret, SystemClock, TenantId};

use crate::client::Client;
use crate::error::Error;
use crate::http::{self as wire, Answer};
use crate::options::{Gateway, Rpc};
use crate::output::Output;
use crate::target::Target;

/// How long a token that is made for one call holds: the call and no more.
const LOAN: u64 = 5 * 60 * 1000;

/// How long one method may take.
const PATIENCE: Duration = Duration::from_mins(2);

/// Calls one method and prints its result.
pub(crate) async fn run(client: &Client, rpc: &Rpc, output: &mut Output) -> Result<(), Error> {
    let access = Access::open(client, &rpc.gateway, &rpc.tenant, Scopes::all_of_tenant()).await?;
    let called = call(&access, rpc).await;
    access.close(client).await?;
    let result = called?;
    if output.is_json() {
        return output.document(&result);
    }
    let value: serde_json::Value =
        serde_json::from_str(result.get()).map_err(|err| access.unknown(err))?;
    output.line(&serde_json::to_string_pretty(&value).map_err(|err| access.unknown(err))?);
    output.end()
}

async fn call(access: &Access, rpc: &Rpc) -> Result<Box<RawValue>, Error> {
    let request =
        MethodCall { jsonrpc: "2.0", id: 1, method: &rpc.method, params: rpc.params.as_ref() };
    let body = serde_json::to_vec(&request).map_err(|err| access.unknown(err))?;
    let mut answer = access.post("/rpc", &[], body.into(), PATIENCE).await?;
    let status = answer.status();
    let body = answer.rest().await?;
    match serde_json::from_slice(&body) {
        Ok(MethodReply { result: Some(result), .. }) => Ok(result),
        Ok(MethodReply { error: Some(error), .. }) => Err(error.into()),
        Ok(MethodReply { .. }) | Err(_) if status != 200 => Err(refusal(status, &body)),
        Ok(MethodReply { .. }) => Err(Error::Cut),
        Err(err) => Err(access.unknown(err)),
    }
}

/// Where the gateway is and with which token to call it.
pub(crate) struct Access {
    gateway: Target,
    token: Secret,
    /// The token is ours to revoke.
    loan: Option<String>,
    tenant: TenantId,
}

impl Access {
    /// The token that was given, or one with `scopes` for this one call: made through the Unix
    /// socket of the gateway's own machine, where whoever gets through is the owner anyway.
    pub(crate) async fn open(
        client: &Client,
        given: &Gateway,
        tenant: &TenantId,
        scopes: Scopes,
    ) -> Result<Self, Error> {
        if given.token.is_none() && !matches!(client.target(), Target::Socket(_)) {
            return Err(Error::NoToken);
        }
        let gateway = match &given.gateway {
            Some(gateway) => gateway.clone(),
            None => Target::Tcp(client.get::<Status>("/v1/status").await?.gateway),
        };
        let tenant = tenant.clone();
        if let Some(token) = given.token.clone() {
            return Ok(Self { gateway, token, loan: None, tenant });
        }
        let expires_at = Some(SystemClock.now().saturating_add(LOAN).into());
        let request = CreateToken { label: "cli".to_owned(), scopes, expires_at };
        let path = format!("/v1/tenants/{tenant}/tokens");
        let issued: IssuedToken = client.post(&path, &request).await?;
        let token = Secret::from(issued.token.ok_or(Error::NoToken)?);
        Ok(Self { gateway, token, loan: Some(issued.id), tenant })
    }

    /// Revokes the token, if it was made for this call.
    pub(crate) async fn close(&self, client: &Client) -> Result<(), Error> {
        let Some(id) = &self.loan else { return Ok(()) };
        let path = format!("/v1/tenants/{}/tokens/{id}", self.tenant);
        client.delete::<Deleted>(&path).await.map(drop)
    }

    pub(crate) async fn post(
        &self,
        path: &str,
        headers: &[(&str, &str)],
        body: Bytes,
        patience: Duration,
    ) -> Result<Answer, Error> {
        let mut request = http::Request::post(path)
            .header(http::header::CONTENT_TYPE, "application/json")
            .header(http::header::AUTHORIZATION, format!("Bearer {}", self.token.expose()));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        wire::send(&self.gateway, request, body, patience).await
    }

    pub(crate) fn unknown(&self, source: serde_json::Error) -> Error {
        Error::Answer { target: self.gateway.clone(), source }
    }
}

/// What the gateway's own failures say; they have `OpenAI`'s shape.
pub(crate) fn refusal(status: u16, body: &[u8]) -> Error {
    let told = serde_json::from_slice(body).unwrap_or_else(|_| Refusal {
        error: Told {
            message: format!("the gateway answered with status {status}"),
            code: None,
            kind: None,
        },
    });
    told.error.into_error(status)
}

#[derive(Deserialize)]
pub(crate) struct Refusal {
    pub(crate) error: Told,
}

#[derive(Deserialize)]
pub(crate) struct Told {
    message: String,
    code: Option<String>,
    #[serde(rename = "type")]
    kind: Option<String>,
}

impl Told {
    pub(crate) fn into_error(self, status: u16) -> Error {
        let code = self.code.or(self.kind).unwrap_or_else(|| status.to_string());
        Error::Gateway { status, code, message: self.message }
    }
}

#[derive(Serialize)]
struct MethodCall<'a> {
    jsonrpc: &'static str,
    id: u8,
    method: &'a str,
    params: &'a RawValue,
}

#[derive(Deserialize)]
struct MethodReply {
    result: Option<Box<RawValue>>,
    error: Option<MethodError>,
}

#[derive(Deserialize)]
struct MethodError {
    message: String,
    data: Option<MethodCode>,
}

#[derive(Deserialize)]
struct MethodCode {
    code: String,
}

impl From<MethodError> for Error {
    fn from(error: MethodError) -> Self {
        let code = error.data.map_or_else(|| "UNKNOWN".to_owned(), |data| data.code);
        Self::Method { code, message: error.message }
    }
}

//! What a handler is given: the control plane, a permit, and the request as types that refuse
//! whatever they do not know. The body is read here, so after the caller is known and permitted.

use std::time::Duration;

use auth::OperatorPermit;
use axum::extract::{FromRequestParts as _, Path, Query};
use bytes::Bytes;
use http::request::Parts;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use utoipa::openapi::path::Parameter;
use utoipa::{IntoParams, ToSchema};

use crate::Control;
use crate::document::Operation;
use crate::error::Error;
use crate::told::Made;

/// How long a body may take to arrive.
const PATIENCE: Duration = Duration::from_secs(10);

/// A permitted request whose body has not been read.
pub(crate) struct Request {
    pub(crate) control: Control,
    pub(crate) permit: OperatorPermit,
    pub(crate) head: Parts,
    pub(crate) body: axum::body::Body,
}

/// A permitted request.
pub(crate) struct Call<P = Nothing, Q = Nothing, B = Nothing> {
    pub(crate) control: Control,
    pub(crate) permit: OperatorPermit,
    pub(crate) head: Parts,
    pub(crate) path: P,
    pub(crate) query: Q,
    pub(crate) body: B,
    /// The body as it came.
    pub(crate) bytes: Bytes,
}

/// Nothing is taken, and anything that comes is refused.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Nothing {}

/// What stands in a path or a query.
pub(crate) trait Params: DeserializeOwned + Send + 'static {
    fn parameters() -> Vec<Parameter>;
}

impl<T: IntoParams + DeserializeOwned + Send + 'static> Params for T {
    fn parameters() -> Vec<Parameter> {
        T::into_params(|| None)
    }
}

impl Params for Nothing {
    fn parameters() -> Vec<Parameter> {
        Vec::new()
    }
}

/// What stands in a body.
pub(crate) trait Body: Sized + Send + 'static {
    fn parse(bytes: &[u8]) -> Result<Self, Error>;
    fn describe(operation: &mut Operation);
}

/// Any bytes: they are left in the call.
pub(crate) struct Raw;

/// JSON; an empty body stands for an empty object.
fn json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Error> {
    let bytes = if bytes.is_empty() { b"{}" } else { bytes };
    serde_json::from_slice(bytes).map_err(Error::Body)
}

impl<T: ToSchema + DeserializeOwned + Send + 'static> Body for T {
    fn parse(bytes: &[u8]) -> Result<Self, Error> {
        json(bytes)
    }

    fn describe(operation: &mut Operation) {
        operation.takes::<T>();
    }
}

impl Body for Nothing {
    fn parse(bytes: &[u8]) -> Result<Self, Error> {
        json(bytes)
    }

    fn describe(_: &mut Operation) {}
}

impl Body for Raw {
    fn parse(_: &[u8]) -> Result<Self, Error> {
        Ok(Self)
    }

    fn describe(operation: &mut Operation) {
        operation.takes_bytes();
    }
}

impl<P, Q, B> Call<P, Q, B> {
    /// Says what was made, by its public name.
    pub(crate) fn made(&self, name: &str) {
        if let Some(made) = self.head.extensions.get::<Made>() {
            made.is(name);
        }
    }
}

impl Request {
    /// Reads path, query and body.
    pub(crate) async fn read<P: Params, Q: Params, B: Body>(
        mut self,
    ) -> Result<Call<P, Q, B>, Error> {
        let (path, query, body, bytes) = inputs(&mut self.head, self.body).await?;
        let (control, permit, head) = (self.control, self.permit, self.head);
        Ok(Call { control, permit, head, path, query, body, bytes })
    }
}

async fn inputs<P: Params, Q: Params, B: Body>(
    head: &mut Parts,
    body: axum::body::Body,
) -> Result<(P, Q, B, Bytes), Error> {
    let path = Path::<P>::from_request_parts(head, &()).await;
    let Path(path) = path.map_err(|err| Error::Address(err.body_text()))?;
    let query = Query::<Q>::try_from_uri(&head.uri);
    let Query(query) = query.map_err(|err| Error::Address(err.body_text()))?;
    let bytes = whole(body).await?;
    let body = B::parse(&bytes)?;
    Ok((path, query, body, bytes))
}

async fn whole(body: axum::body::Body) -> Result<Bytes, Error> {
    let limited = Limited::new(body, control_api::MAX_BODY).collect();
    let arrived = tokio::time::timeout(PATIENCE, limited).await.or(Err(Error::Slow))?;
    match arrived {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(err) if err.is::<LengthLimitError>() => Err(Error::TooLarge),
        Err(err) => Err(Error::Broken(axum::Error::new(err))),
    }
}

#[cfg(test)]
mod tests;

//! Who answers a method: the tenant's worker, or the functions here, whose answers are the
//! supervisor's own records and connections.
//!
//! Every way in (`/rpc`, the WebSocket) comes through [`Methods::call`] with a permit.

mod approvals;
mod channels;
mod config;
pub mod devices;
mod durable;
mod inbox;
mod nodes;
mod own;
mod pages;
mod panels;
pub mod presence;
mod recorded;
mod skill_settings;
mod subscriptions;
mod terminal;
#[cfg(test)]
mod testing;
mod voicewake;

use std::sync::Arc;

use accounts::Accounts;
use api::{ApiError, Code, Method, Recorded, ServedBy};
use audit::Audit;
use auth::{Auth, Permit};
use backups::Backups;
use bytes::Bytes;
use hub::{Connection, Hub};
use proto::worker::call_reply::Outcome;
use proto::worker::{CallReply, CallRequest, Caller as WorkerCaller};
use records::Records;
use settings::Settings;
use tenants::{Tenants, Ticket};
use tokio::sync::mpsc;
use types::{Clock, Scope};

use recorded::Recording;

/// Bytes of parameters of a method that is served here: what they become in memory is many times
/// as much, and nobody else's memory limit holds for it.
const MAX_PARAMS: usize = 512 << 10;

/// The method that looks at what it is given as text, whatever its length: whoever waits for it is
/// told where it is too long.
const PASSED_ON: &str = "node.invoke.result";

/// Bytes of the details of a worker's error that are read: ours are a few names, and a worker that
/// was taken over must not have megabytes made into values here.
const MAX_DETAILS: usize = 16 << 10;

/// Every method. Clones are the same.
#[derive(Debug, Clone)]
pub struct Methods(Arc<Parts>);

/// What methods are made of.
#[derive(Debug)]
pub struct Parts {
    /// Tokens and permits.
    pub auth: Auth,
    /// Workers.
    pub tenants: Tenants,
    /// Their backups.
    pub backups: Backups,
    /// Their accounts at chat networks.
    pub accounts: Accounts,
    /// Live connections.
    pub hub: Hub,
    /// What tenants have set.
    pub settings: Settings,
    /// Devices, nodes and the rest.
    pub records: Records,
    /// Where it is recorded what changes authority.
    pub audit: Audit,
    /// Where the time comes from.
    pub clock: Arc<dyn Clock>,
    /// When the gateway started, in milliseconds since the epoch.
    pub started_at: u64,
}

/// Who calls a method.
#[derive(Debug, Clone, Copy)]
pub struct Caller<'a> {
    /// The right to call it.
    pub permit: &'a Permit,
    /// The connection that it came over; none for `/rpc`.
    pub connection: Option<&'a Arc<Connection>>,
    /// What the client calls itself; not to be trusted.
    pub client: &'a str,
    /// The id under which both sides log this request.
    pub request_id: &'a str,
}

/// The handler of every group that the supervisor serves.
pub(crate) struct Call<'a> {
    pub(crate) parts: &'a Parts,
    pub(crate) caller: Caller<'a>,
    /// Who takes answers before the last one.
    pub(crate) interim: Option<&'a mpsc::Sender<Bytes>>,
}

impl Methods {
    /// Puts the parts together.
    pub fn new(parts: Parts) -> Self {
        Self(Arc::new(parts))
    }

    /// Calls `method` with JSON parameters; the result is JSON. Answers before the last one go to
    /// `interim`, where somebody takes them.
    ///
    /// # Errors
    /// What the caller is told.
    pub async fn call(
        &self,
        caller: Caller<'_>,
        method: &'static Method,
        params: Bytes,
        interim: Option<mpsc::Sender<Bytes>>,
    ) -> Result<Bytes, ApiError> {
        let ticket = self.0.tenants.admit(caller.permit).map_err(|err| failed(&err))?;
        if method.recorded == Recorded::No {
            return self.answer(caller, method, (params, ticket), interim).await;
        }
        let recording = Recording::begin(&self.0, &caller, method).await?;
        let answered = self.answer(caller, method, (params, ticket), interim).await;
        recording.end(&self.0, &answered).await;
        answered
    }

    async fn answer(
        &self,
        caller: Caller<'_>,
        method: &'static Method,
        (params, ticket): (Bytes, Ticket),
        interim: Option<mpsc::Sender<Bytes>>,
    ) -> Result<Bytes, ApiError> {
        if method.served_by == ServedBy::Supervisor {
            bounded(method.name, params.len())?;
            let call = Call { parts: &self.0, caller, interim: interim.as_ref() };
            let result = api::supervisor::dispatch(&call, method.name, params).await;
            drop(ticket);
            return result.map(Bytes::from);
        }
        let named = durable::named(method.name, &params);
        let request = CallRequest {
            method: method.name.to_owned(),
            params,
            caller: Some(WorkerCaller {
                admin: caller.permit.principal().scopes().contains(Scope::Admin),
                connection: caller.connection.map(|it| it.id().to_owned()).unwrap_or_default(),
                client: caller.client.to_owned(),
            }),
            request_id: caller.request_id.to_owned(),
            ..CallRequest::default()
        };
        if let Some(named) = &named {
            return self.keep(named, ticket, request).await;
        }
        if !method.long {
            let reply = self.0.tenants.call(ticket, request).await;
            return reply.map_err(|err| failed(&err)).and_then(outcome);
        }
        let mut replies =
            self.0.tenants.replies(ticket, request).await.map_err(|err| failed(&err))?;
        loop {
            match replies.next().await {
                Some(Ok(CallReply { outcome: Some(Outcome::Interim(result)), .. })) => {
                    if let Some(interim) = &interim {
                        // Who does not listen any more drops this whole call.
                        interim.send(json(result)?).await.unwrap_or_default();
                    }
                }
                Some(Ok(reply)) => return outcome(reply),
                Some(Err(err)) => return Err(failed(&err)),
                None => return Err(ApiError::unavailable("the tenant's worker gave no answer")),
            }
        }
    }
}

fn outcome(reply: CallReply) -> Result<Bytes, ApiError> {
    match reply.outcome {
        Some(Outcome::Result(result)) => json(result),
        Some(Outcome::Error(error)) => Err(ApiError {
            code: Code::from_name(&error.code),
            message: error.message,
            retry_after_ms: (error.retry_after_ms > 0).then_some(error.retry_after_ms),
            details: details(&error.details),
        }),
        Some(Outcome::Interim(_)) | None => {
            Err(ApiError::unavailable("the tenant's worker gave no answer"))
        }
    }
}

/// Whether so many bytes of parameters are read here.
fn bounded(method: &str, bytes: usize) -> Result<(), ApiError> {
    if bytes <= MAX_PARAMS || method == PASSED_ON {
        return Ok(());
    }
    let wants = format!("at most {MAX_PARAMS} bytes, {bytes} given");
    Err(ApiError::invalid(format!("invalid {method} params: {wants}")))
}

/// The details of a worker's error; none where they are no JSON or too long.
fn details(json: &[u8]) -> Option<Box<serde_json::Value>> {
    if json.len() > MAX_DETAILS { None } else { serde_json::from_slice(json).ok() }
}

/// A result, if it is JSON: a worker that was taken over must not write into the frame around it.
fn json(result: Bytes) -> Result<Bytes, ApiError> {
    match serde_json::from_slice::<&serde_json::value::RawValue>(&result) {
        Ok(_) => Ok(result),
        Err(err) => {
            tracing::warn!(error = %err, "a worker's result is not JSON");
            Err(ApiError::unavailable("the method gave no JSON"))
        }
    }
}

/// What a caller is told of a tenant's failure.
pub(crate) fn failed(err: &tenants::Error) -> ApiError {
    tracing::debug!(error = %types::Chain(err), "a method was not answered");
    if let tenants::Error::Refused(refusal) = err {
        return (&types::Limited::from(&**refusal)).into();
    }
    let code = match err.http_status() {
        _ if matches!(err, tenants::Error::GivenUp { .. }) => Code::InvalidRequest,
        403 => Code::Unauthorized,
        404 => Code::NotFound,
        429 => Code::ResourceExhausted,
        504 => Code::AgentTimeout,
        _ => Code::Unavailable,
    };
    let retry_after = err.retry_after_s().map(|seconds| seconds.saturating_mul(1000));
    let retry_after_ms = retry_after.map(|it| u32::try_from(it).unwrap_or(u32::MAX));
    ApiError { retry_after_ms, ..ApiError::new(code, err.public()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_that_are_read_here_are_bounded() {
        let check = |method: &str, bytes: usize, fits: bool| {
            let refused = bounded(method, bytes).err();
            assert_eq!(refused.is_none(), fits, "{method} {bytes}");
            let told = |it: &ApiError| {
                it.code == Code::InvalidRequest && it.message.contains("524288 bytes")
            };
            assert!(refused.as_ref().is_none_or(told), "{refused:?}");
        };
        check("config.set", MAX_PARAMS, true);
        check("config.set", MAX_PARAMS + 1, false);
        check("node.event", MAX_PARAMS + 1, false);
        check("node.invoke", MAX_PARAMS, true);
        check("node.invoke", MAX_PARAMS + 1, false);
        check("node.invoke.result", 4 << 20, true);
    }

    #[test]
    fn what_was_given_up_is_no_reason_to_try_again() {
        let (event, why) = ("e1".to_owned(), "no".to_owned());
        let err = failed(&tenants::Error::GivenUp { event, why, then: "see inbox.retry" });
        assert_eq!((err.code, err.retry_after_ms), (Code::InvalidRequest, None));
        assert!(err.message.contains("e1") && err.message.contains("inbox.retry"), "{err:?}");
    }

    #[test]
    fn details_of_a_workers_error_are_bounded() {
        let check = |bytes: usize, read: bool| {
            let text = format!("\"{}\"", "x".repeat(bytes - 2));
            assert_eq!(details(text.as_bytes()).is_some(), read, "{bytes}");
        };
        check(2, true);
        check(MAX_DETAILS, true);
        check(MAX_DETAILS + 1, false);
        assert_eq!(details(b""), None);
        assert_eq!(details(b"{"), None);
    }
}

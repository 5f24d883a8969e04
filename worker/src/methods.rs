//! What each worker method of the method table does, one file per group.

mod agent;
mod agents;
mod chat;
mod commands;
mod cron;
mod health;
mod heartbeat;
mod hooks;
mod models;
mod sessions;
mod skills;
mod status;
mod tools;

use api::ApiError;
use proto::worker::call_reply::Outcome;
use proto::worker::{CallReply, Caller};
use serde::Serialize;
use tokio::sync::mpsc;
use tonic::Status;
use types::Chain;

use crate::Error;
use crate::agent::SessionKey;
use crate::openai::Fault;
use crate::service::Core;

/// One call: the handler of every group.
#[derive(Debug)]
pub(crate) struct Call<'a> {
    pub(crate) core: &'a Core,
    pub(crate) caller: Caller,
    pub(crate) request_id: String,
    /// Where answers before the last one go; none where the caller takes one answer only.
    pub(crate) interim: Option<mpsc::Sender<Result<CallReply, Status>>>,
    /// The event that it is; empty for none.
    pub(crate) event_id: String,
    /// Whether it was dealt with before: nothing is to be begun.
    pub(crate) settled: bool,
    /// Whether it was handed over before.
    pub(crate) redelivered: bool,
}

impl Call<'_> {
    /// Gives an answer before the last one, if the caller takes it.
    pub(crate) async fn answer_first(&self, result: &impl Serialize) -> Result<(), ApiError> {
        let Some(replies) = &self.interim else { return Ok(()) };
        let result = serde_json::to_vec(result)
            .map_err(|err| ApiError::unavailable(format!("an answer has no JSON form: {err}")))?;
        let outcome = Some(Outcome::Interim(result.into()));
        // Who does not listen any more is noticed by whoever made the channel.
        replies.send(Ok(CallReply { outcome, events: 0 })).await.unwrap_or_default();
        Ok(())
    }
}

/// A session key as a parameter.
fn session_key(text: &str) -> Result<SessionKey, ApiError> {
    SessionKey::parse(text).map_err(|fault| ApiError::invalid(fault.message))
}

/// A number as a parameter, or its default.
fn bounded(
    name: &str,
    value: Option<u32>,
    range: [u32; 2],
    default: u32,
) -> Result<usize, ApiError> {
    let value = value.unwrap_or(default);
    let [min, max] = range;
    if !(min..=max).contains(&value) {
        return Err(ApiError::invalid(format!("{name} must be from {min} to {max}")));
    }
    Ok(usize::try_from(value).unwrap_or(usize::MAX))
}

/// What a caller is told who names an agent that the tenant does not have.
fn unknown_agent(id: &str) -> ApiError {
    let shown: String = id.chars().take(64).collect();
    let details = serde_json::json!({"code": "UNKNOWN_AGENT_ID", "agentId": shown});
    ApiError::invalid("unknown agent id").with_details(details)
}

/// Refuses a model that the tenant may not use.
fn known_model(call: &Call<'_>, model: &str) -> Result<(), ApiError> {
    if call.core.models().has(model) {
        return Ok(());
    }
    let shown: String = model.chars().take(128).collect();
    Err(ApiError::invalid(format!("model not allowed: {shown}")))
}

/// What a caller is told of a failed run.
fn failed(fault: Fault) -> ApiError {
    if let Some(limited) = &fault.limit {
        return ApiError::from(&**limited);
    }
    let code = match fault.status {
        400..=428 | 430..=499 => api::Code::InvalidRequest,
        429 => api::Code::ResourceExhausted,
        _ => api::Code::Unavailable,
    };
    let mut error = ApiError::new(code, fault.message);
    error.retry_after_ms =
        (fault.retry_after_s > 0).then(|| fault.retry_after_s.saturating_mul(1000));
    error
}

/// What a caller is told of a failure of our own files. Logs the cause.
fn storage(error: &Error) -> ApiError {
    if let Error::Full { .. } = error {
        return ApiError::new(api::Code::ResourceExhausted, error.to_string());
    }
    tracing::error!(error = %Chain(error), "storage failed");
    if error.is_disk_full() {
        return ApiError::new(api::Code::ResourceExhausted, "the tenant's disk is full");
    }
    ApiError::unavailable("the tenant's files could not be read or written")
}

#[cfg(test)]
mod tests;

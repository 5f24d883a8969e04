//! `sessions_send`: a turn of another session, with what it answers.
//!
//! The turn has no tool that the sender does not have, and ends with the call that waits for it.

use std::time::Duration;

use api::sessions::{ListParams, Sessions};
use serde_json::{Value, json};
use tonic::async_trait;
use types::AgentId;

use super::arguments::Arguments;
use super::inside::MAX_KEY;
use super::{Context, Failure, Group, Outcome, Row, Tool, inside};
use crate::agent::{self, RunRequest, RunStatus, SessionKey, Source};
use crate::service::Core;
use crate::settings::QueueMode;

/// Bytes of one message, as of any that starts a turn and is not a person's.
const MAX_TEXT: usize = 64 << 10;
/// Runs that wait for each other.
const MAX_DEPTH: u8 = 3;
/// Seconds to wait where nothing is said, and at most.
const WAIT_S: u64 = 30;
const MAX_WAIT_S: u64 = 600;

#[derive(Debug)]
pub(super) struct SessionsSend;

static ROW: Row = Row {
    name: "sessions_send",
    label: "Send to session",
    group: Group::Sessions,
    is_read_only: false,
    description: "Sends a message to another session, whose agent takes a turn, and gives its answer. \
                  With timeoutSeconds 0 nothing is waited for.",
    parameters: r#"{"type":"object","additionalProperties":false,"required":["message"],"properties":{"sessionKey":{"type":"string","description":"The session's key; give this or label."},"label":{"type":"string","description":"The session's label."},"agentId":{"type":"string","description":"The agent of a label or of a key that names none."},"message":{"type":"string","description":"What it is told."},"timeoutSeconds":{"type":"integer","minimum":0,"maximum":600,"description":"Seconds to wait for the answer; 30 if absent."}}}"#,
};

#[async_trait]
impl Tool for SessionsSend {
    fn row(&self) -> &'static Row {
        &ROW
    }

    async fn call(&self, context: &Context, arguments: Value) -> Result<Outcome, Failure> {
        let mut arguments = Arguments::new(arguments)?;
        let key = arguments.text(&["sessionKey"], MAX_KEY)?;
        let label = arguments.text(&["label"], MAX_KEY)?;
        let agent = arguments.text(&["agentId"], MAX_KEY)?;
        let message = arguments.required(&["message"], MAX_TEXT)?;
        let wait = arguments.whole(&["timeoutSeconds"], 0..=MAX_WAIT_S)?.unwrap_or(WAIT_S);
        arguments.end()?;
        if message.trim().is_empty() {
            return Err(Failure::Invalid("message must not be empty".to_owned()));
        }
        if context.depth >= MAX_DEPTH {
            let why = format!("{MAX_DEPTH} runs have sent to each other already; answer instead.");
            return Err(Failure::Refused(why));
        }
        let key = target(context, key, label, agent).await?;
        send(context, key, message, Duration::from_secs(wait)).await
    }
}

/// The session that is meant. It must be there, unless it is an agent's main one.
async fn target(
    context: &Context,
    key: Option<String>,
    label: Option<String>,
    agent: Option<String>,
) -> Result<SessionKey, Failure> {
    let agent = agent.map(|id| {
        let unknown = |_invalid| Failure::Invalid(format!("agentId: there is no agent {id}"));
        id.parse().map_err(unknown)
    });
    let agent: Option<AgentId> = agent.transpose()?;
    let agent =
        agent.or_else(|| (!inside::reaches_others(context)).then(|| context.key.agent().clone()));
    let key = match (key, label) {
        (Some(key), None) => match &agent {
            Some(agent) if !key.starts_with("agent:") => {
                inside::key(context, &format!("agent:{agent}:{key}"))?
            }
            Some(_) | None => inside::key(context, &key)?,
        },
        (None, Some(label)) => {
            let shown: String = label.chars().take(64).collect();
            let params =
                ListParams { label: Some(label), agent_id: agent, ..ListParams::default() };
            let listed = Sessions::list(&inside::call(context), params).await;
            let found = listed.map_err(inside::failed)?.sessions;
            let Some(row) = found.first() else {
                return Err(Failure::Invalid(format!("No session is labelled `{shown}`.")));
            };
            inside::key(context, &row.key)?
        }
        (Some(_), Some(_)) | (None, None) => {
            return Err(Failure::Invalid("give one of sessionKey and label".to_owned()));
        }
    };
    if key == context.key {
        return Err(Failure::Refused("That is this session.".to_owned()));
    }
    inside::known(&context.core, key.agent()).await?;
    if !key.as_str().ends_with(":main") && inside::entry(&context.core, &key).await?.is_none() {
        return Err(Failure::Invalid(format!("There is no session `{}`.", key.as_str())));
    }
    Ok(key)
}

async fn send(
    context: &Context,
    key: SessionKey,
    message: String,
    wait: Duration,
) -> Result<Outcome, Failure> {
    let core = &context.core;
    let mut request = RunRequest::new(key.clone(), message, Source::Session);
    request.request_id.clone_from(&context.request_id);
    // Taken together with messages of the user, it would pass for one.
    request.queue = Some(QueueMode::Followup);
    request.ceiling = Some(context.allowed.clone());
    request.sender = Some(context.key.as_str().to_owned());
    request.depth = context.depth.saturating_add(1);
    request.extra_system = vec![format!(
        "The agent of the session `{}` has sent the message of this turn; your user has not written \
         it. Your answer goes back there.",
        context.key.as_str()
    )];
    let handle = agent::run(core, request).await.map_err(inside::fault)?;
    let told = |status: &str, more: Value| {
        let mut told = json!({"status": status, "runId": handle.id(), "sessionKey": key.as_str()});
        if let (Some(told), Value::Object(more)) = (told.as_object_mut(), more) {
            told.extend(more);
        }
        inside::json(&told)
    };
    if wait.is_zero() {
        return told("accepted", json!({}));
    }
    let mut running = Running { core, key: &key, run_id: handle.id(), goes_on: false };
    let outcome = tokio::time::timeout(wait, handle.done()).await;
    running.goes_on = true;
    let Ok(outcome) = outcome else {
        return told("timeout", json!({"note": "It goes on; read it with sessions_history."}));
    };
    match outcome.status {
        RunStatus::Ok => told("ok", json!({"reply": outcome.text})),
        RunStatus::Error | RunStatus::Timeout | RunStatus::Aborted => {
            let why = outcome.error.as_ref().map_or("it was stopped", |fault| &fault.message);
            Err(Failure::Failed(format!("The run of `{}` has failed: {why}", key.as_str())))
        }
    }
}

/// A run that is waited for: it is stopped with whoever waits.
struct Running<'a> {
    core: &'a Core,
    key: &'a SessionKey,
    run_id: &'a str,
    goes_on: bool,
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        if !self.goes_on {
            drop(self.core.runs.stop_turns(self.key.as_str(), Some(self.run_id)));
        }
    }
}

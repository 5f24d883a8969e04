//! `chat.send`: a message becomes a run, once.

use std::time::Duration;

use api::ApiError;
use api::chat::{Attachment, QueueMode, SendParams, Sent, SentStatus};
use api::sessions::Set;
use serde_json::{Value, json};

use super::super::sessions::{keyed, known};
use super::super::{Call, failed, storage};
use crate::agent::{self, Earlier, RunHandle, RunRequest, RunStatus, SessionKey, Source, Stand};
use crate::settings;
use crate::store::{self, Dir, Row};
use crate::{Error, adopted};

/// Bytes of a message, so that with everything else of its entry it fits a line of the transcript.
const MAX_MESSAGE: usize = 900 << 10;
/// Bytes of a run's id.
const MAX_ID: usize = 256;
/// Pictures of one message.
const MAX_IMAGES: usize = 32;
pub(super) async fn send(call: &Call<'_>, params: SendParams) -> Result<Sent, ApiError> {
    let key = keyed(&params.session_key, params.agent_id.as_ref())?;
    known(call, key.agent()).await?;
    let run_id = check_run_id(&params.idempotency_key)?;
    if params.message.trim().is_empty() && params.attachments.is_empty() {
        return Err(ApiError::invalid("message must not be empty without attachments"));
    }
    check_message(&params.message)?;
    let resumed = match found(call, &key, run_id, &params).await? {
        Found::New => None,
        Found::Known(sent) => return Ok(sent),
        Found::Cut(run_id) => Some(run_id),
    };
    let mut request = RunRequest::new(key, params.message.as_str(), Source::Chat);
    request.resumes = resumed.is_some();
    request.run_id = resumed.unwrap_or_else(|| params.idempotency_key.clone());
    request.event = call.event_id.as_str().into();
    request.images = images(params.attachments)?;
    request.params.reasoning_effort =
        agent::thinking(params.thinking.as_deref()).map_err(failed)?;
    request.queue = params.queue_mode.map(mode);
    request.deliver = params.deliver;
    request.timeout = params.timeout_ms.filter(|ms| *ms > 0).map(Duration::from_millis);
    request.commands = !params.suppress_command_interpretation;
    request.request_id.clone_from(&call.request_id);
    request.client.clone_from(&call.caller.client);
    let run = agent::run(call.core, request).await.map_err(failed)?;
    Ok(Sent {
        run_id: run.id().to_owned(),
        status: SentStatus::Started,
        run_started: Some(true),
        summary: None,
        ended_at: None,
    })
}

/// What is known of a message.
enum Found {
    New,
    /// It is in good hands.
    Known(Sent),
    /// The run of this id is to go on.
    Cut(String),
}

async fn found(
    call: &Call<'_>,
    key: &SessionKey,
    run_id: &str,
    params: &SendParams,
) -> Result<Found, ApiError> {
    let (core, event) = (call.core, call.event_id.as_str());
    if let Some(run) = core.desk.find(run_id, Some(key.as_str())) {
        agent::follow(core, event, key, &run);
        return Ok(Found::Known(sent(&run)));
    }
    let is_adopted = !event.is_empty()
        && adopted::find(core, event).await.map_err(|err| storage(&err))?.is_some();
    let found = if is_adopted {
        event_state(call, key, run_id).await?
    } else {
        checked_state(call, key, run_id, params).await?
    };
    // It was over before, whatever is left of it.
    let is_over = call.settled && !matches!(found, Found::Known(_));
    Ok(if is_over { Found::Known(over(run_id)) } else { found })
}

/// How an event stands that a run had taken.
async fn event_state(call: &Call<'_>, key: &SessionKey, run_id: &str) -> Result<Found, ApiError> {
    let stand = agent::stand(call.core, key, run_id, &call.event_id).await;
    Ok(match stand.map_err(|err| storage(&err))? {
        Stand::Known(run) => {
            agent::follow(call.core, &call.event_id, key, &run);
            Found::Known(Sent { run_id: run_id.to_owned(), ..sent(&run) })
        }
        Stand::Answered => {
            agent::over(call.core, &call.event_id, key, run_id, None).await;
            Found::Known(over(run_id))
        }
        Stand::New => Found::New,
        Stand::Cut(run_id) => Found::Cut(run_id),
    })
}

fn over(run_id: &str) -> Sent {
    let (run_id, summary) = (run_id.to_owned(), Some("completed".to_owned()));
    Sent { run_id, status: SentStatus::Ok, run_started: None, summary, ended_at: None }
}

/// Holds a message against the conversation as it is.
async fn checked_state(
    call: &Call<'_>,
    key: &SessionKey,
    run_id: &str,
    params: &SendParams,
) -> Result<Found, ApiError> {
    let known = known_state(call, key, run_id).await?;
    if let Some(run) = &known.earlier.run {
        if known.earlier.is_cut && !call.event_id.is_empty() {
            return Ok(Found::Cut(run_id.to_owned()));
        }
        agent::follow(call.core, &call.event_id, key, run);
        return Ok(Found::Known(sent(run)));
    }
    // What was taken before is not refused because of what has happened since.
    if !call.redelivered {
        expect_id(known.row.as_ref(), params.session_id.as_deref())?;
        expect_leaf(call, key, &known, &params.expected_leaf_entry_id)?;
    }
    Ok(Found::New)
}

fn expect_leaf(
    call: &Call<'_>,
    key: &SessionKey,
    known: &Known,
    expected: &Set<String>,
) -> Result<(), ApiError> {
    let is_expected = match expected {
        Set::Keep => true,
        Set::Clear => known.earlier.leaf.is_none(),
        Set::To(expected) => known.earlier.leaf.as_deref() == Some(expected),
    };
    // What a run adds meanwhile is no surprise.
    if is_expected || call.core.runs.has_turns(key.as_str()) {
        return Ok(());
    }
    let details = json!({"reason": "active-leaf-changed"});
    let message = "the conversation has gone on since; reload it and try again";
    Err(ApiError::invalid(message).with_details(details))
}

/// How a run stands that had begun before.
fn sent(run: &RunHandle) -> Sent {
    let run_id = run.id().to_owned();
    let Some(ended) = run.ended() else {
        let status = SentStatus::InFlight;
        return Sent { run_id, status, run_started: None, summary: None, ended_at: None };
    };
    let message = || ended.error.as_ref().map(|fault| fault.message.clone());
    let (status, summary) = match ended.status {
        RunStatus::Ok => (SentStatus::Ok, Some("completed".to_owned())),
        RunStatus::Error => (SentStatus::Error, message()),
        RunStatus::Timeout => (SentStatus::Timeout, message()),
        RunStatus::Aborted => (SentStatus::Timeout, Some("aborted".to_owned())),
    };
    Sent { run_id, status, run_started: None, summary, ended_at: Some(ended.ended_at) }
}

/// What is known of a session before a message is taken.
#[derive(Debug, Default)]
pub(in super::super) struct Known {
    pub(in super::super) row: Option<Row>,
    /// What its transcript says of the run.
    pub(in super::super) earlier: Earlier,
}

pub(in super::super) async fn known_state(
    call: &Call<'_>,
    key: &SessionKey,
    run_id: &str,
) -> Result<Known, ApiError> {
    let (key, run_id) = (key.clone(), run_id.to_owned());
    let read = move |root: &Dir| {
        let row = store::session(root, key.agent(), key.as_str())?;
        let Some(row) = row else { return Ok(Known::default()) };
        let file = store::transcript(root, key.agent(), &row.session_id)?;
        let earlier = match file {
            Some(file) => {
                let found = agent::look(&file, row.session_id.as_str(), &run_id);
                found.map_err(Error::io("read a transcript"))?
            }
            None => Earlier::default(),
        };
        Ok(Known { row: Some(row), earlier })
    };
    call.core.store.job(read).await.map_err(|err| storage(&err))
}

/// Refuses a session that has begun anew since the caller has looked.
pub(in super::super) fn expect_id(
    row: Option<&Row>,
    expected: Option<&str>,
) -> Result<(), ApiError> {
    let (Some(row), Some(expected)) = (row, expected) else { return Ok(()) };
    if row.session_id.as_str() == expected {
        return Ok(());
    }
    let message = "the session has begun anew since; reload it and try again";
    Err(ApiError::invalid(message).with_details(json!({"reason": "session-changed"})))
}

pub(in super::super) fn check_run_id(id: &str) -> Result<&str, ApiError> {
    if (1..=MAX_ID).contains(&id.len()) && !id.chars().any(char::is_control) {
        return Ok(id);
    }
    let message = format!("idempotencyKey must have 1 to {MAX_ID} bytes and no control characters");
    Err(ApiError::invalid(message))
}

pub(in super::super) fn check_message(text: &str) -> Result<(), ApiError> {
    if text.len() <= MAX_MESSAGE {
        return Ok(());
    }
    Err(ApiError::invalid(format!("message must have at most {MAX_MESSAGE} bytes")))
}

/// Pictures as URLs.
pub(in super::super) fn images(attachments: Vec<Attachment>) -> Result<Vec<String>, ApiError> {
    if attachments.len() > MAX_IMAGES {
        return Err(ApiError::invalid(format!("attachments must be at most {MAX_IMAGES}")));
    }
    let mut urls = Vec::with_capacity(attachments.len());
    for (at, attachment) in attachments.into_iter().enumerate() {
        let Attachment { r#type, mime_type, content, .. } = attachment;
        let wrong = |what: &str| Err(ApiError::invalid(format!("attachments[{at}] {what}")));
        let mime = mime_type.or_else(|| r#type.filter(|it| it.contains('/'))).unwrap_or_default();
        let is_plain = mime.bytes().all(|b| b.is_ascii_alphanumeric() || b"/+-.".contains(&b));
        if !mime.starts_with("image/") || !is_plain {
            return wrong("must be a picture: its mimeType must begin with image/");
        }
        let Some(Value::String(content)) = content else {
            return wrong("must have its bytes in base64 as content");
        };
        let is_base64 = |b: u8| b.is_ascii_alphanumeric() || b"+/=".contains(&b);
        urls.push(match content.strip_prefix("data:") {
            Some(_) if content.starts_with("data:image/") => content,
            None if !content.is_empty() && content.bytes().all(is_base64) => {
                format!("data:{mime};base64,{content}")
            }
            Some(_) | None => return wrong("must have its bytes in base64 as content"),
        });
    }
    Ok(urls)
}

const fn mode(mode: QueueMode) -> settings::QueueMode {
    match mode {
        QueueMode::Steer => settings::QueueMode::Steer,
        QueueMode::Followup => settings::QueueMode::Followup,
        QueueMode::Collect => settings::QueueMode::Collect,
        QueueMode::Interrupt => settings::QueueMode::Interrupt,
    }
}

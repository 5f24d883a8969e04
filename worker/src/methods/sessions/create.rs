//! `sessions.create`.

use api::ApiError;
use api::chat::Attachment;
use api::sessions::{CreateParams, Created, SendParams, Sessions};
use serde_json::{Value, json};
use types::AgentId;

use super::super::{Call, session_key};
use super::change::{entry, free_label, model_fields, set};
use super::{keyed, known, stored};
use crate::agent::{SessionKey, changed};
use crate::sessions::View;
use crate::store::{Fields, SessionId};

/// Bytes of a label and its like.
const MAX_LABEL: usize = 512;

/// A session's first message.
struct First {
    message: Option<String>,
    attachments: Vec<Attachment>,
    idempotency_key: Option<String>,
}

/// Begins a session, and a first turn in it where there is a message.
pub(super) async fn create(call: &Call<'_>, mut params: CreateParams) -> Result<Created, ApiError> {
    let first = First {
        message: params.message.take().or_else(|| params.task.take()),
        attachments: std::mem::take(&mut params.attachments),
        idempotency_key: params.idempotency_key.take(),
    };
    refuse(&params)?;
    let key = if let Some(key) = &params.key {
        keyed(key, params.agent_id.as_ref())?
    } else {
        let agent = params.agent_id.clone().unwrap_or_else(AgentId::main);
        session_key(&format!("agent:{agent}:dashboard:{}", uuid::Uuid::new_v4()))?
    };
    known(call, key.agent()).await?;
    if let Some(label) = &params.label {
        free_label(call, &key, label).await?;
    }
    let fields = fields_of(call, &params)?;
    let before = stored(call, &key).await?;
    let session = before.map_or_else(SessionId::new, |row| row.session_id);
    set(call, &key, session, fields).await?;
    let (row, entry) = entry(call, &key).await?;
    changed(call.core, &key, "create", None).await;
    let (run_id, run_error) = match start(call, &key, first).await {
        Ok(run_id) => (run_id, None),
        Err(err) => (None, Some(err)),
    };
    Ok(Created {
        ok: true,
        key: key.as_str().to_owned(),
        session_id: row.session_id.as_str().to_owned(),
        entry,
        run_started: run_id.is_some(),
        run_id,
        run_error,
        resolved: View::new(call.core).resolved(&row),
    })
}

/// Refuses what asks for something that does not exist here.
fn refuse(params: &CreateParams) -> Result<(), ApiError> {
    let asked = [
        ("incognito", params.incognito == Some(true)),
        ("catalogId", params.catalog_id.is_some()),
        ("fork", params.fork == Some(true)),
        ("forkFrom", params.fork_from.is_some()),
        ("projectId", params.project_id.is_some()),
        ("projectGitUrl", params.project_git_url.is_some()),
        ("worktree", params.worktree == Some(true)),
        ("execNode", params.exec_node.is_some()),
    ];
    match asked.iter().find(|(_, asked)| *asked) {
        Some((name, _)) => Err(ApiError::invalid(format!("{name} is not supported"))),
        None => Ok(()),
    }
}

fn fields_of(call: &Call<'_>, params: &CreateParams) -> Result<Fields, ApiError> {
    let mut fields = Fields::new();
    let texts = [
        ("label", &params.label),
        ("displayName", &params.display_name),
        ("category", &params.category),
        ("parentSessionKey", &params.parent_session_key),
    ];
    for (name, text) in texts {
        let Some(text) = text else { continue };
        if !(1..=MAX_LABEL).contains(&text.len()) {
            return Err(ApiError::invalid(format!("{name} must have 1 to {MAX_LABEL} bytes")));
        }
        fields.insert(name, Value::from(text.as_str()));
    }
    if let Some(level) = &params.thinking_level {
        if !api::models::THINKING_OPTIONS.contains(&level.as_str()) {
            let words = api::models::THINKING_OPTIONS.join(", ");
            return Err(ApiError::invalid(format!("thinkingLevel must be one of {words}")));
        }
        fields.insert("thinkingLevel", level.as_str().into());
    }
    if let Some(model) = &params.model {
        fields.extend(model_fields(call, model)?);
    }
    fields.insert("createdAt", json!(call.core.store.now()));
    Ok(fields)
}

/// Begins the first turn, if there is a message, as `chat.send` does. Gives its run.
async fn start(
    call: &Call<'_>,
    key: &SessionKey,
    params: First,
) -> Result<Option<String>, ApiError> {
    let message = params.message.filter(|message| !message.trim().is_empty());
    if message.is_none() && params.attachments.is_empty() {
        return Ok(None);
    }
    let send = SendParams {
        key: key.as_str().to_owned(),
        agent_id: None,
        message: message.unwrap_or_default(),
        thinking: None,
        attachments: params.attachments,
        timeout_ms: None,
        idempotency_key: params.idempotency_key,
    };
    Ok(Some(Sessions::send(call, send).await?.run_id))
}

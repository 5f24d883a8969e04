//! `sessions.*`.

mod change;
mod create;
mod fill;
mod list;
mod read;
mod resolve;
mod usage;

use api::ApiError;
use api::chat::{self, Aborted, Chat, Sent};
use api::sessions::{
    AbortParams, CompactParams, Compacted, CreateParams, Created, DeleteParams, Deleted,
    DescribeParams, Described, GetParams, ListParams, PatchParams, Patched, PreviewList,
    PreviewParams, ResetParams, Resolution, ResolveParams, SendParams, SessionList,
    SessionMessages, Sessions, UsageParams, UsageReport,
};
use serde_json::json;
use types::AgentId;
use uuid::Uuid;

pub(super) use list::defaults;

use super::{Call, session_key, storage};
use crate::agent::SessionKey;
use crate::agents;
use crate::sessions::View;
use crate::store::{self, Row};

impl Sessions for Call<'_> {
    async fn list(&self, params: ListParams) -> Result<SessionList, ApiError> {
        list::list(self, params).await
    }

    async fn preview(&self, params: PreviewParams) -> Result<PreviewList, ApiError> {
        read::preview(self, params).await
    }

    async fn describe(&self, params: DescribeParams) -> Result<Described, ApiError> {
        let key = keyed(&params.key, params.agent_id.as_ref())?;
        let Some(row) = list::one(self, &key).await? else {
            return Ok(Described { session: None });
        };
        let texts = list::Texts {
            title: params.include_derived_titles,
            last_message: params.include_last_message,
        };
        let row = texts.only(View::new(self.core).row(&row));
        Ok(Described { session: Some(Box::new(row)) })
    }

    async fn resolve(&self, params: ResolveParams) -> Result<Resolution, ApiError> {
        resolve::resolve(self, params).await
    }

    async fn get(&self, params: GetParams) -> Result<SessionMessages, ApiError> {
        read::get(self, params).await
    }

    async fn create(&self, params: CreateParams) -> Result<Created, ApiError> {
        create::create(self, params).await
    }

    async fn patch(&self, params: PatchParams) -> Result<Patched, ApiError> {
        change::patch(self, params).await
    }

    async fn reset(&self, params: ResetParams) -> Result<Patched, ApiError> {
        change::reset(self, params).await
    }

    async fn delete(&self, params: DeleteParams) -> Result<Deleted, ApiError> {
        change::delete(self, params).await
    }

    async fn compact(&self, params: CompactParams) -> Result<Compacted, ApiError> {
        change::compact(self, params).await
    }

    async fn send(&self, params: SendParams) -> Result<Sent, ApiError> {
        let SendParams { key, agent_id, message, thinking, attachments, .. } = params;
        let idempotency_key = params.idempotency_key;
        let send = json!({
            "sessionKey": key,
            "agentId": agent_id,
            "message": message,
            "thinking": thinking,
            "timeoutMs": params.timeout_ms,
            "idempotencyKey": idempotency_key.unwrap_or_else(|| Uuid::new_v4().to_string()),
        });
        let send = serde_json::from_value(send)
            .map_err(|err| ApiError::invalid(format!("invalid sessions.send params: {err}")))?;
        Chat::send(self, chat::SendParams { attachments, ..send }).await
    }

    async fn abort(&self, params: AbortParams) -> Result<Aborted, ApiError> {
        let session_key = match (params.key, &params.run_id) {
            (Some(key), _) => key,
            (None, Some(run_id)) => {
                let runs = self.core.runs.by_session();
                let found = runs.into_iter().find(|(_, runs)| runs.contains(run_id));
                let Some((key, _)) = found else {
                    return Ok(Aborted { ok: true, aborted: false, run_ids: Vec::new() });
                };
                key
            }
            (None, None) => return Err(ApiError::invalid("give key or runId")),
        };
        let AbortParams { run_id, agent_id, .. } = params;
        let preserve_side_runs = false;
        let abort = chat::AbortParams { session_key, agent_id, run_id, preserve_side_runs };
        Chat::abort(self, abort).await
    }

    async fn usage(&self, params: UsageParams) -> Result<UsageReport, ApiError> {
        usage::usage(self, params).await
    }
}

/// A session key beside the agent that a key means that names none.
pub(super) fn keyed(text: &str, agent: Option<&AgentId>) -> Result<SessionKey, ApiError> {
    let Some(agent) = agent else { return session_key(text) };
    let names_one = text.trim().get(..6).is_some_and(|start| start.eq_ignore_ascii_case("agent:"));
    if !names_one {
        return session_key(&format!("agent:{agent}:{}", text.trim()));
    }
    let key = session_key(text)?;
    if key.agent() == agent {
        Ok(key)
    } else {
        Err(ApiError::invalid("the session key belongs to another agent than agentId"))
    }
}

/// Refuses an agent that the tenant does not have.
pub(super) async fn known(call: &Call<'_>, agent: &AgentId) -> Result<(), ApiError> {
    let looked_for = agent.clone();
    let found = call.core.store.job(move |root| agents::get(root, &looked_for)).await;
    match found.map_err(|err| storage(&err))? {
        Some(_) => Ok(()),
        None => Err(super::unknown_agent(agent.as_str())),
    }
}

/// The entry of a session.
pub(super) async fn stored(call: &Call<'_>, key: &SessionKey) -> Result<Option<Row>, ApiError> {
    let key = key.clone();
    let read = call.core.store.job(move |root| store::session(root, key.agent(), key.as_str()));
    read.await.map_err(|err| storage(&err))
}

#[cfg(test)]
mod tests;

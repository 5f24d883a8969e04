//! `chat.*`.

mod clip;
mod history;
mod send;

use api::ApiError;
use api::chat::{
    AbortParams, Aborted, Chat, History, HistoryParams, InjectParams, Injected, Message,
    MessageParams, Metadata, MetadataParams, SendParams, Sent, StartupParams, ToolTitles,
    ToolTitlesParams,
};
use api::commands::Commands;
use api::models::Models;

use super::sessions::{keyed, known};
use super::{Call, failed};
use crate::agent;

pub(super) use send::{check_message, check_run_id, expect_id, images, known_state};

/// Characters of a label.
const MAX_LABEL: usize = 100;

impl Chat for Call<'_> {
    async fn send(&self, params: SendParams) -> Result<Sent, ApiError> {
        send::send(self, params).await
    }

    async fn history(&self, params: HistoryParams) -> Result<History, ApiError> {
        history::history(self, params).await
    }

    async fn startup(&self, params: StartupParams) -> Result<History, ApiError> {
        let params = HistoryParams {
            session_key: params.session_key,
            agent_id: params.agent_id,
            session_id: params.session_id,
            limit: params.limit,
            max_chars: params.max_chars,
            max_bytes: params.max_bytes,
            cursor: params.cursor,
            ..HistoryParams::default()
        };
        history::history(self, params).await
    }

    async fn metadata(&self, _params: MetadataParams) -> Result<Metadata, ApiError> {
        Ok(Metadata {
            models: Models::list(self, api::models::ListParams::default()).await?.models,
            commands: Commands::list(self, api::commands::ListParams::default()).await?.commands,
            swarm_enabled: false,
            runtime_selection_locked: false,
        })
    }

    async fn message(&self, params: MessageParams) -> Result<Message, ApiError> {
        history::one(self, params).await
    }

    async fn abort(&self, params: AbortParams) -> Result<Aborted, ApiError> {
        let key = keyed(&params.session_key, params.agent_id.as_ref())?;
        let run_ids = self.core.runs.stop_turns(key.as_str(), params.run_id.as_deref());
        Ok(Aborted { ok: true, aborted: !run_ids.is_empty(), run_ids })
    }

    async fn inject(&self, params: InjectParams) -> Result<Injected, ApiError> {
        let key = keyed(&params.session_key, params.agent_id.as_ref())?;
        known(self, key.agent()).await?;
        check_message(&params.message)?;
        let label = params.label.as_deref().filter(|label| !label.trim().is_empty());
        if label.is_some_and(|label| label.chars().count() > MAX_LABEL) {
            let message = format!("label must have at most {MAX_LABEL} characters");
            return Err(ApiError::invalid(message));
        }
        let text = match label {
            Some(label) => format!("[{label}]\n\n{}", params.message),
            None => params.message,
        };
        let message_id = agent::inject(self.core, &key, &text, None).await.map_err(failed)?;
        Ok(Injected { ok: true, message_id })
    }

    async fn tool_titles(&self, params: ToolTitlesParams) -> Result<ToolTitles, ApiError> {
        keyed(&params.session_key, params.agent_id.as_ref())?;
        Ok(ToolTitles { titles: std::collections::BTreeMap::new(), disabled: true })
    }
}

#[cfg(test)]
mod tests;

//! `wake`, `last-heartbeat`, `set-heartbeats`.

use api::ApiError;
use api::cron::WakeMode;
use api::heartbeat::{Beat, Heartbeat, HeartbeatsSet, LastParams, SetParams, WakeParams, Woken};
use types::AgentId;

use super::{Call, session_key, storage};
use crate::{cron, heartbeat};

impl Heartbeat for Call<'_> {
    async fn wake(&self, params: WakeParams) -> Result<Woken, ApiError> {
        let text = params.text.trim();
        if text.is_empty() || text.len() > cron::MAX_TEXT {
            return Err(ApiError::invalid(format!("text must have 1 to {} bytes", cron::MAX_TEXT)));
        }
        let agent = match &params.agent_id {
            Some(id) => id.parse().map_err(|err| ApiError::invalid(format!("agentId: {err}")))?,
            None => AgentId::main(),
        };
        let main = format!("agent:{agent}:main");
        let key = session_key(params.session_key.as_deref().unwrap_or(&main))?;
        self.known_agent(Some(key.agent().as_str())).await?;
        let told = match params.mode {
            WakeMode::Now => heartbeat::tell(self.core, &key, text, None).await,
            WakeMode::NextHeartbeat => heartbeat::queue(self.core, &key, text, None).await,
        };
        let _queued = told.map_err(|err| storage(&err))?;
        Ok(Woken { ok: true })
    }

    async fn last(&self, _params: LastParams) -> Result<Option<Beat>, ApiError> {
        let stored = heartbeat::read(self.core).await.map_err(|err| storage(&err))?;
        Ok(stored.last)
    }

    async fn set(&self, params: SetParams) -> Result<HeartbeatsSet, ApiError> {
        let enabled = params.enabled;
        let set = heartbeat::change(self.core, move |stored, _now| stored.enabled = enabled).await;
        set.map_err(|err| storage(&err))?;
        Ok(HeartbeatsSet { ok: true, enabled })
    }
}

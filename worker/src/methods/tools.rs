//! `tools.*`. Agents have no tools yet.

use api::ApiError;
use api::tools::{Catalog, CatalogParams, Effective, EffectiveParams, Profile, Tools};
use types::AgentId;

use super::{Call, session_key, storage, unknown_agent};
use crate::agents;

impl Tools for Call<'_> {
    async fn catalog(&self, params: CatalogParams) -> Result<Catalog, ApiError> {
        let agent_id = match &params.agent_id {
            None => AgentId::main(),
            Some(id) => id.trim().to_lowercase().parse().map_err(|_invalid| unknown_agent(id))?,
        };
        let of = agent_id.clone();
        let found = self.core.store.job(move |root| agents::get(root, &of)).await;
        if found.map_err(|err| storage(&err))?.is_none() {
            return Err(unknown_agent(agent_id.as_str()));
        }
        let profiles = [
            ("minimal", "Minimal"),
            ("coding", "Coding"),
            ("messaging", "Messaging"),
            ("full", "Full"),
        ];
        let profiles = profiles.into_iter().map(|(id, label)| Profile { id, label }).collect();
        Ok(Catalog { agent_id, profiles, groups: [] })
    }

    async fn effective(&self, params: EffectiveParams) -> Result<Effective, ApiError> {
        let key = match &params.agent_id {
            Some(agent) if !params.session_key.starts_with("agent:") => {
                session_key(&format!("agent:{agent}:{}", params.session_key))?
            }
            _ => session_key(&params.session_key)?,
        };
        Ok(Effective { agent_id: key.agent().clone(), profile: "full", groups: [] })
    }
}

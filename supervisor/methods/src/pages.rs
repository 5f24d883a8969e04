//! Pages of the official browser UI about things that this gateway does not keep. Starts no
//! worker, and keeps nothing.

use api::ApiError;
use api::pages::{
    AgentParams, BrowseParams, Current, Embedding, Found, Lanes, LibraryParams, Memory, Pages,
    PluginCatalog, SearchParams, SkillLibrary, Stability, StabilityParams, Theme, Themes,
};
use api::panels::NoParams;
use types::AgentId;

use crate::Call;
use crate::panels::{text, within};

impl Pages for Call<'_> {
    async fn plugin_catalog(&self, params: BrowseParams) -> Result<PluginCatalog, ApiError> {
        within("pageSize", params.page_size, 500)?;
        text("query", params.query.as_deref())?;
        Ok(PluginCatalog::default())
    }

    async fn skill_library(&self, params: LibraryParams) -> Result<SkillLibrary, ApiError> {
        text("sessionKey", params.session_key.as_deref())?;
        Ok(SkillLibrary {
            entries: [],
            profile_id: None,
            multiple_profiles: false,
            default_target: "workspace",
            can_manage_workspace: false,
            default_selection_limit: 0,
        })
    }

    async fn skill_search(&self, params: SearchParams) -> Result<Found, ApiError> {
        within("limit", params.limit, 100)?;
        text("query", params.query.as_deref())?;
        Ok(Found::default())
    }

    async fn memory(&self, params: AgentParams) -> Result<Memory, ApiError> {
        let agent_id = params.agent_id.unwrap_or_else(AgentId::main);
        let error = "memories have no index: they are files of the workspace";
        let embedding = Embedding { ok: false, checked: true, error };
        Ok(Memory { agent_id, provider: "none", embedding })
    }

    async fn themes(&self, _: NoParams) -> Result<Themes, ApiError> {
        let theme = Theme {
            id: "claw",
            name: "Claw",
            description: "",
            source: "builtin",
            modes: ["light", "dark"],
        };
        let current =
            Current { id: "claw", mode: "system", scope: "gateway", ..Current::default() };
        Ok(Themes { current, theme, themes: [theme] })
    }

    async fn lanes(&self, _: NoParams) -> Result<Lanes, ApiError> {
        Ok(Lanes { ts: self.parts.clock.now(), ..Lanes::default() })
    }

    async fn stability(&self, params: StabilityParams) -> Result<Stability, ApiError> {
        within("limit", params.limit, 1000)?;
        let now = i64::try_from(self.parts.clock.now()).unwrap_or_default();
        let now = jiff::Timestamp::from_millisecond(now).unwrap_or_default();
        Ok(Stability { generated_at: now.to_string(), ..Stability::default() })
    }
}

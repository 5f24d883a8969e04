//! What pages of the official browser UI show beside what a tenant has, and what the command line
//! asks of the gateway's inside: catalogues that this gateway does not keep, answered as empty.
//!
//! Nothing here starts a worker.

use serde::{Deserialize, Serialize};
use types::AgentId;

use crate::panels::{NoParams, Nothing};
use crate::wire::Empty;

methods! { Supervisor;
    /// Pages of clients.
    pub trait Pages {
        /// Plugins that could be had.
        "plugins.catalog.browse" [Read] fn plugin_catalog(BrowseParams) -> PluginCatalog;
        /// Skills that are kept for later.
        "skills.library.list" [Read] fn skill_library(LibraryParams) -> SkillLibrary;
        /// Skills that could be had.
        "skills.search" [Read] fn skill_search(SearchParams) -> Found;
        /// What finds memories: files of the workspace, which are read whole.
        "doctor.memory.status" [Read] fn memory(AgentParams) -> Memory;
        /// Looks of the page beside its own.
        "themes.list" [Read] fn themes(NoParams) -> Themes;
        /// What waits inside the gateway. Of other tenants nothing is told, and a tenant's own
        /// runs are in its sessions.
        "diagnostics.lanes" [Read] fn lanes(NoParams) -> Lanes;
        /// What happened inside the gateway: nothing that a tenant is told.
        "diagnostics.stability" [Read] fn stability(StabilityParams) -> Stability;
    }
}

/// Which plugins.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct BrowseParams {
    /// What for.
    pub intent: Option<String>,
    /// As many, 1 to 500.
    pub page_size: Option<u16>,
    /// Words.
    pub query: Option<String>,
    /// Of what kind.
    pub category: Option<String>,
    /// Where the last answer ended.
    pub cursor: Option<String>,
}

/// Which skills.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct LibraryParams {
    /// For which session.
    pub session_key: Option<String>,
    /// `mine`, `team` or `all`.
    pub scope: Option<String>,
}

/// Which skills.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct SearchParams {
    /// Words.
    pub query: Option<String>,
    /// 1 to 100.
    pub limit: Option<u16>,
}

/// Which agent.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct AgentParams {
    /// The main one if absent.
    pub agent_id: Option<AgentId>,
    /// No effect: there is nothing to look at.
    pub probe: Option<bool>,
}

/// Which events.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct StabilityParams {
    /// 1 to 1000.
    pub limit: Option<u16>,
    /// Of what kind.
    pub r#type: Option<String>,
    /// After which one.
    pub since_seq: Option<u64>,
}

/// Plugins.
#[derive(Debug, Default, Serialize)]
pub struct PluginCatalog {
    /// None.
    pub items: Nothing,
}

/// Skills.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SkillLibrary {
    /// None.
    pub entries: Nothing,
    /// Null: a token is no person.
    pub profile_id: Option<Empty>,
    /// False.
    pub multiple_profiles: bool,
    /// `workspace`.
    pub default_target: &'static str,
    /// False.
    pub can_manage_workspace: bool,
    /// 0.
    pub default_selection_limit: u32,
}

/// Skills.
#[derive(Debug, Default, Serialize)]
pub struct Found {
    /// None.
    pub results: Nothing,
}

/// What finds memories.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Memory {
    /// Whose.
    pub agent_id: AgentId,
    /// `none`.
    pub provider: &'static str,
    /// No index.
    pub embedding: Embedding,
}

/// Whether memories have an index.
#[derive(Debug, Serialize)]
pub struct Embedding {
    /// False.
    pub ok: bool,
    /// True.
    pub checked: bool,
    /// Why not.
    pub error: &'static str,
}

/// Looks of the page.
#[derive(Debug, Default, Serialize)]
pub struct Themes {
    /// What holds where a person has chosen nothing.
    pub current: Current,
    /// The same.
    pub theme: Theme,
    /// That one alone: the page has more of its own.
    pub themes: [Theme; 1],
}

/// A look.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct Theme {
    /// Its id.
    pub id: &'static str,
    /// For people.
    pub name: &'static str,
    /// For people.
    pub description: &'static str,
    /// `builtin`: the page has it.
    pub source: &'static str,
    /// `light` and `dark`.
    pub modes: [&'static str; 2],
}

/// The look that holds.
#[derive(Debug, Default, Serialize)]
pub struct Current {
    /// The page's own first one.
    pub id: &'static str,
    /// As the person's system has it.
    pub mode: &'static str,
    /// For whom.
    pub scope: &'static str,
    /// None.
    pub overrides: Empty,
}

/// What waits.
#[derive(Debug, Default, Serialize)]
pub struct Lanes {
    /// Now, in milliseconds since the epoch.
    pub ts: u64,
    /// None.
    pub lanes: Nothing,
    /// Null.
    pub dynamic: Option<Empty>,
}

/// What happened.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Stability {
    /// Now.
    pub generated_at: String,
    /// 0.
    pub capacity: u32,
    /// 0.
    pub count: u32,
    /// 0.
    pub dropped: u32,
    /// None.
    pub events: Nothing,
    /// What they have in common.
    pub summary: Summary,
}

/// What events have in common.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    /// None.
    pub by_type: Empty,
}

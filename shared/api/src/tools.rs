//! `tools.*`: what agents may use.

use serde::{Deserialize, Serialize};
use types::AgentId;

methods! { Worker;
    /// What agents may use.
    pub trait Tools {
        /// Every tool that there is.
        "tools.catalog" [Read] fn catalog(CatalogParams) -> Catalog;
        /// What one session's agent may use.
        "tools.effective" [Read] fn effective(EffectiveParams) -> Effective;
    }
}

/// Whose tools.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct CatalogParams {
    /// The agent; `main` if absent.
    pub agent_id: Option<String>,
    /// No effect: there are no plugins.
    pub include_plugins: Option<bool>,
}

/// Every tool that there is.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Catalog {
    /// The agent.
    pub agent_id: AgentId,
    /// The sets that an agent can be given.
    pub profiles: Vec<Profile>,
    /// The tools, by group.
    pub groups: Vec<Group>,
}

/// A set of tools.
#[derive(Debug, Serialize)]
pub struct Profile {
    /// For programs.
    pub id: &'static str,
    /// For people.
    pub label: &'static str,
}

/// Tools that belong together.
#[derive(Debug, Serialize)]
pub struct Group {
    /// What policies say after `group:`.
    pub id: &'static str,
    /// For people.
    pub label: &'static str,
    /// Always `core`.
    pub source: &'static str,
    /// The tools.
    pub tools: Vec<Entry>,
}

/// One tool.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    /// The name that models and policies call it by.
    pub id: &'static str,
    /// For people.
    pub label: &'static str,
    /// What it does.
    pub description: &'static str,
    /// Always `core`.
    pub source: &'static str,
    /// The sets that it is in.
    pub default_profiles: Vec<&'static str>,
}

/// Which session's tools.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct EffectiveParams {
    /// The agent of a key that names none.
    pub agent_id: Option<AgentId>,
    /// The session key.
    pub session_key: String,
}

/// What one session's agent may use.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Effective {
    /// The agent.
    pub agent_id: AgentId,
    /// The set that it was given.
    pub profile: &'static str,
    /// The tools; no group where there are none.
    pub groups: Vec<EffectiveGroup>,
}

/// Tools of one source.
#[derive(Debug, Serialize)]
pub struct EffectiveGroup {
    /// Always `core`.
    pub id: &'static str,
    /// For people.
    pub label: &'static str,
    /// Always `core`.
    pub source: &'static str,
    /// The tools.
    pub tools: Vec<EffectiveEntry>,
}

/// One tool that may be used.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EffectiveEntry {
    /// The name that models and policies call it by.
    pub id: &'static str,
    /// For people.
    pub label: &'static str,
    /// What it does, in a sentence.
    pub description: String,
    /// All that is said of it.
    pub raw_description: &'static str,
    /// Always `core`.
    pub source: &'static str,
}

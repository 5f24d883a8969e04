//! `skills.update`: what a tenant sets of a skill. Keys and variables go in and do not come out.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use types::Secret;

methods! { Supervisor;
    /// The tenant's settings of skills.
    pub trait SkillSettings {
        /// Switches a skill, and sets its key and variables.
        "skills.update" [Admin] fn skills_update(UpdateParams) -> Updated;
    }
}

/// What of a skill shall be different: `skillKey` with the first three, or `source` with the rest.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct UpdateParams {
    /// Which skill: 1 to 64 letters, digits and `- _ . : @ +`.
    pub skill_key: Option<String>,
    /// Whether it may be used.
    pub enabled: Option<bool>,
    /// Its key, at most 4 KiB; empty for none.
    pub api_key: Option<Secret>,
    /// Its variables, at most 32 of at most 4 KiB; an empty one is removed.
    pub env: Option<BTreeMap<String, Secret>>,
    /// For which agent a skill is fetched anew; not served yet.
    pub agent_id: Option<String>,
    /// `clawhub`: from where it is fetched.
    pub source: Option<String>,
    /// Which one.
    pub slug: Option<String>,
    /// All of them.
    pub all: Option<bool>,
    /// Whether changes by hand are overwritten.
    pub force: Option<bool>,
}

/// What is set of the skill now.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Updated {
    /// Yes.
    pub ok: bool,
    /// Which skill.
    pub skill_key: String,
    /// What is set; a placeholder stands for each secret.
    pub config: Entry,
}

/// What is set of one skill.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    /// Whether it may be used; yes where nothing is said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// The placeholder, where there is a key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api_key: Option<&'static str>,
    /// The placeholder for each variable that is set.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, &'static str>,
}

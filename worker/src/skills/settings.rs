//! What the settings say of skills. Values of keys and variables are never in them.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

/// `skills`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct SkillSettings {
    /// By skill key.
    pub(crate) entries: BTreeMap<String, Entry>,
    /// The platform's skills that may be used; all where it is empty.
    pub(crate) allow_bundled: Vec<String>,
}

/// What is set for one skill.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Entry {
    /// Whether it may be used; yes where nothing is said.
    pub(crate) enabled: Option<bool>,
    /// The variables that have a value; `true` for each of them.
    pub(crate) env: BTreeMap<String, Value>,
    /// Whether there is a key.
    pub(crate) has_api_key: bool,
}

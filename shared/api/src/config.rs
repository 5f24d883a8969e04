//! `config.*`: what the tenant has set, over what the operator has set. The path in results is a
//! name, and no file's.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, value::RawValue};

methods! { Supervisor;
    /// The tenant's settings.
    pub trait Config {
        /// What holds, and what of it the tenant has set, without secrets.
        "config.get" [Read] fn config_get(GetParams) -> Snapshot;
        /// Replaces what the tenant has set.
        "config.set" [Admin] fn config_set(SetParams) -> Written;
        /// Changes what the tenant has set.
        "config.patch" [Admin] fn config_patch(PatchParams) -> Written;
        /// Replaces what the tenant has set; nothing has to be restarted for it.
        "config.apply" [Admin] fn config_apply(ApplyParams) -> Written;
        /// What may be set.
        "config.schema" [Read] fn config_schema(GetParams) -> SchemaResult;
        /// One place of what may be set.
        "config.schema.lookup" [Read] fn config_schema_lookup(LookupParams) -> Value;
    }
}

/// No parameters.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GetParams {}

/// New settings.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SetParams {
    /// JSON5; at most 256 KiB.
    pub raw: String,
    /// `hash` of the settings that this replaces; needed where there are any.
    pub base_hash: Option<String>,
}

/// New settings, and whom to tell.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ApplyParams {
    /// As in [`SetParams`].
    pub raw: String,
    /// As in [`SetParams`].
    pub base_hash: Option<String>,
    /// No effect: nothing is restarted.
    pub session_key: Option<String>,
    /// No effect.
    pub delivery_context: Option<DeliveryContext>,
    /// No effect.
    pub note: Option<String>,
    /// No effect.
    pub restart_delay_ms: Option<u64>,
}

/// A change of settings, and whom to tell.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PatchParams {
    /// A merge patch as JSON5: null removes, objects are merged, lists whose entries have ids are
    /// merged by id, everything else is replaced.
    pub raw: String,
    /// As in [`SetParams`].
    pub base_hash: Option<String>,
    /// No effect: nothing is restarted.
    pub session_key: Option<String>,
    /// No effect.
    pub delivery_context: Option<DeliveryContext>,
    /// No effect.
    pub note: Option<String>,
    /// No effect.
    pub restart_delay_ms: Option<u64>,
    /// Paths of lists that are replaced though their entries have ids; at most 256.
    pub replace_paths: Option<Vec<String>>,
}

/// Where somebody waits for a restart.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DeliveryContext {
    /// A channel.
    pub channel: Option<String>,
    /// Whom.
    pub to: Option<String>,
    /// By which account.
    pub account_id: Option<String>,
    /// In which thread: text or a number.
    pub thread_id: Option<serde::de::IgnoredAny>,
}

/// What holds.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(clippy::struct_excessive_bools, reason = "the wire format has them")]
pub struct Snapshot {
    /// What the settings are called.
    pub path: &'static str,
    /// Whether the tenant has set anything.
    pub exists: bool,
    /// What it has set, as it wrote it.
    pub raw: Option<String>,
    /// What that says.
    pub parsed: Value,
    /// The same.
    pub source_config: Value,
    /// What holds, with the operator's settings beneath.
    pub resolved: Value,
    /// The same.
    pub runtime_config: Value,
    /// The same.
    pub config: Value,
    /// Whether what the tenant has set holds.
    pub valid: bool,
    /// For `baseHash`.
    pub hash: String,
    /// The same.
    pub config_revision_hash: String,
    /// The same: changes take effect at once.
    pub applied_config_hash: String,
    /// Why it does not hold.
    pub issues: Vec<Issue>,
    /// None.
    pub warnings: Vec<Issue>,
    /// None.
    pub legacy_issues: Vec<Issue>,
    /// None.
    pub included_paths: Vec<String>,
    /// None.
    pub include_provenance: Vec<String>,
    /// Yes: the rest is the operator's.
    pub is_tenant_overlay: bool,
}

/// What is wrong in one place.
#[derive(Debug, Clone, Serialize)]
pub struct Issue {
    /// Where; empty for the whole.
    pub path: String,
    /// What is wrong.
    pub message: String,
}

/// How a change ended.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Written {
    /// Yes.
    pub ok: bool,
    /// What the settings are called.
    pub path: &'static str,
    /// For the next `baseHash`.
    pub hash: String,
    /// What holds now.
    pub config: Value,
    /// What is different.
    pub changed_paths: Vec<String>,
    /// Whether nothing is different.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub noop: Option<bool>,
    /// Nothing is restarted.
    pub restart: Option<Value>,
    /// Nobody waits for a restart.
    pub sentinel: Option<Value>,
}

/// What may be set.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SchemaResult {
    /// A JSON Schema.
    pub schema: Value,
    /// What user interfaces should know, by path.
    pub ui_hints: BTreeMap<String, Box<RawValue>>,
    /// The gateway's version.
    pub version: &'static str,
    /// When this was made: the start of the gateway, as an RFC 3339 timestamp.
    pub generated_at: String,
}

/// Which place.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LookupParams {
    /// 1 to 1024 letters, digits and `_ . / [ ] - *`.
    pub path: String,
}

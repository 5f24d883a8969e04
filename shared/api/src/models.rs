//! `models.*`: the models that the tenant may use.

use serde::{Deserialize, Serialize};
use types::AgentId;

methods! { Worker;
    /// The models that the tenant may use.
    pub trait Models {
        /// Every one of them.
        "models.list" [Read] fn list(ListParams) -> ModelList;
        /// Whether their providers can be used.
        "models.authStatus" [Read] fn auth_status(AuthStatusParams) -> AuthStatus;
    }
}

/// Which models. Every view is the same here: what the operator allows is what there is.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
#[expect(clippy::struct_excessive_bools, reason = "the official clients send these fields")]
pub struct ListParams {
    /// No effect: agents share the tenant's models.
    pub agent_id: Option<AgentId>,
    /// No effect.
    pub include_provider_capabilities: bool,
    /// No effect.
    pub prepared_only: bool,
    /// No effect: nothing is cached.
    pub refresh: bool,
    /// No effect: details are always there.
    pub include_details: bool,
    /// No effect.
    pub session_key: Option<String>,
    /// Checked, without effect.
    pub view: Option<View>,
}

/// Which models a client means to show.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum View {
    /// Those for daily use.
    Default,
    /// Those that are configured.
    Configured,
    /// Those that a provider's configuration names.
    ProviderConfig,
    /// Every one.
    All,
}

/// The models.
#[derive(Debug, Serialize)]
pub struct ModelList {
    /// In the operator's order.
    pub models: Vec<ModelChoice>,
}

/// One model.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ModelChoice {
    /// The name without its provider.
    pub id: String,
    /// The name for people.
    pub name: String,
    /// The provider.
    pub provider: String,
    /// `default` for the one that is used where nobody says.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<&'static str>,
    /// Always true: one that is not allowed is not listed.
    pub available: bool,
    /// Tokens that it takes at once, where that is configured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub context_window: Option<u64>,
    /// Whether it can be told how much to think.
    pub reasoning: bool,
    /// How much it can be told to think.
    pub thinking_levels: &'static [ThinkingLevel],
    /// How much it thinks where nobody says.
    pub thinking_default: &'static str,
    /// What it reads.
    pub input: &'static [&'static str],
}

/// One step of how much a model thinks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct ThinkingLevel {
    /// For programs.
    pub id: &'static str,
    /// For people.
    pub label: &'static str,
}

/// How much a model can be told to think.
pub const THINKING_LEVELS: &[ThinkingLevel] = &[
    ThinkingLevel { id: "off", label: "off" },
    ThinkingLevel { id: "minimal", label: "minimal" },
    ThinkingLevel { id: "low", label: "low" },
    ThinkingLevel { id: "medium", label: "medium" },
    ThinkingLevel { id: "high", label: "high" },
];

/// The words of [`THINKING_LEVELS`].
pub const THINKING_OPTIONS: &[&str] = &["off", "minimal", "low", "medium", "high"];

/// What holds where nobody says.
pub const THINKING_DEFAULT: &str = "off";

/// Whose providers.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct AuthStatusParams {
    /// No effect: nothing is cached.
    pub refresh: bool,
    /// No effect: agents share the tenant's providers.
    pub agent_id: Option<String>,
}

/// The providers. Their keys are the operator's; nothing about them is told.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AuthStatus {
    /// Milliseconds since the epoch.
    pub ts: u64,
    /// Every provider of a model that the tenant may use.
    pub providers: Vec<ProviderStatus>,
    /// Always empty.
    pub provider_capabilities: [u8; 0],
}

/// One provider.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ProviderStatus {
    /// Its name.
    pub provider: String,
    /// Its name for people.
    pub display_name: String,
    /// Always `static`: the operator keeps the key.
    pub status: &'static str,
    /// Always empty.
    pub profiles: [u8; 0],
}

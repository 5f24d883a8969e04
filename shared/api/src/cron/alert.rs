//! Where failures and ends of a job's runs go. Kept with the job; no effect until there are channels
//! and a way out.

use serde::{Deserialize, Serialize};

/// How failures are announced.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum FailureAlert {
    /// `false`: not at all. `true` is refused.
    Switch(bool),
    /// So.
    Settings(AlertSettings),
}

/// How failures are announced.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct AlertSettings {
    /// From which failure in a row on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<u64>,
    /// `last`, or the name of a channel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel: Option<String>,
    /// To whom.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// How long it is not said again, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cooldown_ms: Option<u64>,
    /// Whether a run that did not take place counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub include_skipped: Option<bool>,
    /// How.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<AlertMode>,
    /// An account of the channel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account_id: Option<String>,
}

/// How a failure is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AlertMode {
    /// As a message.
    Announce,
    /// To an address.
    Webhook,
}

/// Where failures of a job go.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct FailureDestination {
    /// `last`, or the name of a channel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel: Option<String>,
    /// To whom.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// An account of the channel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account_id: Option<String>,
    /// How.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<AlertMode>,
}

/// Where the end of a run is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CompletionDestination {
    /// How.
    pub mode: CompletionMode,
    /// An address.
    pub to: String,
}

/// How the end of a run is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CompletionMode {
    /// To an address.
    Webhook,
}

/// A thread of a channel.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum ThreadId {
    /// By name.
    Text(String),
    /// By number.
    Number(serde_json::Number),
}

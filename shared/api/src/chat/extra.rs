//! Parameters that have no effect here and are checked all the same, as clients may expect.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// An object of any fields.
pub type Fields = BTreeMap<String, Value>;

/// One of a few words.
macro_rules! words {
    ($($(#[$doc:meta])* $Name:ident { $($word:literal => $Variant:ident),+ })+) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
        pub enum $Name {
            $(#[doc = concat!("`", $word, "`.")] #[serde(rename = $word)] $Variant,)+
        }
    )+};
}

words! {
    /// What a session's tools may do.
    PermissionMode { "read-only" => ReadOnly, "guarded" => Guarded, "workspace" => Workspace, "full" => Full }
    /// The word `auto`.
    Auto { "auto" => Auto }
    /// The kind of an intent.
    IntentKind { "session-goal-start" => SessionGoalStart }
    /// Where an input comes from.
    ProvenanceKind { "external_user" => ExternalUser, "inter_session" => InterSession, "internal_system" => InternalSystem }
    /// How much of the system prompt is wanted.
    PromptMode { "full" => Full, "minimal" => Minimal, "none" => None }
    /// How much of the workspace is wanted.
    ContextMode { "full" => Full, "lightweight" => Lightweight }
    /// What kind of run it is.
    RunKind { "default" => Default, "heartbeat" => Heartbeat, "cron" => Cron }
    /// Who starts a run.
    TurnSource { "manual_spawn" => ManualSpawn }
    /// Whether a run shows.
    SessionEffects { "visible" => Visible, "internal" => Internal }
    /// How an answer goes to a channel.
    ReplyDelivery { "automatic" => Automatic, "message_tool_only" => MessageToolOnly }
}

/// Yes, no or `auto`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum FastMode {
    /// Yes or no.
    Is(bool),
    /// `auto`.
    Auto(Auto),
}

/// What a message begins beside a run.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Intent {
    /// Its kind.
    pub kind: IntentKind,
    /// Always 1.
    pub version: u8,
    /// Milliseconds since the epoch.
    pub issued_at_ms: u64,
}

/// Where an input comes from.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Provenance {
    /// The kind of place.
    pub kind: ProvenanceKind,
    /// A session id.
    pub origin_session_id: Option<String>,
    /// A session key.
    pub source_session_key: Option<String>,
    /// A channel.
    pub source_channel: Option<String>,
    /// A tool.
    pub source_tool: Option<String>,
}

/// Tools that a session has or has not.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct ToolOverrides {
    /// By server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mcp_servers: Option<BTreeMap<String, bool>>,
    /// By server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mcp_tools_deny: Option<BTreeMap<String, Vec<String>>>,
    /// By name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub skills: Option<BTreeMap<String, bool>>,
    /// Whether it may search.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub web_search: Option<bool>,
}

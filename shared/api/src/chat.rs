//! `chat.*`: the conversation of one session, and what runs in it.
//!
//! Parameters are those of the official schema, closed. Fields that have no effect here say so.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;
use types::AgentId;

mod extra;
mod history;
mod send;

pub use extra::{
    Auto, ContextMode, FastMode, Fields, Intent, IntentKind, PermissionMode, PromptMode,
    Provenance, ProvenanceKind, ReplyDelivery, RunKind, SessionEffects, ToolOverrides, TurnSource,
};
pub use history::{
    Delta, History, HistoryPage, HistoryParams, Pending, PendingInputs, StartupParams,
};
pub use send::{Attachment, QueueMode, SendParams, Sent, SentStatus};

methods! { Worker;
    /// The conversation of one session.
    pub trait Chat {
        /// Begins a run with a message, or tells how the run with this key stands.
        "chat.send" [Write] fn send(SendParams) -> Sent;
        /// The messages of a session, oldest first.
        "chat.history" [Read] fn history(HistoryParams) -> History;
        /// What a client shows first: the newest messages of a session.
        "chat.startup" [Read] fn startup(StartupParams) -> History;
        /// What a client offers beside the messages: models and commands.
        "chat.metadata" [Read] fn metadata(MetadataParams) -> Metadata;
        /// One message, longer than the history shows it.
        "chat.message.get" [Read] fn message(MessageParams) -> Message;
        /// Stops the runs of a session, or one of them.
        "chat.abort" [Write] fn abort(AbortParams) -> Aborted;
        /// Puts a message of the assistant into a session without asking a model.
        "chat.inject" [Admin] fn inject(InjectParams) -> Injected;
        /// Titles for tool calls: none are made here.
        "chat.toolTitles" [Write] fn tool_titles(ToolTitlesParams) -> ToolTitles;
    }
}

/// What to stop.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct AbortParams {
    /// The session key.
    pub session_key: String,
    /// The agent of a key that names none.
    pub agent_id: Option<AgentId>,
    /// Only this run.
    pub run_id: Option<String>,
    /// No effect: no run has side runs.
    #[serde(default)]
    pub preserve_side_runs: bool,
}

/// What was stopped.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Aborted {
    /// Always true.
    pub ok: bool,
    /// Whether anything ran.
    pub aborted: bool,
    /// The runs that were stopped.
    pub run_ids: Vec<String>,
}

/// A message of the assistant.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct InjectParams {
    /// The session key.
    pub session_key: String,
    /// The agent of a key that names none.
    pub agent_id: Option<AgentId>,
    /// The text.
    pub message: String,
    /// Who says it, at most 100 characters; stands in brackets before the text.
    pub label: Option<String>,
}

/// The message is stored.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Injected {
    /// Always true.
    pub ok: bool,
    /// Its entry in the transcript.
    pub message_id: String,
}

/// Which message.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct MessageParams {
    /// The session key.
    pub session_key: String,
    /// The agent of a key that names none.
    pub agent_id: Option<AgentId>,
    /// Its entry in the transcript.
    pub message_id: String,
    /// Characters of one text, 1 to 2,000,000; 500,000 if absent.
    pub max_chars: Option<u32>,
}

/// One message, if it can be shown.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Message {
    /// Whether there is one.
    pub ok: bool,
    /// The message.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<Box<RawValue>>,
    /// `not_found`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unavailable_reason: Option<&'static str>,
}

/// For which session.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct MetadataParams {
    /// No effect: agents share the tenant's models and commands.
    pub agent_id: Option<AgentId>,
    /// No effect: sessions share the tenant's models and commands.
    pub session_key: Option<String>,
}

/// What a client offers.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Metadata {
    /// As in `models.list`.
    pub models: Vec<crate::models::ModelChoice>,
    /// As in `commands.list`.
    pub commands: Vec<crate::commands::Command>,
    /// Always false.
    pub swarm_enabled: bool,
    /// Always false.
    pub runtime_selection_locked: bool,
}

/// Tool calls that want titles.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct ToolTitlesParams {
    /// The session key.
    pub session_key: String,
    /// The agent of a key that names none.
    pub agent_id: Option<AgentId>,
    /// No effect.
    pub items: Vec<ToolTitle>,
}

/// One tool call that wants a title.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ToolTitle {
    /// No effect.
    pub id: String,
    /// No effect.
    pub name: String,
    /// No effect.
    pub input: String,
}

/// No titles.
#[derive(Debug, Serialize)]
pub struct ToolTitles {
    /// Always empty.
    pub titles: std::collections::BTreeMap<String, Value>,
    /// Always true.
    pub disabled: bool,
}

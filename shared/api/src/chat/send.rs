//! `chat.send`: its parameters and its answer.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use types::AgentId;

use super::{FastMode, Fields, Intent, PermissionMode, Provenance, ToolOverrides};
use crate::sessions::Set;

/// A message for a session.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct SendParams {
    /// The session key, 1 to 512 bytes.
    pub session_key: String,
    /// The agent of a key that names none.
    pub agent_id: Option<AgentId>,
    /// The session id that the client knows; refused where the session has begun anew since.
    pub session_id: Option<String>,
    /// The text.
    pub message: String,
    /// No effect: no session has goals.
    pub intent: Option<Intent>,
    /// How much the model is to think; what the session says if absent.
    pub thinking: Option<String>,
    /// No effect.
    pub fast_mode: Option<FastMode>,
    /// No effect.
    pub fast_auto_on_seconds: Option<u32>,
    /// What happens to the message while a run of the session goes on.
    pub queue_mode: Option<QueueMode>,
    /// No effect: there are no channels yet.
    #[serde(default)]
    pub deliver: bool,
    /// No effect: there are no channels yet.
    pub originating_channel: Option<String>,
    /// No effect.
    pub originating_to: Option<String>,
    /// No effect.
    pub originating_account_id: Option<String>,
    /// No effect.
    pub originating_thread_id: Option<String>,
    /// No effect.
    pub reply_to_id: Option<String>,
    /// Pictures.
    #[serde(default)]
    pub attachments: Vec<Attachment>,
    /// No effect.
    pub tool_bindings: Option<Fields>,
    /// How long the run may take; what the settings say if absent or 0.
    pub timeout_ms: Option<u64>,
    /// No effect: who says something is not told to models.
    pub system_input_provenance: Option<Provenance>,
    /// No effect.
    pub system_provenance_receipt: Option<String>,
    /// Whether a message that begins with a slash is no command.
    #[serde(default)]
    pub suppress_command_interpretation: bool,
    /// The last entry that the client knows, null for none; refused where there is another one.
    #[serde(default)]
    pub expected_leaf_entry_id: Set<String>,
    /// No effect.
    pub expected_session_routing_contract: Option<String>,
    /// No effect: sessions have no permission modes.
    pub expected_permission_mode: Option<PermissionMode>,
    /// No effect: sessions have no tool overrides.
    pub expected_tool_overrides: Option<ToolOverrides>,
    /// The run's id: the same key again does not send again. It is known for ten minutes after the
    /// run's end, and beyond that as long as its message is in the last 16 MiB of the session's
    /// transcript.
    pub idempotency_key: String,
}

/// What happens to a message while a run of its session goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum QueueMode {
    /// It goes into the run at its next step; as yet that is after it.
    Steer,
    /// It is run next.
    Followup,
    /// It is run next, together with others that wait.
    Collect,
    /// The run is stopped.
    Interrupt,
}

/// Something that comes with a message. Fields that are not known are passed over.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Attachment {
    /// `image`.
    pub r#type: Option<String>,
    /// For example `image/png`.
    pub mime_type: Option<String>,
    /// A name for people.
    pub file_name: Option<String>,
    /// The bytes in base64.
    pub content: Option<Value>,
}

/// How a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SentStatus {
    /// It has begun.
    Started,
    /// It had begun before.
    InFlight,
    /// It has ended well.
    Ok,
    /// It has failed.
    Error,
    /// It took too long, or was stopped.
    Timeout,
}

/// How the run stands that a message has begun.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Sent {
    /// The idempotency key.
    pub run_id: String,
    /// How it stands.
    pub status: SentStatus,
    /// Whether this call began it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run_started: Option<bool>,
    /// Why it ended, where it did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub summary: Option<String>,
    /// When it ended, in milliseconds since the epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<u64>,
}

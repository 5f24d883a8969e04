//! `chat.history` and `chat.startup`: their parameters and answers.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use types::AgentId;

use crate::sessions::{Defaults, SessionRow};

/// Which conversation, and what of it.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct HistoryParams {
    /// The session key.
    pub session_key: String,
    /// The agent of a key that names none.
    pub agent_id: Option<AgentId>,
    /// A `deltaCursor` of an earlier answer: only what came since.
    pub cursor: Option<String>,
    /// The last so many messages, 1 to 1000; 200 if absent.
    pub limit: Option<u32>,
    /// So many of the newest messages are left out, at most 1,000,000.
    pub offset: Option<u32>,
    /// No effect: every message that waits is shown.
    pub pending_before: Option<u32>,
    /// No effect: a message of the user carries the id of its run.
    pub input_run_ids: Vec<String>,
    /// Only messages up to this entry.
    pub message_id: Option<String>,
    /// The session id that the client knows; another one answers as an empty session.
    pub session_id: Option<String>,
    /// Characters of one text, 1 to 500,000; 12,000 if absent.
    pub max_chars: Option<u32>,
    /// Bytes of all messages, 1 KiB to 4 MiB; 4 MiB if absent. More are as 4 MiB.
    pub max_bytes: Option<u32>,
}

/// Which conversation, for a client that starts.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct StartupParams {
    /// The session key.
    pub session_key: String,
    /// The agent of a key that names none.
    pub agent_id: Option<AgentId>,
    /// The session id that the client knows.
    pub session_id: Option<String>,
    /// The last so many messages, 1 to 1000; 200 if absent.
    pub limit: Option<u32>,
    /// Characters of one text, 1 to 500,000; 12,000 if absent.
    pub max_chars: Option<u32>,
    /// Bytes of all messages, 1 KiB to 4 MiB; 4 MiB if absent. More are as 4 MiB.
    pub max_bytes: Option<u32>,
    /// Where what the client keeps ends: only what has come since is wanted.
    pub cursor: Option<String>,
}

/// A conversation, or what has come to it.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum History {
    /// The newest messages.
    Page(Box<HistoryPage>),
    /// What has come since a cursor.
    Since(Box<Delta>),
}

/// Messages of a session.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HistoryPage {
    /// The session key.
    pub session_key: String,
    /// The id under which the transcript is stored; absent where there is no such session yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session_id: Option<String>,
    /// Messages as they stand in the transcript, with their place there in `__openclaw`; texts that
    /// are too long are cut.
    pub messages: Vec<Box<RawValue>>,
    /// Messages that wait for their run.
    pub pending_inputs: PendingInputs,
    /// For the next question about what has come since.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delta_cursor: Option<String>,
    /// Where older messages begin.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_offset: Option<u32>,
    /// Whether there are older messages.
    pub has_more: bool,
    /// Entries of the transcript.
    pub total_messages: u64,
    /// What holds where the session says nothing.
    pub defaults: Defaults,
    /// How much the model is to think.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thinking_level: Option<String>,
    /// How much of what tools do is shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verbose_level: Option<String>,
    /// The session, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session_info: Option<SessionRow>,
}

/// What has come since a cursor.
#[derive(Debug, Serialize)]
#[serde(tag = "kind", rename_all = "lowercase", rename_all_fields = "camelCase")]
#[expect(clippy::large_enum_variant, reason = "the large one is what is nearly always sent")]
pub enum Delta {
    /// These messages.
    Delta {
        /// Oldest first.
        messages: Vec<Box<RawValue>>,
        /// For the next question.
        delta_cursor: String,
        /// The session.
        session_info: SessionRow,
        /// Messages that wait for their run.
        pending_inputs: PendingInputs,
    },
    /// The cursor means nothing any more: the client has to read anew.
    Reset,
}

/// Messages that wait for their run.
#[derive(Debug, Default, Serialize)]
pub struct PendingInputs {
    /// At most 20, oldest first.
    pub items: Vec<Pending>,
    /// How many there are.
    pub total: usize,
}

/// A message that waits for its run.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Pending {
    /// The id of its run.
    pub id: String,
    /// The id of its run.
    pub run_id: String,
    /// As it will stand in the transcript.
    pub message: serde_json::Value,
    /// When it came, in milliseconds since the epoch.
    pub accepted_at: u64,
    /// Always `queued`.
    pub state: &'static str,
}

//! `sessions.*`: the conversations of one tenant.

use serde::{Deserialize, Serialize};
use types::AgentId;

methods! { Worker;
    /// The conversations of one tenant.
    pub trait Sessions {
        /// Lists sessions, most recently used first.
        "sessions.list" [Read] fn list(ListParams) -> SessionList;
        /// The last messages of some sessions.
        "sessions.preview" [Read] fn preview(PreviewParams) -> PreviewList;
        /// Deletes a session; its transcript is kept aside as an archive file.
        "sessions.delete" [Write] fn delete(DeleteParams) -> Deleted;
    }
}

/// Which sessions to list.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct ListParams {
    /// Only those of this agent.
    pub agent_id: Option<AgentId>,
    /// At most this many, 1 to 1000; 100 if absent.
    pub limit: Option<u32>,
    /// Only those used in the last so many minutes.
    pub active_minutes: Option<u32>,
}

/// Sessions, most recently used first.
#[derive(Debug, Serialize)]
pub struct SessionList {
    /// Milliseconds since the epoch.
    pub ts: u64,
    /// How many there are in the list.
    pub count: usize,
    /// The sessions.
    pub sessions: Vec<SessionRow>,
}

/// One session.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SessionRow {
    /// The session key, for example `agent:main:main`.
    pub key: String,
    /// The id under which the transcript is stored.
    pub session_id: String,
    /// Milliseconds since the epoch.
    pub updated_at: u64,
    /// The model of the last turn.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Input tokens of all turns.
    pub input_tokens: u64,
    /// Output tokens of all turns.
    pub output_tokens: u64,
    /// Input plus output tokens.
    pub total_tokens: u64,
}

/// Which sessions to preview.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct PreviewParams {
    /// Session keys, 1 to 64.
    pub keys: Vec<String>,
    /// Messages per session, 1 to 50; 12 if absent.
    pub limit: Option<u32>,
    /// Characters per message, 20 to 2000; 240 if absent.
    pub max_chars: Option<u32>,
}

/// Previews, in the order of the keys.
#[derive(Debug, Serialize)]
pub struct PreviewList {
    /// Milliseconds since the epoch.
    pub ts: u64,
    /// One per key.
    pub previews: Vec<Preview>,
}

/// The end of one conversation.
#[derive(Debug, Serialize)]
pub struct Preview {
    /// The session key.
    pub key: String,
    /// `ok`, `empty` or `missing`.
    pub status: &'static str,
    /// Oldest first.
    pub items: Vec<PreviewItem>,
}

/// One message, cut to the length asked for.
#[derive(Debug, Serialize)]
pub struct PreviewItem {
    /// `user`, `assistant`, `tool` or `system`.
    pub role: String,
    /// The text.
    pub text: String,
}

/// Which session to delete.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeleteParams {
    /// The session key.
    pub key: String,
}

/// What deleting did.
#[derive(Debug, Serialize)]
pub struct Deleted {
    /// Always true.
    pub ok: bool,
    /// The session key.
    pub key: String,
    /// Whether there was such a session.
    pub deleted: bool,
}

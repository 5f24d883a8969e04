//! `sessions.*`: the conversations of one tenant.
//!
//! Parameters are those of the official schema, closed. Fields that have no effect here say so.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use types::AgentId;

use crate::chat::{Aborted, Attachment, Sent};

mod change;
mod list;
mod row;
mod usage;

pub use change::{
    CompactParams, Compacted, CreateParams, Created, DeleteParams, Deleted, PatchParams, Patched,
    ResetParams, ResetReason, Resolved, Set,
};
pub use list::{Archived, BoardFace, Defaults, ListParams, SessionList, SortBy};
pub use row::{RunStatus, SessionRow};
pub use usage::*;

methods! { Worker;
    /// The conversations of one tenant.
    pub trait Sessions {
        /// Lists sessions, most recently used first.
        "sessions.list" [Read] fn list(ListParams) -> SessionList;
        /// The last messages of some sessions.
        "sessions.preview" [Read] fn preview(PreviewParams) -> PreviewList;
        /// One session, or null.
        "sessions.describe" [Read] fn describe(DescribeParams) -> Described;
        /// The key of the session that a key, an id, a label or the start of an id names.
        "sessions.resolve" [Read] fn resolve(ResolveParams) -> Resolution;
        /// The messages of a session.
        "sessions.get" [Read] fn get(GetParams) -> SessionMessages;
        /// Begins a session, and a first turn in it where there is a message.
        "sessions.create" [Write] fn create(CreateParams) -> Created;
        /// Changes a session's settings.
        "sessions.patch" [Write] fn patch(PatchParams) -> Patched;
        /// Begins a session anew under the same key; its transcript is kept aside for a while.
        "sessions.reset" [Admin] fn reset(ResetParams) -> Patched;
        /// Deletes a session; its transcript is kept aside for a while, unless the disk is full.
        "sessions.delete" [Write] fn delete(DeleteParams) -> Deleted;
        /// Replaces the older part of a session by a summary.
        "sessions.compact" [Admin long] fn compact(CompactParams) -> Compacted;
        /// `chat.send` under another name, with fewer parameters.
        "sessions.send" [Write] fn send(SendParams) -> Sent;
        /// Stops the runs of a session, or one run.
        "sessions.abort" [Write] fn abort(AbortParams) -> Aborted;
        /// What sessions have used.
        "sessions.usage" [Read] fn usage(UsageParams) -> UsageReport;
    }
}

/// A message for a session.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct SendParams {
    /// The session key.
    pub key: String,
    /// The agent of a key that names none.
    pub agent_id: Option<AgentId>,
    /// The text.
    pub message: String,
    /// How much the model is to think; what the session says if absent.
    pub thinking: Option<String>,
    /// Pictures.
    #[serde(default)]
    pub attachments: Vec<Attachment>,
    /// How long the run may take; what the settings say if absent or 0.
    pub timeout_ms: Option<u64>,
    /// The run's id, one of our own if absent; see [`crate::chat::SendParams`].
    pub idempotency_key: Option<String>,
}

/// What to stop: a session's runs, or one run.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct AbortParams {
    /// The session key; the session of the run if absent.
    pub key: Option<String>,
    /// Only this run.
    pub run_id: Option<String>,
    /// The agent of a key that names none.
    pub agent_id: Option<AgentId>,
    /// No effect: messages that wait are stopped with what runs.
    #[serde(default)]
    pub clear_queued: bool,
}

/// Which sessions to preview.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct PreviewParams {
    /// Session keys, 1 to 64.
    pub keys: Vec<String>,
    /// Messages per session, 1 to 50; 12 if absent. More are as 50.
    pub limit: Option<u32>,
    /// Characters per message, 20 to 2000; 240 if absent. More are as 2000.
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

/// Which session to describe.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct DescribeParams {
    /// The session key.
    pub key: String,
    /// The agent of a key that names none.
    pub agent_id: Option<AgentId>,
    /// Whether the title is wanted.
    #[serde(default)]
    pub include_derived_titles: bool,
    /// Whether the last message's start is wanted.
    #[serde(default)]
    pub include_last_message: bool,
}

/// One session.
#[derive(Debug, Serialize)]
pub struct Described {
    /// Null where there is none.
    pub session: Option<Box<SessionRow>>,
}

/// What may name a session; one of key, session id, label and short id.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[expect(clippy::struct_excessive_bools, reason = "the official clients send these fields")]
pub struct ResolveParams {
    /// A session key.
    pub key: Option<String>,
    /// The id of its transcript.
    pub session_id: Option<String>,
    /// The label, 1 to 512 bytes.
    pub label: Option<String>,
    /// The start of the id, 4 characters or more.
    pub short_id: Option<String>,
    /// No effect: links of the official UI carry it for people.
    pub slug_hint: Option<String>,
    /// Only sessions of this agent.
    pub agent_id: Option<AgentId>,
    /// Only those that this session started.
    pub spawned_by: Option<String>,
    /// No effect: there is no such session here.
    #[serde(default)]
    pub include_global: bool,
    /// No effect: there is no such session here.
    #[serde(default)]
    pub include_unknown: bool,
    /// Whether "there is none" is an answer rather than a failure.
    #[serde(default)]
    pub allow_missing: bool,
}

/// Which session a reference names.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Resolution {
    /// The one.
    Found(Candidate),
    /// None, or several.
    Open(Candidates),
}

/// One session that a reference may mean.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Candidate {
    /// True in the answer for the one session that is meant; absent in a list of candidates.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ok: Option<bool>,
    /// The session key.
    pub key: String,
    /// Its agent.
    pub agent_id: AgentId,
    /// How a person would call it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
}

/// No session, or several.
#[derive(Debug, Serialize)]
pub struct Candidates {
    /// Always false.
    pub ok: bool,
    /// At most 10.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub candidates: Vec<Candidate>,
}

/// Which session's messages.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct GetParams {
    /// The session key.
    pub key: String,
    /// The agent of a key that names none.
    pub agent_id: Option<AgentId>,
    /// The last so many messages, 1 to 1000; 200 if absent.
    pub limit: Option<u32>,
}

/// Messages as they stand in the transcript, oldest first.
#[derive(Debug, Serialize)]
pub struct SessionMessages {
    /// The messages.
    pub messages: Vec<Box<RawValue>>,
}

//! Making, changing, resetting and deleting sessions.

use serde::de::Deserializer;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Number, Value};
use types::AgentId;

use crate::ApiError;
use crate::chat::{Attachment, ToolOverrides};

/// A change of one field: absent leaves it, null takes it away.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Set<T> {
    /// The field stays as it is.
    #[default]
    Keep,
    /// The field is taken away.
    Clear,
    /// The field gets this value.
    To(T),
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Set<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Option::deserialize(deserializer).map(|given| given.map_or(Self::Clear, Self::To))
    }
}

/// A session to begin. Fields that say "refused" exist in the official schema; what they ask for
/// does not exist here, and silence would be taken for success.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct CreateParams {
    /// The key; a new `agent:<agent>:dashboard:<uuid>` if absent.
    pub key: Option<String>,
    /// The id of the first turn, so that a repeated request begins it once.
    pub idempotency_key: Option<String>,
    /// The agent; `main` if absent.
    pub agent_id: Option<AgentId>,
    /// A name, unique among the agent's sessions.
    pub label: Option<String>,
    /// How a person would call it.
    pub display_name: Option<String>,
    /// The group of sessions that it is shown in.
    pub category: Option<String>,
    /// The model, one of `models.list`.
    pub model: Option<String>,
    /// No effect: models have one context window here.
    pub context_window: Option<String>,
    /// How much the model is to think.
    pub thinking_level: Option<String>,
    /// No effect.
    pub fast_mode: Option<Value>,
    /// No effect: agents have no tools that it could limit yet.
    pub permission_mode: Option<String>,
    /// No effect: agents have no tools yet.
    pub tool_overrides: Option<ToolOverrides>,
    /// Refused if true: what is said is on the tenant's disk.
    pub incognito: Option<bool>,
    /// No effect: every token of the tenant sees all of its sessions.
    pub visibility: Option<String>,
    /// Refused: there is no catalogue of sessions.
    pub catalog_id: Option<String>,
    /// The session that this one comes from.
    pub parent_session_key: Option<String>,
    /// No effect.
    pub spawn_depth: Option<u32>,
    /// Refused if true: sessions cannot be forked yet.
    pub fork: Option<bool>,
    /// Refused: sessions cannot be forked yet.
    pub fork_from: Option<String>,
    /// No effect: there are no command hooks.
    pub emit_command_hooks: Option<bool>,
    /// No effect.
    pub succeeds_parent: Option<bool>,
    /// The first message, under its older name.
    pub task: Option<String>,
    /// The first message; a turn begins with it.
    pub message: Option<String>,
    /// What the first message carries.
    pub attachments: Vec<Attachment>,
    /// Refused: there are no projects.
    pub project_id: Option<String>,
    /// Refused: there are no projects.
    pub project_git_url: Option<String>,
    /// Refused if true: there are no work trees.
    pub worktree: Option<bool>,
    /// No effect: there are no work trees.
    pub worktree_base_ref: Option<String>,
    /// No effect: there are no work trees.
    pub worktree_name: Option<String>,
    /// Refused: commands do not run on nodes.
    pub exec_node: Option<String>,
    /// No effect: an agent works in its workspace.
    pub cwd: Option<String>,
}

/// The session that was begun.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Created {
    /// Always true.
    pub ok: bool,
    /// Its key.
    pub key: String,
    /// The id under which its transcript is stored.
    pub session_id: String,
    /// What is stored about it.
    pub entry: Box<RawValue>,
    /// Whether a turn was begun.
    pub run_started: bool,
    /// That turn.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run_id: Option<String>,
    /// Why it was not begun; the session exists all the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run_error: Option<ApiError>,
    /// What the session uses now.
    pub resolved: Resolved,
}

/// What to change of a session.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct PatchParams {
    /// The session key.
    pub key: String,
    /// The agent of a key that names none.
    pub agent_id: Option<AgentId>,
    /// Refused where the session has another id by now.
    pub expected_session_id: Option<String>,
    /// No effect: entries have no revision.
    pub expected_lifecycle_revision: Option<String>,
    /// No effect.
    pub expected_permission_mode: Option<Value>,
    /// No effect.
    pub expected_tool_overrides: Option<ToolOverrides>,
    /// No effect.
    pub expected_marked_unread_at: Option<Number>,
    /// A name, unique among the agent's sessions.
    pub label: Set<String>,
    /// A picture, for the client.
    pub icon: Set<String>,
    /// A colour, for the client.
    pub color: Set<String>,
    /// The group of sessions that it is shown in.
    pub category: Set<String>,
    /// For the client.
    pub board_face: Option<super::list::BoardFace>,
    /// A short note, 120 characters.
    pub status_note: Set<String>,
    /// For the client: `hand`, `key`, `alert`, `flag`, `lock` or `hourglass`.
    pub attention: Set<String>,
    /// No effect: what a client asks for here does not end by itself.
    pub ttl_minutes: Option<u32>,
    /// Whether it is put away in lists.
    pub archived: Option<bool>,
    /// Whether it comes first in lists.
    pub pinned: Option<bool>,
    /// Whether it counts as unread.
    pub unread: Option<bool>,
    /// No effect: models have one context window here.
    pub context_window: Set<String>,
    /// How much the model is to think.
    pub thinking_level: Set<String>,
    /// Stored, without effect.
    pub fast_mode: Set<Value>,
    /// Stored, without effect: agents have no tools yet.
    pub tool_overrides: Set<ToolOverrides>,
    /// How much of what tools do is shown: `on`, `full` or `off`.
    pub verbose_level: Set<String>,
    /// How much is traced.
    pub trace_level: Set<String>,
    /// Whether the model's thinking is shown: `on`, `off` or `stream`.
    pub reasoning_level: Set<String>,
    /// Whether what a turn used is shown: `off`, `tokens`, `full` or `on`.
    pub response_usage: Set<String>,
    /// Stored, without effect: commands run in the tenant's sandbox always.
    pub elevated_level: Set<String>,
    /// Stored, without effect: see `elevated_level`.
    pub exec_host: Set<String>,
    /// Stored, without effect: see `elevated_level`.
    pub exec_security: Set<String>,
    /// Stored, without effect: see `elevated_level`.
    pub exec_ask: Set<String>,
    /// Stored, without effect: see `elevated_level`.
    pub exec_node: Set<String>,
    /// `read-only`, `guarded`, `workspace` or `full`; stored, without effect yet.
    pub permission_mode: Set<String>,
    /// The model, one of `models.list`.
    pub model: Set<String>,
    /// Stored, without effect.
    pub completion_owner_session_key: Set<String>,
    /// Stored, without effect.
    pub inherited_tool_policy_version: Set<u8>,
    /// Stored, without effect.
    pub inherited_tool_allow: Set<Vec<String>>,
    /// Stored, without effect.
    pub inherited_tool_deny: Set<Vec<String>>,
    /// Whether answers are sent to the channel: `allow` or `deny`.
    pub send_policy: Set<String>,
    /// When a group is answered: `mention` or `always`.
    pub group_activation: Set<String>,
}

/// A session after a change of it.
#[derive(Debug, Serialize)]
pub struct Patched {
    /// Always true.
    pub ok: bool,
    /// Where it is kept, beneath the tenant's root.
    pub path: String,
    /// The session key.
    pub key: String,
    /// What is stored about it.
    pub entry: Box<RawValue>,
    /// What the session uses now.
    pub resolved: Resolved,
}

/// What a session's next turn uses.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Resolved {
    /// The provider of the model; null where there is none.
    pub model_provider: Option<String>,
    /// The model; null where there is none.
    pub model: Option<String>,
}

/// Which session to begin anew.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct ResetParams {
    /// The session key.
    pub key: String,
    /// The agent of a key that names none.
    pub agent_id: Option<AgentId>,
    /// Why, for those who listen; `reset` if absent.
    pub reason: Option<ResetReason>,
}

/// Why a session is begun anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ResetReason {
    /// A new conversation was asked for.
    New,
    /// The old one was to be dropped.
    Reset,
}

/// Which session to delete.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct DeleteParams {
    /// The session key.
    pub key: String,
    /// The agent of a key that names none.
    pub agent_id: Option<AgentId>,
    /// No effect: the transcript is always put aside for a while.
    pub delete_transcript: Option<bool>,
    /// Refused where the session has another id by now.
    pub expected_session_id: Option<String>,
    /// No effect: entries have no revision.
    pub expected_lifecycle_revision: Option<String>,
    /// Refused where the session has changed since, in milliseconds since the epoch.
    pub expected_session_updated_at: Option<Number>,
    /// No effect: there are no lifecycle hooks.
    pub emit_lifecycle_hooks: Option<bool>,
    /// Refuses a session that is not archived.
    #[serde(default)]
    pub archived_only: bool,
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
    /// Where its transcript is now, beneath the tenant's root; empty where it is gone.
    pub archived: Vec<String>,
}

/// Which session to compact.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct CompactParams {
    /// The session key.
    pub key: String,
    /// The agent of a key that names none.
    pub agent_id: Option<AgentId>,
    /// No effect: what is kept is counted in tokens.
    pub max_lines: Option<u32>,
}

/// What compacting did.
#[derive(Debug, Serialize)]
pub struct Compacted {
    /// Always true.
    pub ok: bool,
    /// The session key.
    pub key: String,
    /// Whether there was anything to replace.
    pub compacted: bool,
    /// Why not, or what came of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The summary and its figures.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result: Option<Value>,
}

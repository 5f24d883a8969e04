//! `status`: a summary for people, of what `health` and the lists tell in full.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use types::AgentId;

methods! { Worker;
    /// A summary for people.
    pub trait Status {
        /// What there is and what was used last.
        "status" [Read] fn status(StatusParams) -> StatusReport;
    }
}

/// What to tell.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct StatusParams {
    /// No effect: channels are not served yet.
    pub include_channel_summary: Option<bool>,
}

/// A summary.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StatusReport {
    /// Version of the worker.
    pub runtime_version: &'static str,
    /// The heartbeats.
    pub heartbeat: Heartbeats,
    /// Always empty.
    pub channel_summary: [u8; 0],
    /// Always empty: events wait in the heartbeat.
    pub queued_system_events: [u8; 0],
    /// Background tasks.
    pub tasks: Tasks,
    /// The sessions.
    pub sessions: SessionsStatus,
    /// Always empty.
    pub degraded_secret_owners: [u8; 0],
    /// Always empty.
    pub degraded_plugins: [u8; 0],
}

/// The heartbeats.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Heartbeats {
    /// The agent that a request means that names none.
    pub default_agent_id: AgentId,
    /// Every agent's.
    pub agents: Vec<AgentHeartbeat>,
}

/// One agent's heartbeat.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AgentHeartbeat {
    /// The agent.
    pub agent_id: AgentId,
    /// Whether it comes.
    pub enabled: bool,
    /// How often, as it is configured.
    pub every: String,
    /// How often in milliseconds; null where it does not come.
    pub every_ms: Option<u64>,
}

/// Background tasks: the runs under way.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Tasks {
    /// All that are known.
    pub total: u32,
    /// Those under way.
    pub active: u32,
    /// Always 0: what has ended is in the sessions.
    pub terminal: u32,
    /// Always 0.
    pub failures: u32,
    /// By state.
    pub by_status: BTreeMap<&'static str, u32>,
    /// By kind.
    pub by_runtime: BTreeMap<&'static str, u32>,
}

/// The sessions.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SessionsStatus {
    /// Where they are kept, beneath the tenant's root.
    pub paths: Vec<String>,
    /// How many there are.
    pub count: usize,
    /// What holds where a session says nothing.
    pub defaults: SessionDefaults,
    /// At most 10 of all agents, most recently used first.
    pub recent: Vec<RecentStatus>,
    /// The same, by agent.
    pub by_agent: Vec<AgentSessions>,
}

/// What holds where a session says nothing.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SessionDefaults {
    /// The default model; null where there is none.
    pub model: Option<String>,
    /// Tokens that it takes at once; null where that is not known.
    pub context_tokens: Option<u64>,
}

/// The sessions of one agent.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AgentSessions {
    /// The agent.
    pub agent_id: AgentId,
    /// Where they are kept, beneath the tenant's root.
    pub path: String,
    /// How many there are.
    pub count: usize,
    /// At most 10, most recently used first.
    pub recent: Vec<RecentStatus>,
}

/// One session.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RecentStatus {
    /// Its agent.
    pub agent_id: AgentId,
    /// The session key.
    pub key: String,
    /// `direct`, `group`, `cron` and so on.
    pub kind: &'static str,
    /// The id under which the transcript is stored.
    pub session_id: String,
    /// Milliseconds since the epoch.
    pub updated_at: u64,
    /// Milliseconds since then.
    pub age: u64,
    /// Input tokens of all turns.
    pub input_tokens: u64,
    /// Output tokens of all turns.
    pub output_tokens: u64,
    /// Tokens of the last turn; null where that is not known.
    pub total_tokens: Option<u64>,
    /// What is left of the context; null where that is not known.
    pub remaining_tokens: Option<u64>,
    /// How full the context is; null where that is not known.
    pub percent_used: Option<u64>,
    /// The model of its last turn.
    pub model: Option<String>,
    /// Tokens that the model takes at once; null where that is not known.
    pub context_tokens: Option<u64>,
    /// What is set for it, for people.
    pub flags: Vec<String>,
}

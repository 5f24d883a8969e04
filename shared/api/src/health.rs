//! `health`: whether the tenant's own process answers, and what it holds.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use types::AgentId;

methods! { Worker;
    /// Whether the tenant's own process answers.
    pub trait Health {
        /// Answers from inside the tenant's worker.
        "health" [Read] fn health(HealthParams) -> HealthReport;
    }
}

/// What a client may ask for; nothing in it has an effect.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HealthParams {
    /// Whether channels are to be asked.
    #[serde(default)]
    pub probe: Option<bool>,
}

/// The state of the tenant's worker, as it sees itself.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HealthReport {
    /// Always true: a worker that cannot answer sends nothing.
    pub ok: bool,
    /// Milliseconds since the epoch.
    pub ts: u64,
    /// How long this took, in milliseconds.
    pub duration_ms: u64,
    /// Milliseconds since the worker started.
    pub uptime_ms: u64,
    /// Version of the worker.
    pub version: String,
    /// Runs under way.
    pub runs: u32,
    /// Plugins; there are none.
    pub plugins: Plugins,
    /// Always empty: channels are not served yet.
    pub channels: BTreeMap<String, u8>,
    /// Always empty.
    pub channel_order: [u8; 0],
    /// Always empty.
    pub channel_labels: BTreeMap<String, u8>,
    /// How often the main agent's heartbeat comes; 0 where it does not.
    pub heartbeat_seconds: u64,
    /// The agent that a request means that names none.
    pub default_agent_id: AgentId,
    /// Every agent.
    pub agents: Vec<AgentHealth>,
    /// The sessions of all agents.
    pub sessions: SessionsHealth,
    /// Whether models can be asked.
    pub model_runtime: ModelRuntime,
}

/// Plugins.
#[derive(Debug, Default, Serialize)]
pub struct Plugins {
    /// Always empty.
    pub loaded: [u8; 0],
    /// Always empty.
    pub errors: [u8; 0],
    /// Always empty.
    pub unavailable: [u8; 0],
}

/// One agent.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AgentHealth {
    /// Its id.
    pub agent_id: AgentId,
    /// Its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Whether a request means it that names none.
    pub is_default: bool,
    /// Its heartbeat.
    pub heartbeat: HeartbeatSummary,
    /// Its sessions.
    pub sessions: SessionsHealth,
}

/// The heartbeat of an agent.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HeartbeatSummary {
    /// Whether it comes.
    pub enabled: bool,
    /// How often, as it is configured.
    pub every: String,
    /// How often in milliseconds; null where it does not come.
    pub every_ms: Option<u64>,
    /// What the agent is asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prompt: Option<String>,
    /// Where answers go.
    pub target: String,
    /// Characters that an answer without news may have.
    pub ack_max_chars: u32,
}

/// Sessions, and the ones used last.
#[derive(Debug, Serialize)]
pub struct SessionsHealth {
    /// Where they are kept, beneath the tenant's root.
    pub path: String,
    /// How many there are.
    pub count: usize,
    /// At most 5, most recently used first.
    pub recent: Vec<RecentSession>,
}

/// One session.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RecentSession {
    /// The session key.
    pub key: String,
    /// Milliseconds since the epoch.
    pub updated_at: u64,
    /// Milliseconds since then.
    pub age: u64,
}

/// Whether models can be asked.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ModelRuntime {
    /// Always false: a worker without models says so in every turn.
    pub degraded: bool,
    /// Always empty.
    pub pending_agents: [u8; 0],
}

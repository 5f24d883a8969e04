//! `agent`, `agent.wait` and `agent.identity.get`: runs whose answer the caller waits for, and who
//! answers.
//!
//! Parameters are those of the official schema, closed. Fields that have no effect here say so.

use serde::{Deserialize, Serialize};
use types::AgentId;

mod params;

pub use params::AgentParams;

methods! { Worker;
    /// Runs of an agent.
    pub trait Agent {
        /// Begins a run, answers that it has begun, and answers again when it has ended.
        "agent" [Write long] fn agent(AgentParams) -> AgentReply;
        /// Waits for the end of a run.
        "agent.wait" [Write long] fn wait(WaitParams) -> Waited;
        /// How an agent is called.
        "agent.identity.get" [Read] fn identity(IdentityParams) -> Identity;
    }
}

/// A run has begun: the first answer of `agent`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Accepted {
    /// The idempotency key.
    pub run_id: String,
    /// The session.
    pub session_key: String,
    /// Its agent.
    pub agent_id: AgentId,
    /// Always `accepted`.
    pub status: &'static str,
    /// Milliseconds since the epoch.
    pub accepted_at: u64,
}

/// A run has ended: the last answer of `agent`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AgentReply {
    /// The idempotency key.
    pub run_id: String,
    /// `ok`, or `timeout` where it took too long or was stopped.
    pub status: &'static str,
    /// `completed`, `aborted` or why not.
    pub summary: String,
    /// What came of it.
    pub result: AgentResult,
}

/// What came of a run.
#[derive(Debug, Serialize)]
pub struct AgentResult {
    /// What the agent said.
    pub payloads: Vec<Payload>,
    /// How it came to it.
    pub meta: Meta,
}

/// One message of an agent.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Payload {
    /// The text.
    pub text: String,
    /// Always null.
    pub media_url: Option<String>,
}

/// How a run went.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Meta {
    /// How long it took, in milliseconds.
    pub duration_ms: u64,
    /// Who answered.
    pub agent_meta: AgentMeta,
    /// Whether somebody stopped it.
    pub aborted: bool,
}

/// Who answered.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AgentMeta {
    /// The session's transcript.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session_id: Option<String>,
    /// The provider.
    pub provider: String,
    /// The model.
    pub model: String,
    /// Tokens, where the provider says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
}

/// Tokens of a run.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Usage {
    /// Input that did not come from a cache.
    pub input: u64,
    /// Output.
    pub output: u64,
    /// Input from a cache.
    pub cache_read: u64,
    /// Always 0.
    pub cache_write: u64,
    /// All of it.
    pub total: u64,
}

/// Which run, and how long to wait.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct WaitParams {
    /// The run.
    pub run_id: String,
    /// Milliseconds, at most an hour; 30,000 if absent. More are as an hour.
    pub timeout_ms: Option<u64>,
}

/// How a run stands.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Waited {
    /// The run.
    pub run_id: String,
    /// `ok`, `error`, or `timeout` where it has not ended in time, took too long, was stopped or is
    /// not known.
    pub status: &'static str,
    /// When it started, in milliseconds since the epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_at: Option<u64>,
    /// When it ended, in milliseconds since the epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<u64>,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Why it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop_reason: Option<&'static str>,
}

/// Whose identity.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct IdentityParams {
    /// The agent; `main` if neither is given.
    pub agent_id: Option<AgentId>,
    /// A session of the agent.
    pub session_key: Option<String>,
}

/// How an agent is called.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Identity {
    /// The agent.
    pub agent_id: AgentId,
    /// Its name.
    pub name: String,
    /// `agent` where somebody gave it one, else `default`.
    pub name_source: &'static str,
    /// A picture: a URL, or a path in its workspace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub avatar: Option<String>,
    /// `none`, `local`, `remote` or `data`.
    pub avatar_status: &'static str,
    /// An emoji.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub emoji: Option<String>,
}

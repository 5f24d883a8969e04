//! `sessions.usage`: what sessions have used, from their entries alone.

use serde::{Deserialize, Serialize};
use types::AgentId;

/// Which sessions, and how to count.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct UsageParams {
    /// Only this session.
    pub key: Option<String>,
    /// Only sessions of this agent.
    pub agent_id: Option<AgentId>,
    /// No effect: all agents are counted unless `agentId` names one.
    pub agent_scope: Option<AgentScope>,
    /// Only sessions used on or after this day, YYYY-MM-DD.
    pub start_date: Option<String>,
    /// Only sessions used on or before this day, YYYY-MM-DD.
    pub end_date: Option<String>,
    /// No effect: days are those of UTC.
    pub mode: Option<String>,
    /// `7d`, `30d`, `90d`, `1y` or `all`, where no days are given; `30d` if absent.
    pub range: Option<String>,
    /// No effect.
    pub group_by: Option<String>,
    /// No effect: what was deleted is not counted.
    pub include_historical: Option<bool>,
    /// No effect: days are those of UTC.
    pub utc_offset: Option<String>,
    /// No effect: days are those of UTC.
    pub time_zone: Option<String>,
    /// At most this many sessions in the list, 1 or more; 50 if absent. More than 1000 are as 1000.
    pub limit: Option<u32>,
    /// No effect.
    pub include_context_weight: Option<bool>,
    /// No effect: sessions are the tenant's. Official clients send it, although no published schema
    /// has it.
    pub creator_key: Option<String>,
}

/// Which agents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AgentScope {
    /// All of them.
    All,
}

/// What sessions have used. Prices are the supervisor's, so that every cost is 0 here.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct UsageReport {
    /// Milliseconds since the epoch.
    pub updated_at: u64,
    /// The first day.
    pub start_date: String,
    /// The last day.
    pub end_date: String,
    /// Most recently used first.
    pub sessions: Vec<SessionUsage>,
    /// Of all sessions that match, those beyond the limit too.
    pub totals: TokenTotals,
    /// By other criteria.
    pub aggregates: Aggregates,
}

/// What one session has used.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SessionUsage {
    /// The session key.
    pub key: String,
    /// Its label or title.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// The id under which the transcript is stored.
    pub session_id: String,
    /// Milliseconds since the epoch.
    pub updated_at: u64,
    /// Its agent.
    pub agent_id: AgentId,
    /// The provider of its last turn's model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model_provider: Option<String>,
    /// The model of its last turn.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// The figures.
    pub usage: TokenTotals,
}

/// Tokens, and costs that are always 0 here.
#[derive(Debug, Clone, Copy, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TokenTotals {
    /// Input without what came from a cache.
    pub input: u64,
    /// Output.
    pub output: u64,
    /// Input that came from a cache.
    pub cache_read: u64,
    /// Always 0.
    pub cache_write: u64,
    /// Everything.
    pub total_tokens: u64,
    /// Always 0.
    pub total_cost: u64,
    /// Always 0.
    pub input_cost: u64,
    /// Always 0.
    pub output_cost: u64,
    /// Always 0.
    pub cache_read_cost: u64,
    /// Always 0.
    pub cache_write_cost: u64,
    /// Always 0: prices are not known here at all.
    pub missing_cost_entries: u64,
}

/// What sessions have used, by other criteria.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Aggregates {
    /// By agent.
    pub by_agent: Vec<Share<AgentShare>>,
    /// By model.
    pub by_model: Vec<Share<ModelShare>>,
    /// By provider.
    pub by_provider: Vec<Share<ProviderShare>>,
    /// By channel; empty: entries say it of imported sessions only.
    pub by_channel: [u8; 0],
    /// By day; empty: entries hold sums only.
    pub daily: [u8; 0],
    /// Messages; zeroes: entries do not count them.
    pub messages: MessageCounts,
    /// Tools; zeroes: entries do not count them.
    pub tools: ToolCounts,
}

/// One part of the whole.
#[derive(Debug, Serialize)]
pub struct Share<T> {
    /// Whose.
    #[serde(flatten)]
    pub of: T,
    /// The figures.
    pub totals: TokenTotals,
}

/// An agent's share.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AgentShare {
    /// The agent.
    pub agent_id: AgentId,
}

/// A model's share.
#[derive(Debug, Serialize)]
pub struct ModelShare {
    /// The provider.
    pub provider: String,
    /// The model.
    pub model: String,
    /// Sessions that used it last.
    pub count: u64,
}

/// A provider's share.
#[derive(Debug, Serialize)]
pub struct ProviderShare {
    /// The provider.
    pub provider: String,
    /// Sessions that used it last.
    pub count: u64,
}

/// Messages by kind.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MessageCounts {
    /// All.
    pub total: u64,
    /// Of the user.
    pub user: u64,
    /// Of the model.
    pub assistant: u64,
    /// Calls of tools.
    pub tool_calls: u64,
    /// Answers of tools.
    pub tool_results: u64,
    /// Failures.
    pub errors: u64,
}

/// Calls of tools.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ToolCounts {
    /// All calls.
    pub total_calls: u64,
    /// Different tools.
    pub unique_tools: u64,
    /// By tool.
    pub tools: [u8; 0],
}

//! The forms of a run's events.

use serde::Serialize;
use types::{AgentId, UnixMillis};

use crate::store::Usage;

/// What those get who read the conversation.
#[derive(Serialize, Default)]
#[serde(rename_all = "camelCase")]
pub(super) struct Chat<'a> {
    pub(super) run_id: &'a str,
    pub(super) session_key: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) agent_id: Option<&'a AgentId>,
    pub(super) seq: u64,
    pub(super) state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) phase: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) delta_text: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) message: Option<Message<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) usage: Option<Usage>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) stop_reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) error_message: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) error_kind: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) error_detail: Option<ErrorDetail>,
}

/// What programs may want to know of a limit that was met.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ErrorDetail {
    pub(super) failover_reason: &'static str,
    pub(super) provider_error_type: &'static str,
    pub(super) http_status: u16,
}

#[derive(Serialize)]
pub(super) struct Message<'a> {
    pub(super) role: &'static str,
    pub(super) content: [Text<'a>; 1],
    pub(super) timestamp: UnixMillis,
}

#[derive(Serialize)]
pub(super) struct Text<'a> {
    pub(super) r#type: &'static str,
    pub(super) text: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Agent<'a, T> {
    pub(super) run_id: &'a str,
    pub(super) seq: u64,
    pub(super) stream: &'static str,
    pub(super) ts: UnixMillis,
    pub(super) data: &'a T,
    pub(super) session_key: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) session_id: Option<&'a str>,
    pub(super) agent_id: &'a AgentId,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) is_heartbeat: Option<bool>,
}

#[derive(Serialize, Clone, Copy, Default)]
#[serde(rename_all = "camelCase")]
pub(super) struct Life<'a> {
    pub(super) phase: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) started_at: Option<UnixMillis>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) ended_at: Option<UnixMillis>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) provider: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) model: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) status: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) stop_reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) aborted: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) error: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) limit: Option<&'a serde_json::Value>,
}

//! The parameters of `agent`: most of them are for tools and channels that there are not yet.

use serde::Deserialize;
use types::AgentId;

use crate::chat::{
    Attachment, ContextMode, Fields, PromptMode, Provenance, ReplyDelivery, RunKind,
    SessionEffects, TurnSource,
};

/// A message for an agent.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct AgentParams {
    /// The text.
    pub message: String,
    /// The agent; that of the session if absent.
    pub agent_id: Option<AgentId>,
    /// The provider of `model`.
    pub provider: Option<String>,
    /// The model; what the session, the agent or the settings say if absent.
    pub model: Option<String>,
    /// No effect: there are no channels yet.
    pub to: Option<String>,
    /// No effect.
    pub reply_to: Option<String>,
    /// The session with this id, or a new one that is called so; the agent's main one if absent.
    pub session_id: Option<String>,
    /// The session key.
    pub session_key: Option<String>,
    /// The session id that the caller knows; refused where it is another one.
    pub expected_existing_session_id: Option<String>,
    /// How much the model is to think; what the session says if absent.
    pub thinking: Option<String>,
    /// No effect: there are no channels yet.
    #[serde(default)]
    pub deliver: bool,
    /// Pictures.
    #[serde(default)]
    pub attachments: Vec<Attachment>,
    /// No effect.
    pub channel: Option<String>,
    /// No effect.
    pub reply_channel: Option<String>,
    /// No effect.
    pub account_id: Option<String>,
    /// No effect.
    pub reply_account_id: Option<String>,
    /// No effect.
    pub thread_id: Option<String>,
    /// No effect.
    pub group_id: Option<String>,
    /// No effect.
    pub group_channel: Option<String>,
    /// No effect.
    pub group_space: Option<String>,
    /// How long the run may take, in seconds; what the settings say if absent or 0.
    pub timeout: Option<u64>,
    /// No effect.
    pub best_effort_deliver: Option<bool>,
    /// No effect: a session is its own lane.
    pub lane: Option<String>,
    /// No effect: an agent works in its workspace.
    pub cwd: Option<String>,
    /// No effect.
    pub cleanup_bundle_mcp_on_run_end: Option<bool>,
    /// No effect.
    pub model_run: Option<bool>,
    /// No effect: the prompt is always whole.
    pub prompt_mode: Option<PromptMode>,
    /// More for the system prompt.
    pub extra_system_prompt: Option<String>,
    /// No effect.
    pub bootstrap_context_mode: Option<ContextMode>,
    /// No effect.
    pub bootstrap_context_run_kind: Option<RunKind>,
    /// No effect.
    pub acp_turn_source: Option<TurnSource>,
    /// No effect.
    pub internal_runtime_handoff_id: Option<String>,
    /// No effect.
    pub internal_execution_identity_retry: Option<bool>,
    /// No effect.
    pub internal_execution_identity_recovery_attempt: Option<u32>,
    /// No effect.
    pub exec_approval_followup_expected_session_id: Option<String>,
    /// No effect.
    pub internal_events: Option<Vec<Fields>>,
    /// No effect.
    pub input_provenance: Option<Provenance>,
    /// No effect: what is asked is always stored.
    pub suppress_prompt_persistence: Option<bool>,
    /// No effect.
    pub session_effects: Option<SessionEffects>,
    /// No effect.
    pub source_reply_delivery_mode: Option<ReplyDelivery>,
    /// No effect.
    pub disable_message_tool: Option<bool>,
    /// No effect.
    pub swarm_collector: Option<bool>,
    /// No effect.
    pub swarm_output_schema: Option<Fields>,
    /// No effect.
    pub force_restart_safe_tools: Option<bool>,
    /// No effect.
    pub force_code_mode_tools: Option<bool>,
    /// No effect.
    pub voice_wake_trigger: Option<String>,
    /// The run's id: the same key again does not send again. It is known for ten minutes after the
    /// run's end, and beyond that as long as its message is in the last 16 MiB of the session's
    /// transcript.
    pub idempotency_key: String,
    /// No effect: `sessions.patch` gives labels.
    pub label: Option<String>,
}

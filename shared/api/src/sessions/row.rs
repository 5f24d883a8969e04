//! One session as clients see it.

use serde::Serialize;
use types::AgentId;

/// How the last run of a session ended, or that one is under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum RunStatus {
    /// A run is under way.
    Running,
    /// The last run ended well.
    Done,
    /// The last run failed.
    Failed,
    /// Somebody stopped it.
    Killed,
    /// It took too long.
    Timeout,
}

/// A struct whose fields after the semicolon are left out of the JSON where they are `None`.
macro_rules! with_optional {
    (
        $(#[$top:meta])* pub struct $Name:ident {
            $($(#[$doc:meta])* $field:ident: $type:ty,)+
            ;
            $($(#[$more_doc:meta])* $more:ident: $more_type:ty,)+
        }
    ) => {
        $(#[$top])*
        pub struct $Name {
            $($(#[$doc])* pub $field: $type,)+
            $($(#[$more_doc])*
            #[serde(skip_serializing_if = "Option::is_none")]
            pub $more: Option<$more_type>,)+
        }
    };
}

with_optional! {
    /// One session. Times are milliseconds since the epoch; what is not known is absent.
    #[derive(Debug, Clone, Serialize)]
    #[serde(rename_all = "camelCase")]
    pub struct SessionRow {
        /// The session key, for example `agent:main:main`.
        key: String,
        /// `direct`, `group`, `global` or `unknown`.
        kind: &'static str,
        /// What the session is for: `main`, `cron`, `subagent` and so on, or `custom`.
        classification: &'static str,
        /// Its agent.
        agent_id: AgentId,
        /// Whether it is its agent's main session.
        is_main: bool,
        /// The id under which the transcript is stored.
        session_id: String,
        /// When it changed last.
        updated_at: u64,
        /// When this row was made.
        snapshot_at: u64,
        /// Input tokens of all turns.
        input_tokens: u64,
        /// Output tokens of all turns.
        output_tokens: u64,
        /// Input plus output tokens.
        total_tokens: u64,
        /// Whether `total_tokens` counts the last turn; always true.
        total_tokens_fresh: bool,
        /// Whether a run is under way or waiting.
        has_active_run: bool,
        /// The runs that are under way or waiting.
        active_run_ids: Vec<String>,
        /// Whether it is put away in lists.
        archived: bool,
        /// Whether it comes first in lists.
        pinned: bool,
        /// Whether somebody marked it as unread.
        unread: bool,
        /// Always `shared`: every token of the tenant sees all of its sessions.
        visibility: &'static str,
        ;
        /// The name that a client gave it, unique among the agent's sessions.
        label: String,
        /// How a channel or a client calls it.
        display_name: String,
        /// The start of what the user said first.
        derived_title: String,
        /// The start of the last message.
        last_message_preview: String,
        /// `direct`, `group`, `channel` or `thread`.
        chat_type: String,
        /// The channel it belongs to.
        channel: String,
        /// The subject of a group.
        subject: String,
        /// A picture that a client chose.
        icon: String,
        /// A colour that a client chose.
        color: String,
        /// The group of sessions that a client put it in.
        category: String,
        /// A short note of what it does now.
        status_note: String,
        /// How much the model is to think.
        thinking_level: String,
        /// How much of what tools do is shown.
        verbose_level: String,
        /// Whether the model's thinking is shown.
        reasoning_level: String,
        /// What commands may do.
        elevated_level: String,
        /// How much is traced.
        trace_level: String,
        /// Whether answers are sent to the channel: `allow` or `deny`.
        send_policy: String,
        /// When a group is answered: `mention` or `always`.
        group_activation: String,
        /// Whether what a turn used is shown.
        response_usage: String,
        /// How a message is treated that comes during a run.
        effective_queue_mode: String,
        /// The session that started this one.
        spawned_by: String,
        /// The session that this one branched from.
        parent_session_key: String,
        /// The provider of the model.
        model_provider: String,
        /// The model that the next turn uses.
        model: String,
        /// Tokens that the model takes at once.
        context_tokens: u64,
        /// Tokens of the last turn: what the next one starts from.
        last_turn_tokens: u64,
        /// How often it was compacted.
        compaction_count: u64,
        /// How its last run ended.
        status: RunStatus,
        /// When its last run started.
        started_at: u64,
        /// When its last run ended.
        ended_at: u64,
        /// How long its last run took, in milliseconds.
        runtime_ms: u64,
        /// Its last run.
        last_run_id: String,
        /// When somebody read it last.
        last_read_at: u64,
        /// When somebody wrote in it last.
        last_interaction_at: u64,
        /// When anything happened in it last.
        last_activity_at: u64,
    }
}

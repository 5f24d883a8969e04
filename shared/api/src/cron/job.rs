//! A job as it is stored in `cron/jobs.json` and shown on the wire, which are the same form.

use serde::{Deserialize, Serialize};

use super::{CompletionDestination, FailureAlert, FailureDestination, JobState, ThreadId};

/// One job.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Job {
    /// A UUID.
    pub id: String,
    /// See [`super::AddParams`], as for all that follow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub declaration_key: Option<String>,
    /// What a list shows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// Who asked for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<Owner>,
    /// Whose job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent_id: Option<String>,
    /// The session that `current` stands for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_key: Option<String>,
    /// What people call it.
    pub name: String,
    /// What it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Whether it runs by itself.
    pub enabled: bool,
    /// Whether it goes after a run that succeeded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delete_after_run: Option<bool>,
    /// Milliseconds since the epoch.
    pub created_at_ms: u64,
    /// Milliseconds since the epoch; it grows with every change.
    pub updated_at_ms: u64,
    /// Changes whenever somebody changes the job, and not when it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_revision: Option<String>,
    /// When it runs.
    pub schedule: Schedule,
    /// How its interval may be varied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pacing: Option<Pacing>,
    /// `main`, `isolated`, `current` or `session:<id>`.
    pub session_target: String,
    /// Whether a `systemEvent` starts a turn at once.
    pub wake_mode: WakeMode,
    /// What it does.
    pub payload: Payload,
    /// Where its result goes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivery: Option<Delivery>,
    /// `false` or an object. Kept; no effect until there are channels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure_alert: Option<FailureAlert>,
    /// What has become of it.
    #[serde(default)]
    pub state: JobState,
}

/// One job of a list.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum JobView {
    /// Everything.
    Whole(Box<Job>),
    /// Without what makes it long.
    Compact(Box<CompactJob>),
}

/// A job without payload and delivery.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CompactJob {
    /// A UUID.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// What a list shows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// Whether it runs by itself.
    pub enabled: bool,
    /// Whose job.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent_id: Option<String>,
    /// When it runs.
    pub schedule: Schedule,
    /// Milliseconds since the epoch.
    pub updated_at_ms: u64,
    /// What has become of it.
    pub state: JobState,
}

impl JobView {
    /// A job as a list shows it.
    pub fn of(job: Job, compact: bool) -> Self {
        if !compact {
            return Self::Whole(Box::new(job));
        }
        Self::Compact(Box::new(CompactJob {
            id: job.id,
            name: job.name,
            display_name: job.display_name,
            enabled: job.enabled,
            agent_id: job.agent_id,
            schedule: job.schedule,
            updated_at_ms: job.updated_at_ms,
            state: job.state,
        }))
    }
}

/// Who asked for a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Owner {
    /// An agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent_id: Option<String>,
    /// A session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_key: Option<String>,
    /// An account of a channel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account_id: Option<String>,
}

/// Bounds of a varying interval.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pacing {
    /// For example `5m`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min: Option<String>,
    /// For example `2h`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<String>,
}

/// A script that decides whether a job runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trigger {
    /// The script.
    pub script: String,
    /// Whether it fires once only.
    pub once: Option<bool>,
}

/// When a job runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    tag = "kind",
    rename_all = "kebab-case",
    rename_all_fields = "camelCase",
    deny_unknown_fields
)]
pub enum Schedule {
    /// Once.
    At {
        /// RFC 3339; without an offset it is UTC.
        at: String,
    },
    /// At an interval.
    Every {
        /// Milliseconds, at least 1000.
        every_ms: u64,
        /// From when the interval is counted, in milliseconds since the epoch.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        anchor_ms: Option<u64>,
    },
    /// By a cron expression.
    Cron {
        /// Five fields, or six with seconds first.
        expr: String,
        /// An IANA time zone; UTC if absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        tz: Option<String>,
        /// Within how many milliseconds after its time the job has a fixed place of its own.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        stagger_ms: Option<u64>,
    },
    /// When a program ends. Refused: none may be started.
    OnExit {
        /// The program.
        command: String,
        /// Where it runs.
        cwd: Option<String>,
    },
    /// Whenever a program writes. Refused: none may be started.
    Stream {
        /// The program.
        command: Vec<String>,
        /// Where it runs.
        cwd: Option<String>,
        /// `line` or `match`.
        mode: Option<String>,
        /// What counts.
        r#match: Option<String>,
        /// Milliseconds.
        batch_ms: Option<i64>,
        /// Bytes.
        max_batch_bytes: Option<i64>,
    },
}

/// Whether a `systemEvent` starts a turn at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WakeMode {
    /// At once.
    Now,
    /// With the next heartbeat; at once where there are no heartbeats.
    NextHeartbeat,
}

/// What a job does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(
    tag = "kind",
    rename_all = "camelCase",
    rename_all_fields = "camelCase",
    deny_unknown_fields
)]
pub enum Payload {
    /// Tells the main session something.
    SystemEvent {
        /// At most 64 KiB.
        text: String,
        /// The tools that its turn may use at most, by name or group; a job that an agent has made
        /// always says which.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        tools_allow: Option<Vec<String>>,
        /// Kept; no effect.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        tools_allow_is_default: Option<bool>,
    },
    /// Takes a turn.
    AgentTurn {
        /// At most 64 KiB.
        message: String,
        /// `PROVIDER/MODEL`; the agent's own if absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        model: Option<String>,
        /// Models that are tried next, at most 4; those of the settings if absent and `model` is
        /// too. One that the tenant may not use is passed over.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        fallbacks: Option<Vec<String>>,
        /// How much the model is to think: `off`, `minimal`, `low`, `medium`, `high` or `xhigh`;
        /// what the session says if absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        thinking: Option<String>,
        /// How long the turn may take; 0 for as long as turns may.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        timeout_seconds: Option<f64>,
        /// No effect: what comes from outside is always marked.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        allow_unsafe_external_content: Option<bool>,
        /// No effect yet.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        light_context: Option<bool>,
        /// The tools that its turn may use at most, by name or group; a job that an agent has made
        /// always says which.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        tools_allow: Option<Vec<String>>,
        /// Kept; no effect.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        tools_allow_is_default: Option<bool>,
    },
    /// Starts a program. Refused.
    Command {
        /// The program and its arguments.
        argv: Vec<String>,
        /// Where it runs.
        cwd: Option<String>,
        /// Its variables.
        env: Option<std::collections::BTreeMap<String, String>>,
        /// What it reads.
        input: Option<String>,
        /// How long it may take.
        timeout_seconds: Option<f64>,
        /// How long it may be silent.
        no_output_timeout_seconds: Option<f64>,
        /// How much it may write.
        output_max_bytes: Option<u64>,
        /// Nothing to programs.
        tools_allow: Option<Vec<String>>,
        /// Nothing to programs.
        tools_allow_is_default: Option<bool>,
    },
    /// Runs a script. Refused.
    Script {
        /// The script.
        script: String,
        /// How long it may take.
        timeout_seconds: Option<f64>,
        /// How many tools it may call.
        tool_budget: Option<u64>,
        /// Which.
        tools_allow: Option<Vec<String>>,
        /// Whether that is the default.
        tools_allow_is_default: Option<bool>,
    },
}

/// Where a job's result goes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Delivery {
    /// How.
    pub mode: DeliveryMode,
    /// `last`, or the name of a channel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel: Option<String>,
    /// A thread of it: text or a number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thread_id: Option<ThreadId>,
    /// An account of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account_id: Option<String>,
    /// Kept; a delivery that fails never fails a run here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub best_effort: Option<bool>,
    /// Where failures go. Kept; no effect until there are channels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure_destination: Option<FailureDestination>,
    /// Where the end is announced. Kept; no effect until there is a way out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completion_destination: Option<CompletionDestination>,
    /// Whom it goes to; for `webhook` the address. What comes there twice has the same `webhook-id`, as
    /// Standard Webhooks has it: where no answer came, the result is sent again under it, and the far
    /// end has to know it again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
}

/// How a job's result is delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DeliveryMode {
    /// Not at all.
    None,
    /// As a message of the main session, or of a channel.
    Announce,
    /// To an address.
    Webhook,
}

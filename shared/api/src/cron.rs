//! `cron.*`: the jobs of one tenant, which run while no client is connected.
//!
//! Parameters take every field that official clients send; a field that has no effect here says so.

mod alert;
mod job;
mod list;
mod log;
mod state;

pub use alert::{
    AlertMode, AlertSettings, CompletionDestination, CompletionMode, FailureAlert,
    FailureDestination, ThreadId,
};
pub use job::{
    CompactJob, Delivery, DeliveryMode, Job, JobView, Owner, Pacing, Payload, Schedule, Trigger,
    WakeMode,
};
pub use list::{
    EnabledFilter, JobList, LastRunFilter, ListParams, ScheduleKind, SortBy, SortDir, TriggerFilter,
};
pub use log::{LogAction, LogEntry, LogUsage, RunLog};
pub use state::{AutoDisabled, DeliveryStatus, DisabledReason, JobState, RunStatus};

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

methods! { Worker;
    /// The jobs of one tenant.
    pub trait Cron {
        /// Lists jobs.
        "cron.list" [Read] fn list(ListParams) -> JobList;
        /// Whether jobs run, and when the next one does.
        "cron.status" [Read] fn status(StatusParams) -> Status;
        /// One job.
        "cron.get" [Read] fn get(IdParams) -> Job;
        /// Makes a job, or brings a declared one up to date.
        "cron.add" [Admin] fn add(AddParams) -> Added;
        /// Changes a job. A change takes effect at once.
        "cron.update" [Admin] fn update(UpdateParams) -> Job;
        /// Removes a job and its run log.
        "cron.remove" [Admin] fn remove(IdParams) -> Removed;
        /// Starts a run of a job and does not wait for it.
        "cron.run" [Admin] fn run(RunParams) -> Enqueued;
        /// What runs of jobs came to, newest first.
        "cron.runs" [Read] fn runs(RunsParams) -> RunLog;
    }
}

/// No parameters.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StatusParams {}

/// Which job: exactly one of the two names of the same thing.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct IdParams {
    /// The job's id.
    pub id: Option<String>,
    /// The same, as older clients say it.
    pub job_id: Option<String>,
}

/// Whether jobs run, and when the next one does.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// Whether jobs run by themselves.
    pub enabled: bool,
    /// Whether jobs may have triggers: never here.
    pub triggers_enabled: bool,
    /// Where the jobs are, below the tenant's root.
    pub store_path: &'static str,
    /// How they are stored.
    pub storage: &'static str,
    /// How many there are.
    pub jobs: usize,
    /// When the next one runs, in milliseconds since the epoch.
    pub next_wake_at_ms: Option<u64>,
}

/// A job to be made.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct AddParams {
    /// What people call it, 1 to 200 characters.
    pub name: String,
    /// Makes the call repeatable: a job with this key is changed rather than made a second time.
    pub declaration_key: Option<String>,
    /// What a list shows, 1 to 200 characters.
    pub display_name: Option<String>,
    /// Who asked for it. Kept; no effect.
    pub owner: Option<Owner>,
    /// Whose job; the default agent's if absent.
    pub agent_id: Option<String>,
    /// The session that `current` stands for.
    pub session_key: Option<String>,
    /// At most 2000 characters.
    pub description: Option<String>,
    /// On if absent.
    pub enabled: Option<bool>,
    /// Whether it goes after a run that succeeded; `true` if absent for `at`.
    pub delete_after_run: Option<bool>,
    /// When it runs.
    pub schedule: Schedule,
    /// Kept; no effect.
    pub pacing: Option<Pacing>,
    /// Refused: scripts do not run here.
    pub trigger: Option<Trigger>,
    /// `main`, `isolated`, `current` or `session:<id>`.
    pub session_target: String,
    /// Whether a `systemEvent` starts a turn at once.
    pub wake_mode: WakeMode,
    /// What it does.
    pub payload: Payload,
    /// Where its result goes; `announce` if absent for a turn of a session of its own.
    pub delivery: Option<Delivery>,
    /// `false` or an object. Kept; no effect until there are channels.
    pub failure_alert: Option<FailureAlert>,
}

/// A job that was made, or the one that a declaration stands for.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Added {
    /// Without a declaration key.
    Job(Box<Job>),
    /// With one.
    #[serde(rename_all = "camelCase")]
    Declared {
        /// Whether it was made.
        created: bool,
        /// Whether it was changed.
        updated: bool,
        /// The job.
        job: Box<Job>,
    },
}

/// A change of a job.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct UpdateParams {
    /// The job's id.
    pub id: Option<String>,
    /// The same, as older clients say it.
    pub job_id: Option<String>,
    /// What changes.
    pub patch: Patch,
    /// Refuses the change unless the job's `configRevision` is this.
    pub expected_config_revision: Option<String>,
}

/// What changes of a job. An absent field stays; where `null` is allowed it clears.
#[expect(clippy::option_option, reason = "null and absent are two things here")]
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Patch {
    /// See [`AddParams`], as for all the others.
    pub name: Option<String>,
    /// May be cleared.
    #[serde(default, deserialize_with = "present")]
    pub display_name: Option<Option<String>>,
    /// May be cleared.
    #[serde(default, deserialize_with = "present")]
    pub agent_id: Option<Option<String>>,
    /// May be cleared.
    #[serde(default, deserialize_with = "present")]
    pub session_key: Option<Option<String>>,
    /// The whole.
    pub description: Option<String>,
    /// Switching on forgets failures.
    pub enabled: Option<bool>,
    /// See [`AddParams`].
    pub delete_after_run: Option<bool>,
    /// The whole.
    pub schedule: Option<Schedule>,
    /// May be cleared.
    #[serde(default, deserialize_with = "present")]
    pub pacing: Option<Option<Pacing>>,
    /// May be cleared.
    #[serde(default, deserialize_with = "present")]
    pub trigger: Option<Option<Trigger>>,
    /// See [`AddParams`].
    pub session_target: Option<String>,
    /// See [`AddParams`].
    pub wake_mode: Option<WakeMode>,
    /// Fields of the payload, over those that are there where the kind is the same.
    pub payload: Option<Map<String, Value>>,
    /// Fields of the delivery, over those that are there; `null` clears one.
    pub delivery: Option<Map<String, Value>>,
    /// `false` or an object. Kept; no effect until there are channels.
    pub failure_alert: Option<FailureAlert>,
    /// No effect: the state is the gateway's own.
    pub state: Option<Map<String, Value>>,
}

/// Tells `null` from absent.
#[expect(clippy::option_option, reason = "null and absent are two things here")]
fn present<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    from: D,
) -> Result<Option<Option<T>>, D::Error> {
    Option::<T>::deserialize(from).map(Some)
}

/// What removing did.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Removed {
    /// Always true.
    pub ok: bool,
    /// Whether there was such a job.
    pub removed: bool,
    /// The id that was asked for.
    pub job_id: String,
}

/// Which job to run.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct RunParams {
    /// The job's id.
    pub id: Option<String>,
    /// The same, as older clients say it.
    pub job_id: Option<String>,
    /// `force` if absent.
    pub mode: Option<RunMode>,
    /// No effect: a worker that was replaced runs the same job.
    pub expected_process_instance_id: Option<String>,
}

/// Under which condition a job runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RunMode {
    /// If its time has come.
    Due,
    /// In any case.
    Force,
    /// If it is switched on.
    IfEnabled,
}

/// Whether a run was started.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Enqueued {
    /// Always true.
    pub ok: bool,
    /// Whether a run was started.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enqueued: Option<bool>,
    /// `false` where none was started.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ran: Option<bool>,
    /// Why not: `not-due`, `already-running` or `disabled`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<&'static str>,
    /// Under which the run log and events have it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run_id: Option<String>,
}

/// Which runs to list.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct RunsParams {
    /// Only of this agent's jobs.
    pub agent_id: Option<String>,
    /// `job` needs an id; `all` if there is none.
    pub scope: Option<RunsScope>,
    /// The job's id.
    pub id: Option<String>,
    /// The same, as older clients say it.
    pub job_id: Option<String>,
    /// Only this run.
    pub run_id: Option<String>,
    /// At most this many, 1 to 200; 50 if absent.
    pub limit: Option<u32>,
    /// How many to leave out first.
    pub offset: Option<u32>,
    /// Only those that ended in one of these ways.
    pub statuses: Option<Vec<RunStatus>>,
    /// `all`, `ok`, `error` or `skipped`.
    pub status: Option<LastRunFilter>,
    /// Only those delivered in one of these ways.
    pub delivery_statuses: Option<Vec<DeliveryStatus>>,
    /// Only those delivered so.
    pub delivery_status: Option<DeliveryStatus>,
    /// Only those whose summary, error or job name contains this.
    pub query: Option<String>,
    /// `desc`, the newest first, if absent.
    pub sort_dir: Option<SortDir>,
}

/// Whose runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RunsScope {
    /// One job's.
    Job,
    /// All jobs'.
    All,
}

#[cfg(test)]
mod tests;

//! Lists of jobs: what is asked for and what is answered.

use serde::{Deserialize, Serialize};

use super::JobView;

/// Which jobs to list.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct ListParams {
    /// Also those that are switched off.
    pub include_disabled: Option<bool>,
    /// At most this many, 1 to 200; 50 if absent.
    pub limit: Option<u32>,
    /// How many to leave out first.
    pub offset: Option<u32>,
    /// Only those whose id, name, description or agent contains this.
    pub query: Option<String>,
    /// `all`, `enabled` or `disabled`; stronger than `includeDisabled`.
    pub enabled: Option<EnabledFilter>,
    /// Only those with a schedule of this kind.
    pub schedule_kind: Option<ScheduleKind>,
    /// Only those whose last run ended so.
    pub last_run_status: Option<LastRunFilter>,
    /// Only those with (`conditional`) or without a trigger. No job has one here.
    pub trigger: Option<TriggerFilter>,
    /// What to sort by; `nextRunAtMs` if absent.
    pub sort_by: Option<SortBy>,
    /// `asc` if absent.
    pub sort_dir: Option<SortDir>,
    /// Only those of this agent.
    pub agent_id: Option<String>,
    /// Without payloads and delivery.
    pub compact: Option<bool>,
    /// No effect: a preview says no more than the job's own delivery.
    pub include_delivery_previews: Option<bool>,
}

/// Which jobs by their switch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum EnabledFilter {
    /// All.
    All,
    /// Those that are on.
    Enabled,
    /// Those that are off.
    Disabled,
}

/// Which jobs by their schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ScheduleKind {
    /// All.
    All,
    /// Once.
    At,
    /// At an interval.
    Every,
    /// By a cron expression.
    Cron,
    /// Of which there are none here.
    OnExit,
    /// Of which there are none here.
    Stream,
}

/// Which jobs by the end of their last run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum LastRunFilter {
    /// All.
    All,
    /// It succeeded.
    Ok,
    /// It failed.
    Error,
    /// It did not take place.
    Skipped,
    /// There was none.
    Unknown,
}

/// Which jobs by whether they have a trigger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum TriggerFilter {
    /// All.
    All,
    /// With one.
    Conditional,
    /// Without one.
    Unconditional,
}

/// What to sort jobs by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum SortBy {
    /// When it runs next.
    #[serde(rename = "nextRunAtMs")]
    NextRun,
    /// When it was changed.
    #[serde(rename = "updatedAtMs")]
    Updated,
    /// Its name.
    #[serde(rename = "name")]
    Name,
}

/// Which end comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SortDir {
    /// The least.
    Asc,
    /// The greatest.
    Desc,
}

/// Jobs.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct JobList {
    /// The jobs.
    pub jobs: Vec<JobView>,
    /// Changes whenever a job does.
    pub snapshot_revision: String,
    /// How many there are that match.
    pub total: usize,
    /// How many were left out first.
    pub offset: usize,
    /// How many were asked for.
    pub limit: usize,
    /// Whether there are more.
    pub has_more: bool,
    /// Where they begin.
    pub next_offset: Option<usize>,
}

//! What has become of a job, and how its runs ended.

use serde::{Deserialize, Serialize};

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RunStatus {
    /// It succeeded.
    Ok,
    /// It failed.
    Error,
    /// It did not take place.
    Skipped,
}

/// What became of a run's result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DeliveryStatus {
    /// It is where it should be.
    Delivered,
    /// It is not.
    NotDelivered,
    /// Nobody knows.
    Unknown,
    /// Nobody asked for it.
    NotRequested,
}

/// What has become of a job.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct JobState {
    /// When it runs next; times here are milliseconds since the epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_run_at_ms: Option<u64>,
    /// When the run that is under way began. It is on disk before the run begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub running_at_ms: Option<u64>,
    /// Whether somebody asked for the run that is under way: it is named after that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub running_is_manual: Option<bool>,
    /// How often the run that is under way was begun again because the process had ended in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resumed: Option<u32>,
    /// When the last run began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_run_at_ms: Option<u64>,
    /// How it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_run_status: Option<RunStatus>,
    /// The same, as older clients read it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_status: Option<RunStatus>,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
    /// How long it took.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_duration_ms: Option<u64>,
    /// Failures since the last success.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consecutive_errors: Option<u64>,
    /// Why it was switched off by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auto_disabled: Option<AutoDisabled>,
    /// Whether the last result was delivered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_delivered: Option<bool>,
    /// What became of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_delivery_status: Option<DeliveryStatus>,
    /// Why it was not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_delivery_error: Option<String>,
}

/// That a job was switched off by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AutoDisabled {
    /// Why.
    pub reason: DisabledReason,
    /// When.
    pub at_ms: u64,
    /// After how many failures.
    pub consecutive_errors: u64,
}

/// Why a job was switched off by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DisabledReason {
    /// It failed too often in a row.
    ConsecutiveFailures,
    /// Its schedule has no time any more.
    ScheduleErrors,
}

//! `cron` of the settings.

use serde::Deserialize;

/// Runs of jobs at once where nothing is set, and at most.
const RUNS: usize = 4;
const MAX_RUNS: usize = 16;

/// `cron`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct CronSettings {
    enabled: Option<bool>,
    max_concurrent_runs: Option<usize>,
}

impl CronSettings {
    /// Whether jobs run by themselves.
    pub(crate) fn is_on(&self) -> bool {
        self.enabled.unwrap_or(true)
    }

    /// Runs of jobs at once.
    pub(crate) fn slots(&self) -> usize {
        self.max_concurrent_runs.unwrap_or(RUNS).clamp(1, MAX_RUNS)
    }
}

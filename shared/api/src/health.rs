//! `health`: whether the tenant's own process answers.

use serde::{Deserialize, Serialize};

methods! { Worker;
    /// Whether the tenant's own process answers.
    pub trait Health {
        /// Answers from inside the tenant's worker.
        "health" [Read] fn health(HealthParams) -> HealthReport;
    }
}

/// No parameters.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HealthParams {}

/// The state of the tenant's worker, as it sees itself.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HealthReport {
    /// Always true: a worker that cannot answer sends nothing.
    pub ok: bool,
    /// Milliseconds since the epoch.
    pub ts: u64,
    /// Milliseconds since the worker started.
    pub uptime_ms: u64,
    /// Version of the worker.
    pub version: String,
    /// Runs under way.
    pub runs: u32,
}

//! The gateway as a whole.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Timestamp;

/// What runs here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// The gateway's version.
    pub version: String,
    /// When it started.
    pub started_at: Timestamp,
    /// Seconds since then.
    pub uptime_seconds: u64,
    /// Where tenants' clients connect, for example `127.0.0.1:18789`.
    pub gateway: String,
    /// How many tenants there are.
    pub tenants: TenantCounts,
    /// What this machine gives.
    pub host: HostSummary,
}

/// How many tenants there are, by state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TenantCounts {
    /// All tenants.
    pub registered: usize,
    /// Those with a verified worker.
    pub ready: usize,
    /// Those that are parked.
    pub parked: usize,
    /// Those that are suspended.
    pub suspended: usize,
}

/// What this machine gives and what it lacks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct HostSummary {
    /// `root` or `rootless`.
    pub mode: String,
    /// What is weaker here than on a machine that gives everything.
    pub degraded: Vec<String>,
    /// The kernel's release.
    pub kernel: String,
    /// SHA-256 of the worker's executable, in hex.
    pub worker_digest: Option<String>,
}

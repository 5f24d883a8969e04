//! Limits of a tenant on the wire. What they mean and which values hold is decided by `types`.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Limits of one tenant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Limits {
    /// Requests in one clock minute; null means unlimited.
    pub requests_per_minute: Option<u64>,
    /// Input plus output tokens in one UTC day; null means unlimited.
    pub tokens_per_day: Option<u64>,
    /// Micro-dollars in one UTC day; null means unlimited.
    pub cost_micros_per_day: Option<u64>,
    /// Requests under way at once.
    pub concurrency: u32,
    /// Memory of the worker in bytes.
    pub memory_max: u64,
    /// Processes and threads of the worker.
    pub pids_max: u32,
    /// CPU time of the worker in thousandths of one core.
    pub cpu_millis: u32,
    /// Size of the tenant's disk in bytes.
    pub disk_max: u64,
    /// When a worker without work stops: `default`, `never`, `warm`, or seconds.
    pub sleep: String,
    /// Further limits, each as text: `costMicros/month=5000000`, `agent:main tokens/day=100000`.
    #[serde(default)]
    pub quotas: Vec<String>,
}

impl From<types::Limits> for Limits {
    fn from(limits: types::Limits) -> Self {
        Self {
            requests_per_minute: limits.requests_per_minute,
            tokens_per_day: limits.tokens_per_day,
            cost_micros_per_day: limits.cost_micros_per_day,
            concurrency: limits.concurrency,
            memory_max: limits.memory_max,
            pids_max: limits.pids_max,
            cpu_millis: limits.cpu_millis,
            disk_max: limits.disk_max,
            sleep: limits.sleep.to_string(),
            quotas: limits.quotas.iter().map(ToString::to_string).collect(),
        }
    }
}

/// A change of limits: what is absent stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LimitsPatch {
    /// Requests in one clock minute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests_per_minute: Option<u64>,
    /// Input plus output tokens in one UTC day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens_per_day: Option<u64>,
    /// Micro-dollars in one UTC day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost_micros_per_day: Option<u64>,
    /// Requests under way at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<u32>,
    /// Memory of the worker in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_max: Option<u64>,
    /// Processes and threads of the worker.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pids_max: Option<u32>,
    /// CPU time of the worker in thousandths of one core.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_millis: Option<u32>,
    /// Size of the tenant's disk in bytes; takes effect for a tenant that has no disk yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disk_max: Option<u64>,
    /// When a worker without work stops: seconds, `never`, `warm` (it is always awake), or `default`, which
    /// is as the operator has set it for all tenants.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sleep: Option<String>,
    /// Further limits, each as text; they take the place of all that there are. At most 64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quotas: Option<Vec<String>>,
}

impl From<LimitsPatch> for types::LimitsPatch {
    fn from(patch: LimitsPatch) -> Self {
        Self {
            requests_per_minute: patch.requests_per_minute,
            tokens_per_day: patch.tokens_per_day,
            cost_micros_per_day: patch.cost_micros_per_day,
            concurrency: patch.concurrency,
            memory_max: patch.memory_max,
            pids_max: patch.pids_max,
            cpu_millis: patch.cpu_millis,
            disk_max: patch.disk_max,
            sleep: patch.sleep,
            quotas: patch.quotas,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wire_names_are_those_of_the_stored_limits() {
        let wire = serde_json::to_value(Limits::from(types::Limits::default())).unwrap();
        let stored = serde_json::to_value(types::Limits::default()).unwrap();
        assert_eq!(wire, stored);
        let patch = LimitsPatch { pids_max: Some(8), ..Default::default() };
        assert_eq!(serde_json::to_string(&patch).unwrap(), r#"{"pidsMax":8}"#);
        assert_eq!(types::LimitsPatch::from(patch).pids_max, Some(8));
        serde_json::from_str::<LimitsPatch>(r#"{"role":"owner"}"#).unwrap_err();
    }
}

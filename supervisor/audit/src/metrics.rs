//! How the trail goes: no tenant and no act is a label.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// Counts records, and what should have been one.
#[derive(Debug, Clone, Default)]
pub(crate) struct Metrics {
    pub(crate) records: Counter,
    pub(crate) syncs: Counter,
    /// Acts that were refused because they could not be recorded.
    pub(crate) unrecorded: Counter,
    /// Acts that were done without a record.
    pub(crate) gaps: Counter,
    pub(crate) writable: Gauge,
}

impl Metrics {
    pub(crate) fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        let mut add = |name: &str, help: &str, counter: &Counter| {
            registry.register(format!("openclawmu_audit_{name}"), help, counter.clone());
        };
        add("records", "Records of the audit trail that are durable", &metrics.records);
        add("syncs", "Times that records were made durable together", &metrics.syncs);
        add("refused_acts", "Acts refused because they could not be recorded", &metrics.unrecorded);
        add("gaps", "Acts done without a record, where the operator wants that", &metrics.gaps);
        let help = "Whether the audit trail can be written, 1 or 0";
        registry.register("openclawmu_audit_writable", help, metrics.writable.clone());
        metrics.writable.set(1);
        metrics
    }
}

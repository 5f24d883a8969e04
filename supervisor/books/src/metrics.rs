//! How the books are doing. No metric names a tenant.

use std::sync::atomic::AtomicU64;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// Counters and gauges of the books.
#[derive(Debug, Clone, Default)]
pub(crate) struct Metrics {
    pub(crate) entries: Counter,
    pub(crate) bytes: Counter,
    pub(crate) failures: Counter,
    pub(crate) writable: Gauge,
    pub(crate) open_holds: Gauge,
    pub(crate) kept: Gauge,
    pub(crate) unsynced_seconds: Gauge<f64, AtomicU64>,
}

impl Metrics {
    pub(crate) fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        let registry = registry.sub_registry_with_prefix("openclawmu_ledger");
        registry.register("entries", "Lines written to the books", metrics.entries.clone());
        registry.register("bytes", "Bytes written to the books", metrics.bytes.clone());
        registry.register(
            "failures",
            "Attempts to write, sync or close the books that failed",
            metrics.failures.clone(),
        );
        registry.register(
            "writable",
            "1 while the books can be written; 0 means that no paid work is accepted",
            metrics.writable.clone(),
        );
        registry.register("open_holds", "Holds that are not settled", metrics.open_holds.clone());
        registry.register(
            "unwritten",
            "Lines that are kept in memory until the books can be written again",
            metrics.kept.clone(),
        );
        registry.register(
            "unsynced_seconds",
            "How long the oldest written line has waited for the disk",
            metrics.unsynced_seconds.clone(),
        );
        metrics
    }
}

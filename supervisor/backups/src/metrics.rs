//! Counts over all tenants. No metric names a tenant.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// What was attempted, and how it ended.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    act: &'static str,
    outcome: &'static str,
}

/// The families. Clones are the same.
#[derive(Debug, Clone, Default)]
pub(crate) struct Metrics {
    ended: Family<Labels, Counter>,
    sealed: Counter,
    last: Gauge,
}

impl Metrics {
    pub(crate) fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        let help = "Backups, restores and drills, by how they ended";
        registry.register("openclawmu_backups", help, metrics.ended.clone());
        let help = "Bytes of backups as they are stored";
        registry.register("openclawmu_backup_sealed_bytes", help, metrics.sealed.clone());
        let help = "When the last backup was whole, in seconds since the epoch";
        registry.register("openclawmu_backup_last_success_seconds", help, metrics.last.clone());
        metrics
    }

    pub(crate) fn ended(&self, act: &'static str, outcome: &'static str) {
        self.ended.get_or_create(&Labels { act, outcome }).inc();
    }

    pub(crate) fn made(&self, bytes: u64, now: types::UnixMillis) {
        self.sealed.inc_by(bytes);
        self.last.set(i64::try_from(now / 1000).unwrap_or(i64::MAX));
    }
}

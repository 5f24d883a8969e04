//! Counts over all tenants.

mod journal;
mod shown;

use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

pub use journal::Watched;
pub(crate) use shown::Shown;

#[derive(Debug)]
pub(crate) struct Metrics {
    starts: Counter,
    start_failures: Counter,
    crashes: Counter,
    gave_way: Counter,
    turned_away: Counter,
    start_seconds: Histogram,
    drift: Family<DriftLabels, Gauge>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DriftLabels {
    state: &'static str,
}

impl Metrics {
    pub(crate) fn register(registry: &mut Registry) -> Self {
        let metrics = Self {
            starts: Counter::default(),
            start_failures: Counter::default(),
            crashes: Counter::default(),
            gave_way: Counter::default(),
            turned_away: Counter::default(),
            start_seconds: Histogram::new(exponential_buckets(0.000_5, 2.0, 14)),
            drift: Family::default(),
        };
        registry.sub_registry_with_prefix("openclawmu_drift").register(
            "workers",
            "Running workers at the last look, by how they compare with what was ordered",
            metrics.drift.clone(),
        );
        let registry = registry.sub_registry_with_prefix("openclawmu_worker");
        registry.register("starts", "Workers started and verified", metrics.starts.clone());
        registry.register(
            "start_failures",
            "Workers that did not start or were refused",
            metrics.start_failures.clone(),
        );
        registry.register("crashes", "Workers that ended unasked", metrics.crashes.clone());
        registry.register(
            "gave_way",
            "Workers put to sleep because memory was short",
            metrics.gave_way.clone(),
        );
        registry.register(
            "turned_away",
            "Starts refused because there was no room for a worker",
            metrics.turned_away.clone(),
        );
        registry.register(
            "start_seconds",
            "From the order to a verified worker",
            metrics.start_seconds.clone(),
        );
        metrics
    }

    pub(crate) fn started(&self, took: Duration) {
        self.starts.inc();
        self.start_seconds.observe(took.as_secs_f64());
    }

    pub(crate) fn start_failed(&self) {
        self.start_failures.inc();
    }

    pub(crate) fn drift(&self, state: &'static str, count: usize) {
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        self.drift.get_or_create(&DriftLabels { state }).set(count);
    }

    pub(crate) fn gave_way(&self) {
        self.gave_way.inc();
    }

    pub(crate) fn turned_away(&self) {
        self.turned_away.inc();
    }

    pub(crate) fn crashed(&self) {
        self.crashes.inc();
    }
}

//! Counts over all tenants. No metric names a tenant: what belongs to one is in its usage.

use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

#[derive(Debug)]
pub(crate) struct Metrics {
    starts: Counter,
    start_failures: Counter,
    crashes: Counter,
    start_seconds: Histogram,
}

impl Metrics {
    pub(crate) fn register(registry: &mut Registry) -> Self {
        let metrics = Self {
            starts: Counter::default(),
            start_failures: Counter::default(),
            crashes: Counter::default(),
            start_seconds: Histogram::new(exponential_buckets(0.000_5, 2.0, 14)),
        };
        let registry = registry.sub_registry_with_prefix("openclawmu_worker");
        registry.register("starts", "Workers started and verified", metrics.starts.clone());
        registry.register(
            "start_failures",
            "Workers that did not start or were refused",
            metrics.start_failures.clone(),
        );
        registry.register("crashes", "Workers that ended unasked", metrics.crashes.clone());
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

    pub(crate) fn crashed(&self) {
        self.crashes.inc();
    }
}

//! What is counted of all tenants together. Nothing that a tenant sent becomes a label.

use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

use crate::refused::Outcome;

/// How somebody wanted to get out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelValue)]
pub(crate) enum Way {
    Fetch,
    Forward,
    Tunnel,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    way: Way,
    outcome: Outcome,
}

#[derive(Debug, Default)]
pub(crate) struct Metrics {
    requests: Family<Labels, Counter>,
    pub(crate) sent: Counter,
    pub(crate) received: Counter,
}

impl Metrics {
    pub(crate) fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        registry.register(
            "openclawmu_egress_requests",
            "Requests to leave, by way and by how they began",
            metrics.requests.clone(),
        );
        registry.register(
            "openclawmu_egress_sent_bytes",
            "Bytes sent to hosts for tenants",
            metrics.sent.clone(),
        );
        registry.register(
            "openclawmu_egress_received_bytes",
            "Bytes received from hosts for tenants",
            metrics.received.clone(),
        );
        metrics
    }

    pub(crate) fn count(&self, way: Way, outcome: Outcome) {
        self.requests.get_or_create(&Labels { way, outcome }).inc();
    }
}

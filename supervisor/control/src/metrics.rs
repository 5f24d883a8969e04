//! How many requests the control plane answered, by operation and status. No tenant is a label.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

/// Counts requests of the control plane.
#[derive(Debug, Clone, Default)]
pub struct Requests(Family<Labels, Counter>);

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    operation: &'static str,
    status: u32,
}

impl Requests {
    /// Counters that `registry` shows.
    pub fn register(registry: &mut Registry) -> Self {
        let requests = Self::default();
        let help = "Requests of operators, by operation and HTTP status";
        registry.register("openclawmu_control_requests", help, requests.0.clone());
        requests
    }

    pub(crate) fn count(&self, operation: &'static str, status: http::StatusCode) {
        let labels = Labels { operation, status: u32::from(status.as_u16()) };
        self.0.get_or_create(&labels).inc();
    }
}

//! What is counted of the gateway's surface. No label comes from a client: a path that is no route
//! counts as `other`.

use std::sync::Arc;
use std::time::Instant;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

/// Seconds: from a fraction of a millisecond to the minutes of a long answer.
const BUCKETS: [f64; 14] =
    [0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.1, 0.5, 1.0, 5.0, 20.0, 60.0, 300.0];

/// Paths that are labels as they are.
const PROBES: [&str; 4] = ["/health", "/healthz", "/ready", "/readyz"];

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    route: &'static str,
    status: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RouteLabels {
    route: &'static str,
}

/// The figures of the gateway's surface.
#[derive(Debug, Clone)]
pub(crate) struct Metrics {
    requests: Family<RequestLabels, Counter>,
    in_flight: Gauge,
    seconds: Family<RouteLabels, Histogram, fn() -> Histogram>,
    sent: Counter,
    pub(crate) connections: Gauge,
    pub(crate) turned_away: Counter,
}

/// One request under way, counted when it is dropped.
#[derive(Debug)]
pub(crate) struct Running {
    metrics: Arc<Metrics>,
    route: &'static str,
    status: u16,
    since: Instant,
    bytes: u64,
}

impl Metrics {
    pub(crate) fn register(registry: &mut Registry) -> Self {
        let metrics = Self {
            requests: Family::default(),
            in_flight: Gauge::default(),
            seconds: Family::new_with_constructor(|| Histogram::new(BUCKETS)),
            sent: Counter::default(),
            connections: Gauge::default(),
            turned_away: Counter::default(),
        };
        let shown = metrics.clone();
        registry.register(
            "openclawmu_gateway_requests",
            "Requests answered, by route and status",
            shown.requests,
        );
        registry.register(
            "openclawmu_gateway_requests_in_flight",
            "Requests whose answer is not complete",
            shown.in_flight,
        );
        registry.register(
            "openclawmu_gateway_request_seconds",
            "From the head of a request to the end of its answer",
            shown.seconds,
        );
        registry.register(
            "openclawmu_gateway_sent_bytes",
            "Bytes of bodies sent to clients",
            shown.sent,
        );
        registry.register(
            "openclawmu_gateway_connections",
            "Open connections of clients",
            shown.connections,
        );
        registry.register(
            "openclawmu_gateway_connections_turned_away",
            "Connections closed because there were too many",
            shown.turned_away,
        );
        metrics
    }

    pub(crate) fn begin(self: &Arc<Self>, path: &str) -> Running {
        self.in_flight.inc();
        let (metrics, route) = (Arc::clone(self), route(path));
        Running { metrics, route, status: 0, since: Instant::now(), bytes: 0 }
    }
}

impl Running {
    pub(crate) const fn answered(&mut self, status: u16) {
        self.status = status;
    }

    pub(crate) fn sent(&mut self, bytes: usize) {
        self.bytes = self.bytes.saturating_add(u64::try_from(bytes).unwrap_or(u64::MAX));
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let Self { metrics, route, status, since, bytes } = self;
        metrics.in_flight.dec();
        metrics.sent.inc_by(*bytes);
        metrics.requests.get_or_create(&RequestLabels { route, status: *status }).inc();
        let seconds = since.elapsed().as_secs_f64();
        metrics.seconds.get_or_create(&RouteLabels { route }).observe(seconds);
    }
}

fn route(path: &str) -> &'static str {
    let protected = api::routes::ROUTES.iter().map(|route| route.path);
    protected.chain(PROBES).find(|route| is_of(path, route)).unwrap_or("other")
}

fn is_of(path: &str, route: &str) -> bool {
    match route.split_once('{') {
        None => path == route,
        Some((prefix, _)) => path.len() > prefix.len() && path.starts_with(prefix),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_is_never_what_a_client_sent() {
        let check = |path: &str, want: &str| assert_eq!(route(path), want);
        check("/v1/chat/completions", "/v1/chat/completions");
        check("/v1/models", "/v1/models");
        check("/v1/models/a/b", "/v1/models/{*id}");
        check("/v1/models/", "other");
        check("/rpc", "/rpc");
        check("/healthz", "/healthz");
        check("/rpc/x", "other");
        check("/", "other");
    }
}

//! Percentiles of what was measured.

use serde::Serialize;

/// The distribution of some durations, in microseconds.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Spread {
    /// How many were measured.
    pub count: usize,
    /// The median.
    pub p50_us: f64,
    /// The 99th percentile.
    pub p99_us: f64,
}

impl Spread {
    /// The distribution of `nanos`.
    pub fn of(mut nanos: Vec<u64>) -> Self {
        nanos.sort_unstable();
        let at = |quantile: f64| {
            let index = ((nanos.len() as f64 - 1.0) * quantile).round() as usize;
            nanos.get(index).map_or(0.0, |&it| it as f64 / 1000.0)
        };
        Self { count: nanos.len(), p50_us: at(0.5), p99_us: at(0.99) }
    }
}

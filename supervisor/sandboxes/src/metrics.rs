//! Counts over all tenants. No metric names a tenant or a program.

use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use crate::error::Reason;
use crate::process::Cause;

/// Commands or terminals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelValue)]
pub(crate) enum Kind {
    Command,
    Terminal,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Ended {
    kind: Kind,
    outcome: Cause,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Refused {
    kind: Kind,
    reason: Reason,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Running {
    kind: Kind,
}

/// The families. Clones are the same.
#[derive(Debug, Clone, Default)]
pub(crate) struct Metrics {
    ended: Family<Ended, Counter>,
    refused: Family<Refused, Counter>,
    running: Family<Running, Gauge>,
}

/// One program that runs, counted as such until it is dropped.
#[derive(Debug)]
pub(crate) struct Counted(Gauge);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl Metrics {
    pub(crate) fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        let registry = registry.sub_registry_with_prefix("openclawmu_sandbox");
        registry.register("runs", "Programs that ended, by how", metrics.ended.clone());
        registry.register("refusals", "Programs not run, by why", metrics.refused.clone());
        registry.register("running", "Programs that run", metrics.running.clone());
        metrics
    }

    pub(crate) fn began(&self, kind: Kind) -> Counted {
        let gauge = self.running.get_or_create(&Running { kind }).clone();
        gauge.inc();
        Counted(gauge)
    }

    pub(crate) fn ended(&self, kind: Kind, outcome: Cause) {
        self.ended.get_or_create(&Ended { kind, outcome }).inc();
    }

    pub(crate) fn refused(&self, kind: Kind, reason: Reason) {
        self.refused.get_or_create(&Refused { kind, reason }).inc();
    }
}

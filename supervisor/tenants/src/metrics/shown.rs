//! What is read when somebody looks: how tenants and their workers are, and what the ledger has.
//!
//! Tenants are labels only where the operator says so, and then no more than so many of them: those that
//! were there first. What is of all others together is `other`.

use std::fmt;
use std::sync::Weak;
use std::sync::atomic::Ordering;

use ledger::Amount;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::gauge::ConstGauge;
use types::{TenantId, Window};

use crate::Inner;
use crate::view::State;

/// The label of those that have none of their own.
const OTHER: &str = "other";

/// Reads the tenants at each look.
#[derive(Debug)]
pub(crate) struct Shown {
    tenants: Weak<Inner>,
    labels: usize,
}

/// The sums of one label.
#[derive(Debug, Clone, Copy, Default)]
struct Sums {
    used: Amount,
    memory: u64,
}

/// Sums by tenant, of no more tenants than may be labels: those that come first. All others share one.
#[derive(Debug)]
struct ByTenant {
    labels: usize,
    own: Vec<(String, Sums)>,
    other: Option<Sums>,
}

impl ByTenant {
    const fn new(labels: usize) -> Self {
        Self { labels, own: Vec::new(), other: None }
    }

    fn add(&mut self, id: &TenantId, sums: Sums) {
        if self.own.len() < self.labels {
            self.own.push((id.to_string(), sums));
            return;
        }
        let other = self.other.get_or_insert_default();
        other.used.add(&sums.used);
        other.memory = other.memory.saturating_add(sums.memory);
    }

    fn encode(self, encoder: &mut DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        if self.labels == 0 {
            return Ok(());
        }
        let other = self.other.map(|sums| (OTHER.to_owned(), sums));
        let labelled: Vec<_> = self.own.into_iter().chain(other).collect();
        by_tenant(encoder, &labelled)
    }
}

impl Shown {
    pub(crate) const fn new(tenants: Weak<Inner>, labels: usize) -> Self {
        Self { tenants, labels }
    }
}

impl Collector for Shown {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let Some(inner) = self.tenants.upgrade() else { return Ok(()) };
        let now = inner.clock.now();
        let mut tenants = inner.directory.all();
        // The numbers are given in the order in which tenants are made.
        tenants.sort_unstable_by_key(|it| it.row.load().index);
        let mut states = State::ALL.map(|state| (state, 0_u64));
        let (mut day, mut set_aside, mut memory) = (Amount::ZERO, Amount::ZERO, 0_u64);
        let mut by_tenant = ByTenant::new(self.labels);
        for tenant in &tenants {
            let state = tenant.state(now);
            states.iter_mut().filter(|(it, _)| *it == state).for_each(|(_, count)| *count += 1);
            let used = tenant.account.used(Window::Day, now);
            let worker = tenant.worker.load_full().filter(|it| !it.is_gone());
            let pss = worker.map_or(0, |it| it.memory.load(Ordering::Relaxed));
            day.add(&used);
            set_aside.add(&tenant.account.held(now));
            memory = memory.saturating_add(pss);
            by_tenant.add(&tenant.id, Sums { used, memory: pss });
        }
        let states: Vec<_> = states.iter().map(|(it, count)| (it.name(), *count)).collect();
        let help = "Tenants, by the state of their worker";
        family(&mut encoder, "openclawmu_tenants", help, "state", &states)?;
        let help = "Proportional set size of all workers, as measured lately";
        one(&mut encoder, "openclawmu_worker_memory_bytes", help, memory)?;
        let help = "What was used in the current UTC day, by what is counted";
        family(&mut encoder, "openclawmu_ledger_day_settled", help, "dimension", &day.columns())?;
        let help = "What is set aside for what is under way, by what is counted";
        family(&mut encoder, "openclawmu_ledger_held", help, "dimension", &set_aside.columns())?;
        deliveries(&mut encoder, inner.deliveries.totals())?;
        by_tenant.encode(&mut encoder)
    }
}

/// What has come and what was sent, of all tenants together.
fn deliveries(
    encoder: &mut DescriptorEncoder<'_>,
    totals: &delivery::Totals,
) -> Result<(), fmt::Error> {
    let read = |it: &std::sync::atomic::AtomicU64| it.load(Ordering::Relaxed);
    let events = [
        ("accepted", read(&totals.accepted)),
        ("duplicate", read(&totals.duplicates)),
        ("redelivered", read(&totals.redelivered)),
        ("settled", read(&totals.settled)),
        ("dead", read(&totals.dead)),
        ("evicted", read(&totals.evicted)),
    ];
    let help = "Events of tenants since the start, by what became of them";
    family(encoder, "openclawmu_inbox_events", help, "outcome", &events)?;
    let intents = [
        ("accepted", read(&totals.intents)),
        ("sent", read(&totals.sent)),
        ("failed", read(&totals.failed)),
        ("unknown", read(&totals.unknown)),
    ];
    let help = "What tenants' workers sent since the start, by what became of it";
    family(encoder, "openclawmu_outbox_intents", help, "outcome", &intents)?;
    let waiting = u64::try_from(totals.waiting.load(Ordering::Relaxed)).unwrap_or(u64::MAX);
    one(encoder, "openclawmu_inbox_waiting", "Events that are not dealt with", waiting)
}

fn by_tenant(
    encoder: &mut DescriptorEncoder<'_>,
    labelled: &[(String, Sums)],
) -> Result<(), fmt::Error> {
    type Part = (&'static str, &'static str, fn(&Sums) -> u64);
    const PARTS: [Part; 5] = [
        ("openclawmu_tenant_day_requests", "Requests in the current UTC day", |it| {
            it.used.requests
        }),
        ("openclawmu_tenant_day_input_tokens", "Input tokens in the current UTC day", |it| {
            it.used.input_tokens
        }),
        ("openclawmu_tenant_day_output_tokens", "Output tokens in the current UTC day", |it| {
            it.used.output_tokens
        }),
        ("openclawmu_tenant_day_cost_micros", "Micro-dollars in the current UTC day", |it| {
            it.used.cost_micros
        }),
        ("openclawmu_tenant_memory_bytes", "Proportional set size of the worker", |it| it.memory),
    ];
    for (name, help, of) in PARTS {
        let values: Vec<_> = labelled.iter().map(|(id, sums)| (id.as_str(), of(sums))).collect();
        family(encoder, name, help, "tenant", &values)?;
    }
    Ok(())
}

fn one(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    value: u64,
) -> Result<(), fmt::Error> {
    let encoder = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
    ConstGauge::new(value).encode(encoder)
}

fn family(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    label: &str,
    values: &[(&str, u64)],
) -> Result<(), fmt::Error> {
    let mut encoder = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
    for (value, count) in values {
        ConstGauge::new(*count).encode(encoder.encode_family(&[(label, *value)])?)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use prometheus_client::registry::Registry;

    use super::*;

    /// Ten thousand tenants, of which so many may be labels.
    #[derive(Debug)]
    struct Many(usize);

    impl Collector for Many {
        fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
            let mut by_tenant = ByTenant::new(self.0);
            for number in 0..10_000 {
                let used = Amount { requests: 1, ..Amount::ZERO };
                let id = format!("tenant-{number}").parse().unwrap();
                by_tenant.add(&id, Sums { used, memory: 2 });
            }
            by_tenant.encode(&mut encoder)
        }
    }

    #[test]
    fn ten_thousand_tenants_are_not_ten_thousand_series() {
        let check = |labels: usize, series: usize, other: Option<&str>| {
            let mut registry = Registry::default();
            registry.register_collector(Box::new(Many(labels)));
            let mut text = String::new();
            prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
            assert_eq!(text.lines().filter(|it| it.contains("tenant=")).count(), series, "{text}");
            let line = "openclawmu_tenant_day_requests{tenant=\"other\"} ";
            assert_eq!(text.lines().find_map(|it| it.strip_prefix(line)), other);
        };
        check(0, 0, None);
        check(3, 5 * 4, Some("9997"));
        check(1000, 5 * 1001, Some("9000"));
    }
}

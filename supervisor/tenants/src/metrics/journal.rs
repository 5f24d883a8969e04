//! The journal of the ledger, watched: what is settled is counted, and how long a line takes. How the
//! books themselves are doing is theirs to say.

use std::sync::Arc;
use std::time::Instant;

use ledger::{Amount, Entry, Journal, Kind, Writing};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

/// A journal whose amounts are counted.
#[derive(Debug)]
pub struct Watched {
    journal: Arc<dyn Journal>,
    figures: Figures,
}

#[derive(Debug, Clone)]
struct Figures {
    settled: Family<DimensionLabel, Counter>,
    unbilled: Family<DimensionLabel, Counter>,
    seconds: Histogram,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DimensionLabel {
    dimension: &'static str,
}

impl Watched {
    /// `journal`, with its figures in `registry`.
    pub fn new(journal: Arc<dyn Journal>, registry: &mut Registry) -> Self {
        let figures = Figures {
            settled: Family::default(),
            unbilled: Family::default(),
            seconds: Histogram::new(exponential_buckets(0.000_05, 2.0, 16)),
        };
        let shown = figures.clone();
        let registry = registry.sub_registry_with_prefix("openclawmu_ledger");
        let help = "What was used, by what is counted";
        registry.register("settled", help, shown.settled);
        let help = "What providers counted and no limit had room for: the operator's loss";
        registry.register("unbilled", help, shown.unbilled);
        let help = "From a line to the books that have it";
        registry.register("write_seconds", help, shown.seconds);
        Self { journal, figures }
    }
}

impl Journal for Watched {
    fn write(&self, entry: Entry) -> Writing {
        let figures = self.figures.clone();
        let counted = Counted::of(&entry);
        let begun = Instant::now();
        let writing = self.journal.write(entry);
        Box::pin(async move {
            let written = writing.await;
            if written.is_ok() {
                figures.seconds.observe(begun.elapsed().as_secs_f64());
                figures.count(&counted);
            }
            written
        })
    }

    fn post(&self, entry: Entry) {
        self.figures.count(&Counted::of(&entry));
        self.journal.post(entry);
    }

    fn is_writable(&self) -> bool {
        self.journal.is_writable()
    }

    fn next_id(&self) -> u64 {
        self.journal.next_id()
    }
}

/// What of a line is counted.
#[derive(Debug, Clone, Copy)]
struct Counted {
    kind: Kind,
    amount: Amount,
    unbilled: Amount,
}

impl Counted {
    const fn of(entry: &Entry) -> Self {
        Self { kind: entry.kind, amount: entry.amount, unbilled: entry.unbilled }
    }
}

impl Figures {
    fn count(&self, counted: &Counted) {
        if counted.kind.counts() {
            add(&self.settled, &counted.amount);
        }
        add(&self.unbilled, &counted.unbilled);
    }
}

fn add(to: &Family<DimensionLabel, Counter>, amount: &Amount) {
    for (dimension, more) in amount.columns() {
        if more > 0 {
            to.get_or_create(&DimensionLabel { dimension }).inc_by(more);
        }
    }
}

#[cfg(test)]
mod tests {
    use ledger::MemoryJournal;

    use super::*;

    fn shown(registry: &Registry) -> String {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, registry).unwrap();
        text
    }

    #[tokio::test]
    async fn what_is_settled_is_counted_and_what_is_not_billed() {
        let (memory, mut registry) = (Arc::new(MemoryJournal::default()), Registry::default());
        let watched: Arc<dyn Journal> = Arc::<MemoryJournal>::clone(&memory);
        let journal = Watched::new(watched, &mut registry);
        let entry = |kind| Entry::new(kind, journal.next_id(), 0, "acme".parse().unwrap());
        let amount = Amount { input_tokens: 3, cost_micros: 7, ..Amount::ZERO };
        journal.write(Entry { amount, ..entry(Kind::Hold) }).await.unwrap();
        let unbilled = Amount { output_tokens: 2, ..Amount::ZERO };
        journal.post(Entry { amount, unbilled, ..entry(Kind::Settle) });
        memory.set_writable(false);
        journal.write(entry(Kind::Hold)).await.unwrap_err();
        assert!(!journal.is_writable());
        let text = shown(&registry);
        let check = |line: &str| assert!(text.contains(line), "{line}\n{text}");
        check("openclawmu_ledger_settled_total{dimension=\"costMicros\"} 7");
        check("openclawmu_ledger_settled_total{dimension=\"inputTokens\"} 3");
        check("openclawmu_ledger_unbilled_total{dimension=\"outputTokens\"} 2");
        check("openclawmu_ledger_write_seconds_count 1");
        assert_eq!(memory.entries().len(), 2);
    }
}

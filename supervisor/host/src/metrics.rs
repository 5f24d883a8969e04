//! What is counted of model calls. The labels are names from the operator's configuration: nothing
//! that a tenant sent becomes one.

use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

use crate::Refusals;

/// How a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelValue)]
pub(crate) enum Outcome {
    Ok,
    Cancelled,
    Limited,
    Invalid,
    RateLimited,
    Timeout,
    Unavailable,
}

impl Outcome {
    const ALL: [Self; 7] = [
        Self::Ok,
        Self::Cancelled,
        Self::Limited,
        Self::Invalid,
        Self::RateLimited,
        Self::Timeout,
        Self::Unavailable,
    ];
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CallLabels {
    provider: String,
    model: String,
    outcome: Outcome,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TokenLabels {
    provider: String,
    model: String,
    direction: Direction,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ModelLabels {
    provider: String,
    model: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelValue)]
enum Direction {
    Input,
    Output,
}

/// The families, by provider and model.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    calls: Family<CallLabels, Counter>,
    tokens: Family<TokenLabels, Counter>,
    unbilled: Family<ModelLabels, Counter>,
    unbilled_cost: Family<ModelLabels, Counter>,
    refusals: Refusals,
}

/// The counters of one model, found once so that a request looks nothing up.
#[derive(Debug)]
pub(crate) struct ModelMetrics {
    calls: [(Outcome, Counter); 7],
    input: Counter,
    output: Counter,
    /// What no limit left room for, and nobody is charged.
    unbilled: Counter,
    unbilled_cost: Counter,
    refusals: Refusals,
}

impl Metrics {
    pub(crate) fn register(registry: &mut Registry) -> Self {
        let metrics = Self { refusals: Refusals::register(registry), ..Self::default() };
        registry.register(
            "openclawmu_llm_attempts",
            "Attempts at a provider's model, by how they ended",
            metrics.calls.clone(),
        );
        registry.register(
            "openclawmu_llm_tokens",
            "Tokens settled, by provider, model and direction",
            metrics.tokens.clone(),
        );
        registry.register(
            "openclawmu_llm_unbilled_tokens",
            "Tokens that providers counted beyond what any limit left, and nobody is charged for",
            metrics.unbilled.clone(),
        );
        registry.register(
            "openclawmu_llm_unbilled_cost_micros",
            "Micro-dollars beyond what any limit left, and nobody is charged",
            metrics.unbilled_cost.clone(),
        );
        metrics
    }

    pub(crate) fn refusals(&self) -> Refusals {
        self.refusals.clone()
    }

    pub(crate) fn model(&self, provider: &str, model: &str) -> ModelMetrics {
        let names = || (provider.to_owned(), model.to_owned());
        let call = |outcome| {
            let (provider, model) = names();
            let labels = CallLabels { provider, model, outcome };
            (outcome, self.calls.get_or_create(&labels).clone())
        };
        let tokens = |direction| {
            let (provider, model) = names();
            self.tokens.get_or_create(&TokenLabels { provider, model, direction }).clone()
        };
        let of_model = |family: &Family<ModelLabels, Counter>| {
            let (provider, model) = names();
            family.get_or_create(&ModelLabels { provider, model }).clone()
        };
        ModelMetrics {
            calls: Outcome::ALL.map(call),
            input: tokens(Direction::Input),
            output: tokens(Direction::Output),
            unbilled: of_model(&self.unbilled),
            unbilled_cost: of_model(&self.unbilled_cost),
            refusals: self.refusals.clone(),
        }
    }
}

impl ModelMetrics {
    pub(crate) fn count(&self, outcome: Outcome) {
        if let Some((_, counter)) = self.calls.iter().find(|(it, _)| *it == outcome) {
            counter.inc();
        }
    }

    pub(crate) fn refused(&self, refusal: &ledger::Refusal) {
        self.refusals.count(refusal);
    }

    pub(crate) fn settled(&self, input: u64, output: u64) {
        self.input.inc_by(input);
        self.output.inc_by(output);
    }

    pub(crate) fn unbilled(&self, unbilled: &ledger::Amount) {
        self.unbilled.inc_by(unbilled.tokens());
        self.unbilled_cost.inc_by(unbilled.cost_micros);
    }
}

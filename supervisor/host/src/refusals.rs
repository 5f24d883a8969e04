//! Refusals of limits, counted by which limit it was. Nothing that a tenant sent becomes a label.

use ledger::{Refusal, Why};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

/// How often which kind of limit has refused something.
#[derive(Debug, Clone, Default)]
pub struct Refusals(Family<Labels, Counter>);

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    dimension: &'static str,
    window: &'static str,
    level: &'static str,
    cause: &'static str,
}

impl Refusals {
    pub(crate) fn register(registry: &mut Registry) -> Self {
        let refusals = Self::default();
        let help = "What limits have refused, by limit, window and level";
        registry.register("openclawmu_ledger_refusals", help, refusals.0.clone());
        refusals
    }

    /// Counts one.
    pub fn count(&self, refusal: &Refusal) {
        let labels = Labels {
            dimension: refusal.dimension.name(),
            window: refusal.window.map_or("none", types::Window::name),
            level: refusal.level.name(),
            cause: match refusal.why {
                Why::Limit => "limit",
                Why::PriceUnknown => "priceUnknown",
                Why::Unwritable => "unwritable",
            },
        };
        self.0.get_or_create(&labels).inc();
    }
}

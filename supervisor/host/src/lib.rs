//! What a worker may ask of the supervisor: one service per power. Model calls so far.
//!
//! Holds the providers' addresses and keys and is the only crate that talks to them. Knows no
//! tenant: whoever mounts a service says whose account it counts on. Parses no tenant's JSON beyond
//! a check of its shape, follows no redirect, and takes no address from a request.

mod catalog;
mod client;
mod config;
mod discover;
mod estimate;
mod failure;
mod intake;
mod json;
mod llm;
mod meter;
mod metrics;
mod provider;
mod refusals;
mod reply;
mod sse;

use std::sync::Arc;

use ledger::Account;
use prometheus_client::registry::Registry;
use runtime::Tasks;
use types::Clock;

use catalog::Catalog;

pub use config::{Config, Error, Kind, Model, Provider, Timeouts};
pub use discover::{DiscoverError, list_models};
pub use intake::Intake;
pub use llm::Llm;
pub use refusals::Refusals;
pub use reply::Reply;

/// The powers of this installation. Clones are handles to the same.
#[derive(Debug, Clone)]
pub struct Host(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    catalog: Catalog,
    timeouts: Timeouts,
    clock: Arc<dyn Clock>,
    refusals: Refusals,
    /// Owns what outlives a request by a moment: the wait for the end of an answer.
    tasks: Tasks,
}

impl Host {
    /// Checks `config`; connects to nobody yet.
    ///
    /// # Errors
    /// When a name, an address, a key or a reference to a model cannot be used.
    pub fn new(
        config: Config,
        clock: Arc<dyn Clock>,
        registry: &mut Registry,
    ) -> Result<Self, Error> {
        let timeouts = config.timeouts.clone();
        let metrics = metrics::Metrics::register(registry);
        let (catalog, refusals) = (Catalog::new(config, &metrics)?, metrics.refusals());
        let tasks = Tasks::default();
        Ok(Self(Arc::new(Inner { catalog, timeouts, clock, refusals, tasks })))
    }

    /// Every model of every provider, in the operator's order.
    pub fn models(&self) -> &[proto::worker::Model] {
        self.0.catalog.models()
    }

    /// `PROVIDER/MODEL`: what an agent turn uses where its agent names none.
    pub fn default_model(&self) -> &str {
        self.0.catalog.default_model()
    }

    /// Where refusals of limits are counted, whoever has met one.
    pub fn refusals(&self) -> &Refusals {
        &self.0.refusals
    }

    /// The power to call models, counted on `account`, to be served on one worker's pair.
    pub fn llm(&self, account: Arc<Account>) -> Intake {
        Intake::new(Llm::new(Arc::clone(&self.0), account))
    }
}

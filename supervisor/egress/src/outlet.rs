//! The way out of one tenant: its rules, its bytes, its log. Held as long as the tenant is.

use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use runtime::Tasks;
use tokio::sync::Semaphore;
use types::Chain;

use crate::fetch::Service;
use crate::metrics::Way;
use crate::proxy::{self, Guard};
use crate::refused::{Outcome, Refused};
use crate::rules::Rules;
use crate::tally::{Pace, Tally};
use crate::{Inner, Journal};

/// Fetches of one tenant under way at once: more than an agent makes, each up to the longest body.
const FETCHES: usize = 8;

/// Lookups of names of one tenant at once: an eighth of what all tenants have.
const LOOKUPS: usize = 8;

/// Connections of all of a tenant's sandboxes to their proxies at once: the next one waits.
const CONNECTIONS: usize = 64;

/// The way out of one tenant.
#[derive(Debug)]
pub struct Outlet {
    pub(crate) broker: Arc<Inner>,
    journal: Arc<dyn Journal>,
    rules: ArcSwap<Rules>,
    tally: Mutex<Tally>,
    pace: Mutex<Pace>,
    pub(crate) fetches: Arc<Semaphore>,
    pub(crate) lookups: Arc<Semaphore>,
    pub(crate) connections: Arc<Semaphore>,
}

/// Which way bytes went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    Sent,
    Received,
}

impl Outlet {
    pub(crate) fn new(broker: &Arc<Inner>, journal: Arc<dyn Journal>) -> Self {
        Self {
            broker: Arc::clone(broker),
            journal,
            rules: ArcSwap::default(),
            tally: Mutex::default(),
            pace: Mutex::default(),
            fetches: Arc::new(Semaphore::new(FETCHES)),
            lookups: Arc::new(Semaphore::new(LOOKUPS)),
            connections: Arc::new(Semaphore::new(CONNECTIONS)),
        }
    }

    /// From now on `rules` hold. What is under way goes on.
    pub fn set(&self, rules: Rules) {
        self.rules.store(Arc::new(rules));
    }

    /// The rules that hold now.
    pub fn rules(&self) -> Arc<Rules> {
        self.rules.load_full()
    }

    /// The power to fetch, to be served on a worker's pair.
    pub fn service(self: &Arc<Self>) -> Service {
        Service::new(self)
    }

    /// Serves a proxy on a listening TCP socket, which may be of another network namespace, until the
    /// guard is dropped or `tasks` stops.
    ///
    /// # Errors
    /// When the socket cannot be used.
    pub fn proxy(self: &Arc<Self>, listener: OwnedFd, tasks: &Tasks) -> std::io::Result<Guard> {
        proxy::serve(self, listener, tasks)
    }

    /// Counts bytes; false where the tenant has had its share of today.
    pub(crate) fn count(&self, direction: Direction, bytes: usize) -> bool {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        let metrics = &self.broker.metrics;
        match direction {
            Direction::Sent => metrics.sent.inc_by(bytes),
            Direction::Received => metrics.received.inc_by(bytes),
        };
        let mut tally = self.tally.lock().unwrap_or_else(PoisonError::into_inner);
        tally.add(self.broker.clock.now(), bytes, self.broker.daily_bytes)
    }

    /// Whether there are bytes left today.
    pub(crate) fn check_budget(&self) -> Result<(), Refused> {
        if self.count(Direction::Sent, 0) { Ok(()) } else { Err(Refused::Budget) }
    }

    /// Notes how a request to leave began. `origin` is what may be told of where it was to go.
    pub(crate) fn ended(&self, way: Way, origin: &str, result: Result<(), &Refused>) {
        let outcome = result.map_or_else(Refused::outcome, |()| Outcome::Ok);
        self.broker.metrics.count(way, outcome);
        match result {
            Err(refused) if refused.is_decision() => self.note(origin, refused),
            Err(refused) => tracing::debug!(error = %Chain(refused), "a tenant reached nobody"),
            Ok(()) => {}
        }
    }

    fn note(&self, origin: &str, refused: &Refused) {
        let now = self.broker.clock.now();
        let (tell, missed) = self.pace.lock().unwrap_or_else(PoisonError::into_inner).next(now);
        if let Some(missed) = missed {
            self.journal.note(&format!("egress: {missed} more refusals were not written down"));
        }
        if tell {
            self.journal.note(&format!("egress refused: {origin}: {refused}"));
        }
    }
}

//! The way out of one tenant: its rules, its bytes, its log. Held as long as the tenant is.

use std::error::Error;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;
use ledger::{Account, Amount};
use runtime::Tasks;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use types::{Chain, Dimension};

use crate::fetch::Service;
use crate::metrics::Way;
use crate::proxy::{self, Guard};
use crate::refused::{Outcome, Refused};
use crate::rules::Rules;
use crate::tally::{Pace, Tally, Turn};
use crate::{Inner, Journal};

/// Fetches of one tenant under way at once: more than an agent makes, each up to the longest body.
const FETCHES: usize = 8;

/// Lookups of names of one tenant at once: an eighth of what all tenants have.
const LOOKUPS: usize = 8;

/// Connections of all of a tenant's sandboxes to their proxies at once: the next one waits.
const CONNECTIONS: usize = 64;

/// What is told of where a request was to go that did not say so.
pub(crate) const UNREADABLE: &str = "an address that cannot be read";

/// The way out of one tenant.
#[derive(Debug)]
pub struct Outlet {
    pub(crate) broker: Arc<Inner>,
    journal: Arc<dyn Journal>,
    /// Of whom what passes is counted; none of the gateway's own.
    account: Option<Arc<Account>>,
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
    pub(crate) fn new(
        broker: &Arc<Inner>,
        journal: Arc<dyn Journal>,
        account: Option<Arc<Account>>,
    ) -> Self {
        Self {
            broker: Arc::clone(broker),
            journal,
            account,
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
    pub fn proxy(self: &Arc<Self>, listener: OwnedFd, tasks: &Tasks) -> io::Result<Guard> {
        proxy::serve(self, listener, tasks)
    }

    /// Counts bytes that have passed; false where the tenant has had its share of today, or a limit of
    /// its account is used up.
    pub(crate) fn count(&self, direction: Direction, bytes: usize) -> bool {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        let metrics = &self.broker.metrics;
        match direction {
            Direction::Sent => metrics.sent.inc_by(bytes),
            Direction::Received => metrics.received.inc_by(bytes),
        };
        let now = self.broker.clock.now();
        let used = Amount { egress_bytes: bytes, ..Amount::ZERO };
        let spend = |it: &Arc<Account>| it.spend(now, &used).is_ok();
        let granted = bytes == 0 || self.account.as_ref().is_none_or(spend);
        let mut tally = self.tally.lock().unwrap_or_else(PoisonError::into_inner);
        tally.add(now, bytes, self.broker.daily_bytes) && granted
    }

    /// Whether there are bytes left today.
    pub(crate) fn check_budget(&self) -> Result<(), Refused> {
        if !self.count(Direction::Sent, 0) {
            return Err(Refused::Budget);
        }
        let Some(account) = &self.account else { return Ok(()) };
        let allowed = account.allows(self.broker.clock.now(), Dimension::EgressBytes);
        allowed.map_err(|refusal| Refused::Limit(Box::new(refusal)))
    }

    /// Why a connection to a host broke: the bytes of the day, the host's silence, or what `err` says.
    pub(crate) fn broken(&self, err: hyper::Error) -> Refused {
        match self.ended_by_us(&err) {
            Some(refused) => refused,
            None => Refused::Cut(err),
        }
    }

    /// Why we ended a connection, where it was us whom `err` is of.
    pub(crate) fn ended_by_us(&self, err: &(dyn Error + 'static)) -> Option<Refused> {
        if let Err(refused) = self.check_budget() {
            return Some(refused);
        }
        let mut cause = Some(err);
        while let Some(it) = cause {
            if it.downcast_ref::<io::Error>().is_some_and(|it| it.kind() == io::ErrorKind::TimedOut)
            {
                return Some(Refused::Slow);
            }
            cause = it.source();
        }
        None
    }

    /// Counts how a request to leave began, and notes why it did not. `origin` is what may be told of
    /// where it was to go.
    pub(crate) fn ended(self: &Arc<Self>, way: Way, origin: &str, result: Result<(), &Refused>) {
        let outcome = result.map_or_else(Refused::outcome, |()| Outcome::Ok);
        self.broker.metrics.count(way, outcome);
        if let Err(refused) = result {
            self.note(origin, refused);
        }
    }

    /// Notes in the tenant's log why something was not reached or not read to its end. Of very many,
    /// the number is noted, at the latest when the minute is over.
    pub(crate) fn note(self: &Arc<Self>, origin: &str, refused: &Refused) {
        let (turn, counted) = self.pace().next(self.broker.clock.now());
        self.note_counted(counted);
        match turn {
            Turn::Tell => {
                let (word, why) = (refused.word(), Chain(refused));
                self.journal.note(&format!("egress {word}: {origin}: {why}"));
            }
            Turn::CountFrom(wait) => {
                let (outlet, until) = (Arc::downgrade(self), Instant::now() + wait);
                self.broker.tasks.spawn_until_stopped(async move {
                    tokio::time::sleep_until(until).await;
                    let Some(outlet) = outlet.upgrade() else { return };
                    let counted = outlet.pace().take();
                    outlet.note_counted(counted);
                });
            }
            Turn::Count => {}
        }
    }

    fn note_counted(&self, counted: Option<u64>) {
        if let Some(counted) = counted {
            self.journal.note(&format!("egress refused: and {counted} more refusals like these"));
        }
    }

    fn pace(&self) -> MutexGuard<'_, Pace> {
        self.pace.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

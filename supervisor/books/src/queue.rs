//! What waits for the writer: entries in the order in which they came, and who wants to hear of each.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ledger::{Entry, Unwritten};
use tokio::sync::oneshot;

/// Entries that wait when no further hold is accepted. A second's worth of what one thread writes, and
/// more than there are ever requests under way. Lines that end holds are always accepted: there are
/// no more of them than holds.
const MAX_WAITING: usize = 65_536;

/// An entry to be written.
#[derive(Debug)]
pub(crate) struct Item {
    pub(crate) entry: Entry,
    /// Who waits for it, where anybody does; the others cannot be refused.
    pub(crate) told: Option<oneshot::Sender<Result<(), Unwritten>>>,
}

/// What waits, and what the writer lets others know.
#[derive(Debug)]
pub(crate) struct Queue {
    waiting: Mutex<Waiting>,
    changed: Condvar,
    writable: AtomicBool,
    next_id: AtomicU64,
}

#[derive(Debug, Default)]
struct Waiting {
    items: Vec<Item>,
    stopping: bool,
    /// Nobody will take anything any more.
    closed: bool,
}

/// What [`Queue::take`] gives.
#[derive(Debug)]
pub(crate) struct Taken {
    pub(crate) items: Vec<Item>,
    /// Nothing is to come after them.
    pub(crate) last: bool,
}

impl Queue {
    /// Nothing yet; the first number to give out is the one after `last_id`.
    pub(crate) fn after(last_id: u64) -> Self {
        Self {
            waiting: Mutex::default(),
            changed: Condvar::new(),
            writable: AtomicBool::new(true),
            next_id: AtomicU64::new(last_id.saturating_add(1)),
        }
    }

    /// Adds an entry whose writer waits.
    pub(crate) fn ask(
        &self,
        entry: Entry,
    ) -> Result<oneshot::Receiver<Result<(), Unwritten>>, Unwritten> {
        let mut waiting = self.waiting();
        if waiting.closed || waiting.items.len() >= MAX_WAITING || !self.is_writable() {
            return Err(Unwritten);
        }
        let (told, answer) = oneshot::channel();
        waiting.items.push(Item { entry, told: Some(told) });
        drop(waiting);
        self.changed.notify_one();
        Ok(answer)
    }

    /// Adds an entry that nobody waits for.
    pub(crate) fn post(&self, entry: Entry) {
        let mut waiting = self.waiting();
        if waiting.closed {
            tracing::error!(tenant = %entry.tenant, id = entry.id, "not in the books: they are closed");
            return;
        }
        if waiting.items.len() >= MAX_WAITING && entry.kind == ledger::Kind::Use {
            // Uses are not bounded by holds: those of one account become one.
            let same = waiting.items.iter_mut().rev().find(|item| is_same(&item.entry, &entry));
            if let Some(same) = same {
                same.entry.amount.add(&entry.amount);
                return;
            }
        }
        waiting.items.push(Item { entry, told: None });
        drop(waiting);
        self.changed.notify_one();
    }

    /// Everything that waits, as soon as there is something or `patience` is over.
    pub(crate) fn take(&self, patience: Duration) -> Taken {
        let idle = |waiting: &mut Waiting| waiting.items.is_empty() && !waiting.stopping;
        let waited = self.changed.wait_timeout_while(self.waiting(), patience, idle);
        let (mut waiting, _timeout) = waited.unwrap_or_else(PoisonError::into_inner);
        Taken { items: std::mem::take(&mut waiting.items), last: waiting.stopping }
    }

    /// Asks the writer to end when it has written what waits.
    pub(crate) fn stop(&self) {
        self.waiting().stopping = true;
        self.changed.notify_one();
    }

    /// Nobody writes any more: whoever waits is told.
    pub(crate) fn close(&self) {
        let mut waiting = self.waiting();
        waiting.closed = true;
        let lost = waiting.items.drain(..).filter(|item| item.told.is_none()).count();
        if lost > 0 {
            tracing::error!(lines = lost, "not in the books: they are closed");
        }
        self.set_writable(false);
    }

    /// Whether the last attempt to write succeeded.
    pub(crate) fn is_writable(&self) -> bool {
        self.writable.load(Ordering::Acquire)
    }

    pub(crate) fn set_writable(&self, writable: bool) {
        self.writable.store(writable, Ordering::Release);
    }

    /// A number that no entry has had before.
    pub(crate) fn next_id(&self) -> u64 {
        self.next_id.fetch_add(1, Ordering::Relaxed)
    }

    /// The last number that was given out.
    pub(crate) fn last_id(&self) -> u64 {
        self.next_id.load(Ordering::Relaxed).saturating_sub(1)
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        // The list is whole after every operation on it.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether two uses differ in nothing but time, number and amount.
pub(crate) fn is_same(one: &Entry, other: &Entry) -> bool {
    let with =
        |entry: &Entry| Entry { id: 0, at: 0, amount: ledger::Amount::ZERO, ..entry.clone() };
    one.kind == other.kind && one.tenant == other.tenant && with(one) == with(other)
}

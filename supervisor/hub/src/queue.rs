//! What waits for one connection, bounded in bytes: by its own bound, its tenant's, and all's.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use api::events::Event;
use bytes::Bytes;
use tokio::sync::Notify;

use crate::{MAX_BUFFERED, Message};

/// What an item costs beside its bytes.
const PER_ITEM: usize = 128;

/// What may always wait for one connection, however much waits for its tenant's others: those who
/// read are not to pay for one who does not.
pub(crate) const FAIR: usize = 64 << 10;

/// With more than this waiting, a connection begins no new work.
const LOADED: usize = 1 << 20;

/// Close code: the client broke a rule.
const POLICY: u16 = 1008;

/// Why a connection ends, for its client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Close {
    /// The WebSocket's close code.
    pub code: u16,
    /// A few words, at most 123 bytes.
    pub reason: &'static str,
    /// Whether what waits is sent first.
    pub flush: bool,
}

impl Close {
    /// Its client did not read what was sent.
    pub const SLOW: Self = Self::now(POLICY, "slow consumer");

    /// Drops what waits.
    pub const fn now(code: u16, reason: &'static str) -> Self {
        Self { code, reason, flush: false }
    }

    /// Sends what waits first.
    pub const fn after(code: u16, reason: &'static str) -> Self {
        Self { code, reason, flush: true }
    }
}

/// How often a tenant's presence and health have changed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct StateVersion {
    /// Changes of presence.
    pub presence: u64,
    /// Changes of health.
    pub health: u64,
}

/// What is to be sent to one connection.
#[derive(Debug)]
pub enum Item {
    /// An event.
    Event {
        /// Which.
        event: &'static Event,
        /// JSON.
        payload: Bytes,
        /// Its number among the connection's events, from 1.
        seq: Option<u64>,
        /// On `health` and `presence`.
        state_version: Option<StateVersion>,
    },
    /// Anything else, as it goes out.
    Frame(Bytes),
}

/// Bytes that may wait, within a larger budget.
#[derive(Debug)]
pub(crate) struct Budget {
    used: AtomicUsize,
    max: usize,
    within: Option<Arc<Self>>,
}

impl Budget {
    pub(crate) const fn new(max: usize, within: Option<Arc<Self>>) -> Self {
        Self { used: AtomicUsize::new(0), max, within }
    }

    /// Takes `more` bytes where they fit, here and in the larger budget.
    fn take(&self, more: usize) -> bool {
        let fits = |used: usize| used.checked_add(more).filter(|it| *it <= self.max);
        if self.used.try_update(Ordering::Relaxed, Ordering::Relaxed, fits).is_err() {
            return false;
        }
        let taken = self.within.as_ref().is_none_or(|it| it.take(more));
        if !taken {
            self.used.fetch_sub(more, Ordering::Relaxed);
        }
        taken
    }

    #[cfg(test)]
    pub(crate) fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    fn add(&self, bytes: usize) {
        self.used.fetch_add(bytes, Ordering::Relaxed);
        if let Some(within) = &self.within {
            within.add(bytes);
        }
    }

    fn release(&self, bytes: usize) {
        self.used.fetch_sub(bytes, Ordering::Relaxed);
        if let Some(within) = &self.within {
            within.release(bytes);
        }
    }
}

/// What waits for one connection.
#[derive(Debug)]
pub(crate) struct Queue {
    state: Mutex<State>,
    budget: Arc<Budget>,
    /// Something is there to be sent, or the end.
    ready: Notify,
    /// Something was sent.
    room: Notify,
}

#[derive(Debug, Default)]
struct State {
    items: VecDeque<(Item, usize)>,
    /// Of the items and of the one that is being sent.
    bytes: usize,
    seq: u64,
    closing: Option<Close>,
}

impl Queue {
    pub(crate) fn new(budget: Arc<Budget>) -> Self {
        Self { state: Mutex::default(), budget, ready: Notify::new(), room: Notify::new() }
    }

    /// Adds an event, or leaves it out, or ends the connection that has not read enough. An event
    /// that is left out leaves a gap in the sequence, from which the client can tell.
    pub(crate) fn event(&self, message: &Message, version: Option<StateVersion>, numbered: bool) {
        let cost = message.payload.len() + PER_ITEM;
        let mut state = self.state();
        if state.closing.is_some() {
            return;
        }
        let seq = numbered.then(|| {
            state.seq += 1;
            state.seq
        });
        let small = state.is_small(cost);
        let fits = small || state.has_room(cost);
        let Some(counted) = fits.then(|| Taken::new(&self.budget, cost, small)).flatten() else {
            if !message.event.droppable {
                self.end(&mut state, Close::SLOW);
            }
            return;
        };
        counted.keep();
        let (event, payload) = (message.event, message.payload.clone());
        self.add(&mut state, Item::Event { event, payload, seq, state_version: version }, cost);
    }

    /// Adds a frame when there is room. While it waits, it counts as the tenant's; where the tenant
    /// has no room for it, or all have none, the connection ends.
    pub(crate) async fn answer(&self, frame: Bytes) {
        let cost = frame.len() + PER_ITEM;
        let mut item = Some(Item::Frame(frame));
        let mut taken: Option<Taken<'_>> = None;
        loop {
            let room = self.room.notified();
            tokio::pin!(room);
            room.as_mut().enable();
            {
                let mut state = self.state();
                if state.closing.is_some() {
                    return;
                }
                if taken.is_none() {
                    taken = Taken::new(&self.budget, cost, state.is_small(cost));
                }
                let Some(counted) = taken.take() else {
                    self.end(&mut state, Close::SLOW);
                    return;
                };
                if state.has_room(cost)
                    && let Some(item) = item.take()
                {
                    counted.keep();
                    self.add(&mut state, item, cost);
                    return;
                }
                taken = Some(counted);
            }
            room.await;
        }
    }

    pub(crate) async fn unloaded(&self) -> bool {
        let mut waited = false;
        loop {
            let room = self.room.notified();
            tokio::pin!(room);
            room.as_mut().enable();
            {
                let state = self.state();
                if state.closing.is_some() || state.bytes <= LOADED {
                    return waited;
                }
            }
            waited = true;
            room.await;
        }
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.state().closing.is_some()
    }

    pub(crate) fn close(&self, why: Close) {
        self.end(&mut self.state(), why);
    }

    /// The next item with its cost, or why there is none any more.
    pub(crate) async fn next(&self) -> Result<(Item, usize), Close> {
        loop {
            let ready = self.ready.notified();
            {
                let mut state = self.state();
                if let Some(item) = state.items.pop_front() {
                    return Ok(item);
                }
                if let Some(close) = state.closing {
                    return Err(close);
                }
            }
            ready.await;
        }
    }

    /// Resolves when what waits is not to be sent any more.
    pub(crate) async fn cut(&self) -> Close {
        loop {
            let room = self.room.notified();
            tokio::pin!(room);
            room.as_mut().enable();
            if let Some(close) = self.state().closing.filter(|it| !it.flush) {
                return close;
            }
            room.await;
        }
    }

    /// An item of that cost has been sent or given up.
    pub(crate) fn sent(&self, cost: usize) {
        let mut state = self.state();
        state.bytes = state.bytes.saturating_sub(cost);
        drop(state);
        self.budget.release(cost);
        self.room.notify_waiters();
    }

    /// Adds what the budget has counted already.
    fn add(&self, state: &mut State, item: Item, cost: usize) {
        state.bytes += cost;
        state.items.push_back((item, cost));
        self.ready.notify_one();
    }

    /// The first reason stays, unless a later one does not wait for what is queued.
    fn end(&self, state: &mut State, why: Close) {
        if state.closing.is_some_and(|it| !it.flush || why.flush) {
            return;
        }
        state.closing = Some(why);
        if !why.flush {
            let dropped: usize = state.items.drain(..).map(|(_, cost)| cost).sum();
            state.bytes = state.bytes.saturating_sub(dropped);
            self.budget.release(dropped);
        }
        self.ready.notify_one();
        self.room.notify_waiters();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Whether that much more may wait, whatever waits for others.
    fn is_small(&self, cost: usize) -> bool {
        self.bytes.saturating_add(cost) <= FAIR
    }

    /// Whether the connection's own bound has room. One item alone may be larger than it.
    fn has_room(&self, cost: usize) -> bool {
        self.bytes == 0 || self.bytes.saturating_add(cost) <= MAX_BUFFERED
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        let left = self.state().bytes;
        self.budget.release(left);
    }
}

/// Bytes that are counted before they are in the queue.
struct Taken<'a>(&'a Budget, usize);

impl<'a> Taken<'a> {
    fn new(budget: &'a Budget, bytes: usize, always: bool) -> Option<Self> {
        if always {
            budget.add(bytes);
        }
        (always || budget.take(bytes)).then(|| Self(budget, bytes))
    }

    /// From now on the queue counts them.
    fn keep(mut self) {
        self.1 = 0;
    }
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        self.0.release(self.1);
    }
}

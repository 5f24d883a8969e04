//! Who may start a worker next: few starts at once, first come first served, and none where workers have
//! all the memory that they may have.
//!
//! A tenant has at most one place, for it holds its control while it waits; one that crashed or was
//! started a moment ago comes after those that wait. People come before timers, but not always.
//! Knows no worker: whoever gives way is found in `pressure`.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, oneshot};

use crate::Error;

/// Tenants that wait for a start at once; some minutes of work for any machine.
const MAX_WAITING: usize = 4096;

/// Starts of people in a row while a timer waits.
const PEOPLE_IN_A_ROW: u32 = 3;

/// How long a timer's wake may wait; nobody looks on, and at the full hour many are due.
const TIMERS_PATIENCE: Duration = Duration::from_mins(1);

/// How long one start may keep others from starting: a tenant whose start takes long does not hold
/// up those whose start is quick.
pub(crate) const LONGEST_PLACE: Duration = Duration::from_secs(1);

/// What a refused caller is told to wait, in seconds.
pub(crate) const RETRY_AFTER_S: u64 = 5;

/// How many workers may be started and be awake.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    /// Started at once.
    pub(crate) at_once: usize,
    /// Awake at once.
    pub(crate) awake: usize,
    /// How long a person's request waits for a place.
    pub(crate) patience: Duration,
}

/// The queue of starts. Clones are the same.
#[derive(Debug, Clone)]
pub(crate) struct Starts(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    bounds: Bounds,
    queue: Mutex<Queue>,
    short: Notify,
}

#[derive(Debug)]
struct Queue {
    waiting: VecDeque<Waiter>,
    starting: usize,
    awake: usize,
    /// Workers that memory is known to have room for; none where nothing bounds it.
    room: Option<usize>,
    people_in_a_row: u32,
}

#[derive(Debug)]
struct Waiter {
    wanted: Arc<Wanted>,
    place: oneshot::Sender<(Place, Seat)>,
}

/// Who wants a tenant's worker.
#[derive(Debug, Default)]
pub(crate) struct Wanted {
    people: AtomicUsize,
    called_off: Notify,
}

/// One request that waits for its tenant's worker.
pub(crate) struct Person(Arc<Wanted>);

/// The right to be starting a worker.
#[derive(Debug)]
pub(crate) struct Place(Starts);

/// One of the processes that may be awake; held until the process is gone.
#[derive(Debug)]
pub(crate) struct Seat(Starts);

impl Wanted {
    /// A person waits from now on, until what is given is dropped.
    pub(crate) fn by_person(self: &Arc<Self>) -> Person {
        self.people.fetch_add(1, Ordering::AcqRel);
        Person(Arc::clone(self))
    }

    /// Whoever waits in the queue for this tenant gives up.
    pub(crate) fn call_off(&self) {
        self.called_off.notify_waiters();
    }

    fn by_people(&self) -> bool {
        self.people.load(Ordering::Acquire) > 0
    }
}

impl Drop for Person {
    fn drop(&mut self) {
        self.0.people.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Starts {
    pub(crate) fn new(bounds: Bounds) -> Self {
        let queue = Queue {
            waiting: VecDeque::new(),
            starting: 0,
            awake: 0,
            room: None,
            people_in_a_row: 0,
        };
        Self(Arc::new(Shared { bounds, queue: Mutex::new(queue), short: Notify::new() }))
    }

    /// A place in the queue, and then the right to start one worker.
    ///
    /// # Errors
    /// [`Error::Full`] when the queue is full or the wait was in vain, [`Error::Suspended`] when it
    /// was called off.
    pub(crate) async fn enter(&self, wanted: &Arc<Wanted>) -> Result<(Place, Seat), Error> {
        let called_off = wanted.called_off.notified();
        let patience = if wanted.by_people() { self.0.bounds.patience } else { TIMERS_PATIENCE };
        let (place, given) = oneshot::channel();
        {
            let mut queue = self.lock();
            queue.waiting.retain(|it| !it.place.is_closed());
            if queue.waiting.len() >= MAX_WAITING {
                return Err(Error::Full);
            }
            queue.waiting.push_back(Waiter { wanted: Arc::clone(wanted), place });
        }
        self.admit();
        tokio::select! {
            given = tokio::time::timeout(patience, given) => {
                given.ok().and_then(Result::ok).ok_or(Error::Full)
            }
            () = called_off => Err(Error::Suspended),
        }
    }

    /// Whether nothing stands in the way of one more worker but the queue.
    pub(crate) fn has_room(&self) -> bool {
        self.lock().has_room(&self.0.bounds)
    }

    /// How many workers there is memory for; none where nothing bounds it.
    pub(crate) fn set_room(&self, room: Option<usize>) {
        self.lock().room = room;
        self.admit();
    }

    /// Resolves when somebody waits for a worker to give way.
    pub(crate) async fn short(&self) {
        self.0.short.notified().await;
    }

    /// Tenants that wait and cannot be started before others give way.
    pub(crate) fn held_up(&self) -> usize {
        let mut queue = self.lock();
        queue.waiting.retain(|it| !it.place.is_closed());
        if queue.has_room(&self.0.bounds) { 0 } else { queue.waiting.len() }
    }

    /// Tenants that wait, and processes that are awake.
    pub(crate) fn counts(&self) -> (usize, usize) {
        let queue = self.lock();
        (queue.waiting.len(), queue.awake)
    }

    /// How many may be starting at once.
    pub(crate) fn at_once(&self) -> usize {
        self.0.bounds.at_once
    }

    /// Lets in whoever may start now.
    fn admit(&self) {
        loop {
            let next = self.lock().next(&self.0.bounds);
            match next {
                Next::Nobody => return,
                Next::Short => return self.0.short.notify_one(),
                // Who has given up meanwhile gives both back by dropping them.
                Next::Waiter(next) => {
                    drop(next.place.send((Place(self.clone()), Seat(self.clone()))));
                }
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.0.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

enum Next {
    Nobody,
    /// Somebody waits, and there is no room.
    Short,
    Waiter(Waiter),
}

impl Queue {
    fn has_room(&self, bounds: &Bounds) -> bool {
        self.awake < bounds.awake && self.room != Some(0)
    }

    fn next(&mut self, bounds: &Bounds) -> Next {
        self.waiting.retain(|it| !it.place.is_closed());
        if self.starting >= bounds.at_once || self.waiting.is_empty() {
            return Next::Nobody;
        }
        if !self.has_room(bounds) {
            return Next::Short;
        }
        let first =
            |by_people: bool| self.waiting.iter().position(|it| it.wanted.by_people() == by_people);
        let index = match (first(true), first(false)) {
            (Some(_), Some(timer)) if self.people_in_a_row >= PEOPLE_IN_A_ROW => timer,
            (Some(person), _) => person,
            (None, timer) => timer.unwrap_or(0),
        };
        let Some(waiter) = self.waiting.remove(index) else { return Next::Nobody };
        let is_person = waiter.wanted.by_people();
        self.people_in_a_row = if is_person { self.people_in_a_row.saturating_add(1) } else { 0 };
        self.starting = self.starting.saturating_add(1);
        self.awake = self.awake.saturating_add(1);
        self.room = self.room.map(|room| room.saturating_sub(1));
        Next::Waiter(waiter)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        {
            let mut queue = self.0.lock();
            queue.starting = queue.starting.saturating_sub(1);
        }
        self.0.admit();
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        {
            let mut queue = self.0.lock();
            queue.awake = queue.awake.saturating_sub(1);
            queue.room = queue.room.map(|room| room.saturating_add(1));
        }
        self.0.admit();
    }
}

#[cfg(test)]
mod tests;

//! The last changes, for watchers. A watcher keeps a place in it and nothing else, so a slow one
//! costs no memory: what it misses is forgotten, and it is told so.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use futures_util::stream;
use tokio::sync::watch;

use crate::store::{Event, Events, Rev};

/// Changes that are kept.
const MAX_CHANGES: usize = 1024;

/// Bytes of keys and values that are kept.
const MAX_BYTES: usize = 1 << 20;

/// The writing end. Dropping it ends every watch.
#[derive(Debug)]
pub(crate) struct History {
    ring: Arc<Mutex<Ring>>,
    head: watch::Sender<Rev>,
}

#[derive(Debug)]
struct Ring {
    changes: VecDeque<(Rev, Vec<Event>)>,
    bytes: usize,
    /// Changes up to this one are no longer known.
    forgotten: Rev,
}

struct Watcher {
    ring: Arc<Mutex<Ring>>,
    head: watch::Receiver<Rev>,
    prefix: Bytes,
    seen: Rev,
    ready: VecDeque<Event>,
    ended: bool,
}

impl History {
    /// A history that starts after `rev`.
    pub(crate) fn after(rev: Rev) -> Self {
        let ring = Ring { changes: VecDeque::new(), bytes: 0, forgotten: rev };
        Self { ring: Arc::new(Mutex::new(ring)), head: watch::channel(rev).0 }
    }

    /// Shows a change to every watcher.
    pub(crate) fn push(&self, rev: Rev, events: Vec<Event>) {
        lock(&self.ring).push(rev, events);
        self.head.send_replace(rev);
    }

    /// The changes after `after` of keys that start with `prefix`.
    pub(crate) fn watch(&self, prefix: Bytes, after: Rev) -> Events {
        let watcher = Watcher {
            ring: Arc::clone(&self.ring),
            head: self.head.subscribe(),
            prefix,
            seen: after,
            ready: VecDeque::new(),
            ended: false,
        };
        Box::pin(stream::unfold(watcher, |mut watcher| async move {
            watcher.next().await.map(|event| (event, watcher))
        }))
    }
}

impl Watcher {
    async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some(event);
            }
            if self.ended {
                return None;
            }
            let head = *self.head.borrow_and_update();
            if head > self.seen {
                self.read();
            } else if self.head.changed().await.is_err() {
                return None;
            }
        }
    }

    /// Takes the next change, or learns that it is forgotten.
    fn read(&mut self) {
        let ring = lock(&self.ring);
        if self.seen < ring.forgotten {
            self.ended = true;
            self.ready.push_back(Event::Compacted);
            return;
        }
        let next = ring.changes.partition_point(|(rev, _)| *rev <= self.seen);
        if let Some((rev, events)) = ring.changes.get(next) {
            self.seen = *rev;
            let mine = events.iter().filter(|event| starts_with(event, &self.prefix));
            self.ready.extend(mine.cloned());
        }
    }
}

impl Ring {
    fn push(&mut self, rev: Rev, events: Vec<Event>) {
        self.bytes += events.iter().map(size).sum::<usize>();
        self.changes.push_back((rev, events));
        while self.changes.len() > MAX_CHANGES || self.bytes > MAX_BYTES {
            let Some((rev, events)) = self.changes.pop_front() else { return };
            self.bytes -= events.iter().map(size).sum::<usize>();
            self.forgotten = rev;
        }
    }
}

fn size(event: &Event) -> usize {
    match event {
        Event::Put(item) => item.key.len() + item.value.len(),
        Event::Deleted { key, .. } => key.len(),
        Event::Compacted => 0,
    }
}

fn starts_with(event: &Event, prefix: &[u8]) -> bool {
    match event {
        Event::Put(item) => item.key.starts_with(prefix),
        Event::Deleted { key, .. } => key.starts_with(prefix),
        Event::Compacted => true,
    }
}

fn lock(ring: &Mutex<Ring>) -> MutexGuard<'_, Ring> {
    ring.lock().unwrap_or_else(PoisonError::into_inner)
}

//! Where the lines of the books go. The ledger writes them down before it grants what they say, and
//! knows no file.

use std::fmt::Debug;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::Entry;

/// What [`Journal::write`] gives.
pub type Writing = Pin<Box<dyn Future<Output = Result<(), Unwritten>> + Send>>;

/// A line that is not in the books, and whose promise must not be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the ledger cannot be written")]
pub struct Unwritten;

/// Lines, in order, that survive the end of the process.
pub trait Journal: Debug + Send + Sync {
    /// Writes a line. The future ends when the line survives a kill of the process, and the line is
    /// under way as soon as this returns: dropping the future does not take it back, so whoever drops
    /// it still owes a line that ends the hold.
    fn write(&self, entry: Entry) -> Writing;

    /// Writes a line without waiting. It is kept until it is written; that is bounded because
    /// nothing is granted while nothing can be written.
    fn post(&self, entry: Entry);

    /// Whether the last attempt to write succeeded.
    fn is_writable(&self) -> bool;

    /// A number that no line has had before.
    fn next_id(&self) -> u64;
}

/// A journal in memory, which a test can make fail.
#[derive(Debug)]
pub struct MemoryJournal {
    entries: Mutex<Vec<Entry>>,
    kept: Mutex<Vec<Entry>>,
    writable: AtomicBool,
    next: AtomicU64,
}

impl Default for MemoryJournal {
    fn default() -> Self {
        Self {
            entries: Mutex::default(),
            kept: Mutex::default(),
            writable: AtomicBool::new(true),
            next: AtomicU64::new(1),
        }
    }
}

impl MemoryJournal {
    /// Every line so far.
    pub fn entries(&self) -> Vec<Entry> {
        locked(&self.entries).clone()
    }

    /// Makes writing fail, or work again.
    pub fn set_writable(&self, writable: bool) {
        let mut kept = locked(&self.kept);
        self.writable.store(writable, Ordering::SeqCst);
        if writable {
            locked(&self.entries).append(&mut kept);
        }
    }
}

impl Journal for MemoryJournal {
    fn write(&self, entry: Entry) -> Writing {
        let kept = locked(&self.kept);
        let written = if self.is_writable() {
            locked(&self.entries).push(entry);
            Ok(())
        } else {
            Err(Unwritten)
        };
        drop(kept);
        Box::pin(std::future::ready(written))
    }

    fn post(&self, entry: Entry) {
        // Its lock comes first everywhere, so that no line is kept for ever or overtaken.
        let mut kept = locked(&self.kept);
        if self.is_writable() {
            locked(&self.entries).push(entry);
        } else {
            kept.push(entry);
        }
    }

    fn is_writable(&self) -> bool {
        self.writable.load(Ordering::SeqCst)
    }

    fn next_id(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A list of lines is whole after every operation on it.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::task::{Context, Poll, Waker};

    use super::*;
    use crate::Kind;

    fn entry(journal: &MemoryJournal) -> Entry {
        Entry::new(Kind::Use, journal.next_id(), 0, "a".parse().unwrap())
    }

    #[test]
    fn what_was_posted_is_written_once_writing_works() {
        let journal = MemoryJournal::default();
        let write = || {
            let mut writing = journal.write(entry(&journal));
            writing.as_mut().poll(&mut Context::from_waker(Waker::noop()))
        };
        assert_eq!(write(), Poll::Ready(Ok(())));
        journal.set_writable(false);
        assert_eq!(write(), Poll::Ready(Err(Unwritten)));
        journal.post(entry(&journal));
        assert_eq!(journal.entries().len(), 1);
        journal.set_writable(true);
        let ids: Vec<u64> = journal.entries().iter().map(|entry| entry.id).collect();
        assert_eq!(ids, [1, 3]);
    }
}

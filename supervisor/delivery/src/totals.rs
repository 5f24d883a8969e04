//! What is kept for all tenants together, and how much was dealt with.
//!
//! A tenant always has its share: the bounds of all hold only for what goes beyond it, so that a few
//! tenants that fill theirs keep nobody from anything.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use crate::Error;

/// Events of all tenants that wait, all of which are known in memory.
pub const MAX_WAITING_OF_ALL: usize = 1 << 16;
/// Bytes of what waits in the boxes of all tenants.
pub const MAX_BYTES_OF_ALL: usize = 1 << 30;
/// Bytes of what is given up in the boxes of all tenants: it waits for people, and may go.
pub const MAX_DEAD_BYTES_OF_ALL: usize = 256 << 20;
/// What one box of each tenant may hold whatever others have: what a person writes in an hour.
pub const SHARE: Size = Size { rows: 64, bytes: 1 << 20 };

/// So many rows, and bytes of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Size {
    /// Rows.
    pub rows: usize,
    /// Bytes of their content.
    pub bytes: usize,
}

impl Size {
    /// With one more row of so many bytes.
    pub(crate) const fn and(self, bytes: usize) -> Self {
        Self { rows: self.rows.saturating_add(1), bytes: self.bytes.saturating_add(bytes) }
    }

    const fn fits(self, most: Self) -> bool {
        self.rows <= most.rows && self.bytes <= most.bytes
    }
}

/// Counts over all tenants.
#[derive(Debug, Default)]
pub struct Totals {
    /// Events that are neither dealt with nor given up.
    pub waiting: AtomicUsize,
    /// Bytes of what waits in all boxes.
    pub bytes: AtomicUsize,
    /// Bytes of what is given up in all boxes.
    pub dead_bytes: AtomicUsize,
    /// Events that were taken.
    pub accepted: AtomicU64,
    /// Events that came again.
    pub duplicates: AtomicU64,
    /// Events that were handed over again.
    pub redelivered: AtomicU64,
    /// Events that were dealt with.
    pub settled: AtomicU64,
    /// Events that were given up.
    pub dead: AtomicU64,
    /// Events that were given up and are gone, because there were too many or for their age.
    pub evicted: AtomicU64,
    /// Intents that were taken.
    pub intents: AtomicU64,
    /// Intents of which every part was sent.
    pub sent: AtomicU64,
    /// Intents that will not be sent.
    pub failed: AtomicU64,
    /// Intents of which nobody knows.
    pub unknown: AtomicU64,
}

impl Totals {
    /// Whether there is room beside all others for one more row, with which a tenant's box is so large.
    pub(crate) fn admit(&self, with: Size, bytes: usize, kind: Kind) -> Result<(), Error> {
        if with.fits(SHARE) {
            return Ok(());
        }
        let full = |what, max| Err(Error::Full { what, max });
        if kind == Kind::Event && self.waiting.load(Ordering::Relaxed) >= MAX_WAITING_OF_ALL {
            return full("events of all tenants that wait", MAX_WAITING_OF_ALL);
        }
        if self.bytes.load(Ordering::Relaxed).saturating_add(bytes) > MAX_BYTES_OF_ALL {
            return full("bytes of all tenants' deliveries that wait", MAX_BYTES_OF_ALL);
        }
        Ok(())
    }

    /// Whether a box with so much that is given up has more of it than there is room for.
    pub(crate) fn is_surplus(&self, dead: Size) -> bool {
        dead.bytes > SHARE.bytes && self.dead_bytes.load(Ordering::Relaxed) > MAX_DEAD_BYTES_OF_ALL
    }

    fn bytes_of(&self, kind: Kind) -> &AtomicUsize {
        match kind {
            Kind::Event | Kind::Intent => &self.bytes,
            Kind::Dead => &self.dead_bytes,
        }
    }
}

/// What room is taken for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// An event that is to be dealt with.
    Event,
    /// An intent that is to be sent.
    Intent,
    /// What is given up.
    Dead,
}

/// Room that is taken from the totals, given back when dropped.
#[derive(Debug)]
pub(crate) struct Room {
    shared: crate::Shared,
    bytes: usize,
    kind: Kind,
}

impl Room {
    /// Takes room for one row of so many bytes.
    pub(crate) fn take(shared: &crate::Shared, bytes: usize, kind: Kind) -> Self {
        let totals = shared.totals();
        totals.bytes_of(kind).fetch_add(bytes, Ordering::Relaxed);
        totals.waiting.fetch_add(usize::from(kind == Kind::Event), Ordering::Relaxed);
        Self { shared: shared.clone(), bytes, kind }
    }

    /// The row is something else from now on.
    pub(crate) fn turn(&mut self, kind: Kind) {
        *self = Self::take(&self.shared.clone(), self.bytes, kind);
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        let totals = self.shared.totals();
        totals.bytes_of(self.kind).fetch_sub(self.bytes, Ordering::Relaxed);
        totals.waiting.fetch_sub(usize::from(self.kind == Kind::Event), Ordering::Relaxed);
    }
}

/// Counts one.
pub(crate) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

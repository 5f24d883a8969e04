//! Which leases run, until when, and which keys hang on them. Leases live in the process: the lock
//! on the database proves that there is one, so those of an earlier process have ended.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use types::UnixMillis;

use crate::Error;
use crate::store::LeaseId;

/// Leases at once.
const MAX_LEASES: usize = 4096;

#[derive(Debug, Default)]
pub(crate) struct Leases {
    last: LeaseId,
    running: BTreeMap<LeaseId, Lease>,
}

#[derive(Debug)]
struct Lease {
    ttl: Duration,
    ends: UnixMillis,
    keys: BTreeSet<Bytes>,
}

impl Leases {
    pub(crate) fn start(&mut self, ttl: Duration, now: UnixMillis) -> Result<LeaseId, Error> {
        if self.running.len() >= MAX_LEASES {
            return Err(Error::TooLarge { what: "the number of leases", max: MAX_LEASES });
        }
        self.last += 1;
        let lease = Lease { ttl, ends: end(now, ttl), keys: BTreeSet::new() };
        self.running.insert(self.last, lease);
        Ok(self.last)
    }

    pub(crate) fn keep_alive(&mut self, id: LeaseId, now: UnixMillis) -> Result<Duration, Error> {
        let lease = self.running.get_mut(&id).ok_or(Error::NoLease)?;
        lease.ends = end(now, lease.ttl);
        Ok(lease.ttl)
    }

    pub(crate) fn is_running(&self, id: LeaseId) -> bool {
        self.running.contains_key(&id)
    }

    /// Ends the lease and gives the keys that hung on it.
    pub(crate) fn end(&mut self, id: LeaseId) -> Option<BTreeSet<Bytes>> {
        self.running.remove(&id).map(|lease| lease.keys)
    }

    pub(crate) fn attach(&mut self, id: LeaseId, key: Bytes) {
        if let Some(lease) = self.running.get_mut(&id) {
            lease.keys.insert(key);
        }
    }

    pub(crate) fn detach(&mut self, id: LeaseId, key: &Bytes) {
        if let Some(lease) = self.running.get_mut(&id) {
            lease.keys.remove(key);
        }
    }

    /// The leases whose time is over, in the order in which they ended.
    pub(crate) fn due(&self, now: UnixMillis) -> Vec<LeaseId> {
        let due = self.running.iter().filter(|(_, lease)| lease.ends <= now);
        let mut due: Vec<_> = due.map(|(id, lease)| (lease.ends, *id)).collect();
        due.sort_unstable();
        due.into_iter().map(|(_, id)| id).collect()
    }

    /// When the next lease ends.
    pub(crate) fn next_end(&self) -> Option<UnixMillis> {
        self.running.values().map(|lease| lease.ends).min()
    }
}

fn end(now: UnixMillis, ttl: Duration) -> UnixMillis {
    now.saturating_add(u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX))
}

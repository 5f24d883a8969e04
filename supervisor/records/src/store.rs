//! The seam under which the store can change: ordered bytes, guarded commits, watches and leases.
//!
//! Nothing here knows a tenant, and nothing above it knows sled. The same shape fits etcd.

use std::pin::Pin;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::Stream;

use crate::Error;

/// The number of a commit. It only grows.
pub type Rev = u64;

/// Names a lease.
pub type LeaseId = u64;

/// The longest key, in bytes.
pub const MAX_KEY: usize = 512;

/// The largest value, in bytes: a page of the store stays small, and nothing lands in the side
/// files that sled never syncs.
pub const MAX_VALUE: usize = 16 << 10;

/// Operations and guards of one commit: one row for each tenant that one machine can have awake,
/// several times over.
pub const MAX_OPS: usize = 1 << 14;

/// Items of one range.
pub const MAX_RANGE: usize = 1 << 12;

/// One key with its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// The key.
    pub key: Bytes,
    /// The value.
    pub value: Bytes,
    /// The commit that made the key. It differs when a key was deleted and made again.
    pub created: Rev,
    /// The commit that last wrote the value.
    pub modified: Rev,
}

/// What must hold for a commit to happen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Guard {
    /// There is no such key.
    Absent(Bytes),
    /// The key was last written by this commit.
    Modified(Bytes, Rev),
    /// The key was made by this commit, and not deleted since: the fence of an owner.
    Created(Bytes, Rev),
}

impl Guard {
    /// The key that is looked at.
    pub const fn key(&self) -> &Bytes {
        match self {
            Self::Absent(key) | Self::Modified(key, _) | Self::Created(key, _) => key,
        }
    }

    /// Whether it holds where the key's item is `found`.
    pub fn holds(&self, found: Option<&Item>) -> bool {
        match self {
            Self::Absent(_) => found.is_none(),
            Self::Modified(_, rev) => found.is_some_and(|item| item.modified == *rev),
            Self::Created(_, rev) => found.is_some_and(|item| item.created == *rev),
        }
    }
}

/// One change of a commit. They apply in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Op {
    /// Writes a value. With a lease, the key goes when the lease does; without, it stays.
    Put {
        /// The key.
        key: Bytes,
        /// The value.
        value: Bytes,
        /// Whose end ends the key.
        lease: Option<LeaseId>,
    },
    /// Removes a key, if it is there.
    Delete(Bytes),
    /// Removes every key that starts so.
    DeletePrefix(Bytes),
}

impl Op {
    /// Writes a value that stays.
    pub fn put(key: impl Into<Bytes>, value: impl Into<Bytes>) -> Self {
        Self::Put { key: key.into(), value: value.into(), lease: None }
    }
}

/// How a commit ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Commit {
    /// Everything is done and durable, as this revision.
    Done(Rev),
    /// Nothing is done: the guard at this index does not hold.
    Conflict(usize),
}

/// A change that a watcher sees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A value was written.
    Put(Item),
    /// A key was removed.
    Deleted {
        /// The key.
        key: Bytes,
        /// The commit that removed it.
        at: Rev,
    },
    /// Changes were missed, because too many came since: list again and watch from there. This is
    /// the last event of its watch.
    Compacted,
}

/// Changes, oldest first. It ends when the store closes.
pub type Events = Pin<Box<dyn Stream<Item = Event> + Send>>;

/// Ordered keys with values, one writer at a time, every answer durable.
#[async_trait]
pub trait Store: Send + Sync + std::fmt::Debug {
    /// The item at `key`.
    async fn get(&self, key: &[u8]) -> Result<Option<Item>, Error>;

    /// Up to `limit` items whose keys start with `prefix` and come after `after`, and the revision
    /// at which that was so. At most [`MAX_RANGE`] come at once.
    async fn range(
        &self,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<(Vec<Item>, Rev), Error>;

    /// Applies `ops` if every guard holds, all or nothing. It is durable when this returns.
    async fn commit(&self, guards: Vec<Guard>, ops: Vec<Op>) -> Result<Commit, Error>;

    /// The changes of keys that start with `prefix`, made after revision `after`.
    async fn watch(&self, prefix: &[u8], after: Rev) -> Result<Events, Error>;

    /// A lease that ends after `ttl` unless it is kept alive.
    async fn lease(&self, ttl: Duration) -> Result<LeaseId, Error>;

    /// Starts the lease's time anew; gives that time.
    async fn keep_alive(&self, id: LeaseId) -> Result<Duration, Error>;

    /// Ends the lease and the keys that hang on it.
    async fn revoke(&self, id: LeaseId) -> Result<(), Error>;

    /// Makes sure that nothing that was removed or replaced can be read from where the store is kept. A
    /// store that keeps nothing of it has nothing to do.
    async fn rewrite(&self) -> Result<(), Error> {
        Ok(())
    }
}

#[cfg(test)]
mod tests;

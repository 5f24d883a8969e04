//! The supervisor's own records: tenants, tokens, operators' keys, idempotency keys.
//!
//! No caller sees a key, a revision or a row's stored form. Nothing here decides who may do what.

mod approvals;
mod channels;
mod devices;
mod disk;
mod documents;
mod engine;
mod erasure;
mod error;
mod hex;
mod history;
mod idempotency;
mod inbox;
mod json;
mod keys;
mod leases;
mod memory;
mod nodes;
mod outbox;
mod overlays;
mod pairing;
mod plans;
pub mod portable;
pub mod restores;
mod rows;
mod schema;
mod sealed;
mod shared;
mod shelf;
pub mod store;
mod tenants;
mod timers;
mod tokens;

pub use channels::{
    AccountPolicy, AccountPut, AccountRow, Claimed, CodeRow, CursorRow, MAX_ACCOUNTS, MAX_CODES,
    MAX_CURSOR, MAX_LISTED, MAX_PEERS, MAX_REQUESTS, MAX_SHOWN, MAX_SHOWN_BYTES, MAX_SHOWN_ITEM,
    PageHead, PagePolicy, Pages, PathDigest, PeerKind, PeerRow, Proven, Redeemed, RequestRow, Sent,
    Showing, Shown, ShownRow, Shut,
};
pub use devices::{
    DeviceBinding, DeviceRequestRow, DeviceRole, DeviceRow, DeviceSelf, MAX_DEVICES, RoleGrant,
};
pub use disk::SledStore;
pub use documents::{Document, MAX_DOCUMENT};
pub use erasure::{Erasing, Removed};
pub use error::Error;
pub use inbox::{InboxRow, InboxState};
pub use memory::MemoryStore;
pub use nodes::{
    MAX_NODES, NodeQueueItem, NodeQueueRow, NodeRequestRow, NodeRow, NodeSelf, TriggersRow,
};
pub use outbox::{OutboxRow, OutboxState};
pub use overlays::{MAX_OVERLAY, Overlay};
pub use plans::PlanRow;
pub use rows::{IdempotencyRow, KeyRow, TenantRow, TokenRow};
pub use sealed::{DATA_KEY, SealedRow};
pub use shelf::{Inserted, Keep, KeyMark, MAX_CONTENT, Mark, Marks, Shelf};
pub use timers::TimerRow;
pub use tokens::DEVICE_ID;

use std::path::Path;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use types::SystemClock;

use store::{Commit, Guard, Item, MAX_RANGE, Op, Store};

/// How often a change is planned anew because another writer was faster.
const TRIES: usize = 32;

/// The records. Clones share one store.
#[derive(Debug, Clone)]
pub struct Records {
    store: Arc<dyn Store>,
}

impl Records {
    /// Opens the records in `dir`, which is made if need be, and migrates them.
    ///
    /// A database that cannot be opened is moved aside and rebuilt from the newest dump; that is
    /// logged as an error, because changes after the dump are lost.
    pub async fn open(dir: &Path) -> Result<Self, Error> {
        Self::over(Arc::new(SledStore::open(dir, Arc::new(SystemClock)).await?)).await
    }

    /// Records that live as long as the process, for tests.
    pub fn in_memory() -> Self {
        Self { store: Arc::new(MemoryStore::new(Arc::new(SystemClock))) }
    }

    /// Records over a store, which is migrated first.
    pub async fn over(store: Arc<dyn Store>) -> Result<Self, Error> {
        schema::migrate(&*store).await?;
        Ok(Self { store })
    }

    async fn item(&self, key: &str) -> Result<Option<Item>, Error> {
        self.store.get(key.as_bytes()).await
    }

    /// Every row whose key starts with `prefix`.
    async fn every<T: DeserializeOwned>(&self, prefix: &str) -> Result<Vec<T>, Error> {
        let (mut rows, mut after) = (Vec::new(), None::<bytes::Bytes>);
        loop {
            let page = self.store.range(prefix.as_bytes(), after.as_deref(), MAX_RANGE);
            let (items, _) = page.await?;
            let Some(last) = items.last() else { return Ok(rows) };
            after = Some(last.key.clone());
            for item in items {
                rows.push(json::decode(&item.key, &item.value)?);
            }
        }
    }

    /// Commits. False when another writer was faster, and the change is to be planned anew.
    async fn try_commit(&self, guards: Vec<Guard>, ops: Vec<Op>) -> Result<bool, Error> {
        Ok(matches!(self.store.commit(guards, ops).await?, Commit::Done(_)))
    }
}

/// That the key is as it was found.
fn unchanged(key: &str, found: Option<&Item>) -> Guard {
    let key = bytes::Bytes::copy_from_slice(key.as_bytes());
    match found {
        Some(item) => Guard::Modified(key, item.modified),
        None => Guard::Absent(key),
    }
}

fn contended(key: impl Into<String>) -> Error {
    Error::Contended { key: key.into() }
}

#[cfg(test)]
mod tests;

//! Records in memory whose answers wait, or fail, when a test wants it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use records::store::{Commit, Events, Guard, Item, LeaseId, Op, Rev, Store};
use records::{Error, MemoryStore};
use tokio::sync::Semaphore;
use types::SystemClock;

/// More than one test waits for.
const MANY: usize = 1000;

#[derive(Debug)]
pub(crate) struct Gate {
    store: MemoryStore,
    closed: AtomicBool,
    failing: AtomicBool,
    /// What may pass though it is closed, or was when it came.
    steps: Semaphore,
}

impl Default for Gate {
    fn default() -> Self {
        Self {
            store: MemoryStore::new(Arc::new(SystemClock)),
            closed: AtomicBool::new(false),
            failing: AtomicBool::new(false),
            steps: Semaphore::new(0),
        }
    }
}

impl Gate {
    /// Whatever comes waits, but for the next `steps`.
    pub(crate) fn close(&self, steps: usize) {
        self.steps.forget_permits(MANY);
        self.steps.add_permits(steps);
        self.closed.store(true, Ordering::Relaxed);
    }

    /// Whatever comes passes; what waits still does.
    pub(crate) fn bypass(&self) {
        self.closed.store(false, Ordering::Relaxed);
    }

    /// Whatever comes or waits passes.
    pub(crate) fn open(&self) {
        self.bypass();
        self.steps.add_permits(MANY);
    }

    /// Whether commits fail.
    pub(crate) fn fail(&self, failing: bool) {
        self.failing.store(failing, Ordering::Relaxed);
    }

    async fn pass(&self) {
        if self.closed.load(Ordering::Relaxed) {
            self.steps.acquire().await.unwrap().forget();
        }
    }
}

#[async_trait::async_trait]
impl Store for Gate {
    async fn get(&self, key: &[u8]) -> Result<Option<Item>, Error> {
        self.pass().await;
        self.store.get(key).await
    }

    async fn range(
        &self,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<(Vec<Item>, Rev), Error> {
        self.pass().await;
        self.store.range(prefix, after, limit).await
    }

    async fn commit(&self, guards: Vec<Guard>, ops: Vec<Op>) -> Result<Commit, Error> {
        self.pass().await;
        if self.failing.load(Ordering::Relaxed) {
            return Err(Error::Closed);
        }
        self.store.commit(guards, ops).await
    }

    async fn watch(&self, prefix: &[u8], after: Rev) -> Result<Events, Error> {
        self.store.watch(prefix, after).await
    }

    async fn lease(&self, ttl: Duration) -> Result<LeaseId, Error> {
        self.store.lease(ttl).await
    }

    async fn keep_alive(&self, id: LeaseId) -> Result<Duration, Error> {
        self.store.keep_alive(id).await
    }

    async fn revoke(&self, id: LeaseId) -> Result<(), Error> {
        self.store.revoke(id).await
    }
}

//! Records that stop at a commit, as a crash has it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use records::store::{Commit, Events, Guard, Item, LeaseId, Op, Rev, Store};
use records::{Error as RecordsError, MemoryStore, Records};
use settings::{Platform, SealKey, Settings};
use types::{Clock, Limits, ManualClock, TenantId};

use crate::Shared;

/// 2026-11-22T12:00:00Z.
pub(crate) const NOW: u64 = 1_795_348_800_000;

/// A store that stops after some commits. The one at which it stops may take place all the same.
#[derive(Debug)]
pub(crate) struct Stopping {
    pub(crate) store: MemoryStore,
    pub(crate) left: AtomicUsize,
    pub(crate) last_counts: bool,
    /// Whoever holds it has commits wait.
    pub(crate) held: tokio::sync::Mutex<()>,
}

impl Stopping {
    pub(crate) fn is_over(&self) -> bool {
        self.left.load(Ordering::SeqCst) == 0
    }
}

#[async_trait::async_trait]
impl Store for Stopping {
    async fn get(&self, key: &[u8]) -> Result<Option<Item>, RecordsError> {
        if self.is_over() { Err(RecordsError::Closed) } else { self.store.get(key).await }
    }

    async fn range(
        &self,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<(Vec<Item>, Rev), RecordsError> {
        if self.is_over() {
            return Err(RecordsError::Closed);
        }
        self.store.range(prefix, after, limit).await
    }

    async fn commit(&self, guards: Vec<Guard>, ops: Vec<Op>) -> Result<Commit, RecordsError> {
        drop(self.held.lock().await);
        if self.is_over() {
            return Err(RecordsError::Closed);
        }
        if self.left.fetch_sub(1, Ordering::SeqCst) > 1 {
            return self.store.commit(guards, ops).await;
        }
        if self.last_counts {
            self.store.commit(guards, ops).await?;
        }
        Err(RecordsError::Closed)
    }

    async fn watch(&self, prefix: &[u8], after: Rev) -> Result<Events, RecordsError> {
        self.store.watch(prefix, after).await
    }

    async fn lease(&self, ttl: Duration) -> Result<LeaseId, RecordsError> {
        self.store.lease(ttl).await
    }

    async fn keep_alive(&self, id: LeaseId) -> Result<Duration, RecordsError> {
        self.store.keep_alive(id).await
    }

    async fn revoke(&self, id: LeaseId) -> Result<(), RecordsError> {
        self.store.revoke(id).await
    }
}

pub(crate) struct House {
    pub(crate) store: Arc<Stopping>,
    pub(crate) records: Records,
    pub(crate) settings: Settings,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) tenant: TenantId,
}

impl House {
    pub(crate) async fn new(last_counts: bool) -> Self {
        let clock = Arc::new(ManualClock::at(NOW));
        let time: Arc<dyn Clock> = Arc::<ManualClock>::clone(&clock);
        let store = MemoryStore::new(time);
        let left = AtomicUsize::new(usize::MAX);
        let store =
            Arc::new(Stopping { store, left, last_counts, held: tokio::sync::Mutex::default() });
        let seam: Arc<dyn Store> = Arc::<Stopping>::clone(&store);
        let records = Records::over(seam).await.unwrap();
        let tenant: TenantId = "acme".parse().unwrap();
        records.insert_tenant(&tenant, 1, Limits::default()).await.unwrap();
        let key = SealKey::random().unwrap();
        let settings = Settings::new(records.clone(), Platform::default(), key);
        settings.sealer(&tenant).await.unwrap();
        Self { store, records, settings, clock, tenant }
    }

    /// What boxes of the next run of the gateway share.
    pub(crate) fn shared(&self) -> Shared {
        let clock: Arc<dyn Clock> = Arc::<ManualClock>::clone(&self.clock);
        Shared::new(self.records.clone(), self.settings.clone(), clock)
    }

    /// Another tenant, with its own boxes.
    pub(crate) async fn neighbour(&self, name: &str, index: u64) -> TenantId {
        let tenant: TenantId = name.parse().unwrap();
        self.records.insert_tenant(&tenant, index, Limits::default()).await.unwrap();
        self.settings.sealer(&tenant).await.unwrap();
        tenant
    }

    pub(crate) fn stop_after(&self, commits: usize) {
        self.store.left.store(commits, Ordering::SeqCst);
    }
}

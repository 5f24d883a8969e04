//! The end of a tenant in steps that can be repeated: marked first, so that whoever starts the gateway
//! next knows what is to be finished; its row last, because its name is taken until all is gone.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use types::{TenantId, UnixMillis};

use crate::store::{Guard, MAX_RANGE, Op};
use crate::{
    Error, Records, TRIES, TenantRow, approvals, channels, contended, devices, hex, json, nodes,
    overlays, pairing, plans, restores, sealed, shelf, tenants, timers, tokens, unchanged,
};

/// The mark of a tenant that is being erased.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Erasing {
    /// Who asked for it.
    pub by: String,
    /// When.
    pub at: UnixMillis,
    /// What was removed; none before it is.
    #[serde(default)]
    pub removed: Option<Removed>,
}

/// What was removed from the records.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Removed {
    /// Rows by kind; kinds of which there were none are left out.
    pub rows: BTreeMap<String, u64>,
    /// SHA-256 over the sealed form of the tenant's own key, in hex; none where it had none.
    pub key: Option<String>,
}

/// Every kind of rows that go with a tenant, and under which keys they are.
fn kinds(id: &TenantId) -> Vec<(&'static str, Op)> {
    let prefix = |key: String| Op::DeletePrefix(key.into());
    let mut kinds = vec![
        ("tokens", prefix(tokens::prefix(id))),
        ("deviceTokens", prefix(tokens::device_prefix(id))),
        ("timers", Op::Delete(timers::key(id).into())),
        ("counters", prefix(pairing::counters(id))),
        ("settings", overlays::deletions(id)),
        ("secrets", sealed::deletions(id)),
        ("approvals", approvals::deletions(id)),
        ("restores", restores::deletions(id)),
        ("backupPlans", Op::Delete(plans::key(id).into())),
    ];
    let paired = ["devices", "deviceRequests"].into_iter().zip(devices::prefixes(id));
    kinds.extend(paired.map(|(kind, key)| (kind, prefix(key))));
    let nodes_of = ["nodes", "nodeRequests", "nodeQueues", "nodeTriggers"];
    let nodes = nodes_of.into_iter().zip(nodes::prefixes(id));
    kinds.extend(nodes.map(|(kind, key)| (kind, prefix(key))));
    kinds.extend(channels::prefixes(id).map(|(kind, key)| (kind, prefix(key))));
    kinds.extend(shelf::deletions(id).map(|op| ("deliveries", op)));
    kinds
}

impl Records {
    /// Marks a tenant as one that is being erased, and suspends it. One that is marked stays as it was
    /// marked first.
    pub async fn begin_erasure(
        &self,
        id: &TenantId,
        by: &str,
        now: UnixMillis,
    ) -> Result<TenantRow, Error> {
        let mark = Erasing { by: by.to_owned(), at: now, removed: None };
        self.update_tenant(id, |row| {
            row.suspended = true;
            row.erasing.get_or_insert_with(|| mark.clone());
        })
        .await
    }

    /// Removes everything of a marked tenant but its row, its own key with it, and writes down what
    /// that was, in one commit. Where it was done before, says what was removed then.
    pub async fn erase(&self, id: &TenantId) -> Result<Removed, Error> {
        for _ in 0..TRIES {
            let item = self.item(&tenants::key(id)).await?.ok_or(Error::NotFound)?;
            let mut row: TenantRow = json::decode(&item.key, &item.value)?;
            let mark = row.erasing.as_mut().ok_or(Error::NotFound)?;
            let removed = match mark.removed.take() {
                Some(removed) => removed,
                None => self.count(id).await?,
            };
            mark.removed = Some(removed.clone());
            let mut ops: Vec<_> = kinds(id).into_iter().map(|(_, op)| op).collect();
            ops.extend(self.channel_deletions(id).await?);
            ops.push(Op::put(tenants::key(id), json::encode(&row, Some(&item.value))?));
            if self.try_commit(vec![unchanged(&tenants::key(id), Some(&item))], ops).await? {
                return Ok(removed);
            }
        }
        Err(contended(tenants::key(id)))
    }

    /// Makes sure that the store's files hold nothing that was removed. Takes as long as writing all that
    /// is there.
    pub async fn rewrite(&self) -> Result<(), Error> {
        self.store.rewrite().await
    }

    /// Removes a tenant with everything that it has, so that a later tenant of the same name starts with
    /// nothing of it.
    pub async fn delete_tenant(&self, id: &TenantId) -> Result<(), Error> {
        for _ in 0..TRIES {
            let item = self.item(&tenants::key(id)).await?.ok_or(Error::NotFound)?;
            let mut ops: Vec<_> = kinds(id).into_iter().map(|(_, op)| op).collect();
            ops.extend(self.channel_deletions(id).await?);
            ops.push(Op::Delete(tenants::key(id).into()));
            if self.try_commit(vec![Guard::Created(item.key, item.created)], ops).await? {
                return Ok(());
            }
        }
        Err(contended(tenants::key(id)))
    }

    async fn count(&self, id: &TenantId) -> Result<Removed, Error> {
        let mut rows = BTreeMap::new();
        for (kind, op) in kinds(id) {
            let (Op::Delete(key) | Op::DeletePrefix(key)) = &op else { continue };
            let (mut count, mut after) = (0, None::<bytes::Bytes>);
            loop {
                let (items, _) = self.store.range(key, after.as_deref(), MAX_RANGE).await?;
                let Some(last) = items.last() else { break };
                after = Some(last.key.clone());
                // A timer's key is another's prefix where that one's name is longer.
                let whole =
                    |it: &&crate::store::Item| !matches!(op, Op::Delete(_)) || it.key == *key;
                count += u64::try_from(items.iter().filter(whole).count()).unwrap_or(u64::MAX);
            }
            if count > 0 {
                *rows.entry(kind.to_owned()).or_default() += count;
            }
        }
        let digest =
            |bytes: &[u8]| hex::encode(ring::digest::digest(&ring::digest::SHA256, bytes).as_ref());
        let key = self.sealed(id, sealed::DATA_KEY).await?.map(|row| digest(&row.sealed));
        Ok(Removed { rows, key })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use async_trait::async_trait;
    use types::{Limits, SystemClock};

    use super::*;
    use crate::store::{Commit, Events, Item, LeaseId, Rev, Store};
    use crate::{Document, MemoryStore, SealedRow};

    /// A store that stops at its n-th commit, as if the power had gone.
    #[derive(Debug)]
    struct Stops {
        inner: Arc<dyn Store>,
        left: AtomicUsize,
    }

    #[async_trait]
    impl Store for Stops {
        async fn get(&self, key: &[u8]) -> Result<Option<Item>, Error> {
            self.inner.get(key).await
        }

        async fn range(
            &self,
            prefix: &[u8],
            after: Option<&[u8]>,
            limit: usize,
        ) -> Result<(Vec<Item>, Rev), Error> {
            self.inner.range(prefix, after, limit).await
        }

        async fn commit(&self, guards: Vec<Guard>, ops: Vec<Op>) -> Result<Commit, Error> {
            let left = self.left.load(Ordering::Relaxed);
            let left = left.checked_sub(1).ok_or(Error::Closed)?;
            self.left.store(left, Ordering::Relaxed);
            self.inner.commit(guards, ops).await
        }

        async fn watch(&self, prefix: &[u8], after: Rev) -> Result<Events, Error> {
            self.inner.watch(prefix, after).await
        }

        async fn lease(&self, ttl: Duration) -> Result<LeaseId, Error> {
            self.inner.lease(ttl).await
        }

        async fn keep_alive(&self, id: LeaseId) -> Result<Duration, Error> {
            self.inner.keep_alive(id).await
        }

        async fn revoke(&self, id: LeaseId) -> Result<(), Error> {
            self.inner.revoke(id).await
        }
    }

    async fn filled() -> (Arc<dyn Store>, Removed) {
        let store: Arc<dyn Store> = Arc::new(MemoryStore::new(Arc::new(SystemClock)));
        let records = Records::over(Arc::clone(&store)).await.unwrap();
        let (a, aa) = ("a".parse().unwrap(), "aa".parse().unwrap());
        for id in [&a, &aa] {
            records.insert_tenant(id, 1, Limits::default()).await.unwrap();
            records.set_timer(id, Some(7)).await.unwrap();
        }
        let document = Document { raw: "{}".to_owned(), hash: "h".to_owned(), updated_at: 1 };
        records.replace_overlay(&a, None, &document).await.unwrap();
        let key = SealedRow { name: sealed::DATA_KEY.to_owned(), sealed: vec![7; 3] };
        records.seal_once(&a, key).await.unwrap();
        let rows = [("secrets", 1), ("settings", 2), ("timers", 1)];
        let rows = rows.into_iter().map(|(kind, count)| (kind.to_owned(), count)).collect();
        let digest = ring::digest::digest(&ring::digest::SHA256, &[7; 3]);
        (store, Removed { rows, key: Some(hex::encode(digest.as_ref())) })
    }

    async fn end(records: &Records, id: &TenantId, by: &str) -> Result<Removed, Error> {
        records.begin_erasure(id, by, 5).await?;
        let removed = records.erase(id).await?;
        records.rewrite().await?;
        records.delete_tenant(id).await?;
        Ok(removed)
    }

    #[tokio::test]
    async fn an_erasure_that_stops_at_any_commit_is_finished_by_the_next() {
        let id: TenantId = "a".parse().unwrap();
        for commits in 0..3 {
            let (store, expected) = filled().await;
            let stops = Stops { inner: Arc::clone(&store), left: AtomicUsize::new(commits) };
            let records = Records { store: Arc::new(stops) };
            end(&records, &id, "first").await.unwrap_err();
            let records = Records::over(Arc::clone(&store)).await.unwrap();
            let row = records.tenant(&id).await.unwrap().unwrap();
            assert_eq!(row.erasing.is_some(), commits > 0, "marked before anything else");
            assert_eq!(row.suspended, commits > 0);
            if let Some(mark) = &row.erasing {
                assert_eq!((mark.by.as_str(), mark.at), ("first", 5));
                assert_eq!(mark.removed.is_some(), commits > 1);
            }
            // Whoever finishes it says what was removed, though it was gone by then.
            assert_eq!(end(&records, &id, "second").await.unwrap(), expected);
            assert_eq!(records.tenant(&id).await.unwrap(), None);
            let (left, _) = store.range(b"", None, MAX_RANGE).await.unwrap();
            let of_a = left
                .iter()
                .filter(|it| String::from_utf8_lossy(&it.key).split('/').any(|part| part == "a"));
            assert_eq!(of_a.count(), 0);
            assert_eq!(records.timers().await.unwrap().len(), 1, "the other's is there");
        }
    }

    #[tokio::test]
    async fn nothing_is_erased_that_is_not_marked() {
        let (store, _) = filled().await;
        let records = Records::over(store).await.unwrap();
        let id: TenantId = "a".parse().unwrap();
        assert!(matches!(records.erase(&id).await, Err(Error::NotFound)));
        assert!(records.overlay(&id).await.unwrap().is_some());
    }
}

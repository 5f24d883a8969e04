//! The table of tenants.

use types::{Limits, TenantId, UnixMillis};

use crate::restores::{self, RestoreRow};
use crate::store::{MAX_RANGE, Op};
use crate::{Error, Records, TRIES, TenantRow, contended, json, unchanged};

pub(crate) const PREFIX: &str = "tenant/";

/// The index of the next tenant. It only grows, so an index is never used again.
pub(crate) const NEXT_INDEX: &str = "meta/next-index";

/// Where a tenant's row is.
pub(crate) fn key(id: &TenantId) -> String {
    format!("{PREFIX}{id}")
}

impl Records {
    /// One tenant.
    pub async fn tenant(&self, id: &TenantId) -> Result<Option<TenantRow>, Error> {
        let item = self.item(&key(id)).await?;
        item.map(|item| json::decode(&item.key, &item.value)).transpose()
    }

    /// One tenant's row as it is stored: what a digest of the row is made of.
    pub async fn stored_tenant(&self, id: &TenantId) -> Result<Option<Vec<u8>>, Error> {
        Ok(self.item(&key(id)).await?.map(|item| item.value.to_vec()))
    }

    /// Up to `limit` tenants after `after`, in the order of their ids.
    pub async fn tenants(
        &self,
        after: Option<&TenantId>,
        limit: usize,
    ) -> Result<Vec<TenantRow>, Error> {
        let after = after.map(key);
        let after = after.as_deref().map(str::as_bytes);
        let (items, _) = self.store.range(PREFIX.as_bytes(), after, limit.min(MAX_RANGE)).await?;
        items.iter().map(|item| json::decode(&item.key, &item.value)).collect()
    }

    /// Registers a tenant, with an index that no tenant had before.
    pub async fn insert_tenant(
        &self,
        id: &TenantId,
        now: UnixMillis,
        limits: Limits,
    ) -> Result<TenantRow, Error> {
        self.insert(id, (now, limits), &[]).await
    }

    /// Registers the tenant of a restore, and writes in the same commit that the restore has begun.
    ///
    /// # Errors
    /// As [`Records::insert_tenant`].
    pub async fn insert_tenant_for(
        &self,
        step: &RestoreRow,
        now: UnixMillis,
        limits: Limits,
    ) -> Result<TenantRow, Error> {
        self.insert(&step.tenant, (now, limits), &[restores::begun(step)?]).await
    }

    async fn insert(
        &self,
        id: &TenantId,
        (now, limits): (UnixMillis, Limits),
        also: &[Op],
    ) -> Result<TenantRow, Error> {
        let mut row = TenantRow {
            id: id.clone(),
            index: 0,
            created_at: now,
            suspended: false,
            limits,
            last_active_at: None,
            disk: None,
            egress: Vec::new(),
            erasing: None,
        };
        for _ in 0..TRIES {
            let next = self.item(NEXT_INDEX).await?;
            let taken = next.as_ref().map(|next| json::number(&next.key, &next.value));
            let index = taken.transpose()?.unwrap_or(0);
            row.index = u32::try_from(index)
                .ok()
                .ok_or(Error::TooLarge { what: "a tenant's index", max: 0xffff_ffff })?;
            if self.item(&key(id)).await?.is_some() {
                return Err(Error::Exists);
            }
            let guards = vec![unchanged(NEXT_INDEX, next.as_ref()), unchanged(&key(id), None)];
            let mut ops = vec![
                Op::put(NEXT_INDEX, (index + 1).to_string().into_bytes()),
                Op::put(key(id), json::encode(&row, None)?),
            ];
            ops.extend_from_slice(also);
            if self.try_commit(guards, ops).await? {
                return Ok(row);
            }
        }
        Err(contended(NEXT_INDEX))
    }

    /// Changes a tenant and gives the new row. Its name and index stay as they are. `change` is
    /// called again where another writer was faster.
    pub async fn update_tenant(
        &self,
        id: &TenantId,
        mut change: impl FnMut(&mut TenantRow) + Send,
    ) -> Result<TenantRow, Error> {
        for _ in 0..TRIES {
            let item = self.item(&key(id)).await?.ok_or(Error::NotFound)?;
            let old: TenantRow = json::decode(&item.key, &item.value)?;
            let mut row = old.clone();
            change(&mut row);
            (row.id, row.index) = (old.id, old.index);
            let ops = vec![Op::put(key(id), json::encode(&row, Some(&item.value))?)];
            if self.try_commit(vec![unchanged(&key(id), Some(&item))], ops).await? {
                return Ok(row);
            }
        }
        Err(contended(key(id)))
    }
}

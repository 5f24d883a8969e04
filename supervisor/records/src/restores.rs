//! Restores that are under way: which, and what the tenant's records were before. A gateway that is
//! killed finds here what is to be undone.
//!
//! Records change in one commit and change back in one commit. What goes with a tenant's root is not
//! known here.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use types::{TenantId, UnixMillis};

use crate::portable::Portable;
use crate::store::{Guard, MAX_OPS, MAX_RANGE, Op};
use crate::{
    Error, Records, SealedRow, TRIES, approvals, channels, contended, devices, json, nodes,
    overlays, sealed, tenants, timers, tokens, unchanged,
};

const PREFIX: &str = "restore/";

/// How far a restore has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// The tenant has what it had before.
    Begun,
    /// Its records are those of the backup, and it is not known yet whether it works with them.
    Switched,
    /// It works with them: its new root stays, and the old one goes.
    Decided,
}

/// One restore that is under way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RestoreRow {
    /// Into which tenant.
    pub tenant: TenantId,
    /// Of which backup.
    pub backup: String,
    /// Whether the tenant was made for it, and goes where it fails.
    pub made: bool,
    /// How far it has come.
    pub phase: Phase,
    /// When it was begun.
    pub started_at: UnixMillis,
}

/// What takes the place of a tenant's records.
#[derive(Debug, Default)]
pub struct Replacement {
    /// Rows.
    pub rows: Vec<Portable>,
    /// Secrets, sealed for this tenant.
    pub sealed: Vec<SealedRow>,
}

fn prefix(tenant: &TenantId) -> String {
    format!("{PREFIX}{tenant}/")
}

fn step(tenant: &TenantId) -> String {
    format!("{}step", prefix(tenant))
}

fn old(tenant: &TenantId) -> String {
    format!("{}old/", prefix(tenant))
}

/// That a restore has begun.
pub(crate) fn begun(row: &RestoreRow) -> Result<Op, Error> {
    Ok(Op::put(step(&row.tenant), json::encode(row, None)?))
}

/// What goes with the tenant.
pub(crate) fn deletions(tenant: &TenantId) -> Op {
    Op::DeletePrefix(prefix(tenant).into())
}

/// How the keys of what is replaced begin.
fn replaced(tenant: &TenantId, authority: bool) -> Vec<String> {
    let mut all = vec![
        overlays::TABLE.of(tenant),
        // The data key stays: see `kept`.
        sealed::prefix(tenant),
        nodes::triggers_key(tenant),
        // No other tenant's name begins so, as a timer's key is the whole name: see `is_exact`.
        timers::key(tenant),
    ];
    if authority {
        all.extend([
            tokens::prefix(tenant),
            tokens::device_prefix(tenant),
            approvals::TABLE.of(tenant),
        ]);
        all.extend(devices::prefixes(tenant));
        all.extend(nodes::prefixes(tenant));
        all.extend(channels::prefixes(tenant).map(|(_, key)| key));
    }
    all
}

impl Records {
    /// Writes down that a restore has begun.
    ///
    /// # Errors
    /// [`Error::Exists`] where one is under way and not decided yet, [`Error::NotFound`] where there is
    /// no such tenant.
    pub async fn begin_restore(&self, row: &RestoreRow) -> Result<(), Error> {
        let key = step(&row.tenant);
        for _ in 0..TRIES {
            let owner = self.item(&tenants::key(&row.tenant)).await?.ok_or(Error::NotFound)?;
            let before = self.restore_found(&row.tenant).await?;
            if before.as_ref().is_some_and(|(_, row)| row.phase != Phase::Decided) {
                return Err(Error::Exists);
            }
            let before = before.map(|(item, _)| item);
            let guards =
                vec![Guard::Created(owner.key, owner.created), unchanged(&key, before.as_ref())];
            let ops = vec![Op::put(key.clone(), json::encode(row, None)?)];
            if self.try_commit(guards, ops).await? {
                return Ok(());
            }
        }
        Err(contended(key))
    }

    /// Every restore that is under way.
    pub async fn restores(&self) -> Result<Vec<RestoreRow>, Error> {
        let (mut rows, mut after) = (Vec::new(), None::<Bytes>);
        loop {
            let page = self.store.range(PREFIX.as_bytes(), after.as_deref(), MAX_RANGE);
            let (items, _) = page.await?;
            let Some(last) = items.last() else { return Ok(rows) };
            after = Some(last.key.clone());
            for item in items.iter().filter(|item| item.key.ends_with(b"/step")) {
                // What is kept of a tenant's records has other keys, whatever they were called.
                rows.push(json::decode(&item.key, &item.value)?);
            }
        }
    }

    /// Puts the replacement in the place of the tenant's records and keeps those, in one commit. Rows
    /// that give authority are replaced only in a tenant that was made for the restore.
    ///
    /// # Errors
    /// When no restore is under way, or a row cannot be stored; nothing is changed then.
    pub async fn switch_restore(&self, tenant: &TenantId, with: Replacement) -> Result<(), Error> {
        let Replacement { rows, sealed } = with;
        let authority = self.restore_of(tenant).await?.1.made;
        let mut new = Vec::new();
        for row in rows.into_iter().filter(|row| authority || !row.is_authority()) {
            new.extend(row.stored(tenant)?);
        }
        for row in sealed.iter().filter(|row| row.name != sealed::DATA_KEY) {
            new.push((sealed::key(tenant, &row.name), sealed::encode(row)?));
        }
        for _ in 0..TRIES {
            let (found, mut row) = self.restore_of(tenant).await?;
            let mut ops = Vec::new();
            let mut guards = vec![unchanged(&step(tenant), Some(&found))];
            let mut number = 0_usize;
            for prefix in replaced(tenant, authority) {
                for item in self.items(&prefix, is_kept(tenant)).await? {
                    let place = format!("{}{number:06}", old(tenant));
                    ops.push(Op::put(format!("{place}/k"), item.key.clone()));
                    ops.push(Op::put(format!("{place}/v"), item.value));
                    ops.push(Op::Delete(item.key.clone()));
                    guards.push(Guard::Modified(item.key, item.modified));
                    number = number.saturating_add(1);
                }
            }
            ops.extend(new.iter().map(|(key, value)| Op::put(key.clone(), value.clone())));
            row.phase = Phase::Switched;
            ops.push(Op::put(step(tenant), json::encode(&row, Some(&found.value))?));
            if ops.len() > MAX_OPS {
                return Err(Error::TooLarge { what: "the records of a tenant", max: MAX_OPS });
            }
            if self.try_commit(guards, ops).await? {
                return Ok(());
            }
        }
        Err(contended(step(tenant)))
    }

    /// The tenant keeps what it was restored to: what was replaced is not needed any more. Nothing where
    /// no restore is under way.
    ///
    /// # Errors
    /// When the records fail.
    pub async fn decide_restore(&self, tenant: &TenantId) -> Result<(), Error> {
        for _ in 0..TRIES {
            let Some((found, mut row)) = self.restore_found(tenant).await? else { return Ok(()) };
            row.phase = Phase::Decided;
            let value = json::encode(&row, Some(&found.value))?;
            let ops = vec![Op::DeletePrefix(old(tenant).into()), Op::put(step(tenant), value)];
            if self.try_commit(vec![unchanged(&step(tenant), Some(&found))], ops).await? {
                return Ok(());
            }
        }
        Err(contended(step(tenant)))
    }

    /// Whether a restore is under way that was decided.
    ///
    /// # Errors
    /// When the records fail.
    pub async fn is_restore_decided(&self, tenant: &TenantId) -> Result<bool, Error> {
        let found = self.restore_found(tenant).await?;
        Ok(found.is_some_and(|(_, row)| row.phase == Phase::Decided))
    }

    /// Puts back what the restore has replaced and forgets it, in one commit. One that was decided is
    /// only forgotten. Nothing where none is under way.
    ///
    /// # Errors
    /// When the records fail.
    pub async fn undo_restore(&self, tenant: &TenantId) -> Result<(), Error> {
        for _ in 0..TRIES {
            let Some((found, row)) = self.restore_found(tenant).await? else { return Ok(()) };
            let mut ops = Vec::new();
            if row.phase == Phase::Switched {
                for prefix in replaced(tenant, row.made) {
                    let there = self.items(&prefix, is_kept(tenant)).await?;
                    ops.extend(there.into_iter().map(|item| Op::Delete(item.key)));
                }
                let kept = self.items(&old(tenant), |_| false).await?;
                let mut kept = kept.into_iter();
                while let (Some(key), Some(value)) = (kept.next(), kept.next()) {
                    ops.push(Op::put(key.value, value.value));
                }
            }
            ops.push(deletions(tenant));
            if self.try_commit(vec![unchanged(&step(tenant), Some(&found))], ops).await? {
                return Ok(());
            }
        }
        Err(contended(step(tenant)))
    }

    /// The restore is over, and what it has replaced goes.
    ///
    /// # Errors
    /// When the records fail.
    pub async fn finish_restore(&self, tenant: &TenantId) -> Result<(), Error> {
        self.store.commit(Vec::new(), vec![deletions(tenant)]).await?;
        Ok(())
    }

    async fn restore_of(
        &self,
        tenant: &TenantId,
    ) -> Result<(crate::store::Item, RestoreRow), Error> {
        self.restore_found(tenant).await?.ok_or(Error::NotFound)
    }

    async fn restore_found(
        &self,
        tenant: &TenantId,
    ) -> Result<Option<(crate::store::Item, RestoreRow)>, Error> {
        let Some(item) = self.item(&step(tenant)).await? else { return Ok(None) };
        let row = json::decode(&item.key, &item.value)?;
        Ok(Some((item, row)))
    }

    /// Every item whose key begins so, but those that `leave` says stay out of it.
    async fn items(
        &self,
        prefix: &str,
        leave: impl Fn(&[u8]) -> bool,
    ) -> Result<Vec<crate::store::Item>, Error> {
        let (mut all, mut after) = (Vec::new(), None::<Bytes>);
        loop {
            let page = self.store.range(prefix.as_bytes(), after.as_deref(), MAX_RANGE);
            let (items, _) = page.await?;
            let Some(last) = items.last() else { return Ok(all) };
            after = Some(last.key.clone());
            all.extend(items.into_iter().filter(|item| !leave(&item.key)));
        }
    }
}

/// What is no part of a replacement: the tenant's own key, and timers of tenants whose names begin as
/// this one's.
fn is_kept(tenant: &TenantId) -> impl Fn(&[u8]) -> bool {
    let data_key = sealed::key(tenant, sealed::DATA_KEY);
    let timer = timers::key(tenant);
    move |key| {
        let longer = key.starts_with(timer.as_bytes()) && key != timer.as_bytes();
        key == data_key.as_bytes() || longer
    }
}

#[cfg(test)]
mod tests;

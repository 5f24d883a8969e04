//! Which backups there are, and which of them go.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use types::{TenantId, UnixMillis};

use crate::format::keys::DataKey;
use crate::format::manifest::Manifest;
use crate::id::BackupId;
use crate::store::{self, Key, Store};
use crate::{Backups, Error, Inner, create, reader};

/// Manifests that are read at once.
const AT_ONCE: usize = 8;

/// One backup that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its name.
    pub backup: BackupId,
    /// Bytes of it as it is stored.
    pub size: u64,
    /// When its manifest was written, as the store says.
    pub modified_at: UnixMillis,
    /// What it says of itself; none where the tenant's key has not signed it: another installation's,
    /// or one of before the tenant's key was destroyed, or one that somebody has changed.
    pub manifest: Option<Manifest>,
}

impl Backups {
    /// The tenant's backups, newest first.
    ///
    /// # Errors
    /// When the store fails, or the tenant is not there.
    pub async fn list(&self, tenant: &TenantId) -> Result<Vec<Listed>, Error> {
        if !self.0.roots.exists(tenant) {
            return Err(Error::NoTenant);
        }
        list(&self.0, tenant).await
    }

    /// One backup.
    ///
    /// # Errors
    /// When it is not there, or not this tenant's.
    pub async fn show(&self, backup: &BackupId) -> Result<Manifest, Error> {
        let key = self.0.key(backup.tenant()).await?;
        reader::manifest(&*self.0.store()?, backup, &key).await
    }

    /// Removes one backup.
    ///
    /// # Errors
    /// When it is not there, or the store fails.
    pub async fn remove(&self, backup: &BackupId) -> Result<(), Error> {
        let store = self.0.store()?;
        if !objects(&*store, backup.tenant()).await?.contains_key(backup) {
            return Err(Error::NotFound);
        }
        store.remove(&Key::manifest(backup)).await?;
        Ok(store.remove(&Key::data(backup)).await?)
    }

    /// Removes the tenant's backups that are not to be kept; gives their names.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn prune(&self, tenant: &TenantId) -> Result<Vec<BackupId>, Error> {
        if !self.0.roots.exists(tenant) {
            return Err(Error::NoTenant);
        }
        prune(&self.0, tenant).await
    }
}

/// The objects of one backup.
#[derive(Debug, Default)]
struct Objects {
    data: Option<store::Entry>,
    manifest: Option<store::Entry>,
}

async fn objects(
    store: &dyn Store,
    tenant: &TenantId,
) -> Result<BTreeMap<BackupId, Objects>, Error> {
    let mut all: BTreeMap<BackupId, Objects> = BTreeMap::new();
    for entry in store.list(&Key::prefix(tenant)).await? {
        let Some((backup, is_manifest)) = store::parse(tenant, &entry.key) else { continue };
        let objects = all.entry(backup).or_default();
        let place = if is_manifest { &mut objects.manifest } else { &mut objects.data };
        *place = Some(entry);
    }
    Ok(all)
}

/// How many a tenant has.
pub(crate) async fn count(store: &dyn Store, tenant: &TenantId) -> Result<usize, Error> {
    Ok(objects(store, tenant).await?.values().filter(|it| it.manifest.is_some()).count())
}

pub(crate) async fn list(inner: &Inner, tenant: &TenantId) -> Result<Vec<Listed>, Error> {
    let store = inner.store()?;
    let key = inner.key(tenant).await?;
    let whole = objects(&*store, tenant).await?.into_iter().rev();
    let whole = whole.filter_map(|(backup, objects)| {
        let modified_at = objects.manifest?.modified_at;
        Some((backup, objects.data.map_or(0, |it| it.size), modified_at))
    });
    let listed = stream::iter(whole).map(|(backup, size, modified_at)| {
        let (store, key) = (Arc::clone(&store), Arc::clone(&key));
        async move {
            let manifest = vouched(&*store, &backup, &key).await?;
            Ok::<_, Error>(Listed { backup, size, modified_at, manifest })
        }
    });
    let mut listed: Vec<Listed> = listed.buffered(AT_ONCE).try_collect().await?;
    // Names know the second alone.
    let begun = |it: &Listed| it.manifest.as_ref().map_or(it.modified_at, |it| it.created_at);
    listed.sort_by(|a, b| (begun(b), &b.backup).cmp(&(begun(a), &a.backup)));
    Ok(listed)
}

/// The manifest of a backup, where the key has signed it.
async fn vouched(
    store: &dyn Store,
    backup: &BackupId,
    key: &DataKey,
) -> Result<Option<Manifest>, Error> {
    match reader::manifest(store, backup, key).await {
        Ok(manifest) => Ok(Some(manifest)),
        // It was removed meanwhile, or is nothing that this tenant's key has signed.
        Err(Error::NotFound | Error::Broken(_) | Error::Store(store::Error::TooLarge { .. })) => {
            Ok(None)
        }
        Err(err) => Err(err),
    }
}

/// Removes what is not kept of the good ones. What nobody vouches for is left alone: it may be another
/// installation's.
pub(crate) async fn prune(inner: &Inner, tenant: &TenantId) -> Result<Vec<BackupId>, Error> {
    let keep = crate::plan::of(inner, tenant).await?.keep;
    if keep.is_everything() {
        return Ok(Vec::new());
    }
    let store = inner.store()?;
    let good: Vec<Manifest> =
        list(inner, tenant).await?.into_iter().filter_map(|it| it.manifest).collect();
    let doomed: BTreeSet<_> = keep.doomed(good.iter().map(|it| it.created_at).collect());
    let mut removed = Vec::new();
    for manifest in good.into_iter().filter(|it| doomed.contains(&it.created_at)) {
        store.remove(&Key::manifest(&manifest.backup)).await?;
        store.remove(&Key::data(&manifest.backup)).await?;
        removed.push(manifest.backup);
    }
    if !removed.is_empty() {
        tracing::info!(%tenant, removed = removed.len(), "old backups removed");
    }
    Ok(removed)
}

/// How old what is left over must be while its tenant has nothing under way, in milliseconds: the
/// clock of a store may differ.
const LEFT_OVER: u64 = 24 * 60 * 60 * 1000;

/// Removes what gateways that were killed or stores that went away have left: uploads, and objects
/// without a manifest, of before this one started or of a day ago.
pub(crate) async fn sweep(inner: &Inner, tenant: &TenantId) -> Result<(), Error> {
    let store = inner.store()?;
    let is_running = || inner.running().contains_key(tenant);
    let before = if is_running() {
        inner.started_at
    } else {
        inner.started_at.max(inner.clock.now().saturating_sub(LEFT_OVER))
    };
    store.sweep(&Key::prefix(tenant), before).await?;
    for (backup, objects) in objects(&*store, tenant).await? {
        let left =
            objects.manifest.is_none() && objects.data.is_some_and(|it| it.modified_at < before);
        if left && !is_running() {
            tracing::info!(%backup, "a backup that was not finished is removed");
            create::forget(&*store, &backup).await;
        }
    }
    Ok(())
}

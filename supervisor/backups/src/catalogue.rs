//! Which backups there are. Which of them go is `prune`'s.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use types::{TenantId, UnixMillis};

use crate::format::keys::DataKey;
use crate::format::manifest::Manifest;
use crate::id::BackupId;
use crate::store::{self, Key, Store};
use crate::{Backups, Error, Inner, prune, reader};

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
    /// or one of before the tenant's key was destroyed, or one that somebody has changed or cut.
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
        prune::prune(&self.0, tenant).await
    }
}

/// The objects of one backup.
#[derive(Debug, Default)]
pub(crate) struct Objects {
    pub(crate) data: Option<store::Entry>,
    pub(crate) manifest: Option<store::Entry>,
}

pub(crate) async fn objects(
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
            let manifest = vouched(&*store, (&backup, size), &key).await?;
            Ok::<_, Error>(Listed { backup, size, modified_at, manifest })
        }
    });
    let mut listed: Vec<Listed> = listed.buffered(AT_ONCE).try_collect().await?;
    // Names know the second alone. One of a time that is yet to come is not the newest: the clock was
    // ahead when it was begun.
    let now = inner.clock.now();
    let begun = |it: &Listed| {
        let at = it.manifest.as_ref().map_or(it.modified_at, |it| it.created_at);
        (at <= now, at)
    };
    listed.sort_by(|a, b| (begun(b), &b.backup).cmp(&(begun(a), &a.backup)));
    Ok(listed)
}

/// The manifest of a backup, where the key has signed it and the sealed data is as long as it says.
async fn vouched(
    store: &dyn Store,
    (backup, size): (&BackupId, u64),
    key: &DataKey,
) -> Result<Option<Manifest>, Error> {
    match reader::manifest(store, backup, key).await {
        Ok(manifest) => Ok(Some(manifest).filter(|it| it.sums.sealed.bytes == size)),
        // It was removed meanwhile, or is nothing that this tenant's key has signed.
        Err(Error::NotFound | Error::Broken(_) | Error::Store(store::Error::TooLarge { .. })) => {
            Ok(None)
        }
        // One object that cannot be read, where others can, makes no backup of another impossible.
        Err(Error::Store(err @ (store::Error::Refused(_) | store::Error::Failed { .. }))) => {
            tracing::warn!(%backup, error = %types::Chain(&err), "a manifest cannot be read");
            Ok(None)
        }
        Err(err) => Err(err),
    }
}

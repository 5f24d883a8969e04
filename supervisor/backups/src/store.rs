//! Where backups lie: objects by name, whole or not there. A store knows no tenant and no key; what it
//! is given is sealed already.

mod folder;
mod s3;

use async_trait::async_trait;
use bytes::Bytes;
use types::UnixMillis;

use crate::id::BackupId;

pub use folder::Folder;
pub use s3::{Credentials, S3, Settings as S3Settings};

/// Objects of one listing: those of a tenant with as many backups as it may have, twice over.
pub const MAX_LISTED: usize = 1 << 14;

/// Bytes of one piece of an object that is read or written: what is held of it in memory.
pub(crate) const PIECE: usize = 8 << 20;

/// The sealed records and archive.
const DATA: &str = "data";

/// What makes it a backup.
const MANIFEST: &str = "manifest";

/// A store that did not do as it was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no such object.
    #[error("there is no such object in the store")]
    NotFound,
    /// The credentials are not accepted.
    #[error("the store refuses the gateway's credentials")]
    Refused(#[source] Cause),
    /// The bucket or folder is not there.
    #[error("the store's bucket or folder is not there")]
    NoBucket(#[source] Cause),
    /// There is no room.
    #[error("the store is full")]
    Full(#[source] Cause),
    /// It did not answer, or failed.
    #[error("the store failed: {what}")]
    Failed {
        /// What was attempted.
        what: &'static str,
        /// Why not.
        #[source]
        source: Cause,
    },
    /// An object is larger than it may be.
    #[error("an object of the store is larger than {max} bytes")]
    TooLarge {
        /// How large it may be.
        max: u64,
    },
    /// There are more objects than are listed.
    #[error("the store holds more than {MAX_LISTED} objects under one name")]
    TooMany,
}

/// Why a store failed, for the log.
pub type Cause = Box<dyn std::error::Error + Send + Sync>;

/// The name of an object. It is made of a backup's, and of nothing else.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key(String);

/// An object that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its name.
    pub key: String,
    /// Bytes of it.
    pub size: u64,
    /// When it was written; 0 where the store does not say.
    pub modified_at: UnixMillis,
}

/// An object on its way into the store. Dropped, it leaves what [`Store::sweep`] removes.
#[async_trait]
pub trait Upload: Send + std::fmt::Debug {
    /// Takes more of it.
    async fn write(&mut self, bytes: Bytes) -> Result<(), Error>;
    /// The object is whole: it is there, and durable, when this returns.
    async fn finish(self: Box<Self>) -> Result<(), Error>;
    /// The object is not to be.
    async fn abort(self: Box<Self>) -> Result<(), Error>;
}

/// Objects by name.
#[async_trait]
pub trait Store: Send + Sync + std::fmt::Debug {
    /// Begins an object, which is not there before it is finished.
    async fn begin(&self, key: &Key) -> Result<Box<dyn Upload>, Error>;
    /// At most 8 MiB of an object from `from` on; none at its end.
    async fn read(&self, key: &Key, from: u64) -> Result<Bytes, Error>;
    /// Removes an object, if it is there.
    async fn remove(&self, key: &Key) -> Result<(), Error>;
    /// Every object of a backup whose name begins so, in the order of their names.
    async fn list(&self, prefix: &str) -> Result<Vec<Entry>, Error>;
    /// Removes what uploads have left that were begun before `before`, which must be known, and will never
    /// be finished. What stays in spite of it keeps nothing else.
    async fn sweep(&self, prefix: &str, before: UnixMillis) -> Result<(), Error>;
    /// What people call it, without any secret.
    fn name(&self) -> String;
}

impl Key {
    /// The sealed bytes of a backup.
    pub fn data(backup: &BackupId) -> Self {
        Self(format!("{}/{}/{DATA}", backup.tenant(), backup.folder()))
    }

    /// The manifest of a backup.
    pub fn manifest(backup: &BackupId) -> Self {
        Self(format!("{}/{}/{MANIFEST}", backup.tenant(), backup.folder()))
    }

    /// What the names of a tenant's objects begin with.
    pub fn prefix(tenant: &types::TenantId) -> String {
        format!("{tenant}/")
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// One object of a tenant by its name: of which backup, and whether it is the manifest.
pub(crate) fn parse(tenant: &types::TenantId, key: &str) -> Option<(BackupId, bool)> {
    let rest = key.strip_prefix(&Key::prefix(tenant))?;
    let (folder, object) = rest.split_once('/')?;
    let backup = BackupId::of(tenant, folder).ok()?;
    match object {
        DATA => Some((backup, false)),
        MANIFEST => Some((backup, true)),
        _ => None,
    }
}

/// Whether it is the name of an object of some tenant's backup. Whatever else lies in a store is
/// somebody else's, and is not looked at.
pub(crate) fn is_object(key: &str) -> bool {
    let tenant = key.split('/').next().and_then(|tenant| tenant.parse().ok());
    tenant.is_some_and(|tenant| parse(&tenant, key).is_some())
}

/// A whole object of at most `max` bytes.
pub(crate) async fn whole(store: &dyn Store, key: &Key, max: usize) -> Result<Vec<u8>, Error> {
    let mut all = Vec::new();
    loop {
        let from = u64::try_from(all.len()).unwrap_or(u64::MAX);
        let piece = store.read(key, from).await?;
        if piece.is_empty() {
            return Ok(all);
        }
        all.extend_from_slice(&piece);
        if all.len() > max {
            return Err(Error::TooLarge { max: u64::try_from(max).unwrap_or(u64::MAX) });
        }
    }
}

#[cfg(test)]
mod tests;

//! What backups ask of whoever has the tenants' roots: an archive of one, and one made of an archive.
//! Archives are opaque here; confined workers make and unpack them.

use std::pin::Pin;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::Stream;
use records::portable::Granted;
use records::restores::RestoreRow;
use types::{TenantId, UnixMillis};

use crate::Error;
use crate::format::manifest::Archive;

/// A piece of an archive on its way out.
#[derive(Debug)]
pub enum Piece {
    /// Bytes of it.
    Bytes(Bytes),
    /// It was whole, and this was in it. A stream without it is not whole.
    End(Archive),
}

/// An archive on its way out.
pub type Outgoing = Pin<Box<dyn Stream<Item = Result<Piece, Error>> + Send>>;

/// An archive on its way in. Where it ends with an error nothing of it is used.
pub type Incoming = Pin<Box<dyn Stream<Item = Result<Bytes, Error>> + Send>>;

/// The tenants, as backups know them.
#[async_trait]
pub trait Roots: Send + Sync + std::fmt::Debug {
    /// Whether there is such a tenant.
    fn exists(&self, tenant: &TenantId) -> bool;
    /// Every tenant, and when it was registered.
    fn all(&self) -> Vec<(TenantId, UnixMillis)>;
    /// Registers the tenant of a restore with what it is granted, and writes the restore down, as one.
    async fn make(&self, step: &RestoreRow, granted: &Granted) -> Result<(), Error>;
    /// Removes a tenant that was made for a restore which did not succeed.
    async fn unmake(&self, tenant: &TenantId) -> Result<(), Error>;
    /// The tenant's records have changed: what is kept of them in memory is read again.
    async fn refresh(&self, tenant: &TenantId) -> Result<(), Error>;
    /// Everything of a tenant, while it goes on.
    async fn export(&self, tenant: &TenantId) -> Result<Outgoing, Error>;
    /// Unpacks an archive into a fresh root beside the tenant's.
    async fn stage(&self, tenant: &TenantId, archive: Incoming) -> Result<Box<dyn Staged>, Error>;
    /// Whether a root that was put into place still has to prove itself. Whoever starts the tenant
    /// finishes or undoes the restore then, its records included.
    async fn is_unsettled(&self, tenant: &TenantId) -> Result<bool, Error>;
}

/// A root that was unpacked and is nobody's yet. Dropped, it is removed.
#[async_trait]
pub trait Staged: Send + Sync + std::fmt::Debug {
    /// What is in it.
    fn contents(&self) -> &Archive;
    /// Puts it in the tenant's place and starts the tenant with it. Where that succeeds the restore
    /// that is written down is finished in the records; else root and records are as they were.
    async fn commit(self: Box<Self>) -> Result<(), Error>;
    /// Removes it.
    async fn discard(self: Box<Self>) -> Result<(), Error>;
}

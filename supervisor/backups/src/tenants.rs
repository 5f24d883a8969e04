//! The tenants of this gateway, as backups know them.

use ::tenants::{Export, Summary, Tenants};
use async_trait::async_trait;
use auth::Auth;
use futures_util::{StreamExt as _, stream};
use records::portable::Granted;
use records::restores::RestoreRow;
use types::{TenantId, UnixMillis};

use crate::Error;
use crate::format::manifest::Archive;
use crate::id::hex;
use crate::roots::{Incoming, Outgoing, Piece, Roots, Staged};

/// Who asks for the end of a tenant whose restore came to nothing, in its certificate.
const UNDONE: &str = "the gateway, undoing a restore";

/// Tenants, and their tokens, which go with a tenant that is removed.
#[derive(Debug, Clone)]
pub struct Live {
    /// The tenants.
    pub tenants: Tenants,
    /// Their tokens.
    pub auth: Auth,
}

/// A root beside a tenant's own.
#[derive(Debug)]
struct Beside {
    staged: ::tenants::Staged,
    contents: Archive,
}

fn failed(err: ::tenants::Error) -> Error {
    if matches!(err, ::tenants::Error::NotFound) {
        return Error::NoTenant;
    }
    if let ::tenants::Error::BadArchive(reason) = err {
        return Error::Archive(reason);
    }
    let ::tenants::Error::Source(err) = err else { return Error::Tenants(err) };
    // What reads the backup says best itself what is wrong with it.
    match err.downcast::<Error>() {
        Ok(err) => *err,
        Err(err) => Error::Tenants(::tenants::Error::Source(err)),
    }
}

fn archive(summary: &Summary) -> Archive {
    Archive {
        bytes: 0,
        files: summary.files,
        directories: summary.directories,
        links: summary.links,
        file_bytes: summary.bytes,
        left_out: summary.left_out,
        changed: summary.changed,
        index: hex(&summary.index_digest),
    }
}

#[async_trait]
impl Roots for Live {
    fn exists(&self, tenant: &TenantId) -> bool {
        self.tenants.peek(tenant).is_ok()
    }

    fn all(&self) -> Vec<(TenantId, UnixMillis)> {
        self.tenants.registered()
    }

    async fn make(&self, step: &RestoreRow, granted: &Granted) -> Result<(), Error> {
        let made = self.tenants.create_for(step, &granted.limits, &granted.egress).await;
        made.map_err(Error::Tenants)
    }

    async fn unmake(&self, tenant: &TenantId) -> Result<(), Error> {
        self.auth.suspend(tenant);
        let erased = self.tenants.delete(tenant, &self.auth, UNDONE).await;
        erased.map(drop).map_err(Error::Tenants)
    }

    async fn refresh(&self, tenant: &TenantId) -> Result<(), Error> {
        self.auth.adopt(tenant).await.map_err(Error::Auth)?;
        self.tenants.reread(tenant).await.map_err(Error::Tenants)
    }

    async fn export(&self, tenant: &TenantId) -> Result<Outgoing, Error> {
        let export = self.tenants.export(tenant).await.map_err(failed)?;
        Ok(Box::pin(stream::unfold(Some(export), |export| async move {
            let mut export: Export = export?;
            match export.next().await {
                Some(Ok(bytes)) => Some((Ok(Piece::Bytes(bytes)), Some(export))),
                Some(Err(err)) => Some((Err(failed(err)), None)),
                None => export.summary().map(|it| (Ok(Piece::End(archive(it))), None)),
            }
        })))
    }

    async fn stage(&self, tenant: &TenantId, parts: Incoming) -> Result<Box<dyn Staged>, Error> {
        let parts = parts.map(|part| part.map_err(Box::new));
        let staged = self.tenants.stage(tenant, parts).await.map_err(failed)?;
        let contents = archive(staged.summary());
        Ok(Box::new(Beside { staged, contents }))
    }

    async fn is_unsettled(&self, tenant: &TenantId) -> Result<bool, Error> {
        self.tenants.decide(tenant).await.map_err(Error::Tenants)
    }
}

#[async_trait]
impl Staged for Beside {
    fn contents(&self) -> &Archive {
        &self.contents
    }

    async fn commit(self: Box<Self>) -> Result<(), Error> {
        self.staged.commit().await.map_err(Error::Tenants)
    }

    async fn discard(self: Box<Self>) -> Result<(), Error> {
        self.staged.discard().await.map_err(Error::Tenants)
    }
}

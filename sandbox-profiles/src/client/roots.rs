//! What may be asked about a tenant's roots: the live one, and the one beside it that is to take its
//! place. What the steps do, and what a crash between them leaves, is `disk::replace`.

use types::TenantId;

use super::Launcher;
use crate::Error;
use crate::disk::Disk;
use crate::record::{Kind, Request, Which};

/// Which of a tenant's roots.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Root {
    /// The one that the tenant uses.
    #[default]
    Live,
    /// The one beside it.
    Staged,
}

impl From<Root> for Which {
    fn from(root: Root) -> Self {
        match root {
            Root::Live => Self::Live,
            Root::Staged => Self::Staged,
        }
    }
}

/// The live root, made ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Prepared {
    /// How it is bounded.
    pub disk: Disk,
    /// Whether it has taken another's place and that other one is still kept.
    pub unsettled: bool,
}

impl Launcher {
    /// Makes, or mounts again, the tenant's root with at most `disk_max` bytes. Idempotent; the
    /// size of a disk that exists does not change.
    pub fn prepare(&self, tenant: &TenantId, index: u32, disk_max: u64) -> Result<Prepared, Error> {
        let request = Request { index, disk_max, ..Request::of(Kind::Prepare, tenant.clone()) };
        let (reply, _) = self.ask(request, &[])?;
        let disk = Disk::from_number(reply.values[0]).ok_or(Error::Record("disk"))?;
        Ok(Prepared { disk, unsettled: reply.values[1] != 0 })
    }

    /// Makes an empty root beside the tenant's, with the same owner and at most `disk_max` bytes.
    /// What was beside it before is removed. Refused while a worker is on it, or while the live one
    /// has taken another's place and is not settled.
    pub fn stage(&self, tenant: &TenantId, index: u32, disk_max: u64) -> Result<(), Error> {
        let request = Request {
            index,
            disk_max,
            which: Which::Staged,
            ..Request::of(Kind::Prepare, tenant.clone())
        };
        self.ask(request, &[]).map(drop)
    }

    /// Puts the staged root in the live one's place, at once and durably, and keeps the old one
    /// beside it. Refused while anything of the tenant runs. Both are to be prepared again.
    pub fn swap(&self, tenant: &TenantId, index: u32) -> Result<(), Error> {
        self.step(Kind::Swap, tenant, index)
    }

    /// Puts the kept root back in its place and removes the one that had taken it.
    pub fn revert(&self, tenant: &TenantId, index: u32) -> Result<(), Error> {
        self.step(Kind::Revert, tenant, index)
    }

    /// Removes the kept root: what has taken its place stays for good.
    pub fn settle(&self, tenant: &TenantId, index: u32) -> Result<(), Error> {
        self.step(Kind::Settle, tenant, index)
    }

    /// Removes the staged root, if there is one. Refused while a worker is on it.
    pub fn discard(&self, tenant: &TenantId, index: u32) -> Result<(), Error> {
        self.step(Kind::Discard, tenant, index)
    }

    /// Unmounts and removes the tenant's roots for good. Refused while its worker is not reaped.
    pub fn erase(&self, tenant: &TenantId, index: u32) -> Result<(), Error> {
        self.step(Kind::Erase, tenant, index)
    }

    fn step(&self, kind: Kind, tenant: &TenantId, index: u32) -> Result<(), Error> {
        let request = Request { index, ..Request::of(kind, tenant.clone()) };
        self.ask(request, &[]).map(drop)
    }
}

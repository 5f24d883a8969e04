//! Tenant roots: one directory per tenant below a directory that only the launcher may enter, each
//! with a disk of fixed size mounted on it where the host can. It reads no file of a tenant.
//!
//! Project quota would do the same without images. It is not used: the kernels that this was
//! written and measured on do not have it.

use std::os::fd::OwnedFd;

use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat2};
use nix::sys::stat::{FileStat, Mode, fchmod, fstat, fstatat, mkdirat};
use nix::unistd::{Gid, Uid, UnlinkatFlags, fchown, geteuid, unlinkat};
use serde::{Deserialize, Serialize};
use types::TenantId;

use crate::host::{Mode as HostMode, tools_uid, worker_uid};
use crate::sys::mounts;
use crate::{Error, privilege};

mod erase;
mod format;
mod image;

pub(crate) use format::find as find_formatter;
pub(crate) use image::is_possible as images_are_possible;

/// How a tenant's disk is bounded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Disk {
    /// A file system of fixed size in a file, mounted on the tenant's root.
    Image,
    /// Not at all: a tenant can fill the file system that the state directory is on.
    None,
}

impl Disk {
    pub(crate) const fn number(self) -> u64 {
        match self {
            Self::Image => 1,
            Self::None => 2,
        }
    }

    pub(crate) const fn from_number(number: u64) -> Option<Self> {
        match number {
            1 => Some(Self::Image),
            2 => Some(Self::None),
            _ => None,
        }
    }
}

/// All tenants' roots.
#[derive(Debug)]
pub(crate) struct Disks {
    tenants: OwnedFd,
    mode: HostMode,
    uid_base: u32,
    /// What makes file systems; none where there are no images.
    formatter: Option<OwnedFd>,
}

/// The root of one tenant, open.
#[derive(Debug)]
pub(crate) struct Root {
    /// The directory, for naming only.
    pub(crate) fd: OwnedFd,
    pub(crate) device: u64,
    pub(crate) inode: u64,
}

/// The ids that own what a tenant writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Owner {
    pub(crate) uid: Uid,
    pub(crate) gid: Gid,
    /// An id of the same tenant that runs nothing while a disk is made.
    formatter: Uid,
}

impl Disks {
    /// Takes the directory of tenant roots, and unmounts what a killed launcher left mounted.
    pub(crate) fn open(
        tenants: OwnedFd,
        mode: HostMode,
        uid_base: u32,
        formatter: Option<OwnedFd>,
    ) -> Self {
        let disks = Self { tenants, mode, uid_base, formatter };
        disks.unmount_all();
        disks
    }

    pub(crate) fn kind(&self) -> Disk {
        if self.formatter.is_some() { Disk::Image } else { Disk::None }
    }

    /// The directory of roots; the launcher stands in it.
    pub(crate) fn tenants(&self) -> &OwnedFd {
        &self.tenants
    }

    /// The ids of the tenant with this index.
    pub(crate) fn owner(&self, index: u32) -> Result<Owner, Error> {
        let (worker, formatter) = match self.mode {
            HostMode::Root => (worker_uid(self.uid_base, index), tools_uid(self.uid_base, index)),
            HostMode::Rootless => (Some(geteuid().as_raw()), Some(geteuid().as_raw())),
        };
        let ids = worker.zip(formatter).filter(|ids| ids.1 < privilege::MAX_ID);
        let (worker, formatter) = ids.ok_or_else(|| Error::Refused {
            reason: format!("index {index} is past the end of the id range"),
        })?;
        let gid = match self.mode {
            HostMode::Root => Gid::from_raw(worker),
            HostMode::Rootless => nix::unistd::getegid(),
        };
        Ok(Owner { uid: Uid::from_raw(worker), gid, formatter: Uid::from_raw(formatter) })
    }

    /// Makes the tenant's root, or mounts it again.
    pub(crate) fn prepare(&self, id: &TenantId, owner: Owner, max: u64) -> Result<Disk, Error> {
        let name = id.as_str();
        let fresh = match mkdirat(&self.tenants, name, Mode::S_IRWXU) {
            Ok(()) => true,
            Err(Errno::EEXIST) => false,
            Err(err) => return Err(failed("make the tenant's directory", err)),
        };
        let Some(formatter) = &self.formatter else {
            let root = self.directory(name)?;
            if fresh {
                settle(&root, owner)?;
            }
            return self.root(id, owner).map(|_root| Disk::None);
        };
        let below = self.directory(name)?;
        let mounted =
            mounts::is_mount_root(&below).map_err(|err| failed("look at a mount", err))?;
        if !mounted {
            format::ensure(&self.tenants, name, formatter, owner, max)?;
            image::attach(&self.tenants, name, &below)?;
            settle(&self.directory(name)?, owner)?;
        }
        self.root(id, owner).map(|_root| Disk::Image)
    }

    /// Opens a root that [`Self::prepare`] has made, and checks whose it is.
    pub(crate) fn root(&self, id: &TenantId, owner: Owner) -> Result<Root, Error> {
        let fd = self.directory(id.as_str())?;
        let look = |err| failed("look at the tenant's root", err);
        let stat = fstat(&fd).map_err(look)?;
        if (stat.st_uid, stat.st_gid) != (owner.uid.as_raw(), owner.gid.as_raw()) {
            let (found, wanted) = ((stat.st_uid, stat.st_gid), (owner.uid, owner.gid));
            return Err(Error::Refused {
                reason: format!(
                    "the root of {id} belongs to {}:{}, not to {}:{}",
                    found.0, found.1, wanted.0, wanted.1
                ),
            });
        }
        if self.formatter.is_some() && !mounts::is_mount_root(&fd).map_err(look)? {
            return Err(Error::Refused { reason: format!("the disk of {id} is not mounted") });
        }
        Ok(Root { fd, device: stat.st_dev, inode: stat.st_ino })
    }

    /// Unmounts and removes the root of a tenant for good.
    pub(crate) fn erase(&self, id: &TenantId) -> Result<(), Error> {
        image::unmount(&self.tenants, id.as_str())
            .map_err(|err| failed("unmount the tenant's disk", err))?;
        erase::tree(&self.tenants, id.as_str())
            .map_err(|err| failed("remove the tenant's root", err))?;
        match unlinkat(&self.tenants, image::name(id.as_str()).as_str(), UnlinkatFlags::NoRemoveDir)
        {
            Ok(()) | Err(Errno::ENOENT) => Ok(()),
            Err(err) => Err(failed("remove the tenant's disk", err)),
        }
    }

    /// Unmounts every disk, at the start and at the end; the workers must be gone.
    pub(crate) fn unmount_all(&self) {
        if self.mode == HostMode::Root {
            image::unmount_all(&self.tenants);
        }
    }

    fn directory(&self, name: &str) -> Result<OwnedFd, Error> {
        let how = OpenHow::new()
            .flags(OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC)
            .resolve(beneath());
        openat2(&self.tenants, name, how).map_err(|err| failed("open the tenant's root", err))
    }
}

/// No link of any kind is followed, and nothing above is reached.
pub(crate) fn beneath() -> ResolveFlag {
    ResolveFlag::RESOLVE_BENEATH
        | ResolveFlag::RESOLVE_NO_SYMLINKS
        | ResolveFlag::RESOLVE_NO_MAGICLINKS
}

/// Gives a root without a tenant's files yet to its owner. On one with files it changes nothing.
fn settle(root: &OwnedFd, owner: Owner) -> Result<(), Error> {
    let settled = || -> nix::Result<()> {
        let of_root = |stat: FileStat| stat.st_uid == geteuid().as_raw();
        let flags = nix::fcntl::AtFlags::AT_SYMLINK_NOFOLLOW;
        if fstatat(root, "lost+found", flags).is_ok_and(of_root) && !geteuid_is(owner.uid) {
            unlinkat(root, "lost+found", UnlinkatFlags::RemoveDir)?;
        }
        fchmod(root, Mode::S_IRWXU)?;
        if of_root(fstat(root)?) {
            fchown(root, Some(owner.uid), Some(owner.gid))?;
        }
        Ok(())
    };
    settled().map_err(|err| failed("hand the root to its tenant", err))
}

fn geteuid_is(uid: Uid) -> bool {
    geteuid() == uid
}

fn failed(what: &str, source: Errno) -> Error {
    Error::Failed { what: what.to_owned(), source: source.into() }
}

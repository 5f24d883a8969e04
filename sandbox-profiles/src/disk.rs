//! Tenant roots: one directory per tenant below a directory that only the launcher may enter, each
//! with a disk of fixed size mounted on it where the host can. It reads no file of a tenant.
//!
//! Project quota would do the same without images. It is not used: the kernels that this was
//! written and measured on do not have it.

use std::os::fd::{AsRawFd as _, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat2};
use nix::sys::stat::{FchmodatFlags, FileStat, Mode, fchmod, fchmodat, fstat, fstatat, mkdirat};
use nix::sys::statvfs::fstatvfs;
use nix::unistd::{Gid, Uid, UnlinkatFlags, fchown, geteuid, unlinkat};
use serde::{Deserialize, Serialize};
use types::TenantId;

use crate::cgroup::Pace;
use crate::ids::{tools_uid, worker_uid};
use crate::mode::Mode as HostMode;
use crate::record::Which;
use crate::sys::mounts;
use crate::{Error, mode};

mod erase;
mod format;
mod image;
mod replace;

pub(crate) use format::find as find_formatter;
pub(crate) use image::is_possible as images_are_possible;
pub(crate) use replace::{MAX_NAME, name_of};

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
    pace: Pace,
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
    /// The id of the same tenant that runs its tools, and before there are any makes its disk.
    pub(crate) tools: Uid,
}

/// The two directories of a tenant that the tools of one of its agents see: the agent's workspace,
/// and what all agents' tools have as home.
pub(crate) fn folders(agent: &str) -> [String; 2] {
    [format!("agents/{agent}/workspace"), HOME.to_owned()]
}

/// Tools are not run on a disk with less of its blocks or inodes left than this: under the 5 % of
/// blocks that are the worker's own, so that tools which have filled theirs can still remove files.
const ROOM_PERCENT: u64 = 3;

/// In every tenant's root, the worker's like all else there.
const HOME: &str = "home";

impl Disks {
    /// Takes the directory of tenant roots, unmounts what a killed launcher left mounted,
    /// and removes what it was about to replace a root with.
    pub(crate) fn open(
        tenants: OwnedFd,
        mode: HostMode,
        uid_base: u32,
        formatter: Option<OwnedFd>,
        pace: Pace,
    ) -> Self {
        let disks = Self { tenants, mode, uid_base, formatter, pace };
        disks.unmount_all();
        disks.clean();
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
        let (worker, tools) = match self.mode {
            HostMode::Root => (worker_uid(self.uid_base, index), tools_uid(self.uid_base, index)),
            HostMode::Rootless => (Some(geteuid().as_raw()), Some(geteuid().as_raw())),
        };
        let ids = worker.zip(tools).filter(|ids| ids.1 < mode::MAX_ID);
        let (worker, tools) = ids.ok_or_else(|| Error::Refused {
            reason: format!("index {index} is past the end of the id range"),
        })?;
        let gid = match self.mode {
            HostMode::Root => Gid::from_raw(worker),
            HostMode::Rootless => nix::unistd::getegid(),
        };
        Ok(Owner { uid: Uid::from_raw(worker), gid, tools: Uid::from_raw(tools) })
    }

    /// Makes the tenant's root, or mounts it again.
    pub(crate) fn prepare(&self, id: &TenantId, owner: Owner, max: u64) -> Result<Disk, Error> {
        self.make(id, Which::Live, owner, max)
    }

    fn make(&self, id: &TenantId, which: Which, owner: Owner, max: u64) -> Result<Disk, Error> {
        let name = name_of(id, which);
        let name = name.as_str();
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
            let root = self.named(name, owner)?;
            furnish(&root.fd, owner)?;
            return Ok(Disk::None);
        };
        let below = self.directory(name)?;
        let mounted =
            mounts::is_mount_root(&below).map_err(|err| failed("look at a mount", err))?;
        if !mounted {
            format::ensure(&self.tenants, name, formatter, owner, max)?;
            // No program writes to a staged root, only what unpacks it.
            let pace = (which == Which::Live).then_some(&self.pace);
            image::attach(&self.tenants, name, &below, owner.uid, pace)?;
            settle(&self.directory(name)?, owner)?;
        }
        let root = self.named(name, owner)?;
        furnish(&root.fd, owner)?;
        Ok(Disk::Image)
    }

    /// Opens a root that [`Self::prepare`] or [`Self::stage`] has made, and checks whose it is.
    pub(crate) fn root(&self, id: &TenantId, which: Which, owner: Owner) -> Result<Root, Error> {
        self.named(&name_of(id, which), owner)
    }

    fn named(&self, id: &str, owner: Owner) -> Result<Root, Error> {
        let fd = self.directory(id)?;
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

    /// Whether tools may be run on a root's disk. One that is nearly full could not be emptied by
    /// its worker if they took what is left: blocks are reserved for it, inodes are not.
    ///
    /// # Errors
    /// [`Error::Refused`] names what is short. Of a disk that is not the tenant's alone nothing is
    /// said.
    pub(crate) fn have_room(&self, root: &Root) -> Result<(), Error> {
        if self.formatter.is_none() {
            return Ok(());
        }
        let disk = fstatvfs(&root.fd).map_err(|err| failed("look at the tenant's disk", err))?;
        let counts = [
            ("inodes", disk.files_free(), disk.files()),
            ("blocks", disk.blocks_free(), disk.blocks()),
        ];
        match counts.into_iter().find(|(_, free, all)| is_short(*free, *all)) {
            None => Ok(()),
            Some((what, ..)) => Err(Error::Refused {
                reason: format!(
                    "the tenant's disk has less than {ROOM_PERCENT} % of its {what} left; \
                     files must be removed before anything is run"
                ),
            }),
        }
    }

    /// Opens what the tools of an agent see of a root, without following a link that the tenant may
    /// have made, and checks that it is the tenant's. Their modes are the worker's business: tools,
    /// which are shown as the owner, could shut the worker out by them, so they are set again here.
    pub(crate) fn folders(
        proc: &OwnedFd,
        root: &Root,
        agent: &str,
        owner: Owner,
    ) -> Result<Vec<Root>, Error> {
        let open = |path: &String| {
            let how = OpenHow::new()
                .flags(OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC)
                .resolve(beneath() | ResolveFlag::RESOLVE_NO_XDEV);
            let look = |err| {
                // Home is made with the root; a workspace the worker makes.
                if err == Errno::ENOENT && path != HOME {
                    return Error::NoWorkspace;
                }
                failed(&format!("open {path} of the tenant"), err)
            };
            let fd = openat2(&root.fd, path.as_str(), how).map_err(look)?;
            let stat = fstat(&fd).map_err(look)?;
            if (stat.st_uid, stat.st_gid) != (owner.uid.as_raw(), owner.gid.as_raw()) {
                return Err(Error::Refused { reason: format!("{path} is not the tenant's own") });
            }
            if Mode::from_bits_truncate(stat.st_mode) != Mode::S_IRWXU {
                open_up(proc, &fd).map_err(look)?;
            }
            Ok(Root { fd, device: stat.st_dev, inode: stat.st_ino })
        };
        folders(agent).iter().map(open).collect()
    }

    /// Unmounts and removes a root for good.
    fn remove(&self, name: &str) -> Result<(), Error> {
        image::unmount(&self.tenants, name, &self.pace)
            .map_err(|err| failed("unmount the tenant's disk", err))?;
        erase::tree(&self.tenants, name).map_err(|err| failed("remove the tenant's root", err))?;
        match unlinkat(&self.tenants, image::name(name).as_str(), UnlinkatFlags::NoRemoveDir) {
            Ok(()) | Err(Errno::ENOENT) => Ok(()),
            Err(err) => Err(failed("remove the tenant's disk", err)),
        }
    }

    /// Unmounts every disk, at the start and at the end; the workers must be gone.
    pub(crate) fn unmount_all(&self) {
        if self.mode == HostMode::Root {
            image::unmount_all(&self.tenants, &self.pace);
        }
    }

    fn directory(&self, name: &str) -> Result<OwnedFd, Error> {
        let how = OpenHow::new()
            .flags(OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC)
            .resolve(beneath());
        openat2(&self.tenants, name, how).map_err(|err| failed("open the tenant's root", err))
    }
}

/// Makes a directory its owner's to use and nobody else's. It is open for naming only, which the
/// kernel has no other way to change the mode of, and which works whatever the mode is.
fn open_up(proc: &OwnedFd, directory: &OwnedFd) -> nix::Result<()> {
    let path = format!("self/fd/{}", directory.as_raw_fd());
    fchmodat(proc, path.as_str(), Mode::S_IRWXU, FchmodatFlags::FollowSymlink)
}

/// Whether so little of it is left that nothing more should be started.
fn is_short(free: u64, all: u64) -> bool {
    free.saturating_mul(100) < all.saturating_mul(ROOM_PERCENT)
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

/// Makes the directory that tools have as home, where the tenant has nothing of that name.
fn furnish(root: &OwnedFd, owner: Owner) -> Result<(), Error> {
    let furnished = || -> nix::Result<()> {
        match mkdirat(root, HOME, Mode::S_IRWXU) {
            Err(Errno::EEXIST) => return Ok(()),
            made => made?,
        }
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let home = openat2(root, HOME, OpenHow::new().flags(flags).resolve(beneath()))?;
        if fstat(&home)?.st_uid == geteuid().as_raw() {
            fchown(&home, Some(owner.uid), Some(owner.gid))?;
        }
        Ok(())
    };
    furnished().map_err(|err| failed("make the home of the tenant's tools", err))
}

fn geteuid_is(uid: Uid) -> bool {
    geteuid() == uid
}

fn failed(what: &str, source: Errno) -> Error {
    Error::Failed { what: what.to_owned(), source: source.into() }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use nix::fcntl::open;

    use super::*;

    #[test]
    fn little_is_less_than_three_in_a_hundred() {
        let check = |free, all, short| assert_eq!(is_short(free, all), short, "{free} of {all}");
        check(2, 100, true);
        check(3, 100, false);
        check(u64::MAX, u64::MAX, false);
        // A file system without a table of inodes.
        check(0, 0, false);
    }

    #[test]
    fn a_directory_that_was_shut_is_opened_up_again() {
        let folder = tempfile::tempdir().unwrap();
        let shut = folder.path().join("shut");
        std::fs::create_dir(&shut).unwrap();
        std::fs::set_permissions(&shut, std::fs::Permissions::from_mode(0o0)).unwrap();
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW;
        let [proc, directory] = ["/proc".as_ref(), shut.as_path()]
            .map(|path: &std::path::Path| open(path, flags, Mode::empty()).unwrap());
        open_up(&proc, &directory).unwrap();
        assert_eq!(std::fs::metadata(&shut).unwrap().permissions().mode() & 0o7777, 0o700);
    }
}

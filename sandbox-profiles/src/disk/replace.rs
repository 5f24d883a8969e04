//! Putting another root in the place of a tenant's: made beside it, exchanged with it by name, and
//! the old one kept until it is known that the new one serves.
//!
//! Which of the two is the old one is on the disk before they are exchanged: a mark holds the inode
//! of the one that is live then. So whatever is killed at whatever step, one of them is live, and
//! what the other one is can be told. No file of a tenant is read.

use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, OpenHow, RenameFlags, openat2, renameat2};
use nix::sys::stat::{Mode, fstatat};
use nix::unistd::{UnlinkatFlags, fsync, syncfs, unlinkat};
use types::TenantId;

use super::{Disk, Disks, Owner, beneath, failed, image};
use crate::Error;
use crate::process::complain;
use crate::record::Which;

/// What stands after the tenant's id. No id has a dot.
const STAGED: &str = ".staged";
const MARK: &str = ".swap";

/// Bytes of the name of a root's directory.
pub(crate) const MAX_NAME: usize = TenantId::MAX + STAGED.len();

/// The name of the directory of a root.
pub(crate) fn name_of(id: &TenantId, which: Which) -> String {
    match which {
        Which::Live => id.to_string(),
        Which::Staged => staged(id),
    }
}

/// The directory beside the tenant's.
fn staged(id: &TenantId) -> String {
    format!("{id}{STAGED}")
}

fn mark(id: &TenantId) -> String {
    format!("{id}{MARK}")
}

impl Disks {
    /// Makes an empty root beside the live one; what was there before is removed.
    pub(crate) fn stage(&self, id: &TenantId, owner: Owner, max: u64) -> Result<Disk, Error> {
        self.discard(id)?;
        self.make(id, Which::Staged, owner, max)
    }

    /// Removes the root beside the live one, unless that is kept until the live one is settled.
    pub(crate) fn discard(&self, id: &TenantId) -> Result<(), Error> {
        if self.is_unsettled(id)? {
            return Err(refused("the tenant's root has taken another's place and is not settled"));
        }
        self.unmark(id)?;
        self.remove(&staged(id))
    }

    /// Exchanges the staged root with the live one. Nothing may use either.
    pub(crate) fn swap(&self, id: &TenantId) -> Result<(), Error> {
        let [live, new] = [self.inode(id.as_str())?, self.inode(&staged(id))?];
        let (Some(live), Some(_)) = (live, new) else {
            return Err(refused("there is no staged root, or none that it could replace"));
        };
        if self.is_unsettled(id)? {
            return Err(refused("the tenant's root has taken another's place and is not settled"));
        }
        self.unmount_both(id)?;
        self.write_out(&staged(id)).map_err(|err| failed("write out the staged root", err))?;
        self.mark(id, live).map_err(|source| Error::Failed {
            what: "note which root is live".to_owned(),
            source,
        })?;
        self.exchange(id)
    }

    /// Whether the live root has taken the place of one that is still kept.
    pub(crate) fn is_unsettled(&self, id: &TenantId) -> Result<bool, Error> {
        let Some(marked) = self.marked(id)? else { return Ok(false) };
        Ok(self.inode(&staged(id))? == Some(marked))
    }

    /// Removes the kept root: what has taken its place stays.
    pub(crate) fn settle(&self, id: &TenantId) -> Result<(), Error> {
        // First the mark: what is half removed is never to be put back.
        self.unmark(id)?;
        self.remove(&staged(id))
    }

    /// Puts the kept root back into its place and removes the other. Nothing may use either.
    pub(crate) fn revert(&self, id: &TenantId) -> Result<(), Error> {
        if !self.is_unsettled(id)? {
            return Err(refused("there is no kept root"));
        }
        self.unmount_both(id)?;
        self.exchange(id)?;
        self.settle(id)
    }

    /// Unmounts and removes all roots of a tenant for good.
    pub(crate) fn erase(&self, id: &TenantId) -> Result<(), Error> {
        self.settle(id)?;
        self.remove(id.as_str())
    }

    /// Removes what was staged when the launcher was killed. What has taken a root's place already
    /// waits for the supervisor, which finds out whether it serves.
    pub(super) fn clean(&self) {
        for id in self.replaced() {
            let cleaned = match self.is_unsettled(&id) {
                Ok(true) => Ok(()),
                Ok(false) => self.discard(&id),
                Err(err) => Err(err),
            };
            if let Err(err) = cleaned {
                complain(&format!("what {id} was to be replaced with stays: {err}"));
            }
        }
    }

    /// The tenants that have something beside their root.
    fn replaced(&self) -> Vec<TenantId> {
        let names = super::erase::names(&self.tenants).unwrap_or_default();
        let id = |name: &std::ffi::CString| {
            let name = name.to_str().ok()?;
            let (id, rest) = name.split_once('.')?;
            let is_ours = [STAGED, MARK].iter().any(|it| it.strip_prefix('.') == Some(rest))
                || rest.strip_suffix(".img") == STAGED.strip_prefix('.');
            if is_ours { id.parse().ok() } else { None }
        };
        let mut ids: Vec<TenantId> = names.iter().filter_map(id).collect();
        ids.sort_unstable();
        ids.dedup();
        ids
    }

    fn unmount_both(&self, id: &TenantId) -> Result<(), Error> {
        for name in [id.as_str(), &staged(id)] {
            image::unmount(&self.tenants, name, &self.pace)
                .map_err(|err| failed("unmount the tenant's disk", err))?;
        }
        Ok(())
    }

    /// What of a root is exchanged: its disk, or where there is none its directory.
    fn thing(&self, name: &str) -> String {
        if self.formatter.is_some() { image::name(name) } else { name.to_owned() }
    }

    fn inode(&self, name: &str) -> Result<Option<u64>, Error> {
        let flags = AtFlags::AT_SYMLINK_NOFOLLOW;
        match fstatat(&self.tenants, self.thing(name).as_str(), flags) {
            Ok(stat) => Ok(Some(stat.st_ino)),
            Err(Errno::ENOENT) => Ok(None),
            Err(err) => Err(failed("look at a tenant's root", err)),
        }
    }

    fn exchange(&self, id: &TenantId) -> Result<(), Error> {
        let [one, other] = [self.thing(id.as_str()), self.thing(&staged(id))];
        let flags = RenameFlags::RENAME_EXCHANGE;
        renameat2(&self.tenants, one.as_str(), &self.tenants, other.as_str(), flags)
            .and_then(|()| fsync(&self.tenants))
            .map_err(|err| failed("exchange the tenant's roots", err))
    }

    /// Makes all of a root durable. Its worker has done so, and this finds little left to do.
    fn write_out(&self, name: &str) -> nix::Result<()> {
        let file = self.open_plain(&self.thing(name), OFlag::O_RDONLY)?;
        if self.formatter.is_some() { fsync(&file) } else { syncfs(&file) }
    }

    fn mark(&self, id: &TenantId, live: u64) -> std::io::Result<()> {
        self.unmark(id).map_err(std::io::Error::other)?;
        let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL;
        let mut file = std::fs::File::from(self.open_plain(&mark(id), flags)?);
        file.write_all(&live.to_le_bytes())?;
        file.sync_all()?;
        Ok(fsync(&self.tenants)?)
    }

    /// The inode that the mark holds; one that was not written to its end says nothing.
    fn marked(&self, id: &TenantId) -> Result<Option<u64>, Error> {
        let mut bytes = [0; 8];
        let file = match self.open_plain(&mark(id), OFlag::O_RDONLY) {
            Ok(file) => file,
            Err(Errno::ENOENT) => return Ok(None),
            Err(err) => return Err(failed("open the mark of a tenant's root", err)),
        };
        match std::fs::File::from(file).read_exact(&mut bytes) {
            Ok(()) => Ok(Some(u64::from_le_bytes(bytes))),
            Err(err) if err.kind() == std::io::ErrorKind::UnexpectedEof => Ok(None),
            Err(source) => {
                Err(Error::Failed { what: "read the mark of a tenant's root".to_owned(), source })
            }
        }
    }

    fn unmark(&self, id: &TenantId) -> Result<(), Error> {
        match unlinkat(&self.tenants, mark(id).as_str(), UnlinkatFlags::NoRemoveDir) {
            Ok(()) => fsync(&self.tenants),
            Err(Errno::ENOENT) => Ok(()),
            Err(err) => Err(err),
        }
        .map_err(|err| failed("remove the mark of a tenant's root", err))
    }

    fn open_plain(&self, name: &str, flags: OFlag) -> nix::Result<OwnedFd> {
        let flags = flags | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let mode = if flags.contains(OFlag::O_CREAT) {
            Mode::S_IRUSR | Mode::S_IWUSR
        } else {
            Mode::empty()
        };
        openat2(&self.tenants, name, OpenHow::new().flags(flags).mode(mode).resolve(beneath()))
    }
}

fn refused(reason: &str) -> Error {
    Error::Refused { reason: reason.to_owned() }
}

#[cfg(test)]
mod tests;

//! The state directory and whose things are in it. With root it is root's: the supervisor works in
//! directories of its own and can neither make, rename nor replace anything beside them.

use std::os::fd::{AsRawFd as _, OwnedFd};
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{OFlag, open as open_path, openat};
use nix::sys::stat::{Mode, fchmod, fstat, mkdirat};
use nix::unistd::{Gid, Uid, fchown};

use crate::ids::{Ids, may_own_state};
use crate::{Error, host};

/// What the supervisor owns below the state directory.
const OWN: [&str; 4] = ["records", "audit", "keys", "run"];
/// The supervisor, by its group, may look and pass through.
const SHARED: Mode = Mode::S_IRWXU.union(Mode::S_IRGRP).union(Mode::S_IXGRP);

const DIRECTORY: OFlag = OFlag::O_RDONLY
    .union(OFlag::O_DIRECTORY)
    .union(OFlag::O_CLOEXEC)
    .union(OFlag::O_NOFOLLOW);

/// Opens it, unless it is somebody else's: whoever owns a directory owns every name in it.
pub(crate) fn open(
    path: &Path,
    mode: host::Mode,
    uid_base: Option<u32>,
) -> Result<OwnedFd, Error> {
    let state = open_path(path, DIRECTORY, Mode::empty()).map_err(start("open the state directory"))?;
    let owner = fstat(&state).map_err(start("look at the state directory"))?.st_uid;
    if mode == host::Mode::Root && !may_own_state(owner, uid_base) {
        return Err(foreign(owner));
    }
    Ok(state)
}

/// Closes it to everybody but us and, with root, our supervisor, which gets its directories. One
/// that is there already must be the supervisor's, or root's and empty, as an interrupted start
/// leaves it: nothing else is ever given away, because what is found may have been put there.
pub(crate) fn settle(state: &OwnedFd, mode: host::Mode, ids: &Ids) -> Result<(), Error> {
    if mode == host::Mode::Rootless {
        return fchmod(state, Mode::S_IRWXU).map_err(start("close the state directory"));
    }
    let (uid, gid) = (Uid::from_raw(ids.base()), Gid::from_raw(ids.base()));
    let owner = fstat(state).map_err(start("look at the state directory"))?.st_uid;
    if owner != 0 && owner != uid.as_raw() {
        return Err(foreign(owner));
    }
    fchown(state, Some(Uid::from_raw(0)), Some(gid)).map_err(start("take the state directory back"))?;
    fchmod(state, SHARED).map_err(start("close the state directory"))?;
    OWN.iter().try_for_each(|name| give(state, name, uid, gid))
}

fn give(state: &OwnedFd, name: &str, uid: Uid, gid: Gid) -> Result<(), Error> {
    match mkdirat(state, name, Mode::S_IRWXU) {
        Ok(()) | Err(Errno::EEXIST) => {}
        Err(err) => return Err(start("make the supervisor's directories")(err)),
    }
    let found = openat(state, name, DIRECTORY, Mode::empty());
    let directory = found.map_err(start("open the supervisor's directories"))?;
    let owner = fstat(&directory).map_err(start("look at the supervisor's directories"))?.st_uid;
    if owner == uid.as_raw() {
        return Ok(());
    }
    if owner == 0 && is_empty(&directory)? {
        return fchown(&directory, Some(uid), Some(gid)).map_err(start("share the state directory"));
    }
    let reason = format!("{name} in the state directory belongs to uid {owner}, not to {uid}");
    Err(Error::Unusable { reason })
}

fn is_empty(directory: &OwnedFd) -> Result<bool, Error> {
    let entries = std::fs::read_dir(format!("/proc/self/fd/{}", directory.as_raw_fd()));
    let entries = entries.map_err(|source| Error::Start { what: "list the supervisor's directories", source })?;
    Ok(entries.take(1).count() == 0)
}

fn foreign(owner: u32) -> Error {
    let reason = format!("the state directory belongs to uid {owner}, not to root");
    Error::Unusable { reason }
}

fn start(what: &'static str) -> impl FnOnce(Errno) -> Error {
    move |source| Error::Start { what, source: source.into() }
}

#[cfg(test)]
mod tests;

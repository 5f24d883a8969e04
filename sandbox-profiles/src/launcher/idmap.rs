//! User namespaces that only say which id a mount shows as which: the tenant's files are the
//! worker's on the disk and the tools' inside a sandbox. Nobody is ever in one of them.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};

use nix::fcntl::{OFlag, openat};
use nix::sys::stat::Mode;

use crate::disk::Owner;
use crate::sys::{self, Child, Side};
use crate::{Error, fds};

/// One descriptor for each tenant that runs tools; the oldest tenant's is made again when wanted.
const MAX_KEPT: usize = 1024;

/// The namespaces made so far, by the worker's uid.
#[derive(Debug, Default)]
pub(super) struct IdMaps(BTreeMap<u32, OwnedFd>);

impl IdMaps {
    /// The namespace that shows what the worker owns as the tools'.
    pub(super) fn of(&mut self, proc: &OwnedFd, owner: Owner) -> Result<&OwnedFd, Error> {
        let worker = owner.uid.as_raw();
        if !self.0.contains_key(&worker) {
            if self.0.len() >= MAX_KEPT {
                self.0.pop_first();
            }
            self.0.insert(worker, make(proc, owner)?);
        }
        self.0.get(&worker).ok_or(Error::Record("id map"))
    }
}

/// Whether `tree` can be shown with other ids, tried on a detached copy of it.
pub(super) fn is_possible(proc: &OwnedFd, tree: &OwnedFd, owner: Owner) -> bool {
    let tried = make(proc, owner).and_then(|namespace| {
        let copy = sys::mounts::clone_tree(tree).map_err(|err| Error::Io(err.into()))?;
        sys::mounts::show_as(&copy, &namespace).map_err(|err| Error::Io(err.into()))
    });
    tried.is_ok()
}

fn make(proc: &OwnedFd, owner: Owner) -> Result<OwnedFd, Error> {
    let failed = |source: io::Error| Error::Failed { what: "make a map of ids".to_owned(), source };
    let (near, far) = fds::record_pair().map_err(|err| failed(err.into()))?;
    match sys::clone3(libc::CLONE_NEWUSER).map_err(|err| failed(err.into()))? {
        Side::Child => {
            // Only its own copy of the far end keeps it here; the near one would keep it for ever.
            let alone = fds::close_all_but(0, &[far.as_fd()]).is_ok();
            let told = alone && fds::receive(&far, 1, 0).is_err();
            sys::end(i32::from(!told))
        }
        Side::Parent(child) => {
            let namespace = map(proc, &child, owner);
            drop(near);
            sys::kill(&child.pidfd, libc::SIGKILL).map_err(|err| failed(err.into()))?;
            sys::reap(&child.pidfd).map_err(|err| failed(err.into()))?;
            namespace.map_err(failed)
        }
    }
}

/// Writes the maps: on the disk the left ids, seen as the right ones.
fn map(proc: &OwnedFd, child: &Child, owner: Owner) -> io::Result<OwnedFd> {
    let open = |file: &str, flags: OFlag| {
        openat(
            proc,
            format!("{}/{file}", child.pid).as_str(),
            flags | OFlag::O_CLOEXEC,
            Mode::empty(),
        )
    };
    let write = |file: &str, text: String| {
        File::from(open(file, OFlag::O_WRONLY | OFlag::O_NOFOLLOW)?).write_all(text.as_bytes())
    };
    write("uid_map", format!("{} {} 1\n", owner.uid, owner.tools))?;
    write("gid_map", format!("{} {} 1\n", owner.gid, owner.gid))?;
    Ok(open("ns/user", OFlag::O_RDONLY)?)
}

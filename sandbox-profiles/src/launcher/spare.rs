//! A process on its way to be a worker: made ahead as far as no tenant is needed, then finished
//! for one. Moving a process between cgroups waits for the whole machine, milliseconds; a spare
//! has done that before anybody waits for it.

use std::fs::File;
use std::io::{ErrorKind, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::time::{Duration, Instant};

use nix::fcntl::{OFlag, openat};
use nix::sys::stat::Mode;
use nix::unistd::{getegid, geteuid};
use types::TenantId;

use super::resources::Resources;
use super::workers;
use crate::cgroup::{Leaf, Limits};
use crate::disk::{Owner, Root};
use crate::steps::{self, Message, Ordered, Parts, SYNC_GO};
use crate::sys::{self, Child, Side, mounts};
use crate::{Error, fds, host};

/// A process that has not become a worker by then never will.
const DEADLINE: Duration = Duration::from_secs(10);

/// A process that waits for its order.
#[derive(Debug)]
pub(super) struct Spare {
    id: u64,
    child: Child,
    /// Our end of the pair with it; it closes when the process executes the worker or ends.
    sync: OwnedFd,
    leaf: Leaf,
}

/// What makes a worker of a spare.
#[derive(Debug)]
pub(super) struct Order<'a> {
    pub(super) tenant: &'a TenantId,
    pub(super) owner: Owner,
    pub(super) root: Root,
    pub(super) limits: Limits,
    /// Serve, host and log.
    pub(super) fds: [OwnedFd; 3],
}

/// Forks a process into its namespaces and its cgroup leaf.
pub(super) fn make(resources: &Resources, id: u64) -> Result<Spare, Error> {
    let failed = |err: nix::Error| Error::Failed {
        what: "make a cgroup for the worker".to_owned(),
        source: err.into(),
    };
    let leaf = resources.cgroups.create(id).map_err(failed)?;
    let made = resources.cgroups.entries(&leaf).map_err(failed);
    match made.and_then(|cgroups| fork(resources, &cgroups)) {
        Ok((child, sync)) => Ok(Spare { id, child, sync, leaf }),
        Err(err) => {
            resources.cgroups.remove(&leaf);
            Err(err)
        }
    }
}

fn fork(resources: &Resources, cgroups: &[OwnedFd]) -> Result<(Child, OwnedFd), Error> {
    let (near, far) = fds::record_pair().map_err(|errno| step("pair", errno))?;
    // One open file for each worker: two that shared one could signal by its flags.
    let null = fds::null().map_err(|errno| step("open /dev/null", errno))?;
    let born = steps::birth_flags(resources.steps, resources.mode);
    let parts = Parts {
        mode: resources.mode,
        born,
        ids: (geteuid().as_raw(), getegid().as_raw()),
        binary: resources.binary.as_fd(),
        null: null.as_fd(),
        sync: far.as_fd(),
        cgroups,
    };
    match sys::clone3(born) {
        Ok(Side::Child) => steps::run(&parts, resources.steps),
        Ok(Side::Parent(child)) => Ok((child, near)),
        Err(errno) => Err(step("clone", errno)),
    }
}

impl Spare {
    /// Makes the worker. Whatever fails, the process and its leaf are gone.
    pub(super) fn finish(
        self,
        resources: &Resources,
        order: &Order<'_>,
    ) -> Result<(u64, Child, Leaf), Error> {
        match self.try_finish(resources, order) {
            Ok(()) => Ok((self.id, self.child, self.leaf)),
            Err(err) => {
                workers::discard(&resources.cgroups, self.dismiss());
                Err(err)
            }
        }
    }

    /// Gives up the pair, which tells the process to end.
    pub(super) fn dismiss(self) -> (Child, Leaf) {
        (self.child, self.leaf)
    }

    fn try_finish(&self, resources: &Resources, order: &Order<'_>) -> Result<(), Error> {
        let limited = resources.cgroups.limit(&self.leaf, &order.limits);
        limited.map_err(|errno| step("cgroup limits", errno))?;
        let mount = match resources.mode {
            host::Mode::Root => Some(
                mounts::clone_tree(&order.root.fd).map_err(|errno| step("tenant mount", errno))?,
            ),
            host::Mode::Rootless => None,
        };
        let Root { device, inode, .. } = order.root;
        let bytes = Ordered::encode(order.tenant.as_str(), order.limits.pids_max, device, inode);
        let with: Vec<&OwnedFd> = order.fds.iter().chain(&mount).collect();
        // A spare that has failed has closed its end, but left word of why.
        let sent = fds::send(&self.sync, &bytes, &with);
        let deadline = Instant::now() + DEADLINE;
        loop {
            match self.listen(deadline)? {
                None => return sent.map_err(Error::Io),
                Some(Message::MapMe) => self.map(resources, order)?,
                Some(Message::Failed { step, errno }) => {
                    return Err(Error::Step { step, errno });
                }
            }
        }
    }

    /// The next message; none when the process has become the worker, or ended.
    fn listen(&self, deadline: Instant) -> Result<Option<Message>, Error> {
        let left = deadline.saturating_duration_since(Instant::now());
        if !fds::readable(&self.sync, left).map_err(|errno| step("wait", errno))? {
            return Err(Error::Step { step: "deadline".to_owned(), errno: libc::ETIMEDOUT });
        }
        let received = match fds::receive(&self.sync, Message::MAX, 0) {
            // It ended without reading its order. The kernel says so first and only once; what it
            // sent before, the reason, comes after.
            Err(err) if err.kind() == ErrorKind::ConnectionReset => {
                match fds::receive(&self.sync, Message::MAX, 0) {
                    Err(_no_word) => Err(err),
                    received => received,
                }
            }
            received => received,
        };
        match received {
            Ok((bytes, _)) => {
                Message::decode(&bytes).map(Some).ok_or(Error::Record("a message of the fork"))
            }
            Err(err) if err.kind() == ErrorKind::UnexpectedEof => Ok(None),
            Err(err) => Err(Error::Io(err)),
        }
    }

    fn map(&self, resources: &Resources, order: &Order<'_>) -> Result<(), Error> {
        let write = |file: &str, text: &str| -> std::io::Result<()> {
            let path = format!("{}/{file}", self.child.pid);
            let flags = OFlag::O_WRONLY | OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW;
            let fd = openat(&resources.proc, path.as_str(), flags, Mode::empty())?;
            File::from(fd).write_all(text.as_bytes())
        };
        let mapped = write("uid_map", &steps::map(order.owner.uid.as_raw()))
            .and_then(|()| write("setgroups", "deny"))
            .and_then(|()| write("gid_map", &steps::map(order.owner.gid.as_raw())));
        mapped
            .map_err(|source| Error::Failed { what: "map the worker's ids".to_owned(), source })?;
        fds::send(&self.sync, SYNC_GO, &[]).map_err(Error::Io)
    }
}

fn step(step: &str, errno: nix::Error) -> Error {
    let errno = std::io::Error::from(errno).raw_os_error().unwrap_or(0);
    Error::Step { step: step.to_owned(), errno }
}

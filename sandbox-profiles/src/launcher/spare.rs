//! A process on its way to be a worker or the init of a sandbox: made ahead as far as no tenant is
//! needed, then finished for one. Moving a process between cgroups waits for the whole machine,
//! milliseconds; a spare has done that before anybody waits for it.

use std::fs::File;
use std::io::{ErrorKind, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::time::{Duration, Instant};

use nix::fcntl::{OFlag, openat};
use nix::sys::stat::Mode;
use nix::unistd::{Gid, Uid, getegid, geteuid};

use super::resources::Resources;
use super::workers::Dying;
use crate::cgroup::{Group, Leaf, Limits};
use crate::record::Run;
use crate::steps::{self, Found, Message, Ordered, Parts, SYNC_GO, What};
use crate::sys::{self, Child, Side};
use crate::{Backend, Error, fds};

/// A process that has not become what was ordered by then never will.
pub(super) const DEADLINE: Duration = Duration::from_secs(10);

/// A process that waits for its order.
#[derive(Debug)]
pub(super) struct Spare {
    pub(super) what: What,
    id: u64,
    child: Child,
    /// Our end of the pair with it; it closes when the process executes its program or ends.
    sync: OwnedFd,
    leaf: Leaf,
}

/// What makes a worker or an init of a spare.
#[derive(Debug)]
pub(super) struct Order<'a> {
    pub(super) tenant: &'a str,
    /// Only for a sandbox.
    pub(super) sandbox: Option<(&'a str, Run)>,
    /// What it is, outside.
    pub(super) ids: (Uid, Gid),
    pub(super) limits: Limits,
    /// What it sees of the tenant.
    pub(super) found: Vec<Found>,
    /// What it inherits, in order.
    pub(super) inherited: Vec<OwnedFd>,
    /// Mounts of what it sees; without root it makes them itself.
    pub(super) mounts: Vec<OwnedFd>,
    /// How long it may take to become what it is to be.
    pub(super) within: Duration,
}

/// A process that has become what was ordered.
#[derive(Debug)]
pub(super) struct Finished {
    pub(super) id: u64,
    pub(super) child: Child,
    pub(super) leaf: Leaf,
    /// A sandbox's way out.
    pub(super) listener: Option<OwnedFd>,
}

/// Forks a process into its namespaces and its cgroup leaf.
pub(super) fn make(resources: &Resources, id: u64, what: What) -> Result<Spare, Error> {
    let group = match what {
        What::Worker => Group::Workers,
        What::Sandbox(_) => Group::Programs,
    };
    let failed = |err: nix::Error| Error::Failed {
        what: "make a cgroup for the process".to_owned(),
        source: err.into(),
    };
    let leaf = resources.cgroups.create(id, group).map_err(failed)?;
    let made = resources.cgroups.entries(&leaf).map_err(failed);
    match made.and_then(|cgroups| fork(resources, &cgroups, what)) {
        Ok((child, sync)) => Ok(Spare { what, id, child, sync, leaf }),
        Err(err) => {
            resources.cgroups.remove(&leaf);
            Err(err)
        }
    }
}

fn fork(resources: &Resources, cgroups: &[OwnedFd], what: What) -> Result<(Child, OwnedFd), Error> {
    let (near, far) = fds::record_pair().map_err(|errno| step("pair", errno))?;
    // One open file for each worker: two that shared one could signal by its flags.
    let null = fds::null().map_err(|errno| step("open /dev/null", errno))?;
    let born = steps::birth_flags(resources.steps, resources.mode);
    let bwrap = match what {
        What::Sandbox(Backend::Bwrap) => resources.bwrap.as_ref().map(|fd| fd.as_fd()),
        What::Worker | What::Sandbox(Backend::Native) => None,
    };
    let parts = Parts {
        what,
        mode: resources.mode,
        born,
        ids: (geteuid().as_raw(), getegid().as_raw()),
        binary: resources.binary.as_fd(),
        bwrap,
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

/// A message, and the descriptor that comes with it.
type Heard = (Message, Option<OwnedFd>);

impl Spare {
    /// Makes what was ordered. Whatever fails, the process is killed, and gone or among the dying.
    pub(super) fn finish(
        self,
        resources: &Resources,
        order: &Order<'_>,
        dying: &mut Dying,
    ) -> Result<Finished, Error> {
        match self.try_finish(resources, order) {
            Ok(listener) => {
                Ok(Finished { id: self.id, child: self.child, leaf: self.leaf, listener })
            }
            Err(err) => {
                dying.discard(&resources.cgroups, self.dismiss());
                Err(err)
            }
        }
    }

    /// Gives up the pair, which tells the process to end.
    pub(super) fn dismiss(self) -> (Child, Leaf) {
        (self.child, self.leaf)
    }

    /// The listener, where the order has one.
    fn try_finish(
        &self,
        resources: &Resources,
        order: &Order<'_>,
    ) -> Result<Option<OwnedFd>, Error> {
        let limited = resources.cgroups.limit(&self.leaf, &order.limits);
        limited.map_err(|errno| step("cgroup limits", errno))?;
        let (agent, run) = order.sandbox.map_or(("", None), |(agent, run)| (agent, Some(run)));
        let names = (order.tenant, agent);
        let bytes = Ordered::encode(names, run, order.limits.pids_max, &order.found);
        let with: Vec<&OwnedFd> = order.inherited.iter().chain(&order.mounts).collect();
        // A spare that has failed has closed its end, but left word of why.
        let sent = fds::send(&self.sync, &bytes, &with);
        let deadline = Instant::now() + order.within;
        let mut listener = None;
        loop {
            match self.listen(deadline)? {
                // Bubblewrap is executed and then still has to get as far as init.
                None if self.what == What::Sandbox(Backend::Bwrap) => {
                    sent.map_err(Error::Io)?;
                    return Err(step("bwrap", nix::Error::ENOEXEC));
                }
                None => return sent.map(|()| listener).map_err(Error::Io),
                Some((Message::Started, _)) => return Ok(listener),
                Some((Message::Listener, received)) => listener = received,
                Some((Message::MapMe, _)) => self.map(resources, order)?,
                Some((Message::Probed { .. }, _)) => {
                    return Err(Error::Record("a message of the fork"));
                }
                Some((Message::Failed { step, errno }, _)) => {
                    return Err(Error::Step { step, errno });
                }
            }
        }
    }

    /// The next message and what comes with it; none when the process has executed its program,
    /// or ended.
    fn listen(&self, deadline: Instant) -> Result<Option<Heard>, Error> {
        let left = deadline.saturating_duration_since(Instant::now());
        if !fds::readable(&self.sync, left).map_err(|errno| step("wait", errno))? {
            return Err(Error::Step { step: "deadline".to_owned(), errno: libc::ETIMEDOUT });
        }
        let received = match fds::receive(&self.sync, Message::MAX, 1) {
            // It ended without reading its order. The kernel says so first and only once; what it
            // sent before, the reason, comes after.
            Err(err) if err.kind() == ErrorKind::ConnectionReset => {
                match fds::receive(&self.sync, Message::MAX, 1) {
                    Err(_no_word) => Err(err),
                    received => received,
                }
            }
            received => received,
        };
        match received {
            Ok((bytes, received)) => {
                let message =
                    Message::decode(&bytes).ok_or(Error::Record("a message of the fork"))?;
                Ok(Some((message, received.into_iter().next())))
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
        let mapped = write("uid_map", &steps::map(order.ids.0.as_raw()))
            .and_then(|()| write("setgroups", "deny"))
            .and_then(|()| write("gid_map", &steps::map(order.ids.1.as_raw())));
        mapped
            .map_err(|source| Error::Failed { what: "map the process's ids".to_owned(), source })?;
        fds::send(&self.sync, SYNC_GO, &[]).map_err(Error::Io)
    }
}

pub(super) fn step(step: &str, errno: nix::Error) -> Error {
    let errno = std::io::Error::from(errno).raw_os_error().unwrap_or(0);
    Error::Step { step: step.to_owned(), errno }
}

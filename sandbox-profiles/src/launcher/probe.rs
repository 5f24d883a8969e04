//! One attempt out of a running worker's boundary. The launcher makes two processes for it, waits
//! for both, and keeps neither.

use std::os::fd::{AsFd as _, OwnedFd};
use std::time::Duration;

use nix::fcntl::OFlag;
use nix::unistd::{getegid, geteuid, pipe2};

use super::resources::Resources;
use super::spare::step;
use super::workers::Worker;
use crate::probes::Chosen;
use crate::process::complain;
use crate::steps::{Joined, Message, Parts, What, join};
use crate::sys::{self, Child, Side};
use crate::{Error, fds};

/// The process that enters waits half as long for the attempt.
const DEADLINE: Duration = Duration::from_secs(1);

/// Whether the probe was ended by a signal, and its exit code or that signal.
pub(super) fn make(
    resources: &Resources,
    worker: &Worker,
    chosen: Chosen,
    outside: &OwnedFd,
) -> Result<[u64; 4], Error> {
    let entries = resources.cgroups.entries(&worker.leaf);
    let entries = entries.map_err(|errno| step("the worker's cgroup", errno))?;
    let process = worker.handle()?;
    let null = fds::null().map_err(|errno| step("open /dev/null", errno))?;
    let (near, far) = fds::record_pair().map_err(|errno| step("pair", errno))?;
    // In place of a worker's two pairs and its log; nobody is at their far ends.
    let (serve, host) = fds::record_pair().map_err(|errno| step("pair", errno))?;
    let (_, log) = pipe2(OFlag::O_CLOEXEC).map_err(|errno| step("pipe", errno))?;
    let parts = Parts {
        what: What::Worker,
        mode: resources.mode,
        born: 0,
        ids: (geteuid().as_raw(), getegid().as_raw()),
        binary: resources.binary.as_fd(),
        bwrap: None,
        null: null.as_fd(),
        sync: far.as_fd(),
        cgroups: &entries,
    };
    let joined = Joined {
        process: process.as_fd(),
        pids_max: worker.pids_max,
        inherited: [serve.as_fd(), log.as_fd(), host.as_fd(), outside.as_fd()],
        words: chosen.words(),
    };
    match sys::clone3(0).map_err(|errno| step("clone", errno))? {
        Side::Child => join(&parts, resources.steps, &joined),
        Side::Parent(child) => {
            // Ours must be gone, or the end of both would not be seen.
            drop(far);
            let heard = hear(&near);
            end(&child)?;
            heard
        }
    }
}

fn hear(near: &OwnedFd) -> Result<[u64; 4], Error> {
    if !fds::readable(near, DEADLINE).map_err(|errno| step("wait", errno))? {
        return Err(step("deadline", nix::Error::ETIMEDOUT));
    }
    let (bytes, _) = fds::receive(near, Message::MAX, 0).map_err(Error::Io)?;
    match Message::decode(&bytes) {
        Some(Message::Probed { signaled, number }) => {
            Ok([u64::from(signaled), u64::from(number.cast_unsigned()), 0, 0])
        }
        Some(Message::Failed { step, errno }) => Err(Error::Step { step, errno }),
        Some(Message::MapMe | Message::Listener | Message::Started) | None => {
            Err(Error::Record("a message of the fork"))
        }
    }
}

/// Reaps the process that entered, which ends when its child, the probe, has: killed before, it would
/// leave that to the worker, who reaps nobody. One that does not end is killed, and the probe with it.
fn end(child: &Child) -> Result<(), Error> {
    let failed = |source: nix::Error| Error::Failed {
        what: "end a probe".to_owned(),
        source: source.into(),
    };
    if !fds::readable(&child.pidfd, DEADLINE).map_err(failed)? {
        sys::kill(&child.pidfd, libc::SIGKILL).map_err(failed)?;
    }
    if fds::readable(&child.pidfd, DEADLINE).map_err(failed)? {
        return sys::reap(&child.pidfd).map(drop).map_err(failed);
    }
    complain(&format!("probe {} was killed and does not end", child.pid));
    Err(step("end", nix::Error::ETIMEDOUT))
}

//! What a worker may use and what it does not inherit: its place in the cgroups, session, signals,
//! umask, keyring and resource limits.

use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sched::{CloneFlags, unshare};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::stat::{Mode, umask};
use nix::unistd::{setsid, write};

use super::{Context, What};
use crate::sys;

/// Limits that are the same for every worker and every sandbox. Memory, processes and CPU belong to
/// the cgroup; these are the belt to it, and close doors: with no locked memory there is no ring,
/// with no queues no message can wait in the kernel, without core dumps nothing is written by the
/// host.
pub(crate) const RESOURCES: &[(Resource, u64)] = &[
    (Resource::RLIMIT_CORE, 0),
    (Resource::RLIMIT_MEMLOCK, 0),
    (Resource::RLIMIT_MSGQUEUE, 0),
    (Resource::RLIMIT_RTPRIO, 0),
    (Resource::RLIMIT_NICE, 0),
    (Resource::RLIMIT_SIGPENDING, 256),
    // One file of a tenant; the disk is bounded elsewhere, this stops a runaway first.
    (Resource::RLIMIT_FSIZE, 16 << 30),
];

/// Descriptors of one process. A worker serves two sockets and some files; tools that watch or
/// build a source tree take more, and `program::Rlimits` says how many of these a command has.
const fn open_files(what: What) -> (Resource, u64) {
    match what {
        What::Worker => (Resource::RLIMIT_NOFILE, 1024),
        What::Sandbox(_) => (Resource::RLIMIT_NOFILE, 4096),
    }
}

/// Of all processes of the gateway, a tool is the first to end when the machine's memory is short,
/// and a worker the next.
const fn oom_score(what: What) -> &'static [u8] {
    match what {
        What::Worker => b"500",
        What::Sandbox(_) => b"800",
    }
}

pub(super) fn session(context: &Context) -> nix::Result<()> {
    setsid()?;
    let flags = OFlag::O_WRONLY | OFlag::O_CLOEXEC;
    let score = open("/proc/self/oom_score_adj", flags, Mode::empty())?;
    let wanted = oom_score(context.what);
    if write(&score, wanted)? != wanted.len() {
        return Err(Errno::EIO);
    }
    // Open enough for the directories of the root; closed again before exec.
    umask(Mode::from_bits_truncate(0o022));
    sys::reset_signals()
}

pub(super) fn enter_cgroup(context: &mut Context) -> nix::Result<()> {
    for file in std::mem::take(&mut context.cgroups) {
        if write(&file, b"0")? != 1 {
            return Err(Errno::EIO);
        }
    }
    Ok(())
}

pub(super) fn hide_cgroup() -> nix::Result<()> {
    unshare(CloneFlags::CLONE_NEWCGROUP)
}

#[expect(clippy::unnecessary_wraps, reason = "every step has the same form")]
pub(super) fn close_umask() -> nix::Result<()> {
    umask(Mode::from_bits_truncate(0o077));
    Ok(())
}

pub(super) fn fresh_keyring(context: &mut Context) -> nix::Result<()> {
    context.keyring = Some(sys::join_session_keyring()?);
    Ok(())
}

/// Whether no limit is above what [`RESOURCES`] and [`open_files`] say.
pub(super) fn are_set(context: &Context) -> bool {
    let is_set = |(resource, max): (Resource, u64)| getrlimit(resource).is_ok_and(|it| it.1 <= max);
    RESOURCES.iter().copied().chain([open_files(context.what)]).all(is_set)
}

pub(super) fn resources(context: &mut Context) -> nix::Result<()> {
    let order = context.order.as_ref().ok_or(Errno::EINVAL)?;
    let own = [(Resource::RLIMIT_NPROC, u64::from(order.pids_max)), open_files(context.what)];
    for (resource, max) in RESOURCES.iter().copied().chain(own) {
        let max = max.min(getrlimit(resource)?.1);
        setrlimit(resource, max, max)?;
    }
    Ok(())
}

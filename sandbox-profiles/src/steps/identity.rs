//! Who the worker is: the user namespace, the ids inside, and whose death it follows.

use std::fs::OpenOptions;
use std::io::Write as _;

use nix::errno::Errno;
use nix::sched::{CloneFlags, unshare};
use nix::sys::prctl;
use nix::sys::signal::Signal;
use nix::unistd::{Gid, Uid, setgroups, setresgid, setresuid};

use super::{Context, Message, SYNC_GO};
use crate::fds;

/// Uid and gid of every worker, inside.
pub(crate) const INSIDE: u32 = 1000;

/// The one line of a map: the id inside means this id outside, and no other id exists.
pub(crate) fn map(outside: u32) -> String {
    format!("{INSIDE} {outside} 1\n")
}

pub(super) fn user_namespace(context: &mut Context) -> nix::Result<()> {
    // While it still can: the maps forbid it for good.
    setgroups(&[])?;
    unshare(CloneFlags::CLONE_NEWUSER)?;
    let failed = |_err| Errno::EPIPE;
    fds::send(&context.sync, &Message::MapMe.encode(), &[]).map_err(failed)?;
    let (answer, _) = fds::receive(&context.sync, 1, 0).map_err(failed)?;
    if answer == SYNC_GO { Ok(()) } else { Err(Errno::EPROTO) }
}

/// The maps of a user namespace made at birth, which its first process may write itself as long
/// as they only name its own ids.
pub(super) fn map_own(ids: (u32, u32)) -> nix::Result<()> {
    let write = |file: &str, text: &str| {
        OpenOptions::new()
            .write(true)
            .open(file)
            .and_then(|mut file| file.write_all(text.as_bytes()))
    };
    write("/proc/self/setgroups", "deny")
        .and_then(|()| write("/proc/self/uid_map", &map(ids.0)))
        .and_then(|()| write("/proc/self/gid_map", &map(ids.1)))
        .map_err(|err| Errno::from_raw(err.raw_os_error().unwrap_or(libc::EIO)))
}

pub(super) fn become_inside() -> nix::Result<()> {
    let (uid, gid) = (Uid::from_raw(INSIDE), Gid::from_raw(INSIDE));
    setresgid(gid, gid, gid)?;
    setresuid(uid, uid, uid)
}

pub(super) fn die_with_parent(context: &mut Context) -> nix::Result<()> {
    prctl::set_pdeathsig(Signal::SIGKILL)?;
    // Its number says nothing across a pid namespace, but its end of the pair closes with it.
    if fds::hung_up(&context.sync)? { Err(Errno::EOWNERDEAD) } else { Ok(()) }
}

//! What the gateway's own processes give up, and what they may not start without. The supervisor
//! keeps no capability, no root and no way to execute a program.

use std::os::fd::OwnedFd;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, open as open_path, openat};
use nix::sys::prctl;
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::Signal;
use nix::sys::stat::{Mode, SFlag, fchmod, fstat, fstatat};
use nix::unistd::{
    Gid, Uid, fchdir, fchown, fchownat, geteuid, getppid, getresgid, getresuid, setgroups,
    setresgid, setresuid,
};

use crate::sys::identity;
use crate::{Error, confine, host, launcher};

/// Ids from here up have meanings of their own in some kernels and tools.
pub(crate) const MAX_ID: u32 = 0x7FFF_0000;
/// Ids below are the host's own users.
const MIN_BASE: u32 = 65_536;

/// Capabilities that root mode cannot do without: ids of files and processes, capabilities, mounts.
const NEEDED: [(&str, u32); 5] =
    [("CHOWN", 0), ("SETGID", 6), ("SETUID", 7), ("SETPCAP", 8), ("SYS_ADMIN", 21)];

/// What the supervisor owns below the state directory, with all that is in it.
const OWN: [&str; 5] = ["records", "audit", "keys", "run", "openclawmu.json5"];
/// The state is flat; a deeper tree is not ours.
const MAX_DEPTH: u32 = 8;

/// Root or rootless, or neither: uid 0 without its powers would make every worker uid 0.
pub(crate) fn mode(uid_base: u32) -> Result<host::Mode, Error> {
    if !geteuid().is_root() {
        return Ok(host::Mode::Rootless);
    }
    let missing: Vec<_> = NEEDED.iter().filter(|it| !identity::has(it.1)).map(|it| it.0).collect();
    let unusable = |reason: String| Err(Error::Unusable { reason });
    if !missing.is_empty() {
        return unusable(format!("uid 0 without the capabilities {}", missing.join(", ")));
    }
    if !(MIN_BASE..MAX_ID).contains(&uid_base) {
        return unusable(format!("the first uid {uid_base} is not from {MIN_BASE} to {MAX_ID}"));
    }
    Ok(host::Mode::Root)
}

/// Makes the calling process the supervisor: in the state directory, which is given to it, under
/// its own uid, without capabilities, untraceable, under the supervisor's filter, and dead as soon
/// as the launcher is. To be called with one thread, when configuration and secrets are read.
///
/// # Errors
/// At the first step that fails; the process must then end.
pub fn become_supervisor(uid_base: u32, state_dir: &Path) -> Result<(), Error> {
    let at = |what: &'static str| move |source: Errno| Error::Start { what, source: source.into() };
    if launcher::threads()? != 1 {
        return Err(Error::Unusable { reason: "the supervisor has threads already".to_owned() });
    }
    let mode = mode(uid_base)?;
    let parent = getppid();
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW;
    let state =
        open_path(state_dir, flags, Mode::empty()).map_err(at("open the state directory"))?;
    fchmod(&state, Mode::S_IRWXU).map_err(at("close the state directory"))?;
    if mode == host::Mode::Root {
        let (uid, gid) = (Uid::from_raw(uid_base), Gid::from_raw(uid_base));
        give(&state, uid, gid).map_err(at("give the state to the supervisor"))?;
        fchdir(&state).map_err(at("enter the state directory"))?;
        drop_root(uid, gid).map_err(at("drop root"))?;
    } else {
        fchdir(&state).map_err(at("enter the state directory"))?;
    }
    setrlimit(Resource::RLIMIT_CORE, 0, 0).map_err(at("switch core dumps off"))?;
    prctl::set_dumpable(false).map_err(at("become untraceable"))?;
    prctl::set_no_new_privs().map_err(at("give up new privileges"))?;
    prctl::set_pdeathsig(Signal::SIGKILL).map_err(at("follow the launcher's death"))?;
    if getppid() != parent {
        return Err(at("follow the launcher's death")(Errno::EOWNERDEAD));
    }
    confine::supervisor_filter()
}

fn drop_root(uid: Uid, gid: Gid) -> nix::Result<()> {
    identity::drop_bounding()?;
    identity::lock_securebits()?;
    setgroups(&[])?;
    setresgid(gid, gid, gid)?;
    setresuid(uid, uid, uid)?;
    identity::drop_capabilities()?;
    let (users, groups) = (getresuid()?, getresgid()?);
    let ids = [users.real, users.effective, users.saved].iter().all(|it| *it == uid);
    let groups = [groups.real, groups.effective, groups.saved].iter().all(|it| *it == gid);
    if ids && groups && identity::is_powerless() { Ok(()) } else { Err(Errno::EPERM) }
}

/// Hands over the state directory and what the supervisor keeps in it; never what is a tenant's.
fn give(state: &OwnedFd, uid: Uid, gid: Gid) -> nix::Result<()> {
    for name in OWN {
        give_tree(state, name, (uid, gid), MAX_DEPTH)?;
    }
    fchown(state, Some(uid), Some(gid))
}

/// Gives away what root made, and nothing that could be a second name of a file elsewhere.
fn give_tree(parent: &OwnedFd, name: &str, to: (Uid, Gid), depth: u32) -> nix::Result<()> {
    let stat = match fstatat(parent, name, AtFlags::AT_SYMLINK_NOFOLLOW) {
        Err(Errno::ENOENT) => return Ok(()),
        stat => stat?,
    };
    let kind = SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT;
    if kind == SFlag::S_IFDIR && depth > 0 {
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW;
        let directory = openat(parent, name, flags, Mode::empty())?;
        for name in crate::fds::names(&directory)? {
            give_tree(&directory, &name, to, depth - 1)?;
        }
        return if fstat(&directory)?.st_uid == 0 {
            fchown(&directory, Some(to.0), Some(to.1))
        } else {
            Ok(())
        };
    }
    let plain = matches!(kind, SFlag::S_IFREG | SFlag::S_IFSOCK) && stat.st_nlink == 1;
    if plain && stat.st_uid == 0 {
        fchownat(parent, name, Some(to.0), Some(to.1), AtFlags::AT_SYMLINK_NOFOLLOW)?;
    }
    Ok(())
}

//! What the gateway's own processes give up, and what they may not start without. The supervisor
//! keeps no capability, no root and no way to execute a program.

use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{OFlag, open as open_path};
use nix::sys::prctl;
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::Signal;
use nix::sys::stat::Mode;
use nix::unistd::{
    Gid, Uid, fchdir, geteuid, getppid, getresgid, getresuid, setgroups, setresgid, setresuid,
};

use crate::sys::identity;
use crate::{Error, confine, host, ids, launcher};

/// Capabilities that root mode cannot do without: ids of files and processes, capabilities, mounts.
const NEEDED: [(&str, u32); 5] =
    [("CHOWN", 0), ("SETGID", 6), ("SETUID", 7), ("SETPCAP", 8), ("SYS_ADMIN", 21)];

/// Root or rootless, or neither: uid 0 without its powers would make every worker uid 0.
pub(crate) fn mode() -> Result<host::Mode, Error> {
    if !geteuid().is_root() {
        return Ok(host::Mode::Rootless);
    }
    let missing: Vec<_> = NEEDED.iter().filter(|it| !identity::has(it.1)).map(|it| it.0).collect();
    if !missing.is_empty() {
        let reason = format!("uid 0 without the capabilities {}", missing.join(", "));
        return Err(Error::Unusable { reason });
    }
    Ok(host::Mode::Root)
}

/// Makes the calling process the supervisor: in the state directory, under `uid_base`
/// as its uid, without capabilities, untraceable, under the supervisor's filter, and dead as soon
/// as the launcher is. To be called with one thread, when configuration and secrets are read.
///
/// # Errors
/// At the first step that fails; the process must then end.
pub fn become_supervisor(uid_base: u32, state_dir: &Path) -> Result<(), Error> {
    let at = |what: &'static str| move |source: Errno| Error::Start { what, source: source.into() };
    if launcher::threads()? != 1 {
        return Err(Error::Unusable { reason: "the supervisor has threads already".to_owned() });
    }
    let mode = mode()?;
    let parent = getppid();
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW;
    let state =
        open_path(state_dir, flags, Mode::empty()).map_err(at("open the state directory"))?;
    fchdir(&state).map_err(at("enter the state directory"))?;
    if mode == host::Mode::Root {
        ids::check(uid_base)?;
        let (uid, gid) = (Uid::from_raw(uid_base), Gid::from_raw(uid_base));
        drop_root(uid, gid).map_err(at("drop root"))?;
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

//! What the gateway's own processes give up, and what they may not start without. The supervisor
//! keeps no capability, no root and no way to execute a program.

use std::os::fd::OwnedFd;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{OFlag, open as open_path, openat};
use nix::sys::prctl;
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::Signal;
use nix::sys::stat::{Mode, fchmod, fstat, mkdirat};
use nix::unistd::{
    Gid, Uid, fchdir, fchown, getppid, getresgid, getresuid, setgroups, setresgid, setresuid,
};

use crate::process::threads;
use crate::sys::identity;
use crate::{Error, confine, mode};

/// What the launcher keeps for its whole life: [`NEEDED`], and those for the owners, modes,
/// signals, facts and limits of workers, and for the loopback device of a sandbox. The packaged
/// unit says what each is for and gives no more either.
const KEPT: [u32; 11] = [0, 1, 3, 5, 6, 7, 8, 12, 19, 21, 24];

/// What the supervisor owns below the state directory. The directory itself stays root's.
const OWN: [&str; 4] = ["records", "audit", "keys", "run"];
/// The supervisor, by its group, may make things in the state directory; what root made there, the
/// tenants and the configuration, it can neither rename nor replace.
const STATE_MODE: u32 = 0o1770;

/// Makes the calling process, which is root, the launcher: what it does not need for its work it
/// cannot be made to do.
pub(crate) fn become_launcher() -> nix::Result<()> {
    identity::keep_only(&KEPT)
}

/// Makes the calling process the supervisor: in the state directory, which it may use, under
/// its own uid, without capabilities, untraceable, under the supervisor's filter, and dead as soon
/// as the launcher is. To be called with one thread, when configuration and secrets are read.
///
/// # Errors
/// At the first step that fails; the process must then end.
pub fn become_supervisor(uid_base: u32, state_dir: &Path) -> Result<(), Error> {
    let at = |what: &'static str| move |source: Errno| Error::Start { what, source: source.into() };
    if threads()? != 1 {
        return Err(Error::Unusable { reason: "the supervisor has threads already".to_owned() });
    }
    let found = mode::find(Some(uid_base))?;
    let parent = getppid();
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW;
    let state =
        open_path(state_dir, flags, Mode::empty()).map_err(at("open the state directory"))?;
    if found == mode::Mode::Root {
        let (uid, gid) = (Uid::from_raw(uid_base), Gid::from_raw(uid_base));
        share(&state, uid, gid)?;
        fchdir(&state).map_err(at("enter the state directory"))?;
        drop_root(uid, gid).map_err(at("drop root"))?;
    } else {
        fchmod(&state, Mode::S_IRWXU).map_err(at("close the state directory"))?;
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

/// Keeps the state directory root's, lets the supervisor work in it, and makes it the directories
/// of its own. One that is there already must be the supervisor's: nothing is ever given away that
/// was found, because what is found may have been put there.
fn share(state: &OwnedFd, uid: Uid, gid: Gid) -> Result<(), Error> {
    let at =
        |source: Errno| Error::Start { what: "share the state directory", source: source.into() };
    let owner = fstat(state).map_err(at)?.st_uid;
    if owner != 0 && owner != uid.as_raw() {
        let reason = format!("the state directory belongs to uid {owner}, not to root");
        return Err(Error::Unusable { reason });
    }
    fchown(state, Some(Uid::from_raw(0)), Some(gid)).map_err(at)?;
    fchmod(state, Mode::from_bits_truncate(STATE_MODE)).map_err(at)?;
    for name in OWN {
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW;
        let made = match mkdirat(state, name, Mode::S_IRWXU) {
            Ok(()) => true,
            Err(Errno::EEXIST) => false,
            Err(err) => return Err(at(err)),
        };
        let directory = openat(state, name, flags, Mode::empty()).map_err(at)?;
        let owner = fstat(&directory).map_err(at)?.st_uid;
        if made && owner == 0 {
            fchown(&directory, Some(uid), Some(gid)).map_err(at)?;
        } else if owner != uid.as_raw() {
            let reason =
                format!("{name} in the state directory belongs to uid {owner}, not to {uid}");
            return Err(Error::Unusable { reason });
        }
    }
    Ok(())
}

//! Read back before exec: everything a step took away that nobody can see from outside, or that
//! exec would hide. What `verify` can see is not repeated here.

use nix::sys::prctl;
use nix::sys::signal::{SigSet, SigmaskHow, Signal, sigprocmask};
use nix::sys::stat::{Mode, stat, umask};
use nix::unistd::{getcwd, gethostname, getpid, getsid};

use super::{Context, root};
use crate::sys::identity;

type Check = (&'static str, fn(&Context) -> bool);

const CHECKS: &[Check] = &[
    ("check: session", |_| getsid(None) == Ok(getpid())),
    ("check: signals", |_| no_signal_is_blocked()),
    ("check: host name", |_| gethostname().is_ok_and(|name| name == root::HOST_NAME)),
    ("check: root", |_| stands_in_root()),
    ("check: capabilities", |_| identity::is_powerless()),
    ("check: securebits", |_| identity::securebits_locked()),
    ("check: parent death signal", |_| prctl::get_pdeathsig() == Ok(Some(Signal::SIGKILL))),
    ("check: umask", |_| umask(CLOSED) == CLOSED),
    ("check: keyring", |context| context.keyring.is_some_and(|serial| serial > 0)),
];

const CLOSED: Mode = Mode::S_IRWXG.union(Mode::S_IRWXO);

/// The name of the first check that does not hold.
pub(super) fn first_failed(context: &Context) -> Option<&'static str> {
    CHECKS.iter().find(|(_, holds)| !holds(context)).map(|(name, _)| *name)
}

fn no_signal_is_blocked() -> bool {
    let mut blocked = SigSet::all();
    let read = sigprocmask(SigmaskHow::SIG_BLOCK, None, Some(&mut blocked));
    read.is_ok() && blocked == SigSet::empty()
}

/// The working directory is the root, and there is nothing above it.
fn stands_in_root() -> bool {
    let inode = |path: &str| stat(path).map(|it| (it.st_dev, it.st_ino));
    getcwd().is_ok_and(|path| path.as_os_str() == "/") && inode("/..") == inode("/")
}

//! Read back before exec: everything a step took away that nobody can see from outside, or that
//! exec would hide. What `verify` can see of a worker is not repeated here; nobody looks at a
//! sandbox from outside before it runs, so all of it is looked at here.

use nix::fcntl::{OFlag, open};
use nix::sys::prctl;
use nix::sys::signal::{SigSet, SigmaskHow, Signal, sigprocmask};
use nix::sys::stat::{Mode, stat, umask};
use nix::sys::statvfs::{FsFlags, statvfs};
use nix::unistd::{getcwd, gethostname, getpid, getsid};

use super::{Context, What, limits, root, system, tenant};
use crate::Backend;
use crate::sys::{identity, mounts};

type Check = (&'static str, fn(&Context) -> bool);

const CHECKS: &[Check] = &[
    ("check: session", |_| getsid(None) == Ok(getpid())),
    ("check: signals", |_| no_signal_is_blocked()),
    ("check: host name", |context| has_host_name(context)),
    ("check: root", |_| stands_in_root()),
    ("check: capabilities", |_| identity::is_powerless()),
    ("check: securebits", |_| identity::securebits_locked()),
    ("check: parent death signal", |_| prctl::get_pdeathsig() == Ok(Some(Signal::SIGKILL))),
    ("check: umask", |_| umask(CLOSED) == CLOSED),
    ("check: keyring", |context| context.keyring.is_some_and(|serial| serial > 0)),
];

/// For sandboxes only.
const OF_SANDBOXES: &[Check] = &[
    ("check: namespaces", |context| context.born & BORN == BORN),
    ("check: cgroup", |context| context.cgroups.is_empty()),
    ("check: cgroup namespace", |_| sees_no_cgroup()),
    ("check: read-only root", |_| is_read_only("/")),
    ("check: system", |_| is_read_only("/usr") && is_mounted("/usr")),
    ("check: temporary files", |_| is_mounted("/tmp")),
    ("check: proc", |context| context.what != NATIVE || is_read_only("/proc")),
    ("check: proc masks", |context| context.what != NATIVE || is_masked(context)),
    ("check: tenant directory", |context| sees_what_was_ordered(context)),
    ("check: resource limits", |context| limits::are_set(context)),
];

/// What a sandbox is born into, in every mode.
const BORN: libc::c_int = libc::CLONE_NEWNS
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWNET
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUTS;

const NATIVE: What = What::Sandbox(Backend::Native);

const CLOSED: Mode = Mode::S_IRWXG.union(Mode::S_IRWXO);

/// The name of the first check that does not hold.
pub(super) fn first_failed(context: &Context) -> Option<&'static str> {
    let more = if context.what == What::Worker { &[] } else { OF_SANDBOXES };
    CHECKS.iter().chain(more).find(|(_, holds)| !holds(context)).map(|(name, _)| *name)
}

fn has_host_name(context: &Context) -> bool {
    gethostname().is_ok_and(|name| name == root::host_name_of(context.what))
}

fn no_signal_is_blocked() -> bool {
    let mut blocked = SigSet::all();
    let read = sigprocmask(SigmaskHow::SIG_BLOCK, None, Some(&mut blocked));
    read.is_ok() && blocked == SigSet::empty()
}

/// Every hierarchy begins at the sandbox's own leaf.
fn sees_no_cgroup() -> bool {
    let own = std::fs::read_to_string("/proc/self/cgroup");
    own.is_ok_and(|text| text.lines().all(|line| line.ends_with(":/")))
}

fn is_read_only(path: &str) -> bool {
    statvfs(path).is_ok_and(|it| it.flags().contains(FsFlags::ST_RDONLY))
}

fn is_mounted(path: &str) -> bool {
    let flags = OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    open(path, flags, Mode::empty()).is_ok_and(|fd| mounts::is_mount_root(&fd) == Ok(true))
}

fn is_masked(context: &Context) -> bool {
    let found = context.root().and_then(system::masked);
    found.is_ok_and(|all| all.iter().all(|(name, _)| is_mounted(&format!("/proc/{name}"))))
}

fn sees_what_was_ordered(context: &Context) -> bool {
    let ordered = context.order.as_ref().map_or(0, |order| order.found.len());
    let points = tenant::points(context.what).iter().take(ordered);
    points.filter_map(|point| point.to_str().ok()).all(|point| is_mounted(&format!("/{point}")))
}

/// The working directory is the root, and there is nothing above it.
fn stands_in_root() -> bool {
    let inode = |path: &str| stat(path).map(|it| (it.st_dev, it.st_ino));
    getcwd().is_ok_and(|path| path.as_os_str() == "/") && inode("/..") == inode("/")
}

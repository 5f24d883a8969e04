//! The new root: made empty in memory, with devices, and entered. What a sandbox has beside is in
//! `system`; the tenant's own comes last, in `tenant`.

use std::ffi::CString;
use std::os::fd::OwnedFd;

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag, openat};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sys::stat::{Mode, SFlag, fstat, major, minor, mkdirat};
use nix::unistd::{chdir, fchdir, pivot_root, sethostname, symlinkat, write};

use super::{Context, What, tenant};
use crate::fds;
use crate::mode;
use crate::sys::mounts;

/// A root holds directories, empty files and a few small ones; this is room for them and nothing
/// else.
const SIZE: &std::ffi::CStr = c"256k";
const INODES: &std::ffi::CStr = c"128";

/// What a mount of devices is: neither programs nor set-id files.
const DEVICE: u64 = libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NOEXEC;

/// Character devices with major number 1, and their minor numbers.
pub(crate) const DEVICES: [(&str, u64); 5] =
    [("null", 3), ("zero", 5), ("full", 7), ("random", 8), ("urandom", 9)];

/// The terminal that a process has; only a sandbox can have one.
const TERMINAL: (&str, u64, u64) = ("tty", 5, 0);
/// More terminals in one sandbox are refused; the kernel's own bound is the whole machine's.
const TERMINALS_MAX: &std::ffi::CStr = c"16";

/// The names in `/dev` of a sandbox that lead elsewhere.
const LINKS: [(&str, &str); 6] = [
    ("dev/ptmx", "pts/ptmx"),
    ("dev/fd", "/proc/self/fd"),
    ("dev/stdin", "/proc/self/fd/0"),
    ("dev/stdout", "/proc/self/fd/1"),
    ("dev/stderr", "/proc/self/fd/2"),
    // Semaphores and shared memory with a name, which end with the sandbox.
    ("dev/shm", "/tmp"),
];

/// What the host is called, inside.
pub(super) const fn host_name_of(what: What) -> &'static str {
    match what {
        What::Worker => "worker",
        What::Sandbox(_) => "sandbox",
    }
}

pub(super) fn private_mounts(context: &mut Context) -> nix::Result<()> {
    // In the host's own mount namespace this would cut the host's mounts off from each other.
    if context.born & libc::CLONE_NEWNS == 0 {
        return Err(Errno::EPERM);
    }
    let none: Option<&str> = None;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none)?;
    context.private = true;
    Ok(())
}

pub(super) fn make(context: &mut Context) -> nix::Result<()> {
    if !context.private {
        return Err(Errno::EPERM);
    }
    // Before the new root covers it: the launcher stands in the directory of roots.
    let tenants = match context.mode {
        mode::Mode::Root => None,
        mode::Mode::Rootless => Some(mounts::clone_tree(AT_FDCWD)?),
    };
    let options = [(c"size", Some(SIZE)), (c"nr_inodes", Some(INODES)), (c"mode", Some(c"755"))];
    let root = mounts::make(c"tmpfs", &options, mounts::INERT)?;
    mounts::attach(&root, AT_FDCWD, c".")?;
    let mode = Mode::from_bits_truncate(0o755);
    let directories: &[&str] = match context.what {
        What::Worker => &["dev", "tenant"],
        What::Sandbox(_) => {
            &["dev", "etc", "home", "home/agent", "proc", "tmp", "usr", "workspace"]
        }
    };
    for directory in directories {
        mkdirat(&root, *directory, mode)?;
    }
    if let Some(tree) = tenants {
        mkdirat(&root, tenant::ALL, mode)?;
        mounts::restrict(&tree, tenant::attributes(context.what))?;
        mounts::attach(&tree, &root, c"tenants")?;
    }
    // Out of the way of the descriptors that are placed later.
    context.root = Some(fds::lifted(&root)?);
    Ok(())
}

pub(super) fn devices(context: &mut Context) -> nix::Result<()> {
    let root = context.root()?;
    for (name, number) in DEVICES {
        bind(root, &device(name, (1, number))?, &format!("dev/{name}"))?;
    }
    if context.what == What::Worker {
        return Ok(());
    }
    let (name, major, minor) = TERMINAL;
    bind(root, &device(name, (major, minor))?, &format!("dev/{name}"))?;
    mkdirat(root, "dev/pts", Mode::from_bits_truncate(0o755))?;
    let options = [
        (c"newinstance", None),
        (c"ptmxmode", Some(c"0666")),
        (c"mode", Some(c"0600")),
        (c"max", Some(TERMINALS_MAX)),
    ];
    let terminals = mounts::make(c"devpts", &options, DEVICE)?;
    mounts::attach(&terminals, root, c"dev/pts")?;
    for (name, target) in LINKS {
        symlinkat(target, root, name)?;
    }
    Ok(())
}

/// Binds a device on a new file.
fn bind(root: &OwnedFd, node: &OwnedFd, point: &str) -> nix::Result<()> {
    let tree = mounts::clone_tree(node)?;
    mounts::restrict(&tree, DEVICE)?;
    file(root, point, b"")?;
    let point = CString::new(point).map_err(|_nul| Errno::EINVAL)?;
    mounts::attach(&tree, root, &point)
}

/// A new file that everybody may read.
pub(super) fn file(root: &OwnedFd, name: &str, content: &[u8]) -> nix::Result<()> {
    let flags = OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW;
    let mode = Mode::from_bits_truncate(0o444);
    let file = openat(root, name, flags | OFlag::O_WRONLY, mode)?;
    if write(&file, content)? == content.len() { Ok(()) } else { Err(Errno::EIO) }
}

/// One of the host's devices: opened once, checked, and from then on held by descriptor.
pub(crate) fn device(name: &str, number: (u64, u64)) -> nix::Result<OwnedFd> {
    let flags = OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let node = openat(AT_FDCWD, format!("/dev/{name}").as_str(), flags, Mode::empty())?;
    let stat = fstat(&node)?;
    let kind = SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT;
    let right = kind == SFlag::S_IFCHR && (major(stat.st_rdev), minor(stat.st_rdev)) == number;
    if right { Ok(node) } else { Err(Errno::ENODEV) }
}

pub(super) fn pivot(context: &mut Context) -> nix::Result<()> {
    fchdir(context.root()?)?;
    pivot_root(".", ".")?;
    umount2(".", MntFlags::MNT_DETACH)?;
    chdir("/")
}

pub(super) fn host_name(context: &mut Context) -> nix::Result<()> {
    if context.born & libc::CLONE_NEWUTS == 0 {
        return Err(Errno::EPERM);
    }
    sethostname(host_name_of(context.what))
}

pub(super) fn read_only(context: &mut Context) -> nix::Result<()> {
    mounts::restrict(context.root()?, libc::MOUNT_ATTR_RDONLY | mounts::INERT)
}

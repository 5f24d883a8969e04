//! The worker's root: made empty in memory, entered, and only then given the tenant's directory.
//! Nothing here follows a link or trusts a name that a tenant could have made.

use std::os::fd::OwnedFd;

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag, OpenHow, openat, openat2};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sys::stat::{Mode, SFlag, fstat, major, minor, mkdirat};
use nix::unistd::{UnlinkatFlags, chdir, fchdir, pivot_root, sethostname, unlinkat};

use super::Context;
use crate::disk::beneath;
use crate::host;
use crate::sys::mounts;

/// A root holds two directories and five empty files; this is room for them and nothing else.
const SIZE: &std::ffi::CStr = c"256k";
const INODES: &std::ffi::CStr = c"64";

/// Character devices with major number 1, and their minor numbers.
pub(crate) const DEVICES: [(&str, u64); 5] =
    [("null", 3), ("zero", 5), ("full", 7), ("random", 8), ("urandom", 9)];

/// What a worker's host is called.
pub(super) const HOST_NAME: &str = "worker";

/// Where the roots of all tenants are seen until one of them is taken, without root only.
const TENANTS: &str = "tenants";

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
        host::Mode::Root => None,
        host::Mode::Rootless => Some(mounts::clone_tree(AT_FDCWD)?),
    };
    let options = [(c"size", Some(SIZE)), (c"nr_inodes", Some(INODES)), (c"mode", Some(c"755"))];
    let root = mounts::make(c"tmpfs", &options, mounts::INERT)?;
    mounts::attach(&root, AT_FDCWD, c".")?;
    let mode = Mode::from_bits_truncate(0o755);
    mkdirat(&root, "tenant", mode)?;
    mkdirat(&root, "dev", mode)?;
    if let Some(tree) = tenants {
        mkdirat(&root, TENANTS, mode)?;
        mounts::restrict(&tree, mounts::INERT)?;
        mounts::attach(&tree, &root, c"tenants")?;
    }
    context.root = Some(root);
    Ok(())
}

pub(super) fn devices(context: &mut Context) -> nix::Result<()> {
    let root = root(context)?;
    for (name, number) in DEVICES {
        let node = device(name, number)?;
        let tree = mounts::clone_tree(&node)?;
        mounts::restrict(&tree, libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NOEXEC)?;
        let point = format!("dev/{name}");
        let flags = OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW;
        drop(openat(root, point.as_str(), flags, Mode::from_bits_truncate(0o444))?);
        let point = std::ffi::CString::new(point).map_err(|_nul| Errno::EINVAL)?;
        mounts::attach(&tree, root, &point)?;
    }
    Ok(())
}

/// One of the host's devices: opened once, checked, and from then on held by descriptor.
pub(crate) fn device(name: &str, number: u64) -> nix::Result<OwnedFd> {
    let flags = OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let node = openat(AT_FDCWD, format!("/dev/{name}").as_str(), flags, Mode::empty())?;
    let stat = fstat(&node)?;
    let kind = SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT;
    let right = kind == SFlag::S_IFCHR && (major(stat.st_rdev), minor(stat.st_rdev)) == (1, number);
    if right { Ok(node) } else { Err(Errno::ENODEV) }
}

pub(super) fn pivot(context: &mut Context) -> nix::Result<()> {
    fchdir(root(context)?)?;
    pivot_root(".", ".")?;
    umount2(".", MntFlags::MNT_DETACH)?;
    chdir("/")
}

pub(super) fn host_name(context: &mut Context) -> nix::Result<()> {
    if context.born & libc::CLONE_NEWUTS == 0 {
        return Err(Errno::EPERM);
    }
    sethostname(HOST_NAME)
}

pub(super) fn tenant(context: &mut Context) -> nix::Result<()> {
    let root = root(context)?;
    let order = context.order.as_ref().ok_or(Errno::EINVAL)?;
    let own;
    let tree = if let Some(tree) = &order.mount {
        tree
    } else {
        let how = OpenHow::new()
            .flags(OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC)
            .resolve(beneath());
        let path = format!("{TENANTS}/{}", order.tenant);
        own = mounts::clone_tree(openat2(root, path.as_str(), how)?)?;
        &own
    };
    let stat = fstat(tree)?;
    if (stat.st_dev, stat.st_ino) != (order.device, order.inode) {
        return Err(Errno::ESTALE);
    }
    mounts::restrict(tree, mounts::INERT)?;
    mounts::attach(tree, root, c"tenant")?;
    if order.mount.is_none() {
        umount2("/tenants", MntFlags::MNT_DETACH)?;
        unlinkat(root, TENANTS, UnlinkatFlags::RemoveDir)?;
    }
    Ok(())
}

pub(super) fn read_only(context: &mut Context) -> nix::Result<()> {
    mounts::restrict(root(context)?, libc::MOUNT_ATTR_RDONLY | mounts::INERT)
}

fn root(context: &Context) -> nix::Result<&OwnedFd> {
    context.root.as_ref().ok_or(Errno::EINVAL)
}

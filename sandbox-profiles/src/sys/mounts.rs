//! The descriptor-based mount calls: what is mounted is held by descriptor, never found by name.
#![expect(unsafe_code, reason = "mount calls without a safe wrapper")]

use std::ffi::CStr;
use std::os::fd::{AsFd, AsRawFd as _, OwnedFd};

use nix::errno::Errno;

use super::own;

/// No set-id programs, no device nodes, no programs.
pub(crate) const INERT: u64 =
    libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NODEV | libc::MOUNT_ATTR_NOEXEC;

const OPEN_TREE_CLOEXEC: libc::c_uint = libc::O_CLOEXEC.cast_unsigned();
const MOVE_MOUNT_F_EMPTY_PATH: libc::c_uint = 0x04;
const MOVE_MOUNT_T_EMPTY_PATH: libc::c_uint = 0x40;
const FSOPEN_CLOEXEC: libc::c_uint = 1;
const FSMOUNT_CLOEXEC: libc::c_uint = 1;
const FSCONFIG_SET_FLAG: libc::c_uint = 0;
const FSCONFIG_SET_STRING: libc::c_uint = 1;
const FSCONFIG_CMD_CREATE: libc::c_uint = 6;

/// A detached copy of the mount under `fd`, from that directory or file down.
pub(crate) fn clone_tree(fd: impl AsFd) -> nix::Result<OwnedFd> {
    let empty_path = libc::AT_EMPTY_PATH.cast_unsigned();
    let flags = libc::OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | empty_path;
    let fd = fd.as_fd().as_raw_fd();
    // SAFETY: the path is a valid empty string; the result is checked by `own`.
    own(unsafe { libc::syscall(libc::SYS_open_tree, fd, c"".as_ptr(), flags) })
}

/// Attaches a detached mount on `path` under `at`; the empty path means `at` itself.
pub(crate) fn attach(tree: impl AsFd, at: impl AsFd, path: &CStr) -> nix::Result<()> {
    let (tree, at) = (tree.as_fd().as_raw_fd(), at.as_fd().as_raw_fd());
    let flags = MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH;
    let number = libc::SYS_move_mount;
    // SAFETY: both paths are valid C strings.
    let result = unsafe { libc::syscall(number, tree, c"".as_ptr(), at, path.as_ptr(), flags) };
    Errno::result(result).map(drop)
}

/// Adds attributes to the mount that `fd` is the root of.
pub(crate) fn restrict(fd: impl AsFd, attributes: u64) -> nix::Result<()> {
    change(fd, (attributes, 0), 0)
}

/// Takes attributes from the mount that `fd` is the root of, where nobody has locked them.
pub(crate) fn loosen(fd: impl AsFd, attributes: u64) -> nix::Result<()> {
    change(fd, (0, attributes), 0)
}

/// Shows the files of a detached mount with the ids that the user namespace maps theirs to.
pub(crate) fn show_as(fd: impl AsFd, namespace: impl AsFd) -> nix::Result<()> {
    let namespace = u64::try_from(namespace.as_fd().as_raw_fd()).map_err(|_range| Errno::EBADF)?;
    change(fd, (libc::MOUNT_ATTR_IDMAP, 0), namespace)
}

fn change(fd: impl AsFd, (attr_set, attr_clr): (u64, u64), userns_fd: u64) -> nix::Result<()> {
    let attr = libc::mount_attr { attr_set, attr_clr, propagation: 0, userns_fd };
    let (fd, number) = (fd.as_fd().as_raw_fd(), libc::SYS_mount_setattr);
    let (flags, size) = (libc::AT_EMPTY_PATH.cast_unsigned(), size_of_val(&attr));
    // SAFETY: attr is a live mount_attr and size is its size.
    let result = unsafe { libc::syscall(number, fd, c"".as_ptr(), flags, &raw const attr, size) };
    Errno::result(result).map(drop)
}

/// Makes a file system of `kind` with string options, and flags where the value is none, and gives
/// its detached mount.
pub(crate) fn make(
    kind: &CStr,
    options: &[(&CStr, Option<&CStr>)],
    attributes: u64,
) -> nix::Result<OwnedFd> {
    // SAFETY: the name is a valid C string; the result is checked by `own`.
    let context = own(unsafe { libc::syscall(libc::SYS_fsopen, kind.as_ptr(), FSOPEN_CLOEXEC) })?;
    for (key, value) in options {
        let command = if value.is_some() { FSCONFIG_SET_STRING } else { FSCONFIG_SET_FLAG };
        configure(&context, command, Some(key), *value)?;
    }
    configure(&context, FSCONFIG_CMD_CREATE, None, None)?;
    let (number, fd) = (libc::SYS_fsmount, context.as_raw_fd());
    // SAFETY: fsmount takes integers only; the result is checked by `own`.
    own(unsafe { libc::syscall(number, fd, FSMOUNT_CLOEXEC, attributes) })
}

fn configure(
    context: &OwnedFd,
    command: libc::c_uint,
    key: Option<&CStr>,
    value: Option<&CStr>,
) -> nix::Result<()> {
    let pointer = |text: Option<&CStr>| text.map_or(std::ptr::null(), CStr::as_ptr);
    let (key, value, fd) = (pointer(key), pointer(value), context.as_raw_fd());
    // SAFETY: key and value are null or valid C strings, as the commands above want them.
    let result = unsafe { libc::syscall(libc::SYS_fsconfig, fd, command, key, value, 0) };
    Errno::result(result).map(drop)
}

/// Whether `fd` is the root of a mount, and not just a directory in one.
pub(crate) fn is_mount_root(fd: impl AsFd) -> nix::Result<bool> {
    let mut stat = std::mem::MaybeUninit::<libc::statx>::zeroed();
    let fd = fd.as_fd().as_raw_fd();
    let pointer = stat.as_mut_ptr();
    // SAFETY: the pointer is to memory of a statx's size.
    let result = unsafe { libc::statx(fd, c"".as_ptr(), libc::AT_EMPTY_PATH, 0, pointer) };
    Errno::result(result)?;
    // SAFETY: statx is plain integers and was zeroed before the kernel filled it.
    let stat = unsafe { stat.assume_init() };
    let bit = u64::from(libc::STATX_ATTR_MOUNT_ROOT.cast_unsigned());
    Ok(stat.stx_attributes & bit != 0)
}

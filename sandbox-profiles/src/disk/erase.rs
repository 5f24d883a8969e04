//! Removing a tree that a hostile tenant made, however deep: no recursion, two descriptors open at
//! a time, no link followed. The tenant's processes must be gone.

use std::ffi::{CStr, CString};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::ffi::OsStringExt as _;

use nix::NixPath;
use nix::errno::Errno;
use nix::fcntl::{OFlag, RenameFlags, openat, renameat2};
use nix::sys::stat::{FchmodatFlags, Mode, fchmodat};
use nix::unistd::{UnlinkatFlags, unlinkat};

/// Names read at once: a directory of any size is removed in rounds.
const ROUND: usize = 10_000;

/// Removes `name` and all below it. What is not there is no error.
pub(super) fn tree(parent: &OwnedFd, name: &str) -> nix::Result<()> {
    let top = match directory(parent, name) {
        Err(Errno::ENOENT) => return Ok(()),
        top => top?,
    };
    let mut fresh: u64 = 0;
    // Each round removes the files of every directory in the top one and hangs its directories
    // into the top one, so a tree of any depth becomes flat and then nothing.
    loop {
        let names = names(&top)?;
        if names.is_empty() {
            return unlinkat(parent, name, UnlinkatFlags::RemoveDir);
        }
        for name in names {
            if unlink(&top, &name)? {
                continue;
            }
            flatten(&directory(&top, name.as_c_str())?, &top, &mut fresh)?;
            unlinkat(&top, name.as_c_str(), UnlinkatFlags::RemoveDir)?;
        }
    }
}

fn flatten(directory: &OwnedFd, top: &OwnedFd, fresh: &mut u64) -> nix::Result<()> {
    loop {
        let names = names(directory)?;
        if names.is_empty() {
            return Ok(());
        }
        for name in names {
            if !unlink(directory, &name)? {
                hang(directory, &name, top, fresh)?;
            }
        }
    }
}

/// Moves a directory into the top one, under a name that nobody has.
fn hang(from: &OwnedFd, name: &CStr, top: &OwnedFd, fresh: &mut u64) -> nix::Result<()> {
    loop {
        *fresh += 1;
        let to = format!("erased-{fresh}");
        match renameat2(from, name, top, to.as_str(), RenameFlags::RENAME_NOREPLACE) {
            Err(Errno::EEXIST) => {}
            Err(Errno::EACCES) => loosen(from, name)?,
            moved => return moved,
        }
    }
}

/// Removes what is not a directory; false when it is one.
fn unlink(parent: &OwnedFd, name: &CStr) -> nix::Result<bool> {
    match unlinkat(parent, name, UnlinkatFlags::NoRemoveDir) {
        Ok(()) => Ok(true),
        Err(Errno::EISDIR) => Ok(false),
        Err(err) => Err(err),
    }
}

fn directory<P: ?Sized + NixPath>(parent: &OwnedFd, name: &P) -> nix::Result<OwnedFd> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    match openat(parent, name, flags, Mode::empty()) {
        Err(Errno::EACCES) => {
            loosen(parent, name)?;
            openat(parent, name, flags, Mode::empty())
        }
        opened => opened,
    }
}

/// Without root, a tenant's directory may be closed to us although it is ours.
fn loosen<P: ?Sized + NixPath>(parent: &OwnedFd, name: &P) -> nix::Result<()> {
    fchmodat(parent, name, Mode::S_IRWXU, FchmodatFlags::FollowSymlink)
}

/// The names in a directory, or as many as are read at once.
pub(super) fn names(directory: &OwnedFd) -> nix::Result<Vec<CString>> {
    let path = format!("/proc/self/fd/{}", directory.as_raw_fd());
    let failed = |err: std::io::Error| Errno::from_raw(err.raw_os_error().unwrap_or(libc::EIO));
    let mut names = Vec::new();
    for entry in std::fs::read_dir(path).map_err(failed)?.take(ROUND) {
        let name = entry.map_err(failed)?.file_name().into_vec();
        names.push(CString::new(name).map_err(|_nul| Errno::EINVAL)?);
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use nix::fcntl::open;
    use nix::sys::stat::mkdirat;

    use super::*;

    #[test]
    fn a_tree_deeper_than_a_path_goes_and_what_links_point_at_stays() {
        let parent = std::env::temp_dir().join(format!("erase-{}", std::process::id()));
        std::fs::create_dir_all(parent.join("tenant/a/b")).unwrap();
        std::fs::write(parent.join("kept"), "kept").unwrap();
        std::fs::write(parent.join("tenant/erased-1"), "in the way").unwrap();
        std::os::unix::fs::symlink("../kept", parent.join("tenant/link")).unwrap();
        std::os::unix::fs::symlink("../..", parent.join("tenant/a/up")).unwrap();
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY;
        let top = open(&parent, flags, Mode::empty()).unwrap();
        let mut deep = open(&parent.join("tenant/a/b"), flags, Mode::empty()).unwrap();
        for _ in 0..3000 {
            mkdirat(&deep, "d", Mode::S_IRWXU).unwrap();
            deep = directory(&deep, c"d").unwrap();
        }
        tree(&top, "tenant").unwrap();
        tree(&top, "tenant").unwrap();
        assert!(!parent.join("tenant").exists());
        assert_eq!(std::fs::read_to_string(parent.join("kept")).unwrap(), "kept");
        std::fs::remove_dir_all(&parent).unwrap();
    }
}

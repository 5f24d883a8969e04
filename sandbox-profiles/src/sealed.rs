//! Files in memory that nobody can change, whoever holds a descriptor of one.

use std::ffi::CStr;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::fs::FileExt as _;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::stat::{Mode, fchmod};

/// It is what it is, and stays so.
pub(crate) const SEALS: SealFlag = SealFlag::F_SEAL_WRITE
    .union(SealFlag::F_SEAL_SHRINK)
    .union(SealFlag::F_SEAL_GROW)
    .union(SealFlag::F_SEAL_SEAL);

/// A file of this content. With a mode that lets it be executed, it can be.
pub(crate) fn sealed(name: &CStr, content: &[u8], mode: Mode) -> io::Result<OwnedFd> {
    let flags = MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING;
    // Kernels before 6.3 do not know the flag that asks for an executable one, and need none.
    let wanted = if mode.intersects(EXECUTE) {
        flags | MFdFlags::from_bits_retain(libc::MFD_EXEC)
    } else {
        flags
    };
    let file = match memfd_create(name, wanted) {
        Err(Errno::EINVAL) => memfd_create(name, flags)?,
        file => file?,
    };
    let file = File::from(file);
    file.write_all_at(content, 0)?;
    fchmod(&file, mode)?;
    fcntl(file.as_fd(), FcntlArg::F_ADD_SEALS(SEALS))?;
    Ok(file.into())
}

const EXECUTE: Mode = Mode::S_IXUSR.union(Mode::S_IXGRP).union(Mode::S_IXOTH);

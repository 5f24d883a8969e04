//! The directories of a root, outermost first, each open while what is in it is looked at.

use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};

use nix::dir::{Dir as Names, OwningIter};
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat};
use nix::sys::stat::{FileStat, Mode, SFlag, fstat, fstatat};

use super::entry::Time;

/// One directory that is open.
pub(super) struct Level {
    pub(super) fd: OwnedFd,
    names: OwningIter,
    /// Bytes of the path to what the directory is in.
    pub(super) above: usize,
    /// Whether its files were taken already.
    pub(super) pinned: bool,
    /// Where not every directory in it counts, those that do.
    pub(super) only: Option<Vec<Vec<u8>>>,
}

impl Level {
    pub(super) fn new(fd: OwnedFd, above: usize) -> nix::Result<Self> {
        let again =
            fd.try_clone().map_err(|err| Errno::from_raw(err.raw_os_error().unwrap_or(0)))?;
        let names = Names::from_fd(again)?.into_iter();
        Ok(Self { fd, names, above, pinned: false, only: None })
    }

    /// The next name in it, in no order.
    pub(super) fn next(&mut self) -> Option<nix::Result<Vec<u8>>> {
        loop {
            match self.names.next()? {
                Ok(entry) => match entry.file_name().to_bytes() {
                    b"." | b".." => {}
                    name => return Some(Ok(name.to_vec())),
                },
                Err(err) => return Some(Err(err)),
            }
        }
    }
}

/// What has this name; none where it has gone meanwhile.
pub(super) fn look(at: impl AsFd, name: &[u8]) -> nix::Result<Option<FileStat>> {
    match fstatat(at, name, AtFlags::AT_SYMLINK_NOFOLLOW) {
        Ok(stat) => Ok(Some(stat)),
        Err(Errno::ENOENT) => Ok(None),
        Err(err) => Err(err),
    }
}

/// A file or directory, open; none where it cannot be, or is something else by now.
pub(super) fn open(
    at: impl AsFd,
    name: &[u8],
    kind: SFlag,
) -> nix::Result<Option<(File, FileStat)>> {
    let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
    let fd = match openat(at, name, flags, Mode::empty()) {
        Ok(fd) => fd,
        Err(Errno::ENOENT | Errno::EACCES | Errno::ELOOP | Errno::ENXIO) => return Ok(None),
        Err(err) => return Err(err),
    };
    let stat = fstat(&fd)?;
    Ok((kind_of(&stat) == kind).then(|| (File::from(fd), stat)))
}

pub(super) fn kind_of(stat: &FileStat) -> SFlag {
    SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT
}

/// Its permissions, without set-id bits.
pub(super) fn mode_of(stat: &FileStat) -> u32 {
    stat.st_mode & 0o1777
}

pub(super) fn time_of(stat: &FileStat) -> Time {
    Time(stat.st_mtime, u32::try_from(stat.st_mtime_nsec).unwrap_or(0))
}

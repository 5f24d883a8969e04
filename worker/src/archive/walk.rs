//! The directories of a root, outermost first, each open while what is in it is looked at.

use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};

use nix::dir::{Dir as Names, OwningIter};
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat};
use nix::sys::stat::{FchmodatFlags, FileStat, Mode, SFlag, fchmod, fchmodat, fstat, fstatat};

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
    /// The mode that it has again once it was looked through.
    closed: Option<Mode>,
}

impl Drop for Level {
    fn drop(&mut self) {
        if let Some(mode) = self.closed
            && let Err(err) = fchmod(&self.fd, mode)
        {
            tracing::warn!(%err, "a directory stays open for its owner");
        }
    }
}

impl Level {
    pub(super) fn new(fd: OwnedFd, above: usize) -> nix::Result<Self> {
        Self::closing(fd, above, None)
    }

    /// One that has this mode again when it is left.
    pub(super) fn closing(fd: OwnedFd, above: usize, closed: Option<Mode>) -> nix::Result<Self> {
        let again =
            fd.try_clone().map_err(|err| Errno::from_raw(err.raw_os_error().unwrap_or(0)))?;
        let names = Names::from_fd(again)?.into_iter();
        Ok(Self { fd, names, above, pinned: false, only: None, closed })
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

/// What is open, what is known of it, and the mode that it is to have again.
pub(super) type Pried = (File, FileStat, Option<Mode>);

/// A file or directory of which `stat` was seen, open also where its owner has closed it to itself: what
/// belongs to the tenant goes along whatever its mode. Gives the mode that a directory is to have again;
/// a file has it already. A kill in between leaves it open for its owner and for nobody else.
pub(super) fn open_any(
    at: impl AsFd + Copy,
    name: &[u8],
    stat: &FileStat,
) -> nix::Result<Option<Pried>> {
    let kind = kind_of(stat);
    let needed = if kind == SFlag::S_IFDIR { Mode::S_IRUSR | Mode::S_IXUSR } else { Mode::S_IRUSR };
    let mode = Mode::from_bits_truncate(mode_of(stat));
    if mode.contains(needed) {
        return Ok(open(at, name, kind)?.map(|(file, stat)| (file, stat, None)));
    }
    match fchmodat(at, name, mode | needed, FchmodatFlags::FollowSymlink) {
        Ok(()) => {}
        Err(Errno::ENOENT | Errno::EPERM | Errno::EACCES | Errno::ELOOP) => return Ok(None),
        Err(err) => return Err(err),
    }
    let Some((file, mut found)) = open(at, name, kind)? else { return Ok(None) };
    if found.st_ino == stat.st_ino {
        found.st_mode = stat.st_mode;
    }
    if kind == SFlag::S_IFDIR {
        return Ok(Some((file, found, Some(mode))));
    }
    fchmod(&file, mode)?;
    Ok(Some((file, found, None)))
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

//! That a root was made of an archive, and when. What was due or under way when the archive was made may
//! have been done since by the root that was there: whoever repeats things asks here first.

use std::fs::File;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt as _;

use nix::errno::Errno;
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::Mode;
use nix::unistd::{UnlinkatFlags, unlinkat};
use types::UnixMillis;

use super::{Failure, RESTORED};
use crate::Error;
use crate::store::Dir;

/// Marks a root that was unpacked, durably.
pub(super) fn mark(root: impl AsFd + Copy) -> Result<(), Failure> {
    let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let made = openat(root, RESTORED, flags, Mode::S_IRUSR | Mode::S_IWUSR).map(File::from);
    let made = made.map_err(Failure::os("mark what was unpacked"))?;
    let again = openat(root, ".", OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty());
    let again = again.map(File::from).map_err(Failure::os("mark what was unpacked"))?;
    let synced = made.sync_all().and_then(|()| again.sync_all());
    synced.map_err(Failure::io("mark what was unpacked"))
}

/// When the root was made of an archive, if it was and that is not forgotten yet.
pub(crate) fn restored_at(root: &Dir) -> Result<Option<UnixMillis>, Error> {
    const WHAT: &str = "look for what was restored";
    let Some(found) = root.file(RESTORED).map_err(Error::io(WHAT))? else { return Ok(None) };
    let found = found.metadata().map_err(Error::io(WHAT))?;
    let seconds = UnixMillis::try_from(found.mtime()).unwrap_or(0);
    let nanoseconds = UnixMillis::try_from(found.mtime_nsec()).unwrap_or(0);
    Ok(Some(seconds.saturating_mul(1000).saturating_add(nanoseconds / 1_000_000)))
}

/// Whoever had to know knows.
pub(crate) fn forget_restored(root: &Dir) -> Result<(), Error> {
    match unlinkat(root, RESTORED, UnlinkatFlags::NoRemoveDir) {
        Ok(()) | Err(Errno::ENOENT) => Ok(()),
        Err(err) => Err(Error::io("forget what was restored")(err.into())),
    }
}

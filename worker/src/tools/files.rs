//! Files of the workspace and of the home, opened beneath a descriptor, name by name.
//!
//! Programs in sandboxes write there at the same time and may mean harm: no link is followed
//! anywhere on the way, what is no regular file is not read, and everything is looked at through
//! the descriptor that is then used. Every function blocks.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::fs::MetadataExt as _;

use nix::errno::Errno;
use nix::fcntl::{OFlag, openat, renameat};
use nix::sys::stat::{Mode, fstat, mkdirat};
use nix::unistd::{UnlinkatFlags, unlinkat};
use types::AgentId;

use super::paths::{Place, Root};
use super::{Context, Failure};
use crate::store::Dir;

/// Permissions of new directories and files. What the worker makes, programs of the tenant read.
const DIRECTORY_MODE: u32 = 0o755;
const FILE_MODE: u32 = 0o644;
/// The bits of a file's mode that are kept, as far as the umask lets them: nobody gets more by
/// running it.
const KEPT_MODE: u32 = 0o777;

/// Runs `job` on the tenant's root in the blocking pool.
pub(super) async fn job<T: Send + 'static>(
    context: &Context,
    job: impl FnOnce(&Dir) -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    let done = context.core.store.job(move |root| Ok(job(root))).await;
    done.unwrap_or_else(|err| {
        tracing::error!(error = %types::Chain(&err), "a tool could not reach the files");
        Err(Failure::Failed("the files cannot be reached now".to_owned()))
    })
}

/// A directory as its tools see it, open.
#[derive(Debug)]
pub(super) struct Folder {
    fd: OwnedFd,
    /// What it is called in messages.
    shown: String,
}

/// A regular file for reading. Blocks on nothing, whatever a program has left there.
pub(super) fn open(root: &Dir, agent: &AgentId, place: &Place) -> Result<File, Failure> {
    let Some((parents, name)) = place.split() else { return Err(not_a_file(&place.shown())) };
    Folder::open(root, agent, place, parents)?.file(name)
}

/// The whole regular file, which must not be larger than `max` bytes.
pub(super) fn read(
    root: &Dir,
    agent: &AgentId,
    place: &Place,
    max: u64,
) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    let file = open(root, agent, place)?;
    let read = file.take(max.saturating_add(1)).read_to_end(&mut bytes);
    read.map_err(|err| failed(&place.shown(), &err))?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > max {
        let what = format!("{} is larger than {max} bytes", place.shown());
        return Err(Failure::Refused(what));
    }
    Ok(bytes)
}

/// Whether there is a regular file at `place`; false for whatever cannot be opened as one.
pub(super) fn is_file(root: &Dir, agent: &AgentId, place: &Place) -> bool {
    open(root, agent, place).is_ok()
}

/// Whether anything has this name.
pub(super) fn is_taken(root: &Dir, agent: &AgentId, place: &Place) -> Result<bool, Failure> {
    let Some((parents, name)) = place.split() else { return Ok(true) };
    match Folder::open(root, agent, place, parents) {
        Ok(folder) => Ok(folder.mode_of(name)?.is_some()),
        // Where a directory on the way is missing there is no file either.
        Err(Failure::Failed(_)) => Ok(false),
        Err(other) => Err(other),
    }
}

/// Whether there is a directory at `place`.
pub(super) fn check_folder(root: &Dir, agent: &AgentId, place: &Place) -> Result<(), Failure> {
    Folder::open(root, agent, place, place.names()).map(drop)
}

/// Puts `bytes` at `place`: whole or not at all. Directories on the way are made, and a file that
/// is there already keeps its mode.
pub(super) fn replace(
    root: &Dir,
    agent: &AgentId,
    place: &Place,
    bytes: &[u8],
) -> Result<(), Failure> {
    let Some((parents, name)) = place.split() else { return Err(not_a_file(&place.shown())) };
    let folder = Folder::make(root, agent, place, parents)?;
    let mode = folder.mode_of(name)?.unwrap_or(FILE_MODE);
    folder.replace(name, bytes, mode).map_err(|err| failed(&place.shown(), &err))
}

/// Puts a whole file into an agent's workspace, which no tool was asked for.
///
/// # Errors
/// When it cannot be written, with why.
pub(crate) fn put(root: &Dir, agent: &AgentId, path: &str, bytes: &[u8]) -> Result<(), String> {
    let put = Place::parse("path", path).and_then(|place| replace(root, agent, &place, bytes));
    put.map_err(|failure| failure.to_string())
}

/// A whole file of an agent's workspace, which no tool was asked for, of at most `max` bytes.
///
/// # Errors
/// When it cannot be read or lies elsewhere, with why.
pub(crate) fn take(root: &Dir, agent: &AgentId, path: &str, max: u64) -> Result<Vec<u8>, String> {
    let place = Place::parse("path", path).map_err(|failure| failure.to_string())?;
    if place.root() != Root::Workspace {
        return Err("it is not in the workspace".to_owned());
    }
    read(root, agent, &place, max).map_err(|failure| failure.to_string())
}

/// Removes the regular file at `place`.
pub(super) fn remove(root: &Dir, agent: &AgentId, place: &Place) -> Result<(), Failure> {
    let Some((parents, name)) = place.split() else { return Err(not_a_file(&place.shown())) };
    let folder = Folder::open(root, agent, place, parents)?;
    if folder.mode_of(name)?.is_none() {
        return Err(failed(&place.shown(), &Errno::ENOENT.into()));
    }
    let removed = unlinkat(&folder.fd, name, UnlinkatFlags::NoRemoveDir);
    removed.map_err(|err| failed(&place.shown(), &err.into()))
}

impl Folder {
    /// The directory `names` below the root of `place`.
    fn open(root: &Dir, agent: &AgentId, place: &Place, names: &[String]) -> Result<Self, Failure> {
        let mut at = Self::root(root, agent, place)?;
        for name in names {
            at = at.sub(name)?;
        }
        Ok(at)
    }

    /// The same, made where it is missing.
    fn make(root: &Dir, agent: &AgentId, place: &Place, names: &[String]) -> Result<Self, Failure> {
        let mut at = Self::root(root, agent, place)?;
        for name in names {
            let made = mkdirat(&at.fd, name.as_str(), Mode::from_bits_truncate(DIRECTORY_MODE));
            match made {
                Ok(()) | Err(Errno::EEXIST) => at = at.sub(name)?,
                Err(err) => return Err(failed(&at.inside(name), &err.into())),
            }
        }
        Ok(at)
    }

    fn root(root: &Dir, agent: &AgentId, place: &Place) -> Result<Self, Failure> {
        let path = place.root().path(agent);
        let shown = place.root().shown().to_owned();
        let found = root
            .sub(&path)
            .and_then(|found| found.map(|dir| dir.as_fd().try_clone_to_owned()).transpose());
        match found {
            Ok(Some(fd)) => Ok(Self { fd, shown }),
            Ok(None) => Err(Failure::Failed(format!("{shown} is not there"))),
            Err(err) => Err(failed(&shown, &err)),
        }
    }

    fn sub(&self, name: &str) -> Result<Self, Failure> {
        let shown = self.inside(name);
        let fd = self.beneath(name, OFlag::O_RDONLY | OFlag::O_DIRECTORY);
        Ok(Self { fd: fd.map_err(|err| self.told(name, err))?, shown })
    }

    fn file(&self, name: &str) -> Result<File, Failure> {
        let fd = self.beneath(name, OFlag::O_RDONLY | OFlag::O_NONBLOCK);
        let file = File::from(fd.map_err(|err| self.told(name, err))?);
        let metadata = file.metadata().map_err(|err| failed(&self.inside(name), &err))?;
        if metadata.is_file() { Ok(file) } else { Err(not_a_file(&self.inside(name))) }
    }

    /// The mode of the regular file `name`, or `None` where there is nothing.
    fn mode_of(&self, name: &str) -> Result<Option<u32>, Failure> {
        // O_PATH takes hold of what is there without opening it: a pipe stays as it is.
        match self.beneath(name, OFlag::O_PATH) {
            Ok(fd) => {
                let stat = File::from(fd).metadata();
                let stat = stat.map_err(|err| failed(&self.inside(name), &err))?;
                if stat.is_symlink() {
                    return Err(is_link(&self.inside(name)));
                }
                let mode = stat.is_file().then(|| stat.mode() & KEPT_MODE);
                mode.map(Some).ok_or_else(|| not_a_file(&self.inside(name)))
            }
            Err(Errno::ENOENT) => Ok(None),
            Err(err) => Err(self.told(name, err)),
        }
    }

    fn replace(&self, name: &str, bytes: &[u8], mode: u32) -> io::Result<()> {
        let temporary = format!(".{}.tmp", uuid::Uuid::new_v4());
        let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL;
        let flags = flags | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        // The mode is given once, here: a worker can change none.
        let mode = Mode::from_bits_truncate(mode);
        let mut file = File::from(openat(&self.fd, temporary.as_str(), flags, mode)?);
        let written = file
            .write_all(bytes)
            .and_then(|()| file.sync_data())
            .and_then(|()| Ok(renameat(&self.fd, temporary.as_str(), &self.fd, name)?));
        if let Err(err) = written {
            // What is half written only takes room on a disk that may be full.
            unlinkat(&self.fd, temporary.as_str(), UnlinkatFlags::NoRemoveDir)?;
            return Err(err);
        }
        Ok(())
    }

    fn beneath(&self, name: &str, flags: OFlag) -> Result<OwnedFd, Errno> {
        let flags = flags | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        openat(&self.fd, name, flags, Mode::empty())
    }

    fn inside(&self, name: &str) -> String {
        format!("{}/{name}", self.shown)
    }

    /// Says why `name` could not be opened; a link is told apart from what is missing.
    fn told(&self, name: &str, err: Errno) -> Failure {
        let shown = self.inside(name);
        let is_a_link = || {
            let held = self.beneath(name, OFlag::O_PATH).ok()?;
            let mode = fstat(&held).ok()?.st_mode;
            Some(mode & nix::libc::S_IFMT == nix::libc::S_IFLNK)
        };
        if matches!(err, Errno::ELOOP | Errno::ENOTDIR) && is_a_link() == Some(true) {
            is_link(&shown)
        } else if err == Errno::ENXIO {
            not_a_file(&shown)
        } else {
            failed(&shown, &err.into())
        }
    }
}

fn is_link(shown: &str) -> Failure {
    Failure::Refused(format!("{shown} is a link, and links are not followed: name its target"))
}

fn not_a_file(shown: &str) -> Failure {
    Failure::Refused(format!("{shown} is not a regular file"))
}

/// What a model may know of a failure: the kind of it.
fn failed(shown: &str, err: &io::Error) -> Failure {
    use io::ErrorKind;
    const KINDS: [(ErrorKind, &str); 6] = [
        (ErrorKind::NotFound, "does not exist"),
        (ErrorKind::NotADirectory, "is not a directory"),
        (ErrorKind::IsADirectory, "is a directory"),
        (ErrorKind::PermissionDenied, "may not be used"),
        (ErrorKind::StorageFull, "does not fit: the disk is full"),
        (ErrorKind::QuotaExceeded, "does not fit: the disk is full"),
    ];
    let known = KINDS.iter().find(|(kind, _)| *kind == err.kind()).map(|(_, what)| *what);
    if known.is_none() {
        tracing::debug!(error = %err, "a file could not be used");
    }
    Failure::Failed(format!("{shown} {}", known.unwrap_or("cannot be used")))
}

#[cfg(test)]
mod tests;

//! Directories by descriptor: every name is opened beneath one, and no link is ever followed.
//!
//! Knows no format. Every function blocks, so callers are jobs of the blocking pool.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{OFlag, open, openat};
use nix::sys::stat::Mode;
use nix::unistd::{UnlinkatFlags, fsync, unlinkat};

/// One directory of the tenant's root.
#[derive(Debug)]
pub(crate) struct Dir {
    fd: OwnedFd,
    /// For the calls that the worker's seccomp profile has in their old form only.
    path: PathBuf,
}

/// What a name in a directory stands for. Times are milliseconds since the epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A regular file, its bytes, and when it changed last.
    File { size: u64, changed: u64 },
    /// A directory, and when it changed last.
    Directory { changed: u64 },
}

impl Dir {
    /// The directory at `path`, which is trusted.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        Ok(Self { fd: open(path, flags, Mode::empty())?, path: path.to_owned() })
    }

    /// The directory `path` beneath this one, or `None` where there is none.
    pub(crate) fn sub(&self, path: &str) -> io::Result<Option<Self>> {
        let mut at = self.again()?;
        for name in path.split('/') {
            let opened = at.beneath(name, OFlag::O_RDONLY | OFlag::O_DIRECTORY);
            let Some(fd) = absent_as_none(opened)? else { return Ok(None) };
            at = Self { fd, path: at.path.join(name) };
        }
        Ok(Some(at))
    }

    /// The directory `path` beneath this one, made durably where it is missing.
    pub(crate) fn sub_or_create(&self, path: &str) -> io::Result<Self> {
        if let Some(found) = self.sub(path)? {
            return Ok(found);
        }
        let mut at = self.again()?;
        for name in path.split('/') {
            match std::fs::create_dir(at.path.join(name)) {
                Ok(()) => at.sync()?,
                Err(err) if err.kind() == io::ErrorKind::AlreadyExists => {}
                Err(err) => return Err(err),
            }
            at = at.sub(name)?.ok_or(io::ErrorKind::NotADirectory)?;
        }
        Ok(at)
    }

    /// The regular file `name` for reading, or `None` where there is none.
    pub(crate) fn file(&self, name: &str) -> io::Result<Option<File>> {
        self.regular(name, OFlag::O_RDONLY)
    }

    /// The regular file `name` for reading and appending, or `None` where there is none.
    pub(crate) fn file_to_append(&self, name: &str) -> io::Result<Option<File>> {
        self.regular(name, OFlag::O_RDWR | OFlag::O_APPEND)
    }

    /// A new regular file for reading and appending; fails where the name is taken.
    pub(crate) fn create_new(&self, name: &str) -> io::Result<File> {
        let flags = OFlag::O_RDWR | OFlag::O_APPEND | OFlag::O_CREAT | OFlag::O_EXCL;
        Ok(File::from(self.beneath(name, flags)?))
    }

    /// The start of the regular file `name`, at most `max` bytes, or `None` where there is none.
    pub(crate) fn read_start(&self, name: &str, max: u64) -> io::Result<Option<Vec<u8>>> {
        let Some(file) = self.file(name)? else { return Ok(None) };
        let mut bytes = Vec::new();
        file.take(max).read_to_end(&mut bytes)?;
        Ok(Some(bytes))
    }

    /// Puts `bytes` in place of `name`: whole and durable, or not at all.
    pub(crate) fn replace(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let temporary = format!("{name}.tmp");
        // What a crash has left, or a pipe that a tool has put there, on which opening would hang.
        self.remove(&temporary)?;
        let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL;
        let mut file = File::from(self.beneath(&temporary, flags)?);
        let written = file.write_all(bytes).and_then(|()| file.sync_all());
        if let Err(err) = written {
            // What is half written only takes room on a disk that may be full.
            self.remove(&temporary)?;
            return Err(err);
        }
        self.rename(&temporary, name)?;
        self.sync()
    }

    /// Writes `files` durably over what may be there. A crash leaves any part of it, so the
    /// directory must not have its final name yet.
    pub(crate) fn fill(&self, files: &[(&str, &str)]) -> io::Result<()> {
        let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_TRUNC;
        let mut written = Vec::with_capacity(files.len());
        for (name, text) in files {
            let mut file = File::from(self.beneath(name, flags)?);
            file.write_all(text.as_bytes())?;
            written.push(file);
        }
        // All are written before the first is synced: most of that one sync then serves all.
        written.iter().try_for_each(File::sync_data)?;
        self.sync()
    }

    /// Where `name` is, for what can be opened by path only; nothing but the worker may write here.
    pub(crate) fn path_of(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Renames `from` to `to` in this directory. The caller syncs.
    pub(crate) fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        std::fs::rename(self.path.join(from), self.path.join(to))
    }

    /// Removes the file `name` if it is there.
    pub(crate) fn remove(&self, name: &str) -> io::Result<()> {
        match unlinkat(&self.fd, name, UnlinkatFlags::NoRemoveDir) {
            Ok(()) | Err(Errno::ENOENT) => Ok(()),
            Err(err) => Err(err.into()),
        }
    }

    /// What `name` is, or `None` where there is nothing or what is neither file nor directory.
    pub(crate) fn kind(&self, name: &str) -> io::Result<Option<Kind>> {
        let opened = self.beneath(name, OFlag::O_RDONLY | OFlag::O_NONBLOCK);
        let Some(file) = absent_as_none(opened)?.map(File::from) else { return Ok(None) };
        let metadata = file.metadata()?;
        let changed = metadata.modified()?.duration_since(std::time::UNIX_EPOCH);
        let changed = changed.map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(0));
        Ok(if metadata.is_dir() {
            Some(Kind::Directory { changed })
        } else if metadata.is_file() {
            Some(Kind::File { size: metadata.len(), changed })
        } else {
            None
        })
    }

    /// Whether anything at all has this name, a link included.
    pub(crate) fn is_taken(&self, name: &str) -> io::Result<bool> {
        match self.beneath(name, OFlag::O_PATH) {
            Ok(_) => Ok(true),
            Err(err) if err.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(err) => Err(err),
        }
    }

    /// Removes the directory `name` with everything in it, if it is there. Links in it are
    /// removed, not followed.
    pub(crate) fn remove_all(&self, name: &str) -> io::Result<()> {
        if self.sub(name)?.is_none() {
            return Ok(());
        }
        std::fs::remove_dir_all(self.path.join(name))?;
        self.sync()
    }

    /// The names in this directory, in no order, read as they are asked for; those that are not
    /// UTF-8 are left out.
    pub(crate) fn names(&self) -> io::Result<impl Iterator<Item = io::Result<String>>> {
        let entries = std::fs::read_dir(&self.path)?;
        Ok(entries.filter_map(|entry| match entry {
            Ok(entry) => entry.file_name().into_string().ok().map(Ok),
            Err(err) => Some(Err(err)),
        }))
    }

    /// Makes new and renamed names of this directory durable.
    pub(crate) fn sync(&self) -> io::Result<()> {
        Ok(fsync(&self.fd)?)
    }

    fn regular(&self, name: &str, flags: OFlag) -> io::Result<Option<File>> {
        // O_NONBLOCK: opening a pipe that a tool has left here must not hang.
        let opened = self.beneath(name, flags | OFlag::O_NONBLOCK);
        let Some(file) = absent_as_none(opened)?.map(File::from) else { return Ok(None) };
        Ok(file.metadata()?.is_file().then_some(file))
    }

    fn beneath(&self, name: &str, flags: OFlag) -> io::Result<OwnedFd> {
        if name.is_empty() || name == ".." || name.contains('/') {
            return Err(io::ErrorKind::InvalidFilename.into());
        }
        let flags = flags | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        Ok(openat(&self.fd, name, flags, Mode::S_IRUSR | Mode::S_IWUSR)?)
    }

    /// Another handle to the same directory.
    pub(crate) fn again(&self) -> io::Result<Self> {
        Ok(Self { fd: self.fd.try_clone()?, path: self.path.clone() })
    }
}

impl AsFd for Dir {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// A missing name and a link both read as `None`: neither is a file of ours.
fn absent_as_none(opened: io::Result<OwnedFd>) -> io::Result<Option<OwnedFd>> {
    match opened {
        Ok(fd) => Ok(Some(fd)),
        Err(err) => match err.raw_os_error().map(Errno::from_raw) {
            Some(Errno::ENOENT | Errno::ELOOP | Errno::ENOTDIR | Errno::ENXIO) => Ok(None),
            _ => Err(err),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_resolved_beneath_and_links_are_not_followed() {
        let temporary = tempfile::tempdir().unwrap();
        std::fs::write(temporary.path().join("secret"), "s").unwrap();
        let root = Dir::open(temporary.path()).unwrap().sub_or_create("a/b").unwrap();
        std::os::unix::fs::symlink("../../secret", temporary.path().join("a/b/link")).unwrap();
        nix::unistd::mkfifo(&temporary.path().join("a/b/pipe"), Mode::S_IRWXU).unwrap();
        assert!(root.file("link").unwrap().is_none());
        assert!(root.file("pipe").unwrap().is_none());
        assert!(root.file("none").unwrap().is_none());
        root.file("../../secret").unwrap_err();
        assert!(root.sub("link").unwrap().is_none());
    }

    #[test]
    fn replacing_leaves_the_new_content_and_no_temporary() {
        let temporary = tempfile::tempdir().unwrap();
        let dir = Dir::open(temporary.path()).unwrap();
        dir.replace("x", b"one").unwrap();
        dir.replace("x", b"two").unwrap();
        assert_eq!(dir.read_start("x", 2).unwrap().unwrap(), b"tw");
        assert_eq!(dir.names().unwrap().collect::<io::Result<Vec<_>>>().unwrap(), ["x"]);
    }
}

//! Files of one folder: opened beneath it and nowhere else, regular ones only, of a bounded size,
//! and read a piece at a time, so that a slow client holds no more than that.

use std::fs;
use std::io::{self, Read as _};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::sync::Arc;

use axum::body::Body;
use bytes::Bytes;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat2};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Bytes of one file: more than ten times the largest one of the official UI.
const MAX_BYTES: u64 = 32 << 20;

/// Bytes of a path below the folder; names of built files are far shorter.
const MAX_PATH: usize = 512;

/// Files that are open at once for clients: twice what one address may have connections, so that a
/// single one cannot take them all.
const MAX_OPEN: usize = 4096;

/// Bytes of a file that are in memory for one client.
const PIECE: usize = 32 << 10;

/// A folder, held open. Clones are the same.
#[derive(Debug, Clone)]
pub(crate) struct Folder {
    root: Arc<OwnedFd>,
    open: Arc<Semaphore>,
}

/// One regular file.
#[derive(Debug)]
pub(crate) struct File {
    file: fs::File,
    /// Bytes of it, at the moment in which it was opened.
    pub(crate) size: u64,
    changed: (i64, i64),
    _permit: OwnedSemaphorePermit,
}

impl Folder {
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let mut options = fs::OpenOptions::new();
        let flags = OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let root = options.read(true).custom_flags(flags.bits()).open(path)?;
        Ok(Self { root: Arc::new(root.into()), open: Arc::new(Semaphore::new(MAX_OPEN)) })
    }

    /// Opens the file at `path`, which came from a stranger.
    pub(crate) fn file(&self, path: &str) -> io::Result<File> {
        if !is_plain(path) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let permit = Arc::clone(&self.open).try_acquire_owned();
        let permit = permit.map_err(|full| io::Error::new(io::ErrorKind::ResourceBusy, full))?;
        // Non-blocking, because a pipe in the folder must not hold up the request.
        let flags = OFlag::O_RDONLY | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
        let beneath = ResolveFlag::RESOLVE_BENEATH
            | ResolveFlag::RESOLVE_NO_SYMLINKS
            | ResolveFlag::RESOLVE_NO_MAGICLINKS;
        let file = openat2(&self.root, path, OpenHow::new().flags(flags).resolve(beneath))?;
        let file = fs::File::from(file);
        let stat = file.metadata()?;
        if !stat.is_file() || stat.len() > MAX_BYTES {
            return Err(io::ErrorKind::NotFound.into());
        }
        Ok(File {
            file,
            size: stat.len(),
            changed: (stat.mtime(), stat.mtime_nsec()),
            _permit: permit,
        })
    }
}

impl File {
    /// A name for this content in this coding.
    pub(crate) fn tag(&self) -> String {
        format!("\"{:x}-{:x}-{:x}\"", self.size, self.changed.0, self.changed.1)
    }

    /// All of it, as text.
    pub(crate) fn read(self) -> io::Result<String> {
        let mut text = String::new();
        self.file.take(self.size).read_to_string(&mut text)?;
        Ok(text)
    }

    /// All of it, a piece at a time, as it is taken.
    pub(crate) fn into_body(self) -> Body {
        let left = self.size;
        Body::from_stream(futures_util::stream::try_unfold(
            (self, left),
            |(file, left)| async move {
                if left == 0 {
                    return Ok(None);
                }
                let read = tokio::task::spawn_blocking(move || file.piece(left)).await;
                let (file, piece) = read.map_err(io::Error::other)??;
                let left = left.saturating_sub(u64::try_from(piece.len()).unwrap_or(u64::MAX));
                Ok::<_, io::Error>(Some((piece, (file, left))))
            },
        ))
    }

    fn piece(mut self, left: u64) -> io::Result<(Self, Bytes)> {
        let most = usize::try_from(left).unwrap_or(PIECE).min(PIECE);
        let mut piece = vec![0; most];
        self.file.read_exact(&mut piece)?;
        Ok((self, piece.into()))
    }
}

/// Whether every part of the path is a name, and one that is not hidden. Nothing is decoded: no
/// file of a built UI has a name that would have to be.
fn is_plain(path: &str) -> bool {
    let plain = |byte: u8| {
        byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-' | b'@' | b'+' | b'~')
    };
    path.len() <= MAX_PATH
        && path
            .split('/')
            .all(|name| !name.is_empty() && !name.starts_with('.') && name.bytes().all(plain))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_files_beneath() {
        let outside = tempfile::tempdir().unwrap();
        fs::write(outside.path().join("secret.js"), "s").unwrap();
        let inside = outside.path().join("ui");
        fs::create_dir_all(inside.join("assets")).unwrap();
        fs::write(inside.join("assets/a.js"), "abc").unwrap();
        fs::write(inside.join(".env"), "s").unwrap();
        fs::File::create(inside.join("large.js")).unwrap().set_len(MAX_BYTES + 1).unwrap();
        std::os::unix::fs::symlink("../secret.js", inside.join("link.js")).unwrap();
        std::os::unix::fs::symlink("assets", inside.join("also")).unwrap();
        nix::unistd::mkfifo(&inside.join("pipe.js"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        let folder = Folder::open(&inside).unwrap();
        let check = |path: &str, expected: Option<&str>| {
            let found = folder.file(path).and_then(File::read).ok();
            assert_eq!(found.as_deref(), expected, "{path}");
        };
        check("assets/a.js", Some("abc"));
        for path in ["", "assets", "assets/", "assets//a.js", "./assets/a.js", "../secret.js"] {
            check(path, None);
        }
        for path in ["assets/../../secret.js", "/etc/passwd", "%2e%2e/secret.js", "a\0.js", ".env"]
        {
            check(path, None);
        }
        for path in ["link.js", "also/a.js", "pipe.js", "large.js", "missing.js"] {
            check(path, None);
        }
        Folder::open(&inside.join("assets/a.js")).unwrap_err();
    }
}

//! A folder of the machine as a store. Only the gateway reads it; an object is written beside its
//! place, made durable, and then given its name.
//!
//! The folder is opened once, with the rights of whoever starts the gateway, and reached by its
//! descriptor from then on: its parents may be closed to the supervisor.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use nix::errno::Errno;
use nix::fcntl::{OFlag, openat, renameat};
use nix::sys::stat::{Mode, SFlag, fstatat, mkdirat};
use nix::unistd::{UnlinkatFlags, fsync, unlinkat};
use tokio::task::JoinHandle;
use types::UnixMillis;

use super::{Entry, Error, Key, MAX_LISTED, PIECE, Store, Upload, is_object};

/// What follows the name of an object that is not whole.
const PART: &str = ".part";

/// Names of one folder that are looked at, whosesoever they are.
const MAX_SEEN: usize = 1 << 20;

/// Folders below each other: tenant and backup.
const DEPTH: usize = 2;

/// A folder.
#[derive(Debug, Clone)]
pub struct Folder(Arc<Opened>);

#[derive(Debug)]
struct Opened {
    root: OwnedFd,
    path: String,
}

impl Folder {
    /// A store in the folder that `root` is, called `path`.
    pub fn new(root: OwnedFd, path: String) -> Self {
        Self(Arc::new(Opened { root, path }))
    }

    async fn blocking<T: Send + 'static>(
        &self,
        what: &'static str,
        work: impl FnOnce(&OwnedFd) -> nix::Result<T> + Send + 'static,
    ) -> Result<T, Error> {
        let opened = Arc::clone(&self.0);
        run(what, move || work(&opened.root)).await
    }
}

/// Runs `work` where it may wait for the disk.
async fn run<T: Send + 'static>(
    what: &'static str,
    work: impl FnOnce() -> nix::Result<T> + Send + 'static,
) -> Result<T, Error> {
    let done = tokio::task::spawn_blocking(work).await;
    let done = done.map_err(|source| Error::Failed { what, source: source.into() })?;
    done.map_err(|err| judged(what, err))
}

/// What a failure means.
fn judged(what: &'static str, err: Errno) -> Error {
    if err == Errno::ENOENT {
        Error::NotFound
    } else if matches!(err, Errno::ENOSPC | Errno::EDQUOT) {
        Error::Full(err.into())
    } else if matches!(err, Errno::EACCES | Errno::EPERM | Errno::EROFS) {
        Error::Refused(err.into())
    } else {
        Error::Failed { what, source: err.into() }
    }
}

const DIRECTORY: OFlag =
    OFlag::O_RDONLY.union(OFlag::O_DIRECTORY).union(OFlag::O_NOFOLLOW).union(OFlag::O_CLOEXEC);

const FILE: OFlag = OFlag::O_NOFOLLOW.union(OFlag::O_CLOEXEC).union(OFlag::O_NONBLOCK);

/// The folder in which the object `key` lies, made if need be, and the object's name in it.
fn place<'a>(root: &OwnedFd, key: &'a str, make: bool) -> nix::Result<(OwnedFd, &'a str)> {
    let (folders, name) = key.rsplit_once('/').ok_or(Errno::EINVAL)?;
    let mut at = root.try_clone().map_err(|err| errno(&err))?;
    for folder in folders.split('/').take(DEPTH) {
        if make {
            match mkdirat(&at, folder, Mode::S_IRWXU) {
                Ok(()) => fsync(&at)?,
                Err(Errno::EEXIST) => {}
                Err(err) => return Err(err),
            }
        }
        at = openat(&at, folder, DIRECTORY, Mode::empty())?;
    }
    Ok((at, name))
}

fn errno(err: &std::io::Error) -> Errno {
    err.raw_os_error().map_or(Errno::EIO, Errno::from_raw)
}

#[async_trait]
impl Store for Folder {
    async fn begin(&self, key: &Key) -> Result<Box<dyn Upload>, Error> {
        let name = key.0.clone();
        let file = self.blocking("make a file", move |root| {
            let (folder, name) = place(root, &name, true)?;
            let part = format!("{name}{PART}");
            match unlinkat(&folder, part.as_str(), UnlinkatFlags::NoRemoveDir) {
                Ok(()) | Err(Errno::ENOENT) => {}
                Err(err) => return Err(err),
            }
            let flags = FILE | OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL;
            openat(&folder, part.as_str(), flags, Mode::S_IRUSR | Mode::S_IWUSR).map(File::from)
        });
        let file = file.await?;
        let file = Some(tokio::task::spawn_blocking(|| Ok(file)));
        Ok(Box::new(Part { store: self.clone(), key: key.0.clone(), file }))
    }

    async fn read(&self, key: &Key, from: u64) -> Result<Bytes, Error> {
        let name = key.0.clone();
        let read = self.blocking("read a file", move |root| {
            let (folder, name) = place(root, &name, false)?;
            let file = openat(&folder, name, FILE | OFlag::O_RDONLY, Mode::empty())?;
            let mut file = File::from(file);
            if !file.metadata().map_err(|err| errno(&err))?.is_file() {
                return Err(Errno::ENOENT);
            }
            file.seek(SeekFrom::Start(from)).map_err(|err| errno(&err))?;
            let mut bytes = Vec::new();
            let max = u64::try_from(PIECE).unwrap_or(u64::MAX);
            file.take(max).read_to_end(&mut bytes).map_err(|err| errno(&err))?;
            Ok(bytes)
        });
        read.await.map(Bytes::from)
    }

    async fn remove(&self, key: &Key) -> Result<(), Error> {
        let name = key.0.clone();
        let removed = self.blocking("remove a file", move |root| {
            let (folder, file) = place(root, &name, false)?;
            unlinkat(&folder, file, UnlinkatFlags::NoRemoveDir)?;
            fsync(&folder)?;
            remove_empty(root, &name);
            Ok(())
        });
        match removed.await {
            Ok(()) | Err(Error::NotFound) => Ok(()),
            Err(err) => Err(err),
        }
    }

    async fn list(&self, prefix: &str) -> Result<Vec<Entry>, Error> {
        let prefix = prefix.to_owned();
        let listed = self.blocking("list the folder", move |root| {
            let mut found = Vec::new();
            walk(root, &prefix, &mut |key, stat| {
                if is_object(key) {
                    found.push(entry(key, stat));
                }
            })?;
            Ok(found)
        });
        let mut listed = listed.await?;
        if listed.len() > MAX_LISTED {
            return Err(Error::TooMany);
        }
        listed.sort_by(|a, b| a.key.cmp(&b.key));
        Ok(listed)
    }

    async fn sweep(&self, prefix: &str, before: UnixMillis) -> Result<(), Error> {
        let prefix = prefix.to_owned();
        self.blocking("remove what is left over", move |root| {
            let mut left = Vec::new();
            walk(root, &prefix, &mut |key, stat| {
                let is_ours = key.strip_suffix(PART).is_some_and(is_object);
                if is_ours && (1..before).contains(&modified(stat)) {
                    left.push(key.to_owned());
                }
            })?;
            for key in left {
                let gone = place(root, &key, false)
                    .and_then(|(folder, name)| unlinkat(&folder, name, UnlinkatFlags::NoRemoveDir));
                match gone {
                    Ok(()) => remove_empty(root, &key),
                    Err(err) => tracing::warn!(key, %err, "a file that is not whole stays"),
                }
            }
            Ok(())
        })
        .await
    }

    fn name(&self) -> String {
        format!("folder {}", self.0.path)
    }
}

/// Removes the folders of an object that is gone, from the innermost on, as far as they are empty.
fn remove_empty(root: &OwnedFd, key: &str) {
    let mut folder = key;
    while let Some((parent, _)) = folder.rsplit_once('/') {
        folder = parent;
        // One that is not empty stays, and so do those around it.
        if unlinkat(root, folder, UnlinkatFlags::RemoveDir).is_err() {
            break;
        }
    }
}

/// Shows every file that is an object of a backup or will be one, of the tenants whose names the prefix
/// leaves open. What cannot be looked into is none.
fn walk(
    root: &OwnedFd,
    prefix: &str,
    seen: &mut dyn FnMut(&str, &nix::sys::stat::FileStat),
) -> nix::Result<()> {
    let tenants = match prefix.strip_suffix('/') {
        Some(tenant) => vec![tenant.to_owned()],
        None => names(root)?,
    };
    let mut count = 0_usize;
    for tenant in tenants {
        let tenant_folder = match openat(root, tenant.as_str(), DIRECTORY, Mode::empty()) {
            Ok(folder) => folder,
            Err(Errno::ENOENT | Errno::ENOTDIR | Errno::ELOOP) => continue,
            Err(err) => return Err(err),
        };
        for backup in names(&tenant_folder)? {
            for name in OBJECTS {
                let key = format!("{tenant}/{backup}/{name}");
                if !is_object(key.strip_suffix(PART).unwrap_or(&key)) {
                    continue;
                }
                let Some(stat) = file(&tenant_folder, &backup, name) else { continue };
                count = count.saturating_add(1);
                if count <= MAX_LISTED.saturating_mul(2) {
                    seen(&key, &stat);
                }
            }
        }
    }
    Ok(())
}

/// What may lie in the folder of a backup.
const OBJECTS: [&str; 4] = ["data", "data.part", "manifest", "manifest.part"];

/// What is known of a regular file in the folder of a backup; none where there is none, or none that
/// may be looked at.
fn file(tenant: &OwnedFd, backup: &str, name: &str) -> Option<nix::sys::stat::FileStat> {
    let folder = openat(tenant, backup, DIRECTORY, Mode::empty()).ok()?;
    let stat = fstatat(&folder, name, nix::fcntl::AtFlags::AT_SYMLINK_NOFOLLOW).ok()?;
    let kind = SFlag::from_bits_truncate(stat.st_mode & SFlag::S_IFMT.bits());
    (kind == SFlag::S_IFREG).then_some(stat)
}

/// The names in a folder; those that are no text are none of ours.
fn names(folder: &OwnedFd) -> nix::Result<Vec<String>> {
    let own = openat(folder.as_fd(), ".", DIRECTORY, Mode::empty())?;
    let mut dir = nix::dir::Dir::from_fd(own)?;
    let mut names = Vec::new();
    for entry in dir.iter().take(MAX_SEEN) {
        let entry = entry?;
        if let Ok(name) = entry.file_name().to_str()
            && !matches!(name, "." | "..")
        {
            names.push(name.to_owned());
        }
    }
    Ok(names)
}

fn modified(stat: &nix::sys::stat::FileStat) -> UnixMillis {
    UnixMillis::try_from(stat.st_mtime).unwrap_or(0).saturating_mul(1000)
}

fn entry(key: &str, stat: &nix::sys::stat::FileStat) -> Entry {
    let size = u64::try_from(stat.st_size).unwrap_or(0);
    Entry { key: key.to_owned(), size, modified_at: modified(stat) }
}

/// A file that is not whole.
#[derive(Debug)]
struct Part {
    store: Folder,
    key: String,
    /// What is written by now; none once that has failed.
    file: Option<JoinHandle<nix::Result<File>>>,
}

impl Part {
    /// What was written is written.
    async fn written(&mut self) -> Result<File, Error> {
        let what = "write a file";
        let failed = |source: super::Cause| Error::Failed { what, source };
        let file = self.file.take().ok_or_else(|| failed(Errno::EIO.into()))?;
        let written = file.await.map_err(|err| failed(err.into()))?;
        written.map_err(|err| judged(what, err))
    }
}

#[async_trait]
impl Upload for Part {
    /// Writes while the caller makes the next bytes: an error is that of the bytes before.
    async fn write(&mut self, bytes: Bytes) -> Result<(), Error> {
        let mut file = self.written().await?;
        self.file = Some(tokio::task::spawn_blocking(move || {
            file.write_all(&bytes).map_err(|err| errno(&err))?;
            Ok(file)
        }));
        Ok(())
    }

    async fn finish(mut self: Box<Self>) -> Result<(), Error> {
        let file = match self.written().await {
            Ok(file) => file,
            Err(err) => return Err(self.remove_after(err).await),
        };
        let key = self.key.clone();
        let named = self.store.blocking("name a file", move |root| {
            fsync(&file)?;
            let (folder, name) = place(root, &key, false)?;
            renameat(&folder, format!("{name}{PART}").as_str(), &folder, name)?;
            fsync(&folder)
        });
        match named.await {
            Ok(()) => Ok(()),
            Err(err) => Err(self.remove_after(err).await),
        }
    }

    async fn abort(mut self: Box<Self>) -> Result<(), Error> {
        // Whether that has failed or not, it is over.
        drop(self.written().await);
        self.remove().await
    }
}

impl Part {
    /// A full disk is not to stay full of what has failed on it.
    async fn remove_after(&self, err: Error) -> Error {
        if let Err(err) = self.remove().await {
            tracing::warn!(error = %types::Chain(&err), "a file that is not whole stays");
        }
        err
    }

    async fn remove(&self) -> Result<(), Error> {
        let key = self.key.clone();
        let removed = self.store.blocking("remove a file", move |root| {
            let (folder, name) = place(root, &key, false)?;
            unlinkat(&folder, format!("{name}{PART}").as_str(), UnlinkatFlags::NoRemoveDir)?;
            remove_empty(root, &key);
            Ok(())
        });
        removed.await
    }
}

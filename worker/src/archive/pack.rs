//! Makes an archive of a root. Blocking, and with memory that does not grow with what it reads.
//!
//! Tenants' programs may change what is being read: of a file as many bytes are taken as it had when
//! it was opened, filled up with zeros where it has become shorter. Hard links are stored as copies.
//! The indexes of memory search are left out, for they are made anew from the files.

use std::fs::File;
use std::io::{BufWriter, ErrorKind, Read as _, Seek as _, Write};
use std::os::fd::{AsFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::{OFlag, openat, readlinkat};
use nix::sys::stat::{FileStat, Mode, SFlag, fstat};
use nix::unistd::{UnlinkatFlags, unlinkat};
use ring::digest::{Context, Digest, SHA256};

use super::entry::{self, Kind, Member, Time};
use super::index::Index;
use super::pin::{Pin, Pinned};
use super::walk::{self, Level, kind_of, mode_of, open, time_of};
use super::{
    FORMAT, Failure, INDEX, MAX_DEPTH, MAX_MEMBERS, MAX_PATH, PIECE, RESTORED, SPOOL, Summary,
    VERSION, path,
};
use crate::memory;

/// Bytes that files have beyond what they take on the disk, by holes and as further names of one
/// file, of a whole archive: more would keep a worker busy for hours at no cost to its tenant.
const MAX_BEYOND: u64 = 16 << 30;
/// Bytes of a block as `stat` counts them.
const STAT_BLOCK: u64 = 512;

/// Packs the root into a tar that is not compressed yet. What `pinned` holds is taken as it was then.
pub(super) fn pack<W: Write>(
    root: OwnedFd,
    pinned: Pinned,
    to: W,
) -> Result<(Summary, W), Failure> {
    let spool = spool(&root).map_err(Failure::io("make room for the index"))?;
    let mut packer = Packer {
        out: to,
        index: Index::new(BufWriter::new(spool)),
        pinned,
        summary: Summary::default(),
        path: Vec::new(),
        members: 0,
        beyond: 0,
        buffer: vec![0; PIECE],
    };
    packer.own(FORMAT, format!("{VERSION}\n").as_bytes())?;
    packer.all(root)?;
    packer.finish()
}

/// The file that the index waits in: without a name, so that a kill leaves nothing.
fn spool(root: &OwnedFd) -> std::io::Result<File> {
    forget_spool(root)?;
    let flags =
        OFlag::O_RDWR | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let file = File::from(openat(root, SPOOL, flags, Mode::S_IRUSR | Mode::S_IWUSR)?);
    forget_spool(root)?;
    Ok(file)
}

/// Removes what a worker has left that was killed between making that file and removing its name.
pub(super) fn forget_spool(root: impl AsFd) -> std::io::Result<()> {
    match unlinkat(root, SPOOL, UnlinkatFlags::NoRemoveDir) {
        Ok(()) | Err(Errno::ENOENT) => Ok(()),
        Err(err) => Err(err.into()),
    }
}

/// A directory that is open, and the mode that it is to have again.
type Folder = (OwnedFd, Option<Mode>);

struct Packer<W: Write> {
    out: W,
    index: Index<BufWriter<File>>,
    pinned: Pinned,
    summary: Summary,
    /// Of what is looked at now.
    path: Vec<u8>,
    members: u64,
    /// See [`MAX_BEYOND`].
    beyond: u64,
    buffer: Vec<u8>,
}

impl<W: Write> Packer<W> {
    fn all(&mut self, root: OwnedFd) -> Result<(), Failure> {
        let mut levels = Vec::new();
        self.enter(&mut levels, (root, None), 0)?;
        while let Some(level) = levels.last_mut() {
            let Some(name) = level.next() else {
                self.path.truncate(level.above);
                levels.pop();
                continue;
            };
            let name = name.map_err(Failure::os("list a directory"))?;
            let above = self.path.len();
            if above > 0 {
                self.path.push(b'/');
            }
            self.path.extend_from_slice(&name);
            let depth = levels.len();
            match levels.last() {
                Some(level) if self.is_wanted(&name, depth) => {
                    if let Some(directory) = self.one(level, &name)? {
                        self.enter(&mut levels, directory, above)?;
                        continue;
                    }
                }
                _ => {}
            }
            self.path.truncate(above);
        }
        Ok(())
    }

    /// Opens a directory, and takes what is pinned of it.
    fn enter(
        &mut self,
        levels: &mut Vec<Level>,
        (fd, closed): Folder,
        above: usize,
    ) -> Result<(), Failure> {
        let level = Level::closing(fd, above, closed);
        let mut level = level.map_err(Failure::os("open a directory"))?;
        if let Some(folder) = self.pinned.take(&self.path) {
            let length = self.path.len();
            for pin in folder.files {
                if length > 0 {
                    self.path.push(b'/');
                }
                self.path.extend_from_slice(pin.name.as_bytes());
                if self.is_wanted(pin.name.as_bytes(), levels.len() + 1) {
                    self.pin(&level, pin)?;
                }
                self.path.truncate(length);
            }
            level.pinned = true;
            level.only = folder.folders;
        }
        levels.push(level);
        Ok(())
    }

    /// Whether a name is taken at all; what could not be unpacked is left out and said.
    fn is_wanted(&mut self, name: &[u8], depth: usize) -> bool {
        let is_top = depth == 1;
        let own = [SPOOL.as_bytes(), RESTORED.as_bytes(), memory::FOLDER.as_bytes()];
        if is_top && own.contains(&name) {
            return false;
        }
        let why = if is_top && (name == FORMAT || name == INDEX) {
            "reserved"
        } else if depth > MAX_DEPTH || self.path.len() > MAX_PATH {
            "depth"
        } else {
            return true;
        };
        self.summary.leave_out(&self.path, why);
        false
    }

    /// One name of a directory; gives the directory where it is one.
    fn one(&mut self, level: &Level, name: &[u8]) -> Result<Option<Folder>, Failure> {
        let stat = walk::look(&level.fd, name).map_err(Failure::os("look at a file"))?;
        let Some(stat) = stat else { return Ok(None) };
        let why = match kind_of(&stat) {
            // New since its folder was pinned.
            SFlag::S_IFREG if level.pinned => return Ok(None),
            SFlag::S_IFDIR
                if level.only.as_ref().is_some_and(|it| !it.contains(&name.to_vec())) =>
            {
                return Ok(None);
            }
            kind @ (SFlag::S_IFREG | SFlag::S_IFDIR) => {
                let opened = walk::open_any(&level.fd, name, &stat);
                let Some((file, stat, closed)) = opened.map_err(Failure::os("open a file"))? else {
                    self.summary.leave_out(&self.path, "unreadable");
                    return Ok(None);
                };
                if kind == SFlag::S_IFREG {
                    return self.file(file, &stat).map(|()| None);
                }
                self.summary.directories += 1;
                self.member(Kind::Directory, mode_of(&stat), time_of(&stat))?;
                return Ok(Some((file.into(), closed)));
            }
            SFlag::S_IFLNK => return self.link(level, name, &stat).map(|()| None),
            SFlag::S_IFSOCK => "socket",
            SFlag::S_IFIFO => "pipe",
            _ => "device",
        };
        self.summary.leave_out(&self.path, why);
        Ok(None)
    }

    fn link(&mut self, level: &Level, name: &[u8], stat: &FileStat) -> Result<(), Failure> {
        let target = match readlinkat(&level.fd, name) {
            Ok(target) => std::os::unix::ffi::OsStringExt::into_vec(target),
            Err(Errno::ENOENT | Errno::EINVAL) => return Ok(()),
            Err(err) => return Err(Failure::os("read a link")(err)),
        };
        let depth = self.path.split(|byte| *byte == b'/').count().saturating_sub(1);
        if path::check_target(&target, depth).is_err() {
            self.summary.leave_out(&self.path, "leaving link");
            return Ok(());
        }
        self.summary.links += 1;
        let member = self.member(Kind::Link(target), 0o777, time_of(stat))?;
        self.note(&member, None)
    }

    /// A file as it is now.
    fn file(&mut self, mut file: File, stat: &FileStat) -> Result<(), Failure> {
        let size = u64::try_from(stat.st_size).unwrap_or(0);
        if !self.affords(size, stat) {
            self.summary.leave_out(&self.path, "holes");
            return Ok(());
        }
        let member = self.member(Kind::File(size), mode_of(stat), time_of(stat))?;
        let (digest, missing) = self.content(&mut file, size)?;
        let after = fstat(&file).map_err(Failure::os("look at a file"))?;
        let same = (after.st_size, time_of(&after)) == (stat.st_size, member.mtime);
        if missing > 0 || !same {
            self.summary.changed += 1;
        }
        self.note(&member, Some(digest.as_ref()))
    }

    /// Whether there is room for what a file has beyond what it takes on the disk.
    fn affords(&mut self, size: u64, stat: &FileStat) -> bool {
        let blocks = if stat.st_nlink > 1 { 0 } else { stat.st_blocks };
        let taken = u64::try_from(blocks).unwrap_or(0).saturating_mul(STAT_BLOCK);
        // Small files may lie in their inodes and take no block.
        let beyond = size.saturating_sub(taken.max(4096));
        let sum = self.beyond.saturating_add(beyond);
        if sum > MAX_BEYOND {
            return false;
        }
        self.beyond = sum;
        true
    }

    /// A file of the worker's own as it was when it was pinned.
    fn pin(&mut self, level: &Level, pin: Pin) -> Result<(), Failure> {
        let file = match pin.file {
            Some(file) => Some(file),
            None => found_again(level, &pin).map_err(Failure::os("find a file again"))?,
        };
        let Some(mut file) = file else {
            self.summary.leave_out(&self.path, "removed");
            return Ok(());
        };
        let member = self.member(Kind::File(pin.size), pin.mode, pin.mtime)?;
        let (digest, missing) = self.content(&mut file, pin.size)?;
        if missing > 0 {
            self.summary.changed += 1;
        }
        self.note(&member, Some(digest.as_ref()))
    }

    /// Writes a member's header.
    fn member(&mut self, kind: Kind, mode: u32, mtime: Time) -> Result<Member, Failure> {
        self.members += 1;
        if self.members > MAX_MEMBERS {
            let source = std::io::Error::other("there are too many files");
            return Err(Failure::Io { what: "archive the root", source });
        }
        let member = Member { path: self.path.clone(), kind, mode, mtime };
        entry::write(&mut self.out, &member).map_err(Failure::io("write the archive"))?;
        if member.kind == Kind::Directory {
            self.note(&member, None)?;
        }
        Ok(member)
    }

    fn note(&mut self, member: &Member, digest: Option<&[u8]>) -> Result<(), Failure> {
        if let Kind::File(size) = member.kind {
            self.summary.files += 1;
            self.summary.bytes = self.summary.bytes.saturating_add(size);
        }
        self.index.add(member, digest).map_err(Failure::io("write the index"))
    }

    /// Copies exactly `size` bytes, with zeros for what is missing, and gives how much was.
    fn content(&mut self, file: &mut File, size: u64) -> Result<(Digest, u64), Failure> {
        let mut digest = Context::new(&SHA256);
        let (mut left, mut missing) = (size, 0);
        while left > 0 {
            let most = usize::try_from(left).unwrap_or(usize::MAX).min(self.buffer.len());
            let buffer = self.buffer.get_mut(..most).unwrap_or_default();
            let read = if missing > 0 { Ok(0) } else { file.read(buffer) };
            let count = match read {
                Ok(0) => {
                    buffer.fill(0);
                    missing += u64::try_from(most).unwrap_or(0);
                    most
                }
                Ok(count) => count,
                Err(err) if err.kind() == ErrorKind::Interrupted => continue,
                Err(err) => return Err(Failure::io("read a file")(err)),
            };
            let piece = buffer.get(..count).unwrap_or_default();
            digest.update(piece);
            self.out.write_all(piece).map_err(Failure::io("write the archive"))?;
            left -= u64::try_from(count).unwrap_or(left);
        }
        entry::write_padding(&mut self.out, size).map_err(Failure::io("write the archive"))?;
        Ok((digest.finish(), missing))
    }

    /// A member of the archive's own, which the index does not name.
    fn own(&mut self, name: &[u8], content: &[u8]) -> Result<(), Failure> {
        let size = u64::try_from(content.len()).unwrap_or(u64::MAX);
        let written = entry::write(&mut self.out, &Member::own(name, size))
            .and_then(|()| self.out.write_all(content))
            .and_then(|()| entry::write_padding(&mut self.out, size));
        written.map_err(Failure::io("write the archive"))
    }

    fn finish(mut self) -> Result<(Summary, W), Failure> {
        let (spool, size, digest) = self.index.finish();
        self.summary.digest = digest;
        let mut spool =
            spool.into_inner().map_err(|err| Failure::io("write the index")(err.into_error()))?;
        let copied = spool
            .rewind()
            .and_then(|()| entry::write(&mut self.out, &Member::own(INDEX, size)))
            .and_then(|()| std::io::copy(&mut spool, &mut self.out))
            .and_then(|_| entry::write_padding(&mut self.out, size))
            .and_then(|()| entry::write_end(&mut self.out))
            .and_then(|()| self.out.flush());
        copied.map_err(Failure::io("write the archive"))?;
        Ok((self.summary, self.out))
    }
}

/// A file that was not held open: under its name, or the one that it has now.
fn found_again(level: &Level, pin: &Pin) -> nix::Result<Option<File>> {
    let is_it = |found: &(File, FileStat)| found.1.st_ino == pin.inode;
    let by_name = |name: &[u8]| Ok(open(&level.fd, name, SFlag::S_IFREG)?.filter(is_it));
    if let Some((file, _)) = by_name(pin.name.as_bytes())? {
        return Ok(Some(file));
    }
    let again = openat(&level.fd, ".", OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty())?;
    let mut names = Level::new(again, 0)?;
    while let Some(name) = names.next() {
        if let Some((file, _)) = by_name(&name?)? {
            return Ok(Some(file));
        }
    }
    Ok(None)
}

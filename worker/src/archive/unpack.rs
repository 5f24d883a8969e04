//! Makes a root of an archive. Blocking. Each member is checked before anything of it is written,
//! and everything is made by its last name in a directory that was made here and is still open: no
//! path is ever resolved, so that there is nothing to lead astray.

use std::fs::File;
use std::io::{self, Read, Seek as _, SeekFrom, Write as _};
use std::os::fd::OwnedFd;

use nix::errno::Errno;
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::{Mode, UtimensatFlags, fchmod, futimens, mkdirat, utimensat};
use nix::sys::time::TimeSpec;
use nix::unistd::{UnlinkatFlags, symlinkat, syncfs, unlinkat};
use ring::digest::{Context, SHA256};

use super::entry::{self, Kind, Member, Time};
use super::index::Index;
use super::path::{self, Open};
use super::squeeze::Unsqueezer;
use super::walk::Level;
use super::{FORMAT, Failure, INDEX, MAX_BYTES, MAX_MEMBERS, PIECE, Refusal, Summary, VERSION};

/// Bytes that are looked at for being all zeros, and are then a hole: a block of most disks.
const HOLE: usize = 4096;
/// The directory that a root is made with, empty.
const FURNISHED: &str = "home";

/// Unpacks an archive into a directory in which there is nothing yet, with at most `space` bytes of
/// content that are not zeros, and makes it durable.
///
/// # Errors
/// [`Failure::Refused`] for what is wrong with the archive. What was written by then stays.
pub fn unpack(root: OwnedFd, archive: impl Read, space: u64) -> Result<Summary, Failure> {
    let archive = Unsqueezer::new(archive).map_err(Failure::io("begin to read the archive"))?;
    unpack_tar(root, archive, space)
}

/// The same, of what was uncompressed already.
pub(super) fn unpack_tar(root: OwnedFd, tar: impl Read, space: u64) -> Result<Summary, Failure> {
    clear(&root)?;
    let mut unpacker = Unpacker {
        from: tar,
        index: Index::new(io::sink()),
        open: Open::default(),
        directories: vec![(root, None)],
        summary: Summary::default(),
        space,
        buffer: vec![0; PIECE],
    };
    unpacker.version()?;
    unpacker.members()?;
    unpacker.leave(0)?;
    let root = unpacker.directories.pop().ok_or(Refusal::NoDirectory)?.0;
    syncfs(&root).map_err(Failure::os("write out what was unpacked"))?;
    Ok(unpacker.summary)
}

/// Makes sure that the root is empty. What it was made with is made again where it is missing.
fn clear(root: &OwnedFd) -> Result<(), Failure> {
    match unlinkat(root, FURNISHED, UnlinkatFlags::RemoveDir) {
        Ok(()) | Err(Errno::ENOENT) => {}
        Err(err) => return Err(Failure::os("begin with an empty root")(err)),
    }
    let again = openat(root, ".", OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty());
    let first = again.and_then(|fd| Level::new(fd, 0)).map(|mut level| level.next());
    match first {
        Ok(None) => Ok(()),
        Ok(Some(_)) => Err(Failure::os("begin with an empty root")(Errno::ENOTEMPTY)),
        Err(err) => Err(Failure::os("look at the root")(err)),
    }
}

/// A directory that is open, and the mode and time that it is to have when it is left; none for the
/// root.
type Made = (OwnedFd, Option<(u32, Time)>);

struct Unpacker<R: Read> {
    from: R,
    index: Index<io::Sink>,
    open: Open,
    /// Those of `open`, the root first, with what each is to be when it is left.
    directories: Vec<Made>,
    summary: Summary,
    /// Bytes that may still be written.
    space: u64,
    buffer: Vec<u8>,
}

impl<R: Read> Unpacker<R> {
    /// The first member says what the others are like.
    fn version(&mut self) -> Result<(), Failure> {
        let content = format!("{VERSION}\n");
        let size = u64::try_from(content.len()).unwrap_or(0);
        let first = entry::read(&mut self.from)?.ok_or(Refusal::Version)?;
        if first != Member::own(FORMAT, size) {
            return Err(Refusal::Version.into());
        }
        let mut found = vec![0; content.len()];
        self.from.read_exact(&mut found).map_err(entry::cut)?;
        entry::read_padding(&mut self.from, size)?;
        if found == content.as_bytes() { Ok(()) } else { Err(Refusal::Version.into()) }
    }

    /// All others, the index as the last.
    fn members(&mut self) -> Result<(), Failure> {
        for _ in 0..=MAX_MEMBERS {
            let Some(member) = entry::read(&mut self.from)? else {
                return Err(Refusal::NoIndex.into());
            };
            if let (INDEX, Kind::File(size)) = (member.path.as_slice(), &member.kind) {
                let size = *size;
                if member != Member::own(INDEX, size) {
                    return Err(Refusal::Index.into());
                }
                return self.index(size);
            }
            self.member(&member)?;
        }
        Err(Refusal::Many.into())
    }

    fn member(&mut self, member: &Member) -> Result<(), Failure> {
        let names = path::names(&member.path)?;
        let kept = self.open.kept(&names)?;
        self.leave(kept)?;
        let (Some(name), Some((at, _))) = (names.last().copied(), self.directories.last()) else {
            return Err(Refusal::EmptyName.into());
        };
        match &member.kind {
            Kind::Directory => {
                let directory = make_directory(at, name)?;
                self.directories.push((directory, Some((member.mode, member.mtime))));
                self.open.enter(name);
                self.summary.directories += 1;
                self.note(member, None)
            }
            Kind::Link(target) => {
                symlinkat(target.as_slice(), at, name).map_err(made("make a link"))?;
                let times = spec(member.mtime);
                utimensat(at, name, &times, &times, UtimensatFlags::NoFollowSymlink)
                    .map_err(Failure::os("set a time"))?;
                self.summary.links += 1;
                self.note(member, None)
            }
            Kind::File(size) => {
                self.summary.files += 1;
                self.summary.bytes = self.summary.bytes.saturating_add(*size);
                if self.summary.bytes > MAX_BYTES {
                    return Err(Refusal::Large.into());
                }
                let mut file = make_file(at, name)?;
                let digest = self.content(&mut file, *size)?;
                settle(&file, member.mode, member.mtime)?;
                self.note(member, Some(&digest))
            }
        }
    }

    /// Leaves all but the outermost open directories, each as it is to be from now on.
    fn leave(&mut self, kept: usize) -> Result<(), Failure> {
        while self.directories.len() > kept.saturating_add(1) {
            if let Some((directory, Some((mode, mtime)))) = self.directories.pop() {
                settle(&directory, mode, mtime)?;
            }
        }
        self.open.leave(kept);
        Ok(())
    }

    fn note(&mut self, member: &Member, digest: Option<&[u8]>) -> Result<(), Failure> {
        self.index.add(member, digest).map_err(Failure::io("note what was unpacked"))
    }

    /// Writes the content of a file and gives its digest.
    fn content(&mut self, file: &mut File, size: u64) -> Result<Vec<u8>, Failure> {
        let mut digest = Context::new(&SHA256);
        let (mut left, mut ends_in_hole) = (size, false);
        while left > 0 {
            let most = usize::try_from(left).unwrap_or(usize::MAX).min(PIECE);
            let piece = self.buffer.get_mut(..most).unwrap_or_default();
            self.from.read_exact(piece).map_err(entry::cut)?;
            digest.update(piece);
            ends_in_hole =
                write(file, piece, &mut self.space).map_err(Failure::io("write a file"))?;
            left -= u64::try_from(most).unwrap_or(left);
        }
        if ends_in_hole {
            file.set_len(size).map_err(Failure::io("write a file"))?;
        }
        entry::read_padding(&mut self.from, size)?;
        Ok(digest.finish().as_ref().to_vec())
    }

    /// The last member, and the end.
    fn index(&mut self, size: u64) -> Result<(), Failure> {
        let ours = std::mem::replace(&mut self.index, Index::new(io::sink()));
        let (_, length, digest) = ours.finish();
        if size != length {
            return Err(Refusal::Index.into());
        }
        let mut theirs = Context::new(&SHA256);
        let mut left = size;
        while left > 0 {
            let most = usize::try_from(left).unwrap_or(usize::MAX).min(PIECE);
            let piece = self.buffer.get_mut(..most).unwrap_or_default();
            self.from.read_exact(piece).map_err(entry::cut)?;
            theirs.update(piece);
            left -= u64::try_from(most).unwrap_or(left);
        }
        if theirs.finish().as_ref() != digest {
            return Err(Refusal::Index.into());
        }
        entry::read_padding(&mut self.from, size)?;
        if entry::read(&mut self.from)?.is_some() {
            return Err(Refusal::NoIndex.into());
        }
        self.summary.digest = digest;
        Ok(())
    }
}

/// Writes a piece, without the zeros that make up blocks of their own. True where it ended in such.
fn write(file: &mut File, piece: &[u8], space: &mut u64) -> io::Result<bool> {
    let mut ends_in_hole = false;
    for run in runs(piece) {
        let length = u64::try_from(run.bytes.len()).unwrap_or(u64::MAX);
        ends_in_hole = run.is_hole;
        if run.is_hole {
            file.seek(SeekFrom::Current(i64::try_from(length).unwrap_or(i64::MAX)))?;
            continue;
        }
        *space = space.checked_sub(length).ok_or(io::ErrorKind::StorageFull)?;
        file.write_all(run.bytes)?;
    }
    Ok(ends_in_hole)
}

/// Bytes that are written, or zeros that are not.
struct Run<'a> {
    bytes: &'a [u8],
    is_hole: bool,
}

/// A piece as runs of blocks that are all zeros and blocks that are not.
fn runs(piece: &[u8]) -> impl Iterator<Item = Run<'_>> {
    let mut rest = piece;
    std::iter::from_fn(move || {
        let is_hole = |block: &[u8]| block.len() == HOLE && block.iter().all(|byte| *byte == 0);
        let first = is_hole(rest.chunks(HOLE).next()?);
        let blocks = rest.chunks(HOLE).take_while(|block| is_hole(block) == first);
        let length = blocks.map(<[u8]>::len).sum();
        let (bytes, after) = rest.split_at_checked(length)?;
        rest = after;
        Some(Run { bytes, is_hole: first })
    })
}

fn make_file(at: &OwnedFd, name: &[u8]) -> Result<File, Failure> {
    let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL;
    let flags = flags | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let made_it = openat(at, name, flags, Mode::S_IRUSR | Mode::S_IWUSR);
    made_it.map(File::from).map_err(made("make a file"))
}

fn make_directory(at: &OwnedFd, name: &[u8]) -> Result<OwnedFd, Failure> {
    mkdirat(at, name, Mode::S_IRWXU).map_err(made("make a directory"))?;
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    openat(at, name, flags, Mode::empty()).map_err(Failure::os("open a directory"))
}

/// What a name that cannot be made means: it is taken by an earlier member.
fn made(what: &'static str) -> impl FnOnce(Errno) -> Failure {
    move |err| {
        if err == Errno::EEXIST { Refusal::Duplicate.into() } else { Failure::os(what)(err) }
    }
}

fn settle(of: &impl std::os::fd::AsFd, mode: u32, mtime: Time) -> Result<(), Failure> {
    let set = fchmod(of.as_fd(), Mode::from_bits_truncate(mode));
    set.map_err(Failure::os("set a mode"))?;
    futimens(of.as_fd(), &spec(mtime), &spec(mtime)).map_err(Failure::os("set a time"))
}

fn spec(time: Time) -> TimeSpec {
    TimeSpec::new(time.0, time.1.into())
}

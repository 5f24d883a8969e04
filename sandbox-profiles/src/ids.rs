//! Which host ids a gateway with root uses: a block of them that no other gateway on the machine
//! uses, held by a lock for the launcher's life and remembered in the state directory. It changes
//! the owner of nothing.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, open, openat};
use nix::sys::stat::{FileStat, Mode, SFlag, fstat, fstatat, mkdirat};

use crate::host::{tools_uid, worker_uid};
use crate::{Error, sys};

/// Ids from here up have meanings of their own in some kernels and tools.
const MAX_ID: u32 = 0x7FFF_0000;
/// Ids below are the host's own users.
const MIN_BASE: u32 = 65_536;
/// Ids of one gateway: the supervisor's and those of a hundred thousand tenants.
const BLOCK: u32 = 200_000;
/// The first id of the first block that is chosen without being asked for.
pub(crate) const FIRST: u32 = 2_000_000;
/// Blocks that are chosen without being asked for, and so the gateways on one machine.
const BLOCKS: u32 = 64;

/// Where the locks are: root's alone.
const LOCKS: &str = "/run/openclawmu";
/// Where a state directory says which ids own what is in it.
const REMEMBERED: &str = "uid-base";
/// A number and a line end.
const REMEMBERED_MAX: u64 = 16;
/// The longest path that the kernel takes.
const PATH_MAX: u64 = 4096;
/// How often, and how far apart, a block that a gateway about to end still holds is tried for.
const ATTEMPTS: usize = 100;
const PAUSE: Duration = Duration::from_millis(20);

/// The ids of one gateway, its own for as long as this lives.
#[derive(Debug)]
pub(crate) struct Ids {
    base: u32,
    _locks: Vec<OwnedFd>,
}

impl Ids {
    /// The ids of a gateway without root, which has no choice.
    pub(crate) const fn unused() -> Self {
        Self { base: FIRST, _locks: Vec::new() }
    }

    /// Takes the ids that were asked for, or those that the state already belongs to, or the first
    /// that nobody uses; and has the state remember them.
    pub(crate) fn claim(wanted: Option<u32>, state: &OwnedFd) -> Result<Self, Error> {
        let locks = Locks::open(Path::new(LOCKS), state)?;
        let remembered = remembered(state)?;
        let base = match (wanted, remembered) {
            (Some(wanted), Some(base)) if wanted != base => {
                return Err(unusable(format!(
                    "what is in the state directory belongs to the uids from {base}, \
                     so --uid-base cannot be {wanted}"
                )));
            }
            (Some(base), _) | (None, Some(base)) => Some(base),
            (None, None) => None,
        };
        let ids = match base {
            Some(base) => locks.wait_for(base)?,
            None => locks.first_free()?,
        };
        if remembered.is_none() {
            remember(state, ids.base).map_err(start("remember the first uid"))?;
        }
        Ok(ids)
    }

    /// The supervisor's id.
    pub(crate) const fn base(&self) -> u32 {
        self.base
    }

    /// The ids of the worker and the tools of the tenant with this index; none past the block.
    pub(crate) fn of_tenant(&self, index: u32) -> Option<(u32, u32)> {
        let ids = worker_uid(self.base, index)?..=tools_uid(self.base, index)?;
        (*ids.end() <= last(self.base)).then(|| ids.into_inner())
    }
}

/// Whether a directory of this owner may be a gateway's state: root's, or given to a supervisor as
/// earlier versions did.
pub(crate) fn may_own_state(uid: u32, wanted: Option<u32>) -> bool {
    uid == 0 || wanted == Some(uid) || is_listed(uid)
}

/// Whether ids from `base` up are free to be reserved at all.
pub(crate) fn check(base: u32) -> Result<(), Error> {
    if (MIN_BASE..=MAX_ID - BLOCK).contains(&base) {
        return Ok(());
    }
    let end = MAX_ID - BLOCK;
    Err(unusable(format!("the first uid {base} is not from {MIN_BASE} to {end}")))
}

const fn last(base: u32) -> u32 {
    base.saturating_add(BLOCK - 1)
}

fn blocks() -> impl Iterator<Item = u32> {
    (0..BLOCKS).map(|number| FIRST + number * BLOCK)
}

fn is_listed(base: u32) -> bool {
    blocks().any(|block| block == base)
}

/// The locks of all blocks of this machine, as one gateway sees them.
struct Locks {
    directory: OwnedFd,
    /// Which state directory asks.
    state: PathBuf,
}

impl Locks {
    fn open(path: &Path, state: &OwnedFd) -> Result<Self, Error> {
        use std::os::fd::AsRawFd as _;
        let name = std::fs::read_link(format!("/proc/self/fd/{}", state.as_raw_fd()));
        let state = name
            .map_err(|source| Error::Start { what: "find the state directory's name", source })?;
        match mkdirat(nix::fcntl::AT_FDCWD, path, Mode::S_IRWXU) {
            Ok(()) | Err(Errno::EEXIST) => {}
            Err(err) => return Err(start("make /run/openclawmu")(err)),
        }
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW;
        let directory =
            open(path, flags, Mode::empty()).map_err(start("open /run/openclawmu"))?;
        let stat = fstat(&directory).map_err(start("look at /run/openclawmu"))?;
        if is_roots_alone(&stat) {
            Ok(Self { directory, state })
        } else {
            Err(unusable(format!("{} is not root's alone", path.display())))
        }
    }

    /// The block from `base`, after whoever is about to end.
    #[expect(clippy::disallowed_methods, reason = "the launcher before its loop: one thread")]
    fn wait_for(&self, base: u32) -> Result<Ids, Error> {
        check(base)?;
        for _ in 0..ATTEMPTS {
            match self.try_take(base)? {
                Some(ids) => return Ok(ids),
                None => std::thread::sleep(PAUSE),
            }
        }
        Err(unusable(format!(
            "another gateway on this machine uses the uids from {base}; a new state directory may \
             be given others with --uid-base"
        )))
    }

    /// A block that no gateway uses, nor any state directory that a gateway may be started on.
    fn first_free(&self) -> Result<Ids, Error> {
        for spoken_for in [false, true] {
            for base in blocks() {
                if (spoken_for || !self.is_spoken_for(base)?)
                    && let Some(ids) = self.try_take(base)?
                {
                    return Ok(ids);
                }
            }
        }
        Err(unusable(format!("{BLOCKS} gateways run on this machine; give this one a --uid-base")))
    }

    /// A block that does not begin at a multiple of its size lies in two locks.
    fn try_take(&self, base: u32) -> Result<Option<Ids>, Error> {
        let mut locks = Vec::new();
        for number in base / BLOCK..=last(base) / BLOCK {
            let lock = self.file(number).map_err(start("open the lock of a block of uids"))?;
            match sys::lock(&lock) {
                Ok(()) => {}
                Err(Errno::EWOULDBLOCK) => return Ok(None),
                Err(err) => return Err(start("lock a block of uids")(err)),
            }
            self.sign(&lock).map_err(|source| Error::Start { what: "sign a lock", source })?;
            locks.push(lock.into());
        }
        Ok(Some(Ids { base, _locks: locks }))
    }

    fn file(&self, number: u32) -> nix::Result<File> {
        let flags = OFlag::O_RDWR | OFlag::O_CREAT | OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW;
        let mode = Mode::S_IRUSR | Mode::S_IWUSR;
        openat(&self.directory, format!("uids-{number}").as_str(), flags, mode).map(File::from)
    }

    /// Says whose block it is from now on, for when nobody holds it.
    fn sign(&self, lock: &File) -> std::io::Result<()> {
        let name = self.state.as_os_str().as_bytes();
        lock.write_all_at(name, 0)?;
        lock.set_len(name.len().try_into().map_err(std::io::Error::other)?)
    }

    /// Whether the state directory that used the block last is still there and another one.
    fn is_spoken_for(&self, base: u32) -> Result<bool, Error> {
        let what = "read the lock of a block of uids";
        let lock = self.file(base / BLOCK).map_err(start(what))?;
        let mut name = Vec::new();
        lock.take(PATH_MAX)
            .read_to_end(&mut name)
            .map_err(|source| Error::Start { what, source })?;
        let name = PathBuf::from(std::ffi::OsString::from_vec(name));
        if name.as_os_str().is_empty() || name == self.state {
            return Ok(false);
        }
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW;
        // One that is gone, or is no state any more, speaks for nothing.
        let Ok(state) = open(&name, flags, Mode::empty()) else { return Ok(false) };
        Ok(written(&state).ok().flatten() == Some(base))
    }
}

/// The ids that own what is in the state directory; none in a fresh one.
fn remembered(state: &OwnedFd) -> Result<Option<u32>, Error> {
    if let Some(base) = written(state)? {
        return Ok(Some(base));
    }
    // Earlier versions did not write it down.
    let look = start("look at the state directory");
    let owner = match fstatat(state, "records", AtFlags::AT_SYMLINK_NOFOLLOW) {
        Err(Errno::ENOENT) => fstat(state).map_err(&look)?.st_uid,
        records => records.map_err(&look)?.st_uid,
    };
    Ok(Some(owner).filter(|owner| is_listed(*owner)))
}

fn written(state: &OwnedFd) -> Result<Option<u32>, Error> {
    let flags = OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW;
    let file = match openat(state, REMEMBERED, flags, Mode::empty()) {
        Err(Errno::ENOENT) => return Ok(None),
        file => file.map_err(start("open the state directory's first uid"))?,
    };
    let stat = fstat(&file).map_err(start("look at the state directory's first uid"))?;
    let mut text = String::new();
    if is_roots_alone(&stat) && SFlag::from_bits_truncate(stat.st_mode).contains(SFlag::S_IFREG) {
        File::from(file).take(REMEMBERED_MAX).read_to_string(&mut text).map_err(|source| {
            Error::Start { what: "read the state directory's first uid", source }
        })?;
    }
    match text.trim().parse() {
        Ok(base) => Ok(Some(base)),
        Err(_number) => Err(unusable(format!("{REMEMBERED} in the state directory is not root's"))),
    }
}

fn remember(state: &OwnedFd, base: u32) -> nix::Result<()> {
    let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_CLOEXEC;
    let file = openat(state, REMEMBERED, flags, Mode::S_IRUSR | Mode::S_IWUSR)?;
    let failed = |err: std::io::Error| Errno::from_raw(err.raw_os_error().unwrap_or(libc::EIO));
    let mut file = File::from(file);
    file.write_all(format!("{base}\n").as_bytes()).map_err(failed)?;
    file.sync_all().map_err(failed)
}

fn is_roots_alone(stat: &FileStat) -> bool {
    let others = Mode::S_IWGRP | Mode::S_IWOTH;
    stat.st_uid == 0 && !Mode::from_bits_truncate(stat.st_mode).intersects(others)
}

fn unusable(reason: String) -> Error {
    Error::Unusable { reason }
}

fn start(what: &'static str) -> impl Fn(Errno) -> Error {
    move |source| Error::Start { what, source: source.into() }
}

#[cfg(test)]
mod tests;

//! The block of host ids that one gateway uses: its own, taken for as long as it runs, and the same
//! one at each start. Two gateways on one machine must not share an id, or one's workers could
//! reach the other's files and processes.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

use crate::Error;
use crate::mode::{MAX_ID, Mode};

/// Where the locks are; emptied by a reboot, as are the gateways.
const LOCKS: &str = "/run/openclawmu";

/// Ids of one block: two for the gateway, two for each tenant.
pub(crate) const BLOCK: u32 = 1_000_000;

/// The first block's first id.
pub(crate) const FIRST: u32 = 2_000_000;

/// How many blocks there are to choose from.
const BLOCKS: u32 = (MAX_ID - FIRST) / BLOCK;

/// A block of ids that no other gateway uses. It is given back when dropped.
#[derive(Debug)]
pub(crate) struct Ids {
    /// The first one, which is the supervisor's.
    pub(crate) base: u32,
    _lock: Option<File>,
}

/// The host uid, and gid, of a tenant's worker; none where the range of ids ends.
pub(crate) fn worker_uid(base: u32, index: u32) -> Option<u32> {
    let offset = index.checked_mul(2)?.checked_add(2)?;
    // The last pair of the block is the last one that is this gateway's.
    if offset < BLOCK { offset.checked_add(base) } else { None }
}

/// The host uid of a tenant's tools, which nobody else uses.
pub(crate) fn tools_uid(base: u32, index: u32) -> Option<u32> {
    worker_uid(base, index)?.checked_add(1)
}

/// Takes the block that `asked` names, else the one that the state directory was made with, else
/// a free one.
pub(crate) fn claim(state: &Path, asked: Option<u32>, mode: Mode) -> Result<Ids, Error> {
    if mode == Mode::Rootless {
        return Ok(Ids { base: asked.unwrap_or(FIRST), _lock: None });
    }
    let made_with = remembered(state)?;
    let unusable = |reason: String| Err(Error::Unusable { reason });
    // A block that began in between would meet two others, and its lock neither of theirs.
    if let Some(asked) = asked.filter(|asked| !is_first_of_block(*asked)) {
        let reason = format!("the first id {asked} is not {FIRST} and a multiple of {BLOCK} more");
        return unusable(reason);
    }
    match (asked, made_with) {
        (Some(asked), Some(base)) if asked != base => {
            unusable(format!("the state directory was made for the ids from {base}, not {asked}"))
        }
        (Some(base), _) | (None, Some(base)) => match lock_soon(base)? {
            Some(lock) => Ok(Ids { base, _lock: Some(lock) }),
            None => unusable(format!("another gateway uses the ids from {base}")),
        },
        (None, None) => free(state),
    }
}

/// How often, and how far apart, a block is tried for that processes of a killed gateway still hold, which
/// end by themselves.
const ATTEMPTS: usize = 50;
const PAUSE: std::time::Duration = std::time::Duration::from_millis(20);

#[expect(clippy::disallowed_methods, reason = "the launcher has one thread and no runtime")]
fn lock_soon(base: u32) -> Result<Option<File>, Error> {
    for _ in 0..ATTEMPTS {
        if let Some(lock) = lock(base)? {
            return Ok(Some(lock));
        }
        std::thread::sleep(PAUSE);
    }
    Ok(None)
}

/// A free block. Where it is looked for first follows from the path, so that the block of a gateway
/// that is not running at the moment is not somebody else's first choice.
fn free(state: &Path) -> Result<Ids, Error> {
    let mut hasher = DefaultHasher::new();
    state.hash(&mut hasher);
    let first = u32::try_from(hasher.finish() % u64::from(BLOCKS)).unwrap_or(0);
    for offset in 0..BLOCKS {
        let base = FIRST + (first + offset) % BLOCKS * BLOCK;
        if let Some(lock) = lock(base)? {
            return Ok(Ids { base, _lock: Some(lock) });
        }
    }
    Err(Error::Unusable { reason: "every block of ids is in use by another gateway".to_owned() })
}

fn is_first_of_block(id: u32) -> bool {
    id.checked_sub(FIRST).is_some_and(|offset| offset % BLOCK == 0 && offset / BLOCK < BLOCKS)
}

/// The block that the state directory was made with: its group is the supervisor's, and only root
/// can have set it.
fn remembered(state: &Path) -> Result<Option<u32>, Error> {
    let stat = std::fs::metadata(state)
        .map_err(|source| Error::Start { what: "look at the state directory", source })?;
    let is_ours = stat.uid() == 0 && is_first_of_block(stat.gid());
    Ok(is_ours.then_some(stat.gid()))
}

/// The lock of one block; none where another process holds it.
fn lock(base: u32) -> Result<Option<File>, Error> {
    let failed = |source| Error::Start { what: "lock a block of ids", source };
    match DirBuilder::new().mode(0o755).create(LOCKS) {
        Err(err) if err.kind() != std::io::ErrorKind::AlreadyExists => return Err(failed(err)),
        _ => {}
    }
    let stat = std::fs::symlink_metadata(LOCKS).map_err(failed)?;
    if !(stat.is_dir() && stat.uid() == 0 && stat.mode() & 0o022 == 0) {
        let reason = format!("{LOCKS} must be a directory of root that nobody else can write");
        return Err(Error::Unusable { reason });
    }
    let mut options = OpenOptions::new();
    options.write(true).create(true).mode(0o600).custom_flags(libc::O_NOFOLLOW | libc::O_CLOEXEC);
    let file = options.open(format!("{LOCKS}/ids-{base}.lock")).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(err)) => Err(failed(err)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_do_not_meet_and_end_below_the_last_id() {
        let last = FIRST + (BLOCKS - 1) * BLOCK;
        assert!(last + (BLOCK - 1) < MAX_ID, "{last}");
        for (id, first) in
            [(FIRST, true), (last, true), (0, false), (FIRST + 1, false), (last + BLOCK, false)]
        {
            assert_eq!(is_first_of_block(id), first, "{id}");
        }
    }

    #[test]
    fn a_block_is_one_gateways() {
        if !nix::unistd::geteuid().is_root() {
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        let one = claim(dir.path(), None, Mode::Root).unwrap();
        let two = claim(dir.path(), None, Mode::Root).unwrap();
        assert_ne!(one.base, two.base);
        let taken = claim(dir.path(), Some(one.base), Mode::Root);
        assert!(taken.unwrap_err().to_string().contains("another gateway"));
        std::os::unix::fs::chown(dir.path(), Some(0), Some(two.base)).unwrap();
        let other = claim(dir.path(), Some(one.base), Mode::Root);
        assert!(other.unwrap_err().to_string().contains("was made for"));
        let base = two.base;
        drop(two);
        assert_eq!(claim(dir.path(), None, Mode::Root).unwrap().base, base);
    }
}

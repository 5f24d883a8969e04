//! Opening with a check, and what to do when that fails: try without half-made snapshots, then
//! rebuild from the newest dump. A database is never started empty where there once was one.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use types::Chain;

use super::dump::{Dump, Dumps};
use super::file;
use crate::Error;
use crate::engine::{decode, revision_of};
use crate::store::Rev;

/// sled's own cache. What it holds in memory is a few times that.
pub(super) const CACHE: u64 = 8 << 20;

/// sled writes its buffers in the background this often. It must never be off: without it, power
/// cuts left databases that could not be opened. Nor seldom: each time it makes room of one segment that is
/// mostly out of date, of 512 KiB; what more is needed is for who writes (`room`). Nor often, as each time is
/// one more sync that commits wait for.
const FLUSH_MS: u64 = 250;

/// How long the lock of a process that is going away is waited for.
const LOCK_PATIENCE: Duration = Duration::from_secs(2);
const LOCK_RETRY: Duration = Duration::from_millis(20);

/// Bytes that must be free before a database is opened again that could not be written: more than
/// opening takes, and enough for a while.
const ROOM: usize = 4 << 20;

/// Damaged databases that are kept to be looked at.
const KEEP_DAMAGED: usize = 2;

/// Rows written at once while rebuilding.
const BATCH: usize = 1000;

pub(super) struct Opened {
    pub(super) db: sled::Db,
    pub(super) file: File,
    pub(super) dumps: Dumps,
    pub(super) lock: File,
}

/// Why one attempt failed.
pub(super) enum Failure {
    /// The system refused something; the data may be sound.
    Refused(sled::Error),
    /// The data is not what it was.
    Damaged(String),
}

pub(super) fn open(dir: &Path) -> Result<Opened, Error> {
    make_dir(dir)?;
    let lock = lock(&dir.join("lock"))?;
    let dumps = Dumps::open(dir.join("dumps"))?;
    let place = dir.join("sled");
    super::rewrite::finish(dir, &place)?;
    let least = dumps.newest_rev().unwrap_or(0);
    let db = match attempt(&place, least).or_else(|failure| retry(&place, least, failure)) {
        Ok(db) => db,
        Err(Failure::Refused(source)) => return Err(Error::Open(source)),
        Err(Failure::Damaged(reason)) => {
            tracing::error!(reason, "the database is damaged");
            rebuild(dir, &place, &dumps)?
        }
    };
    // The names of new files must be as durable as what is in them.
    sync_dir(&place)?;
    sync_dir(dir)?;
    let path = place.join("db");
    let file = OpenOptions::new().read(true).open(&path).map_err(file("open", &path))?;
    Ok(Opened { db, file, dumps, lock })
}

/// Opens again what this process had open and could not write to. Nothing is rebuilt: a full disk must
/// not be taken for damage. `least` is the last revision that was acknowledged.
pub(super) fn reopen(dir: &Path, least: Rev) -> Result<Opened, Error> {
    let lock = lock(&dir.join("lock"))?;
    // What was begun and did not fit may be what fills the disk.
    let place = dir.join("sled");
    super::rewrite::finish(dir, &place)?;
    let dumps = Dumps::open(dir.join("dumps"))?;
    let probe = dir.join("room");
    let written = OpenOptions::new().write(true).create(true).truncate(true).open(&probe);
    let written = written.and_then(|file| {
        let written = (&file).write_all(&vec![1; ROOM]).and_then(|()| file.sync_all());
        fs::remove_file(&probe).and(written)
    });
    written.map_err(file("write", &probe))?;
    let db = attempt(&place, least).map_err(|failure| match failure {
        Failure::Refused(source) => Error::Open(source),
        Failure::Damaged(reason) => {
            tracing::warn!(reason, "the database does not open again");
            Error::Damaged { path: place.display().to_string() }
        }
    })?;
    let path = place.join("db");
    let file = OpenOptions::new().read(true).open(&path).map_err(file("open", &path))?;
    Ok(Opened { db, file, dumps, lock })
}

/// Opens and reads everything once. sled panics on some damage, and takes other damage for the end
/// of its log; `least` is a revision that was on the disk, so less means that rows are lost.
pub(super) fn attempt(place: &Path, least: Rev) -> Result<sled::Db, Failure> {
    let config =
        sled::Config::new().path(place).cache_capacity(CACHE).flush_every_ms(Some(FLUSH_MS));
    let checked = catch_unwind(AssertUnwindSafe(|| {
        let db = open_unlocked(&config)?;
        let mut rev = 0;
        for row in db.iter() {
            let (key, value) = row?;
            match revision_of(&key, &value) {
                Some(found) => rev = found,
                None if decode(&key, &value).is_some() => {}
                None => return Ok(Err("a row cannot be read")),
            }
        }
        Ok(if rev < least { Err("rows are missing") } else { Ok(db) })
    }));
    match checked {
        Ok(Ok(Ok(db))) => Ok(db),
        Ok(Ok(Err(reason))) => Err(Failure::Damaged(reason.to_owned())),
        Ok(Err(err @ (sled::Error::Io(_) | sled::Error::Unsupported(_)))) => {
            Err(Failure::Refused(err))
        }
        Ok(Err(err)) => Err(Failure::Damaged(Chain(&err).to_string())),
        Err(_) => Err(Failure::Damaged("sled panicked".to_owned())),
    }
}

/// Opens what an earlier handle of this process may still hold: sled's threads give its lock back a
/// moment after the handle is dropped. Other owners are kept out by our own lock.
#[expect(clippy::disallowed_methods, reason = "the store's own thread, before it takes jobs")]
fn open_unlocked(config: &sled::Config) -> sled::Result<sled::Db> {
    let patience = Instant::now() + LOCK_PATIENCE;
    loop {
        match config.open() {
            Err(sled::Error::Io(err))
                if err.to_string().contains("acquire lock") && Instant::now() < patience =>
            {
                std::thread::sleep(LOCK_RETRY);
            }
            opened => return opened,
        }
    }
}

/// Tries once more without the snapshots that sled had not finished.
fn retry(place: &Path, least: Rev, failure: Failure) -> Result<sled::Db, Failure> {
    let Ok(entries) = fs::read_dir(place) else { return Err(failure) };
    let half_made = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "generating"));
    let mut removed = 0_usize;
    for path in half_made {
        match fs::remove_file(&path) {
            Ok(()) => removed += 1,
            Err(err) => {
                tracing::warn!(path = %path.display(), error = %Chain(&err), "not removed");
            }
        }
    }
    if removed == 0 {
        return Err(failure);
    }
    tracing::warn!(removed, "trying without half-made snapshots");
    attempt(place, least)
}

/// Makes a new database from the newest dump and puts the damaged one aside.
fn rebuild(dir: &Path, place: &Path, dumps: &Dumps) -> Result<sled::Db, Error> {
    let damaged = || Error::Damaged { path: place.display().to_string() };
    let Some(dump) = dumps.read_newest()? else { return Err(damaged()) };
    let rev = dump.rev;
    let new = dir.join("sled.new");
    remove_dir(&new)?;
    fill(&new, dump)?;
    let aside = put_aside(dir, place)?;
    fs::rename(&new, place).map_err(file("rename", &new))?;
    sync_dir(dir)?;
    let aside = aside.display();
    tracing::error!(rev, %aside, "the records were rebuilt from a dump; later changes are lost");
    attempt(place, rev).map_err(|failure| match failure {
        Failure::Refused(source) => Error::Open(source),
        Failure::Damaged(_) => damaged(),
    })
}

fn fill(place: &Path, dump: Dump) -> Result<(), Error> {
    let db = sled::Config::new().path(place).cache_capacity(CACHE).open().map_err(Error::Open)?;
    let mut rows = dump.into_table().peekable();
    while rows.peek().is_some() {
        let mut batch = sled::Batch::default();
        for (key, value) in rows.by_ref().take(BATCH) {
            batch.insert(key.as_ref(), value.as_ref());
        }
        db.apply_batch(batch).map_err(Error::Open)?;
    }
    db.flush().map_err(Error::Open)?;
    let path = place.join("db");
    File::open(&path).and_then(|db| db.sync_all()).map_err(file("sync", &path))?;
    sync_dir(place)
}

fn put_aside(dir: &Path, place: &Path) -> Result<PathBuf, Error> {
    let mut numbers = Vec::new();
    for entry in fs::read_dir(dir).map_err(file("list", dir))? {
        let name = entry.map_err(file("list", dir))?.file_name();
        let number = name.to_str().and_then(|name| name.strip_prefix("damaged-"));
        numbers.extend(number.and_then(|number| number.parse::<u64>().ok()));
    }
    numbers.sort_unstable();
    let aside = |number: u64| dir.join(format!("damaged-{number}"));
    for old in numbers.iter().rev().skip(KEEP_DAMAGED - 1) {
        remove_dir(&aside(*old))?;
    }
    let aside = aside(numbers.last().map_or(1, |last| last.saturating_add(1)));
    fs::rename(place, &aside).map_err(file("rename", place))?;
    Ok(aside)
}

/// Removes damaged databases that are kept to be looked at: they hold what was removed since.
pub(super) fn forget_damaged(dir: &Path) -> Result<(), Error> {
    for entry in fs::read_dir(dir).map_err(file("list", dir))? {
        let entry = entry.map_err(file("list", dir))?;
        let is_damaged = entry.file_name().to_str().is_some_and(|it| it.starts_with("damaged-"));
        if is_damaged {
            tracing::warn!(path = %entry.path().display(), "a damaged database is removed");
            remove_dir(&entry.path())?;
        }
    }
    Ok(())
}

/// The lock that says that there is one owner. sled's own lock cannot be told from other failures.
#[expect(clippy::disallowed_methods, reason = "the store's own thread, before it takes jobs")]
fn lock(path: &Path) -> Result<File, Error> {
    let lock = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(path);
    let lock = lock.map_err(file("open", path))?;
    let patience = Instant::now() + LOCK_PATIENCE;
    loop {
        match lock.try_lock() {
            Ok(()) => return Ok(lock),
            Err(TryLockError::WouldBlock) if Instant::now() < patience => {
                std::thread::sleep(LOCK_RETRY);
            }
            Err(TryLockError::WouldBlock) => return Err(Error::Locked),
            Err(TryLockError::Error(source)) => return Err(file("lock", path)(source)),
        }
    }
}

pub(super) fn make_dir(dir: &Path) -> Result<(), Error> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(file("make", dir))?;
    match dir.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => sync_dir(parent),
        _ => sync_dir(Path::new(".")),
    }
}

pub(super) fn sync_dir(dir: &Path) -> Result<(), Error> {
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(file("sync", dir))
}

pub(super) fn remove_dir(dir: &Path) -> Result<(), Error> {
    match fs::remove_dir_all(dir) {
        Err(err) if err.kind() != ErrorKind::NotFound => Err(file("remove", dir)(err)),
        _ => Ok(()),
    }
}

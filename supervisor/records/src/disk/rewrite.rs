//! Writing the database anew: sled keeps old pages until it needs their place, so what was removed could be
//! read from its file for long. What is there is copied to a new database, which takes the old one's
//! place; dumps that hold more than that go.
//!
//! The old name is given up before the new one is taken, so a crash in between leaves a whole new
//! database beside the place, which the next start puts there.

use std::fs::{self, File, TryLockError};
use std::path::Path;
use std::time::{Duration, Instant};

use nix::sys::statvfs::statvfs;
use tokio::sync::oneshot;
use types::Chain;

use super::commit::Committer;
use super::open::{self, Failure, remove_dir, sync_dir};
use super::{Rows, database, file};
use crate::Error;

/// The new database until it has its place, and the old one once it has lost it.
const NEW: &str = "sled.rewritten";
const OLD: &str = "sled.replaced";

/// Bytes that stay free when the new database is written.
const SPARE: u64 = 16 << 20;

/// Rows written at once.
const BATCH: usize = 1000;

/// How long sled's threads may hold on to a database that was closed.
const CLOSE_PATIENCE: Duration = Duration::from_secs(10);
const CLOSE_RETRY: Duration = Duration::from_millis(5);

/// Completes or undoes what a crash has left behind.
pub(super) fn finish(dir: &Path, place: &Path) -> Result<(), Error> {
    let (new, old) = (dir.join(NEW), dir.join(OLD));
    if old.exists() && !place.exists() {
        fs::rename(&new, place).map_err(file("rename", &new))?;
        sync_dir(dir)?;
    }
    remove_dir(&old)?;
    remove_dir(&new)
}

impl Committer {
    /// Writes everything anew and tells those who wait. False where the database could not be opened
    /// again.
    pub(super) fn rewritten(&mut self, waiting: Vec<oneshot::Sender<Result<(), Error>>>) -> bool {
        let done = self.rewrite();
        if let Err(err) = &done {
            tracing::error!(error = %Chain(err), "the records could not be written anew");
        }
        for reply in waiting {
            let told = done.as_ref().map(|&()| ()).map_err(|err| {
                if let Error::Room { free, needed } = err {
                    Error::Room { free: *free, needed: *needed }
                } else {
                    // The cause is in the log.
                    Error::Closed
                }
            });
            // Who has gone away wants no answer.
            drop(reply.send(told));
        }
        self.db.is_some()
    }

    fn rewrite(&mut self) -> Result<(), Error> {
        let (place, new, old) = (self.dir.join("sled"), self.dir.join(NEW), self.dir.join(OLD));
        let rev = self.engine.rev();
        has_room(&self.dir, &place)?;
        self.dumps.write(rev, &self.engine)?;
        self.dumps.keep(1)?;
        open::forget_damaged(&self.dir)?;
        remove_dir(&new)?;
        let db = self.db.as_ref().ok_or(Error::Closed)?;
        if let Err(err) = copy(db, &new) {
            remove_dir(&new)?;
            return Err(err);
        }
        // From here on there is no way back: where it fails, the records are closed, and the next
        // start finds one database or the other.
        self.engine.table_mut().0 = None;
        self.db = None;
        wait_until_closed(&place)?;
        fs::rename(&place, &old).map_err(file("rename", &place))?;
        fs::rename(&new, &place).map_err(file("rename", &new))?;
        sync_dir(&self.dir)?;
        let db = open::attempt(&place, rev).map_err(|failure| match failure {
            Failure::Refused(source) => Error::Open(source),
            Failure::Damaged(_) => Error::Damaged { path: place.display().to_string() },
        })?;
        let path = place.join("db");
        self.file = File::open(&path).map_err(file("open", &path))?;
        *self.engine.table_mut() = Rows(Some(sled::Tree::clone(&db)));
        self.db = Some(db);
        remove_dir(&old)?;
        sync_dir(&self.dir)
    }
}

/// Whether a second database and a dump, which is hardly larger than two, find room, with some left for all else that is written meanwhile.
fn has_room(dir: &Path, place: &Path) -> Result<(), Error> {
    let path = place.join("db");
    let len = fs::metadata(&path).map_err(file("look at", &path))?.len();
    let needed = len.saturating_mul(3).saturating_add(SPARE);
    let free = statvfs(dir).map_err(|err| file("look at", dir)(err.into()))?;
    let free = free.blocks_available().saturating_mul(free.fragment_size());
    if free < needed {
        return Err(Error::Room { free, needed });
    }
    Ok(())
}

/// Copies every row to a new database, durably, and closes that.
fn copy(db: &sled::Db, place: &Path) -> Result<(), Error> {
    {
        let config = sled::Config::new().path(place).cache_capacity(open::CACHE);
        let new = config.open().map_err(Error::Open)?;
        let mut rows = db.iter().peekable();
        while rows.peek().is_some() {
            let mut batch = sled::Batch::default();
            for row in rows.by_ref().take(BATCH) {
                let (key, value) = row.map_err(database)?;
                batch.insert(key, value);
            }
            new.apply_batch(batch).map_err(database)?;
        }
        new.flush().map_err(database)?;
    }
    wait_until_closed(place)?;
    let path = place.join("db");
    File::open(&path).and_then(|db| db.sync_all()).map_err(file("sync", &path))?;
    sync_dir(place)
}

/// Waits until sled's threads have written what they still had and have let go of the database.
#[expect(clippy::disallowed_methods, reason = "the store's own thread, between two databases")]
fn wait_until_closed(place: &Path) -> Result<(), Error> {
    let path = place.join("db");
    let db = File::open(&path).map_err(file("open", &path))?;
    let patience = Instant::now() + CLOSE_PATIENCE;
    loop {
        match db.try_lock() {
            Ok(()) => return Ok(()),
            Err(TryLockError::WouldBlock) if Instant::now() < patience => {
                std::thread::sleep(CLOSE_RETRY);
            }
            Err(TryLockError::WouldBlock) => return Err(Error::Locked),
            Err(TryLockError::Error(source)) => return Err(file("lock", &path)(source)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use types::{Limits, SystemClock};

    use super::*;
    use crate::store::Rev;
    use crate::{Document, Records, SledStore};

    const CANARY: &str = "canary-5d1f";

    /// Whether a file below `dir` holds the canary, as it is or in hexadecimal digits.
    fn holds(dir: &Path) -> bool {
        let hex = crate::hex::encode(CANARY.as_bytes());
        fs::read_dir(dir).unwrap().any(|entry| {
            let path = entry.unwrap().path();
            if path.is_dir() {
                return holds(&path);
            }
            let bytes = fs::read(&path).unwrap();
            let has = |it: &[u8]| bytes.windows(it.len()).any(|window| window == it);
            has(CANARY.as_bytes()) || has(hex.as_bytes())
        })
    }

    async fn open(dir: &Path) -> Records {
        let store = SledStore::open(dir, Arc::new(SystemClock)).await.unwrap();
        Records::over(Arc::new(store)).await.unwrap()
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn nothing_that_was_removed_is_left_and_nothing_else_is_gone() {
        let dir = tempfile::tempdir().unwrap();
        let records = open(dir.path()).await;
        let (a, b) = ("a".parse().unwrap(), "b".parse().unwrap());
        let text =
            |raw: &str| Document { raw: raw.to_owned(), hash: "h".to_owned(), updated_at: 1 };
        for id in [&a, &b] {
            records.insert_tenant(id, 1, Limits::default()).await.unwrap();
        }
        records.replace_overlay(&a, None, &text(CANARY)).await.unwrap();
        records.replace_overlay(&b, None, &text("kept")).await.unwrap();
        drop(records);
        assert!(holds(dir.path()));
        let records = open(dir.path()).await;
        records.delete_tenant(&a).await.unwrap();
        records.rewrite().await.unwrap();
        assert!(!holds(dir.path()), "while it is open");
        // It goes on as before, and twice is once.
        records.set_timer(&b, Some(7)).await.unwrap();
        records.rewrite().await.unwrap();
        assert_eq!(records.overlay(&b).await.unwrap(), Some(text("kept")));
        drop(records);
        assert!(!holds(dir.path()), "when it is closed");
        let records = open(dir.path()).await;
        assert_eq!(records.timers().await.unwrap().len(), 1);
        assert_eq!(records.tenant(&a).await.unwrap(), None);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_crash_between_the_two_names_is_completed_and_one_before_is_undone() {
        let dir = tempfile::tempdir().unwrap();
        let b = "b".parse().unwrap();
        let records = open(dir.path()).await;
        records.insert_tenant(&b, 1, Limits::default()).await.unwrap();
        drop(records);
        let (place, new, old) =
            (dir.path().join("sled"), dir.path().join(NEW), dir.path().join(OLD));
        fs::create_dir(&new).unwrap();
        fs::write(new.join("db"), "half").unwrap();
        let records = open(dir.path()).await;
        assert!(records.tenant(&b).await.unwrap().is_some() && !new.exists());
        drop(records);
        fs::create_dir(&old).unwrap();
        fs::rename(&place, &new).unwrap();
        let records = open(dir.path()).await;
        assert!(records.tenant(&b).await.unwrap().is_some());
        assert!(place.exists() && !new.exists() && !old.exists());
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_did_not_fit_is_gone_before_the_room_is_tried_and_lost_revisions_are_seen() {
        let dir = tempfile::tempdir().unwrap();
        let records = open(dir.path()).await;
        records.insert_tenant(&"b".parse().unwrap(), 1, Limits::default()).await.unwrap();
        drop(records);
        let (new, dump) = (dir.path().join(NEW), dir.path().join("dumps").join("new"));
        fs::create_dir(&new).unwrap();
        fs::write(new.join("db"), "half").unwrap();
        fs::write(&dump, "half").unwrap();
        drop(open::reopen(dir.path(), 1).unwrap());
        assert!(!new.exists() && !dump.exists());
        let lost = open::reopen(dir.path(), Rev::MAX).map(drop);
        assert!(matches!(lost, Err(Error::Damaged { .. })), "{lost:?}");
    }
}

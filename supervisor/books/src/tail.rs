//! The end of the day's file: what is acknowledged, what of it is on the disk, and how a failed write
//! is undone.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use ledger::Day;

use crate::Error;
use crate::folder::Folder;

/// Between two syncs. What a loss of power may take is what was written in this time; a kill of the
/// process takes nothing.
pub(crate) const SYNC_EVERY: Duration = Duration::from_millis(50);

/// Bytes that wait for a sync at most; more are synced at once, because they are kept in memory until
/// then.
const MAX_UNSYNCED: usize = 8 << 20;

/// How often a sync under way is looked at when nothing else is to be done.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// A sync under way. It has a thread of its own: on a disk that others fill it takes long, and nobody
/// who waits for a line waits for that.
#[derive(Debug)]
struct Syncing {
    thread: JoinHandle<io::Result<()>>,
    /// How many of the unsynced bytes it is of.
    bytes: usize,
}

/// A file that lines are added to.
#[derive(Debug)]
pub(crate) struct Tail {
    file: File,
    /// Bytes of whole lines that were written.
    len: u64,
    /// Bytes of those that are on the disk.
    synced: u64,
    /// The bytes between: after a failed sync the kernel may have dropped them.
    unsynced: Vec<u8>,
    /// When the first of those was written.
    since: Instant,
    syncing: Option<Syncing>,
    /// There may be a part of a line after `len`.
    torn: bool,
    /// What is between `synced` and `len` may be lost.
    lost: bool,
}

impl Tail {
    /// The file of `day`, which is made if need be and ends with a whole line.
    pub(crate) fn open(folder: &Folder, day: Day) -> Result<Self, Error> {
        let path = folder.lines(day);
        let file =
            OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&path);
        let file = file.map_err(Error::file("open", &path))?;
        let len = file.metadata().map_err(Error::file("read", &path))?.len();
        folder.sync()?;
        let since = Instant::now();
        Ok(Self {
            file,
            len,
            synced: len,
            unsynced: Vec::new(),
            since,
            syncing: None,
            torn: false,
            lost: false,
        })
    }

    /// Writes whole lines, or nothing. After a failure, [`Tail::mend`] comes before the next attempt.
    pub(crate) fn append(&mut self, lines: &[u8]) -> io::Result<()> {
        if let Err(err) = self.file.write_all_at(lines, self.len) {
            // At once, so that a kill leaves no line of what was refused.
            self.torn = self.file.set_len(self.len).is_err();
            return Err(err);
        }
        self.len = self.len.saturating_add(u64::try_from(lines.len()).unwrap_or(u64::MAX));
        if self.unsynced.is_empty() {
            self.since = Instant::now();
        }
        self.unsynced.extend_from_slice(lines);
        Ok(())
    }

    /// Cuts off what a failed write has left, and writes again what a failed sync may have lost.
    pub(crate) fn mend(&mut self) -> io::Result<()> {
        if self.ended_sync(true).is_err() {
            tracing::debug!("the sync before failed as well");
        }
        if self.lost {
            self.file.write_all_at(&self.unsynced, self.synced)?;
        }
        if self.torn {
            self.file.set_len(self.len)?;
            self.torn = false;
        }
        if self.lost {
            self.sync()?;
        }
        Ok(())
    }

    /// Brings what was written to the disk, and waits for it.
    pub(crate) fn sync(&mut self) -> io::Result<()> {
        self.ended_sync(true)?;
        if self.unsynced.is_empty() {
            return Ok(());
        }
        self.lost = true;
        self.file.sync_data()?;
        self.lost = false;
        self.on_disk(self.unsynced.len());
        Ok(())
    }

    /// Begins to bring what was written to the disk, where it is time for that, and tells how the last
    /// time ended. Waits only where too much would be kept in memory.
    pub(crate) fn sync_when_due(&mut self) -> io::Result<()> {
        self.ended_sync(false)?;
        if self.unsynced.len() > MAX_UNSYNCED {
            return self.sync();
        }
        if self.syncing.is_none() && self.until_sync() == Some(Duration::ZERO) {
            let file = self.file.try_clone()?;
            let thread = std::thread::Builder::new().name("books-sync".to_owned());
            let thread = thread.spawn(move || file.sync_data())?;
            self.syncing = Some(Syncing { thread, bytes: self.unsynced.len() });
        }
        Ok(())
    }

    /// Takes up the sync that is under way, if it has ended or `wait` is wished.
    fn ended_sync(&mut self, wait: bool) -> io::Result<()> {
        let Some(syncing) = self.syncing.take_if(|it| wait || it.thread.is_finished()) else {
            return Ok(());
        };
        let panicked = |_panic| Err(io::Error::other("the thread that syncs the books panicked"));
        let ended = syncing.thread.join().unwrap_or_else(panicked);
        self.lost |= ended.is_err();
        ended.map(|()| self.on_disk(syncing.bytes))
    }

    /// So many more bytes are on the disk.
    fn on_disk(&mut self, bytes: usize) {
        self.unsynced.drain(..bytes.min(self.unsynced.len()));
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        self.synced = self.synced.saturating_add(bytes);
        self.since = Instant::now();
    }

    /// How long to wait until the next sync, if one is needed.
    pub(crate) fn until_sync(&self) -> Option<Duration> {
        if self.unsynced.is_empty() {
            return None;
        }
        if self.syncing.is_some() {
            return Some(LOOK_EVERY);
        }
        let wait = SYNC_EVERY.saturating_sub(self.since.elapsed());
        Some(if self.unsynced.len() > MAX_UNSYNCED { Duration::ZERO } else { wait })
    }

    /// How long lines have waited for a sync.
    pub(crate) fn unsynced_for(&self) -> Duration {
        if self.unsynced.is_empty() { Duration::ZERO } else { self.since.elapsed() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_failed_write_or_sync_has_left_is_mended() {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::at(dir.path());
        let day = Day::of(0);
        let mut tail = Tail::open(&folder, day).unwrap();
        tail.append(b"one\n").unwrap();
        tail.sync().unwrap();
        tail.append(b"two\n").unwrap();
        // As a full disk leaves it: half a line, and pages that were never written.
        tail.file.write_all_at(b"\0\0\0\0thr", 4).unwrap();
        (tail.torn, tail.lost) = (true, true);
        tail.mend().unwrap();
        assert_eq!(std::fs::read(folder.lines(day)).unwrap(), b"one\ntwo\n");
        assert_eq!(tail.until_sync(), None);
        tail.append(b"four\n").unwrap();
        while tail.until_sync().is_some() {
            tail.sync_when_due().unwrap();
        }
        assert_eq!((tail.synced, tail.unsynced.len()), (13, 0));
        drop(tail);
        let tail = Tail::open(&folder, day).unwrap();
        assert_eq!(tail.len, 13);
    }
}

//! The thread that owns the database: takes every job that waits, does them, syncs once, answers.

use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use types::{Chain, Clock};

use super::dump::Dumps;
use super::{Rows, database, open};
use crate::Error;
use crate::engine::Engine;

/// Work for the engine. It gives what is to be said once the work is durable.
pub(super) type Job = Box<dyn FnOnce(&mut Engine<Rows>) -> Answer + Send>;
pub(super) type Answer = Box<dyn FnOnce(Result<(), Error>) + Send>;

/// Jobs that share one sync. More would keep the first of them waiting for nothing.
const GROUP: usize = 256;

/// How long the thread sleeps where nothing is due.
const IDLE: Duration = Duration::from_hours(1);

/// Between two dumps pass at least this long and a hundred times as long as a dump takes, so that
/// dumping takes at most a hundredth of the thread's time.
const DUMP_PAUSE: Duration = Duration::from_secs(30);
const DUMP_SHARE: u32 = 100;

pub(super) struct Committer {
    engine: Engine<Rows>,
    db: sled::Db,
    /// Our own handle of the file, because only that can be synced.
    file: File,
    dumps: Dumps,
    next_dump: Instant,
    /// Held for as long as the database is open. Dropped last, so the next owner finds it closed.
    _lock: File,
}

impl Committer {
    pub(super) fn open(dir: &Path, clock: Arc<dyn Clock>) -> Result<Self, Error> {
        let open::Opened { db, file, dumps, lock } = open::open(dir)?;
        let engine = Engine::new(Rows(sled::Tree::clone(&db)), clock)?;
        let next_dump = Instant::now() + DUMP_PAUSE;
        let mut committer = Self { engine, db, file, dumps, next_dump, _lock: lock };
        committer.sync()?;
        if committer.dumps.newest_rev().is_none() {
            committer.dump();
        }
        Ok(committer)
    }

    /// Works until nobody can send a job any more or the database fails.
    pub(super) fn run(mut self, jobs: &Receiver<Job>) {
        let worked = catch_unwind(AssertUnwindSafe(|| {
            while self.turn(jobs) {}
            self.dump_if(true);
        }));
        if worked.is_err() {
            tracing::error!("the database panicked; the records are closed");
        }
    }

    /// One group of jobs. False when it was the last.
    fn turn(&mut self, jobs: &Receiver<Job>) -> bool {
        let first = match jobs.recv_timeout(self.until_due()) {
            Ok(job) => Some(job),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => return false,
        };
        let mut done = self.engine.expire();
        let mut answers = Vec::new();
        for job in first.into_iter().chain(jobs.try_iter().take(GROUP - 1)) {
            answers.push(job(&mut self.engine));
        }
        if done.is_ok() && self.engine.has_unseen() {
            done = self.sync();
        }
        if done.is_ok() {
            self.engine.publish();
        }
        for answer in answers {
            answer(done.as_ref().map(|&()| ()).map_err(again));
        }
        if let Err(err) = done {
            // After a failed sync nobody knows what is on the disk, so nothing more is promised.
            tracing::error!(error = %Chain(&err), "the database failed; the records are closed");
            return false;
        }
        self.dump_if(Instant::now() >= self.next_dump);
        true
    }

    fn sync(&self) -> Result<(), Error> {
        self.db.flush().map_err(database)?;
        self.file.sync_data().map_err(|source| database(sled::Error::Io(source)))
    }

    fn until_due(&self) -> Duration {
        let dump = self.next_dump.saturating_duration_since(Instant::now());
        let dump = if self.is_dumped() { IDLE } else { dump };
        self.engine.next_expiry().unwrap_or(IDLE).min(dump)
    }

    fn is_dumped(&self) -> bool {
        self.dumps.newest_rev() == Some(self.engine.rev())
    }

    fn dump_if(&mut self, due: bool) {
        if due && !self.is_dumped() {
            self.dump();
        }
    }

    fn dump(&mut self) {
        let start = Instant::now();
        if let Err(err) = self.dumps.write(self.engine.rev(), &self.engine) {
            tracing::error!(error = %Chain(&err), "the records could not be dumped");
        }
        self.next_dump = Instant::now() + (start.elapsed() * DUMP_SHARE).max(DUMP_PAUSE);
    }
}

/// The same failure for one more caller.
fn again(err: &Error) -> Error {
    if let Error::Outcome(source) = err {
        Error::Outcome(Arc::clone(source))
    } else {
        Error::Closed
    }
}

//! The thread that owns the database: takes every job that waits, does them, syncs once, answers.

use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use types::{Chain, Clock};

use super::dump::Dumps;
use super::room::Room;
use super::{Rows, database, open};
use crate::Error;
use crate::engine::Engine;
use crate::store::Rev;

/// Work for the engine. It gives what is to be said once the work is durable.
pub(super) type Job = Box<dyn FnOnce(&mut Engine<Rows>) -> Answer + Send>;
pub(super) type Answer = Box<dyn FnOnce(Result<(), Error>) + Send>;

/// What the thread is asked for.
pub(super) enum Work {
    Job(Job),
    /// To write everything anew, without what was removed.
    Rewrite(oneshot::Sender<Result<(), Error>>),
}

/// Jobs that share one sync. More would keep the first of them waiting for nothing.
const GROUP: usize = 256;

/// How often it is tried to open a database anew that could not be written.
const REOPEN: Duration = Duration::from_millis(500);

/// How long the thread sleeps where nothing is due.
const IDLE: Duration = Duration::from_hours(1);

/// Between two dumps pass at least this long and a hundred times as long as a dump takes, so that
/// dumping takes at most a hundredth of the thread's time.
const DUMP_PAUSE: Duration = Duration::from_secs(30);
const DUMP_SHARE: u32 = 100;

/// Between two rewritings pass ten times as long as one takes: whoever deletes many tenants waits, and
/// those who wait meanwhile share the next one, so that nobody else's commits wait for most of the time.
const REWRITE_SHARE: u32 = 10;

pub(super) struct Committer {
    pub(super) engine: Engine<Rows>,
    /// None while it is being replaced.
    pub(super) db: Option<sled::Db>,
    /// Our own handle of the file, because only that can be synced.
    pub(super) file: File,
    pub(super) dumps: Dumps,
    pub(super) dir: PathBuf,
    /// The last revision that is known to be on the disk.
    synced: Rev,
    next_dump: Instant,
    /// Who waits for everything to be written anew, and before when that is not done.
    rewrites: Vec<oneshot::Sender<Result<(), Error>>>,
    next_rewrite: Instant,
    room: Room,
    /// Held for as long as the database is open. Dropped last, so the next owner finds it closed.
    _lock: File,
}

impl Committer {
    /// Opens the database, and rebuilds it where it is damaged.
    pub(super) fn open(dir: &Path, clock: Arc<dyn Clock>) -> Result<Self, Error> {
        Self::over(open::open(dir)?, dir, clock)
    }

    fn over(opened: open::Opened, dir: &Path, clock: Arc<dyn Clock>) -> Result<Self, Error> {
        let open::Opened { db, file, dumps, lock } = opened;
        let engine = Engine::new(Rows(Some(sled::Tree::clone(&db))), clock)?;
        let next_dump = Instant::now() + DUMP_PAUSE;
        let (db, dir) = (Some(db), dir.to_owned());
        let mut committer = Self {
            engine,
            db,
            file,
            dumps,
            dir,
            synced: 0,
            next_dump,
            rewrites: Vec::new(),
            next_rewrite: Instant::now(),
            room: Room::default(),
            _lock: lock,
        };
        committer.sync().map_err(Failed::into_error)?;
        if committer.dumps.newest_rev().is_none() {
            committer.dump();
        }
        Ok(committer)
    }

    /// Works until nobody can send a job any more, or until the database fails; says which.
    fn work(&mut self, jobs: &Receiver<Work>) -> Turn {
        let worked = catch_unwind(AssertUnwindSafe(|| {
            loop {
                match self.turn(jobs) {
                    Turn::Done => {}
                    over @ (Turn::Over | Turn::Failed | Turn::Lost) => return over,
                }
            }
        }));
        worked.unwrap_or_else(|_panic| {
            tracing::error!("the database panicked; the records are closed");
            Turn::Lost
        })
    }

    /// One group of jobs.
    fn turn(&mut self, jobs: &Receiver<Work>) -> Turn {
        let first = match jobs.recv_timeout(self.until_due()) {
            Ok(job) => Some(job),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => {
                self.dump_if(true);
                return Turn::Over;
            }
        };
        let mut done = self.engine.expire().map_err(Failed::Write);
        let mut answers = Vec::new();
        for work in first.into_iter().chain(jobs.try_iter().take(GROUP - 1)) {
            match work {
                Work::Job(job) => answers.push(job(&mut self.engine)),
                Work::Rewrite(reply) => self.rewrites.push(reply),
            }
        }
        if done.is_ok() && self.engine.is_broken() {
            done = Err(Failed::Write(Error::Closed));
        }
        if done.is_ok() && self.engine.has_unseen() {
            done = self.sync();
        }
        if done.is_ok() {
            self.engine.publish();
        }
        for answer in answers {
            answer(done.as_ref().map(|&()| ()).map_err(|failed| again(failed.error())));
        }
        // Who waits has been answered; what is moved is on the disk with the next group.
        let done = done.and_then(|()| self.make_room());
        if let Err(failed) = done {
            let error = Chain(failed.error());
            tracing::error!(%error, "the database failed; the records are closed");
            return if matches!(failed, Failed::Write(_)) { Turn::Failed } else { Turn::Lost };
        }
        if self.rewrite_is_due() {
            let (begun, waiting) = (Instant::now(), std::mem::take(&mut self.rewrites));
            if !self.rewritten(waiting) {
                return Turn::Lost;
            }
            self.next_rewrite = next_rewrite(begun, Instant::now());
        }
        self.dump_if(Instant::now() >= self.next_dump);
        Turn::Done
    }

    fn sync(&mut self) -> Result<(), Failed> {
        let db = self.db.as_ref().ok_or(Failed::Write(Error::Closed))?;
        db.flush().map_err(|err| Failed::Write(database(err)))?;
        // After a failed sync the kernel may show what is not on the disk: only a restart helps.
        let synced = self.file.sync_data();
        synced.map_err(|source| Failed::Sync(database(sled::Error::Io(source))))?;
        self.synced = self.engine.rev();
        Ok(())
    }

    fn make_room(&mut self) -> Result<(), Failed> {
        let db = self.db.as_ref().ok_or(Failed::Write(Error::Closed))?;
        self.room.make(db, &self.file, self.dumps.len()).map_err(Failed::Write)
    }

    fn until_due(&self) -> Duration {
        let dump = self.next_dump.saturating_duration_since(Instant::now());
        let dump = if self.is_dumped() { IDLE } else { dump };
        let rewrite = self.next_rewrite.saturating_duration_since(Instant::now());
        let rewrite = if self.rewrites.is_empty() { IDLE } else { rewrite };
        self.engine.next_expiry().unwrap_or(IDLE).min(dump).min(rewrite)
    }

    fn rewrite_is_due(&self) -> bool {
        !self.rewrites.is_empty() && Instant::now() >= self.next_rewrite
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

/// When everything may be written anew again.
fn next_rewrite(begun: Instant, ended: Instant) -> Instant {
    ended + ended.saturating_duration_since(begun) * REWRITE_SHARE
}

/// How a group of jobs ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turn {
    Done,
    /// Nobody can send a job any more.
    Over,
    /// Nothing could be written; the disk may be full.
    Failed,
    /// What is on the disk is not known.
    Lost,
}

/// What failed.
enum Failed {
    Write(Error),
    Sync(Error),
}

impl Failed {
    const fn error(&self) -> &Error {
        match self {
            Self::Write(err) | Self::Sync(err) => err,
        }
    }

    fn into_error(self) -> Error {
        match self {
            Self::Write(err) | Self::Sync(err) => err,
        }
    }
}

/// Works until nobody can send a job any more. A database that could not write is opened anew when
/// there is room again; until then every job is refused.
pub(super) fn run(committer: Committer, dir: &Path, clock: &Arc<dyn Clock>, jobs: &Receiver<Work>) {
    let mut committer = committer;
    while committer.work(jobs) == Turn::Failed {
        let least = committer.synced;
        if catch_unwind(AssertUnwindSafe(|| drop(committer))).is_err() {
            tracing::warn!("the database panicked as it was closed");
        }
        let mut due = Instant::now() + REOPEN;
        committer = loop {
            match jobs.recv_timeout(due.saturating_duration_since(Instant::now())) {
                // Nothing is answered: whoever waits finds the records closed.
                Ok(job) => {
                    drop(job);
                    continue;
                }
                Err(RecvTimeoutError::Disconnected) => return,
                Err(RecvTimeoutError::Timeout) => {}
            }
            let reopened = open::reopen(dir, least);
            match reopened.and_then(|opened| Committer::over(opened, dir, Arc::clone(clock))) {
                Ok(committer) => {
                    tracing::warn!("the database can be written again; the records are open");
                    break committer;
                }
                Err(err) => tracing::debug!(error = %Chain(&err), "the records stay closed"),
            }
            due = Instant::now() + REOPEN;
        };
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

#[cfg(test)]
mod tests {
    use types::SystemClock;

    use super::*;

    #[test]
    fn rewriting_takes_a_part_of_the_time() {
        let begun = Instant::now();
        let ended = begun + Duration::from_millis(300);
        assert_eq!(next_rewrite(begun, ended) - ended, Duration::from_secs(3));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn who_waits_for_a_rewriting_keeps_back_no_commit_and_shares_it() {
        let dir = tempfile::tempdir().unwrap();
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let mut committer = Committer::open(dir.path(), Arc::clone(&clock)).unwrap();
        // As if one had taken an hour.
        committer.next_rewrite = Instant::now() + Duration::from_hours(10);
        let (work, jobs) = std::sync::mpsc::channel();
        let mut waiting = Vec::new();
        for _ in 0..3 {
            let (reply, answer) = oneshot::channel();
            work.send(Work::Rewrite(reply)).unwrap();
            waiting.push(answer);
        }
        assert_eq!(committer.turn(&jobs), Turn::Done);
        assert!(waiting.iter_mut().all(|it| it.try_recv().is_err()), "not yet");
        assert_eq!(committer.rewrites.len(), 3);
        let (done, heard) = oneshot::channel();
        let job: Job = Box::new(|_| Box::new(move |synced| drop(done.send(synced))));
        work.send(Work::Job(job)).unwrap();
        assert_eq!(committer.turn(&jobs), Turn::Done);
        heard.await.unwrap().unwrap();
        committer.next_rewrite = Instant::now();
        assert_eq!(committer.turn(&jobs), Turn::Done);
        for answer in waiting {
            answer.await.unwrap().unwrap();
        }
        assert!(committer.rewrites.is_empty() && committer.next_rewrite > Instant::now());
    }
}

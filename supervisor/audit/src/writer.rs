//! The thread that owns the files: takes every record that waits, writes and syncs them together,
//! signs where the trail then stands, and answers.

mod batch;

use std::collections::VecDeque;
use std::io::ErrorKind;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, oneshot};
use trail::{CHECKPOINT, Fields, GAP, Known, day, day_end, file_name};
use types::{Clock, UnixMillis};

use crate::act::{Begun, Intent};
use crate::disk::Disk;
use crate::repeats::Repeats;
use crate::start::Start;
use crate::{Shared, SigningKey, Unrecorded};
use batch::{Batch, Link};

/// Records that share one sync. More would keep the first of them waiting for nothing.
const GROUP: usize = 256;

/// How long the thread sleeps where nothing is due.
const IDLE: Duration = Duration::from_hours(1);

/// A signed head stands in the trail itself after so many records, or so long after one.
const CHECKPOINT_RECORDS: u64 = 1000;
const CHECKPOINT_AFTER: Duration = Duration::from_mins(1);

/// How long after a failure it is tried again.
const RETRY: Duration = Duration::from_secs(1);

/// Work for the writer.
#[derive(Debug)]
pub(crate) enum Job {
    /// A record without which nothing goes on.
    Must {
        fields: Box<Fields>,
        /// The act that may go on then; none where it is over.
        begun: Option<Box<Begun>>,
        answer: oneshot::Sender<Result<Intent, Unrecorded>>,
    },
    /// A record of what has happened: kept until it is written.
    Keep {
        fields: Box<Fields>,
        answer: Option<oneshot::Sender<()>>,
        /// What it counts as until then; none for the writer's own.
        place: Option<OwnedSemaphorePermit>,
    },
    /// The gateway ends.
    Close(oneshot::Sender<()>),
}

#[derive(Debug)]
pub(crate) struct Writer {
    disk: Box<dyn Disk>,
    key: SigningKey,
    shared: Arc<Shared>,
    repeats: Arc<Repeats>,
    clock: Arc<dyn Clock>,
    link: Link,
    /// The day of the file that is written.
    day: String,
    /// What has happened and is not written.
    kept: VecDeque<(Box<Fields>, Option<OwnedSemaphorePermit>)>,
    failing: Option<Failing>,
    /// Records since the last checkpoint, and when the next one is due.
    unsigned: u64,
    checkpoint_at: Instant,
}

/// A disk that does not take what is written.
#[derive(Debug)]
struct Failing {
    retry_at: Instant,
    /// Records that were asked for and not written.
    missed: u64,
}

impl Writer {
    pub(crate) fn new(
        disk: Box<dyn Disk>,
        key: SigningKey,
        start: Start,
        (shared, repeats, clock): (Arc<Shared>, Arc<Repeats>, Arc<dyn Clock>),
    ) -> Self {
        let kept = start.told.into_iter().map(|fields| (Box::new(fields), None)).collect();
        Self {
            disk,
            key,
            shared,
            repeats,
            clock,
            link: Link { seq: start.next, prev: start.prev },
            day: start.day.unwrap_or_default(),
            kept,
            failing: None,
            unsigned: 0,
            checkpoint_at: Instant::now(),
        }
    }

    /// Works until it is told to close or nobody can tell it anything any more.
    pub(crate) fn run(mut self, jobs: &Receiver<Job>) {
        self.commit(Vec::new());
        while let Some(closed) = self.turn(jobs) {
            if let Some(closed) = closed {
                self.close();
                // Whoever asked may be gone.
                closed.send(()).unwrap_or_default();
                return;
            }
        }
        self.close();
    }

    /// One group of jobs. None when nobody can send another; who is to be told where it was the last.
    #[expect(clippy::option_option, reason = "no more jobs, and the last job, are two things")]
    fn turn(&mut self, jobs: &Receiver<Job>) -> Option<Option<oneshot::Sender<()>>> {
        let first = match jobs.recv_timeout(self.until_due()) {
            Ok(job) => Some(job),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => return None,
        };
        let mut group = Vec::new();
        let mut closing = None;
        for job in first.into_iter().chain(jobs.try_iter().take(GROUP - 1)) {
            match job {
                Job::Close(closed) => closing = Some(closed),
                job @ (Job::Must { .. } | Job::Keep { .. }) => group.push(job),
            }
        }
        self.tell_counts(false);
        self.commit(group);
        if self.is_checkpoint_due() {
            self.checkpoint();
        }
        Some(closing)
    }

    fn until_due(&self) -> Duration {
        let now = Instant::now();
        let retry = self.failing.as_ref().map(|failing| failing.retry_at);
        let checkpoint = (self.unsigned > 0).then_some(self.checkpoint_at);
        let due = retry.or(checkpoint).map(|at| at.saturating_duration_since(now));
        let counts = self.repeats.next_due();
        let counts = counts.map(|at| at.saturating_sub(self.clock.now()).max(1));
        due.unwrap_or(IDLE).min(counts.map_or(IDLE, Duration::from_millis))
    }

    /// Takes up the counts whose time is over.
    fn tell_counts(&mut self, all: bool) {
        let lost = self.repeats.take_lost();
        if lost > 0 {
            let mut fields = Fields::of_gateway("writer", GAP);
            (fields.code, fields.count) = (Some("notes".into()), Some(lost));
            self.kept.push_back((Box::new(fields), None));
        }
        let due = self.repeats.due(self.clock.now(), all);
        self.kept.extend(due.into_iter().map(|fields| (Box::new(fields), None)));
    }

    /// Writes what was kept and what has come, or keeps what must be kept.
    fn commit(&mut self, group: Vec<Job>) {
        let now = Instant::now();
        if self.failing.as_ref().is_some_and(|failing| now < failing.retry_at) {
            return self.miss(group);
        }
        if group.is_empty() && self.kept.is_empty() && self.failing.is_none() {
            return;
        }
        let at = self.clock.now();
        if !self.begin_day(at) {
            return self.miss(group);
        }
        let mut batch = Batch::new(self.link, at);
        if let Some(failing) = self.failing.as_ref() {
            let mut fields = Fields::of_gateway("writer", GAP);
            (fields.code, fields.count) = (Some("unwritable".into()), Some(failing.missed));
            batch.add(fields);
        }
        for (fields, _) in &self.kept {
            batch.add((**fields).clone());
        }
        for job in &group {
            batch.add_job(job);
        }
        if !self.append(&batch) {
            return self.miss(group);
        }
        self.kept.clear();
        for job in group {
            job.written();
        }
    }

    /// Whether the file of the day of `at` can be begun; the one of the day before is signed first.
    fn begin_day(&mut self, at: UnixMillis) -> bool {
        let today = day(at).max(self.day.clone());
        if today != self.day {
            if self.unsigned > 0 && !self.checkpoint() {
                return false;
            }
            self.day = today;
        }
        true
    }

    fn append(&mut self, batch: &Batch) -> bool {
        let written = self.disk.append(&file_name(&self.day), batch.lines());
        if let Err(err) = written {
            self.fail(&err);
            return false;
        }
        if self.failing.take().is_some() {
            tracing::warn!("the audit trail can be written again");
            self.shared.metrics.writable.set(1);
        }
        if self.unsigned == 0 {
            self.checkpoint_at = Instant::now() + CHECKPOINT_AFTER;
        }
        self.link = batch.link();
        self.unsigned += batch.count();
        self.shared.metrics.records.inc_by(batch.count());
        self.shared.metrics.syncs.inc();
        if let Some(last) = self.link.last() {
            self.put_head(last, batch.at());
        }
        true
    }

    /// Signs where the trail stands, in the file beside it.
    fn put_head(&mut self, last: Known, at: UnixMillis) {
        let head = self.key.sign(last, at);
        if let Err(error) = self.disk.put_head(&head.file_bytes()) {
            // The records are durable; the next head names them too.
            tracing::error!(%error, "the head of the audit trail was not written");
        }
        self.shared.set_head(head);
    }

    fn is_checkpoint_due(&self) -> bool {
        let due = self.unsigned >= CHECKPOINT_RECORDS || Instant::now() >= self.checkpoint_at;
        self.failing.is_none() && self.unsigned > 0 && due
    }

    /// Signs where the trail stands, in the trail itself. Whether it could be written.
    fn checkpoint(&mut self) -> bool {
        let Some(last) = self.link.last() else { return true };
        // The last record of a day is of that day, also when nothing came until the next.
        let at = self.clock.now().min(day_end(&self.day));
        let mut fields = Fields::of_gateway("writer", CHECKPOINT);
        fields.head = Some(self.key.sign(last, at));
        let mut batch = Batch::new(self.link, at);
        batch.add(fields);
        let written = self.append(&batch);
        if written {
            self.unsigned = 0;
        }
        written
    }

    fn fail(&mut self, err: &std::io::Error) {
        let is_full = matches!(err.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded);
        self.shared.is_full.store(is_full, Ordering::Relaxed);
        if self.failing.is_none() {
            tracing::error!(error = %err, "the audit trail cannot be written");
            self.shared.metrics.writable.set(0);
        }
        let missed = self.failing.as_ref().map_or(0, |failing| failing.missed);
        self.failing = Some(Failing { retry_at: Instant::now() + RETRY, missed });
    }

    /// What must be written first is not done; what has happened is kept.
    fn miss(&mut self, group: Vec<Job>) {
        let why = self.shared.why();
        for job in group {
            match job {
                Job::Must { answer, .. } => {
                    if let Some(failing) = &mut self.failing {
                        failing.missed += 1;
                    }
                    // Whoever asked may be gone, and has not done it then.
                    drop(answer.send(Err(why)));
                }
                Job::Keep { fields, answer, place } => {
                    self.kept.push_back((fields, place));
                    told(answer);
                }
                Job::Close(closed) => told(Some(closed)),
            }
        }
    }

    fn close(&mut self) {
        self.tell_counts(true);
        if let Some(failing) = &mut self.failing {
            failing.retry_at = Instant::now();
        }
        self.commit(Vec::new());
        if self.failing.is_none() && self.unsigned > 0 {
            self.checkpoint();
        }
        if !self.kept.is_empty() {
            tracing::error!(records = self.kept.len(), "audit records were lost: no room for them");
        }
    }
}

impl Job {
    fn written(self) {
        match self {
            // Where whoever asked is gone, the intent that nobody took tells so when it is dropped.
            Self::Must { begun, answer, .. } => drop(answer.send(Ok(Intent::new(begun)))),
            Self::Keep { answer, .. } => told(answer),
            Self::Close(closed) => told(Some(closed)),
        }
    }
}

/// Says that a record is written or kept, where somebody waits for it.
fn told(answer: Option<oneshot::Sender<()>>) {
    if let Some(answer) = answer {
        answer.send(()).unwrap_or_default();
    }
}

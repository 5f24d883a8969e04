//! From an event's turn to the worker that has it, or to its next turn.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use records::InboxState;
use tokio::sync::watch;
use tokio::time::Instant;

use super::entry::{Entry, Phase, Progress};
use super::state::{Ahead, State};
use super::{CONTENT, Inbox, MAX_ATTEMPTS, SHELF};
use crate::Error;
use crate::totals::count;

/// How long an event waits after its n-th attempt.
const BACK_OFF_MS: [u64; 8] = [100, 500, 2_000, 5_000, 15_000, 60_000, 120_000, 300_000];

/// How long an event waits for which there was no worker, or of which nothing could be written.
pub(super) const PAUSE: Duration = Duration::from_secs(1);

/// How long an event waits for the end of another worker to be noticed: less than what that worker had
/// waits for then.
const BEHIND: Duration = Duration::from_millis(50);

/// Bytes of a reason that are kept.
const MAX_WHY: usize = 512;

/// An event whose turn it is.
#[derive(Debug, Clone)]
#[expect(
    clippy::partial_pub_fields,
    reason = "whoever hands over reads; the box alone keeps count"
)]
pub struct Job {
    /// Its number.
    pub seq: u64,
    /// Its name, by which its worker knows it again.
    pub event_id: String,
    /// Whether it was handed over before.
    pub is_again: bool,
    attempt: u32,
    progress: Arc<watch::Sender<Progress>>,
}

/// Why an event was not handed over.
#[derive(Debug)]
pub enum Failure {
    /// There was no worker to hand it to: that is no attempt.
    NoWorker(String),
    /// The records failed before a worker was asked: that is no attempt either.
    Records(String),
    /// Nobody knows what the worker has done with it.
    Unknown(String),
    /// The worker cannot take it now; what it says to whoever brought it.
    Busy(Bytes, String),
    /// The worker will never take it; what it says to whoever brought it.
    Refused(Bytes, String),
}

impl Inbox {
    /// Those whose turn it is, each to be handed over by whoever takes it from here.
    ///
    /// # Errors
    /// When the box cannot be read.
    pub async fn begin(&self) -> Result<Vec<Job>, Error> {
        self.loaded().await?;
        let mut state = self.lock();
        let turn = state.begin(Instant::now());
        let jobs = turn.iter().filter_map(|seq| {
            let entry = state.entries.get(seq)?;
            Some(Job {
                seq: *seq,
                event_id: entry.row.key.clone(),
                is_again: entry.row.attempts > u32::from(entry.is_claimed),
                attempt: entry.row.attempts,
                progress: Arc::clone(&entry.progress),
            })
        });
        Ok(jobs.collect())
    }

    /// Writes down that the event is about to be handed to this worker, where that is not written
    /// yet, and gives its content. None where it waits for its next turn: what comes before it in its lane
    /// is at another worker, whose end nobody has noticed yet, or has come back from one and goes first; and
    /// where it is dealt with already.
    ///
    /// # Errors
    /// When that cannot be written or read. A content that does not open any more is given up.
    pub async fn claim(&self, job: &mut Job, worker: u64) -> Result<Option<Bytes>, Error> {
        let claimed = self.claimed(job, worker).await;
        if let Err(Error::Records(_)) = &claimed
            && let Some(entry) = of(&mut self.lock(), job)
        {
            // No worker is asked: it was no attempt.
            entry.pause(Instant::now() + PAUSE);
            entry.phase = Phase::Handing;
        }
        claimed
    }

    async fn claimed(&self, job: &mut Job, worker: u64) -> Result<Option<Bytes>, Error> {
        let loaded = self.loaded().await?;
        let (row, content) = {
            let mut state = self.lock();
            let kept_back = state.keeps_back(job.seq, worker);
            // What its lost worker had said of it last may have been heard meanwhile.
            let Some(entry) = of(&mut state, job) else { return Ok(None) };
            if let Some(ahead) = kept_back {
                let wait = if ahead == Ahead::Elsewhere { BEHIND } else { Duration::ZERO };
                entry.pause(Instant::now() + wait);
                return Ok(None);
            }
            let content = entry.content.take();
            let row = (!entry.is_claimed).then(|| {
                entry.row.attempts = entry.row.attempts.saturating_add(1);
                let boot = self.shared.0.boot.clone();
                entry.row.state = InboxState::Claimed { boot, worker };
                entry.row.clone()
            });
            entry.is_claimed = true;
            entry.to = Some(worker);
            job.attempt = entry.row.attempts;
            (row, content)
        };
        let records = &self.shared.0.records;
        if let Some(row) = row {
            let of = (&self.tenant, loaded.owner);
            let written = records.shelf_update(SHELF, of, job.seq, &row).await;
            written.map_err(Error::Records)?;
            if job.is_again {
                count(&self.shared.totals().redelivered);
            }
        }
        if let Some(content) = content {
            return Ok(Some(content));
        }
        let sealed = records.shelf_content(SHELF, &self.tenant, job.seq).await;
        let sealed = sealed.map_err(Error::Records)?;
        let opened = loaded.sealer.open(CONTENT, &job.event_id, &sealed);
        opened.map(|opened| Some(opened.into())).map_err(Error::Sealed)
    }

    /// The worker has it, and has answered. False where its end was noticed before that: then whoever hands over
    /// has to say once more that it is [lost](Inbox::lost).
    #[must_use]
    pub fn given(&self, job: &Job, worker: u64, answer: Bytes) -> bool {
        let mut is_there = true;
        let mut state = self.lock();
        if let Some(entry) = state.entries.get_mut(&job.seq)
            && entry.phase == Phase::Handing
            && entry.row.attempts == job.attempt
        {
            is_there = entry.to.take() == Some(worker);
            entry.phase = Phase::Handed { worker };
            entry.is_acknowledged = true;
        }
        drop(state);
        job.progress.send_replace(Progress::Given(answer));
        is_there
    }

    /// It was not handed over. Gives why it was given up, where it was.
    ///
    /// # Errors
    /// When what became of it cannot be written.
    pub async fn failed(&self, job: &Job, failure: Failure) -> Result<Option<String>, Error> {
        let next = {
            let mut state = self.lock();
            let Some(entry) = of(&mut state, job) else { return Ok(None) };
            next(entry, failure)
        };
        match next {
            Next::Wait => Ok(None),
            Next::Remove(told) => {
                // Whoever brought it hears that it was refused, so it must not come later.
                self.remove(job.seq).await?;
                job.progress.send_replace(told);
                Ok(None)
            }
            Next::GiveUp(why) => {
                self.give_up(job.seq, &why).await?;
                Ok(Some(why))
            }
        }
    }

    /// Takes a row away as if it had never come.
    async fn remove(&self, seq: u64) -> Result<(), Error> {
        let loaded = self.loaded().await?;
        let key = self.lock().entries.get(&seq).map(|entry| entry.row.key.clone());
        let Some(key) = key else { return Ok(()) };
        let of = (&self.tenant, loaded.owner);
        let removed = self.shared.0.records.shelf_remove(SHELF, of, (seq, &key)).await;
        let mut state = self.lock();
        match removed {
            Ok(()) => {
                drop(state.take(seq));
                Ok(())
            }
            Err(err) => {
                // Nobody knows whether it is there: it stays, and is told of as kept.
                if let Some(entry) = state.entries.get_mut(&seq) {
                    entry.wait(Instant::now() + PAUSE);
                    keep(entry);
                }
                Err(Error::Records(err))
            }
        }
    }
}

/// What is to be done about an event that was not handed over.
enum Next {
    Wait,
    Remove(Progress),
    GiveUp(String),
}

/// Decides it, and has nobody else decide otherwise meanwhile.
fn next(entry: &mut Entry, failure: Failure) -> Next {
    match failure {
        Failure::NoWorker(why) if entry.is_acknowledged => {
            entry.row.why = cut(why);
            entry.pause(Instant::now() + PAUSE);
            Next::Wait
        }
        Failure::Records(why) => {
            entry.row.why = cut(why);
            entry.pause(Instant::now() + PAUSE);
            keep(entry);
            Next::Wait
        }
        Failure::NoWorker(_) => {
            entry.phase = Phase::Removing;
            Next::Remove(Progress::Failed)
        }
        Failure::Busy(answer, _) | Failure::Refused(answer, _) if !entry.is_acknowledged => {
            entry.phase = Phase::Removing;
            Next::Remove(Progress::Given(answer))
        }
        Failure::Refused(_answer, why) => Next::GiveUp(why),
        Failure::Unknown(why) | Failure::Busy(_, why) => {
            if again(entry, &why) {
                return Next::GiveUp(why);
            }
            keep(entry);
            Next::Wait
        }
    }
}

/// Tells whoever brought the event that it is kept.
fn keep(entry: &mut Entry) {
    entry.is_acknowledged = true;
    entry.progress.send_replace(Progress::Later);
}

fn of<'a>(state: &'a mut State, job: &Job) -> Option<&'a mut Entry> {
    state.entries.get_mut(&job.seq).filter(|entry| entry.phase == Phase::Handing)
}

/// Has an event wait for its next attempt; true where it has had all.
pub(super) fn again(entry: &mut Entry, why: &str) -> bool {
    entry.is_acknowledged = true;
    entry.row.why = cut(why.to_owned());
    if entry.row.attempts >= MAX_ATTEMPTS {
        return true;
    }
    let index = usize::try_from(entry.row.attempts.saturating_sub(1)).unwrap_or(usize::MAX);
    let wait = BACK_OFF_MS.get(index).or(BACK_OFF_MS.last()).copied().unwrap_or(0);
    entry.wait(Instant::now() + Duration::from_millis(wait));
    false
}

pub(super) fn cut(mut why: String) -> String {
    why.truncate(why.floor_char_boundary(MAX_WHY));
    why
}

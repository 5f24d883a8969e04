//! The durable store: sled, one thread that alone touches it, and group commit.
//!
//! sled's `flush` hands its buffers to the kernel but does not wait for the disk, so what counts as
//! durable here is `flush` followed by `sync_data` on a handle of our own, shared by every caller
//! that waits at that moment.

mod commit;
mod dump;
mod open;
mod rewrite;
mod room;

use std::path::{Path, PathBuf};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{Semaphore, oneshot};
use types::Clock;

use crate::Error;
use crate::engine::{Engine, Table};
use crate::shared::Seat;
use commit::{Answer, Committer, Job, Work};

/// Callers that wait at once; the next one waits for a place.
const MAX_WAITING: usize = 1024;

/// How long opening may take. A million rows take two seconds.
const OPEN_TIMEOUT: Duration = Duration::from_mins(1);

/// A store in a directory. It is closed, and everything on disk, when it is dropped.
#[derive(Debug)]
pub struct SledStore {
    jobs: Option<Sender<Work>>,
    places: Arc<Semaphore>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Debug)]
/// The rows of an open database; none while it is being replaced.
pub(crate) struct Rows(Option<sled::Tree>);

impl Rows {
    fn tree(&self) -> Result<&sled::Tree, Error> {
        self.0.as_ref().ok_or(Error::Closed)
    }
}

impl SledStore {
    /// Opens the store in `dir`, which is made if need be, and checks it. A damaged database is
    /// moved aside and rebuilt from the newest dump. Leases run by `clock`.
    pub async fn open(dir: &Path, clock: Arc<dyn Clock>) -> Result<Self, Error> {
        let (sender, jobs) = channel();
        let (opened, answer) = oneshot::channel();
        let dir: PathBuf = dir.to_owned();
        let body = move || match Committer::open(&dir, Arc::clone(&clock)) {
            Ok(committer) => {
                if opened.send(Ok(())).is_ok() {
                    commit::run(committer, &dir, &clock, &jobs);
                }
            }
            Err(err) => drop(opened.send(Err(err))),
        };
        let thread = std::thread::Builder::new().name("records".to_owned()).spawn(body);
        let thread = thread.map_err(|source| Error::File {
            what: "start the thread of",
            path: "the records".to_owned(),
            source,
        })?;
        let answer = tokio::time::timeout(OPEN_TIMEOUT, answer).await;
        // A thread that ended without an answer has panicked.
        answer.map_or(Err(Error::OpenTimeout), |answer| answer.unwrap_or(Err(Error::Closed)))?;
        Ok(Self {
            jobs: Some(sender),
            places: Arc::new(Semaphore::new(MAX_WAITING)),
            thread: Mutex::new(Some(thread)),
        })
    }
}

impl Seat for SledStore {
    type Rows = Rows;

    async fn run<R: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Engine<Rows>) -> Result<R, Error> + Send + 'static,
    ) -> Result<R, Error> {
        let place = Arc::clone(&self.places).acquire_owned().await.ok().ok_or(Error::Closed)?;
        let (reply, answer) = oneshot::channel();
        let job: Job = Box::new(move |engine| {
            let result = job(engine);
            let answer: Answer = Box::new(move |synced| {
                // A caller that has gone away wants no answer.
                drop(reply.send(synced.and(result)));
                drop(place);
            });
            answer
        });
        let jobs = self.jobs.as_ref().ok_or(Error::Closed)?;
        jobs.send(Work::Job(job)).ok().ok_or(Error::Closed)?;
        answer.await.ok().ok_or(Error::Closed)?
    }

    async fn rewrite(&self) -> Result<(), Error> {
        let _place = Arc::clone(&self.places).acquire_owned().await.ok().ok_or(Error::Closed)?;
        let (reply, answer) = oneshot::channel();
        let jobs = self.jobs.as_ref().ok_or(Error::Closed)?;
        jobs.send(Work::Rewrite(reply)).ok().ok_or(Error::Closed)?;
        answer.await.ok().ok_or(Error::Closed)?
    }
}

impl Drop for SledStore {
    fn drop(&mut self) {
        drop(self.jobs.take());
        let thread = self.thread.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the thread of the records panicked");
        }
    }
}

impl Table for Rows {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, Error> {
        let value = self.tree()?.get(key).map_err(database)?;
        Ok(value.map(|value| Bytes::copy_from_slice(&value)))
    }

    fn scan(
        &self,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<(Bytes, Bytes)>, Error> {
        let rows = match after {
            Some(after) if after >= prefix => {
                use std::ops::Bound::{Excluded, Unbounded};
                self.tree()?.range::<&[u8], _>((Excluded(after), Unbounded))
            }
            _ => self.tree()?.range(prefix..),
        };
        let mut found = Vec::new();
        for row in rows.take(limit) {
            let (key, value) = row.map_err(database)?;
            if !key.starts_with(prefix) {
                break;
            }
            found.push((Bytes::copy_from_slice(&key), Bytes::copy_from_slice(&value)));
        }
        Ok(found)
    }

    fn apply(&mut self, writes: Vec<(Bytes, Option<Bytes>)>) -> Result<(), Error> {
        let mut batch = sled::Batch::default();
        for (key, value) in writes {
            match value {
                Some(value) => batch.insert(key.as_ref(), value.as_ref()),
                None => batch.remove(key.as_ref()),
            }
        }
        self.tree()?.apply_batch(batch).map_err(database)
    }
}

fn database(source: sled::Error) -> Error {
    Error::Outcome(Arc::new(source))
}

fn file(what: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Error {
    let path = path.display().to_string();
    move |source| Error::File { what, path, source }
}

#[cfg(test)]
mod tests;

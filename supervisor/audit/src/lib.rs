//! Every act of authority leaves a record before it is done and another when it is over, in a chain
//! that whoever acted cannot change. What cannot be recorded does not happen.
//!
//! Who acts and what an act is, others say; the form of records and how they are verified is `trail`'s.
//! A request that changes no authority does not come here.

mod act;
mod disk;
mod key;
mod metrics;
mod repeats;
mod start;
mod writer;

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, PoisonError};

use prometheus_client::registry::Registry;
use serde::Deserialize;
use tokio::sync::{Semaphore, oneshot};
use trail::{Fields, Files, Head, Page, PublicKey, Query};
use types::Clock;

pub use act::{Act, Ended, Intent, Repeated};
pub use key::SigningKey;
pub use trail::{Digest, Text, Verdict, Who, WhoKind};

use act::Begun;
use disk::Files as Disk;
use metrics::Metrics;
use repeats::Repeats;
use writer::{Job, Writer};

/// Acts under way, and records on their way to the disk, at once. Each is a few hundred bytes in
/// memory; more would mean that the disk is far behind.
const MAX_UNDER_WAY: usize = 4096;

/// What the operator says of the trail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Config {
    /// Whether what cannot be recorded does not happen.
    pub fail_closed: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self { fail_closed: true }
    }
}

/// What [`Audit`] is made of.
#[derive(Debug)]
pub struct Parts<'a> {
    /// The directory of the trail.
    pub dir: PathBuf,
    /// The directory of keys.
    pub keys: PathBuf,
    /// What the operator says.
    pub config: Config,
    /// Where the time comes from.
    pub clock: Arc<dyn Clock>,
    /// Where to show how it goes.
    pub registry: &'a mut Registry,
}

/// The trail of this installation. Clones write the same.
#[derive(Debug, Clone)]
pub struct Audit(Option<Arc<Inner>>);

#[derive(Debug)]
struct Inner {
    jobs: Sender<Job>,
    places: Arc<Semaphore>,
    repeats: Arc<Repeats>,
    shared: Arc<Shared>,
    config: Config,
    clock: Arc<dyn Clock>,
    dir: PathBuf,
    key: PublicKey,
}

/// What the writer lets others see.
#[derive(Debug)]
pub(crate) struct Shared {
    head: Mutex<Option<Head>>,
    pub(crate) is_full: AtomicBool,
    pub(crate) metrics: Metrics,
}

/// Why something was not recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unrecorded {
    /// The disk has no room.
    #[error("the audit trail cannot be written because the disk is full; nothing was changed")]
    Full,
    /// The disk fails.
    #[error("the audit trail cannot be written; nothing was changed")]
    Unwritable,
    /// More is under way than is kept track of.
    #[error("too much is being changed at once; nothing was changed")]
    Busy,
    /// The gateway ends.
    #[error("the audit trail is closed because the gateway stops; nothing was changed")]
    Closed,
}

/// Why the trail cannot be kept.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file cannot be used.
    #[error("cannot {what} {}", path.display())]
    File {
        /// What was attempted.
        what: &'static str,
        /// On which path.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// The trail cannot be read.
    #[error("the audit trail cannot be read")]
    Trail(#[from] trail::Error),
    /// The key is not one, or somebody else can read it.
    #[error("{} must be an Ed25519 key in PKCS#8 that nobody but the gateway can read", .0.display())]
    Key(PathBuf),
    /// There is a trail and no key to go on with.
    #[error("{} is gone, and there are records that it signed; move them away to begin a new trail", .0.display())]
    KeyLost(PathBuf),
    /// The system gave no random bytes.
    #[error("no key can be made")]
    Random(#[source] ring::error::Unspecified),
    /// The page was read by a task that panicked.
    #[error("reading the audit trail ended in a panic")]
    Task(#[source] tokio::task::JoinError),
}

impl Audit {
    /// Opens the trail, makes it where there is none, tells in it what was found amiss, and starts the
    /// one thread that writes it.
    ///
    /// # Errors
    /// When trail or key cannot be read or made. A full disk is no error: the trail says so when
    /// something is to be recorded.
    pub fn open(parts: Parts<'_>) -> Result<Self, Error> {
        let key = SigningKey::load(&parts.keys, &parts.dir)?;
        let start = start::recover(&parts.dir, &key)?;
        let metrics = Metrics::register(parts.registry);
        let disk = Disk::open(&parts.dir)?;
        Self::over(parts.dir, key, start, Box::new(disk), (parts.config, parts.clock, metrics))
    }

    /// A trail that nobody keeps, for what is tried without one.
    pub const fn none() -> Self {
        Self(None)
    }

    fn over(
        dir: PathBuf,
        key: SigningKey,
        start: start::Start,
        disk: Box<dyn disk::Disk>,
        (config, clock, metrics): (Config, Arc<dyn Clock>, Metrics),
    ) -> Result<Self, Error> {
        let shared =
            Shared { head: Mutex::new(start.head), is_full: AtomicBool::new(false), metrics };
        let (shared, repeats) = (Arc::new(shared), Arc::new(Repeats::default()));
        let public = key.public();
        let (jobs, orders) = std::sync::mpsc::channel();
        let writer = Writer::new(
            disk,
            key,
            start,
            (Arc::clone(&shared), Arc::clone(&repeats), Arc::clone(&clock)),
        );
        let thread = std::thread::Builder::new().name("audit".to_owned());
        let thread = thread.spawn(move || writer.run(&orders));
        let start = |source| Error::File { what: "start the writer of", path: dir.clone(), source };
        drop(thread.map_err(start)?);
        let places = Arc::new(Semaphore::new(MAX_UNDER_WAY));
        let inner = Inner { jobs, places, repeats, shared, config, clock, dir, key: public };
        Ok(Self(Some(Arc::new(inner))))
    }

    /// Records that `act` is about to be done; ends when that is durable. The act may be done then,
    /// and must be ended with [`Intent::end`].
    ///
    /// # Errors
    /// When it cannot be recorded and the operator wants that it is not done then.
    pub async fn intend(&self, act: Act) -> Result<Intent, Unrecorded> {
        let id = uuid::Uuid::now_v7().to_string();
        let Some(inner) = &self.0 else { return Ok(Intent::unkept()) };
        match inner.begin(act.clone(), id).await {
            Ok(intent) => Ok(intent),
            Err(why) if inner.config.fail_closed => {
                inner.shared.metrics.unrecorded.inc();
                Err(why)
            }
            Err(why) => {
                tracing::error!(act = act.name(), %why, "an act goes on without a record");
                inner.shared.metrics.gaps.inc();
                // The writer counts what it could not write; the rest is counted here.
                Ok(Intent::unkept())
            }
        }
    }

    /// Records something that was not ordered, or is over already; ends when that is durable.
    ///
    /// # Errors
    /// When it cannot be recorded.
    pub async fn record(&self, act: Act, ended: Ended) -> Result<(), Unrecorded> {
        let Some(inner) = &self.0 else { return Ok(()) };
        let id = uuid::Uuid::now_v7().to_string();
        // There is no act that goes on.
        inner.write(act.outcome(&id, ended), None).await.map(drop)
    }

    /// Records something that happened, and waits for nothing. It is kept until it can be written, or
    /// counted where too much is kept.
    pub fn note(&self, act: Act, ended: Ended) {
        let Some(inner) = &self.0 else { return };
        let id = uuid::Uuid::now_v7().to_string();
        inner.post(act.outcome(&id, ended));
    }

    /// Records something that may happen very often, and waits for nothing. The same within a minute is
    /// counted, and told with its number when the minute is over.
    pub fn repeated(&self, event: Repeated) {
        let Some(inner) = &self.0 else { return };
        if let Some(fields) = inner.repeats.see(event, inner.clock.now()) {
            inner.post(fields);
        }
    }

    /// Where the trail stands, signed; none before the first record.
    pub fn head(&self) -> Option<Head> {
        let inner = self.0.as_ref()?;
        *inner.shared.head.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The key under which heads are verified.
    pub fn public_key(&self) -> Option<PublicKey> {
        self.0.as_ref().map(|inner| inner.key)
    }

    /// Some records, in their order.
    ///
    /// # Errors
    /// When the files cannot be read.
    pub async fn page(&self, query: Query) -> Result<Page, Error> {
        let Some(inner) = &self.0 else { return Ok(Page::default()) };
        let dir = inner.dir.clone();
        let read = move || Files::list(&dir)?.page(&query);
        Ok(tokio::task::spawn_blocking(read).await.map_err(Error::Task)??)
    }

    /// Writes what waits, signs the end, and ends the writer. What comes later is refused.
    pub async fn close(&self) {
        let Some(inner) = &self.0 else { return };
        let (closed, done) = oneshot::channel();
        if inner.jobs.send(Job::Close(closed)).is_ok() {
            // A writer that is gone has nothing left to write.
            done.await.unwrap_or_default();
        }
    }
}

impl Inner {
    /// Writes that an act is about to be done. Its place is given back when its end is written.
    async fn begin(&self, act: Act, id: String) -> Result<Intent, Unrecorded> {
        let place = Arc::clone(&self.places).try_acquire_owned();
        let place = place.map_err(|_full| Unrecorded::Busy)?;
        let fields = act.clone().intent(&id);
        self.write(fields, Some(Box::new(Begun::new(self.jobs.clone(), act, id, place)))).await
    }

    async fn write(&self, fields: Fields, begun: Option<Box<Begun>>) -> Result<Intent, Unrecorded> {
        let (answer, answered) = oneshot::channel();
        let job = Job::Must { fields: Box::new(fields), begun, answer };
        self.jobs.send(job).map_err(|_closed| Unrecorded::Closed)?;
        answered.await.map_err(|_closed| Unrecorded::Closed)?
    }

    fn post(&self, fields: Fields) {
        let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else {
            self.repeats.lose();
            return;
        };
        let kept = Job::Keep { fields: Box::new(fields), answer: None, place: Some(place) };
        if self.jobs.send(kept).is_err() {
            tracing::debug!("a record came after the trail was closed");
        }
    }
}

impl Shared {
    pub(crate) fn set_head(&self, head: Head) {
        *self.head.lock().unwrap_or_else(PoisonError::into_inner) = Some(head);
    }

    /// Why nothing can be written.
    pub(crate) fn why(&self) -> Unrecorded {
        if self.is_full.load(Ordering::Relaxed) { Unrecorded::Full } else { Unrecorded::Unwritable }
    }
}

#[cfg(test)]
mod tests;

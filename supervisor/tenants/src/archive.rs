//! A tenant's root as an archive: bytes that its worker makes and that nobody here looks into.
//!
//! What becomes of them is the caller's. A worker may have been taken over: its archive is no longer
//! than its disk allows, and one that stands still is given up.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use proto::worker::{ArchivePart, ArchiveSummary};
use runtime::Pass;
use sandbox::Disk;
use tokio::sync::OwnedMutexGuard;
use tokio::time::{Instant, Sleep};
use tokio_stream::Stream;
use tonic::Streaming;
use types::TenantId;

use crate::launch::Apart;
use crate::lifecycle::Control;
use crate::patience::Patience;
use crate::tenant::Tenant;
use crate::worker::Worker;
use crate::{Error, Inner, Tenants, launch};

/// How long a worker may take to begin an archive.
const BEGIN: Duration = Duration::from_mins(2);
/// Bytes that an archive may have beyond the tenant's disk: copies of files that are one there.
const BEYOND: u64 = 20 << 30;
/// Bytes of an archive where disks have no limit.
const MAX_ARCHIVE: u64 = 1 << 42;
/// Things that were left out and are named.
const MAX_NAMED: usize = 100;
/// Bytes of such a name.
const MAX_NAME: usize = 1000;

/// What a worker says of an archive: of one that it has made what is in it, of one that it has
/// unpacked what was.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Summary {
    /// Of the format.
    pub version: u32,
    /// Regular files.
    pub files: u64,
    /// Directories without the root.
    pub directories: u64,
    /// Symbolic links.
    pub links: u64,
    /// Of the files, before compression.
    pub bytes: u64,
    /// Sockets, pipes, devices, links that leave, and what else could not be taken.
    pub left_out: u64,
    /// The first of them, at most a hundred: path and a word that says why.
    pub first_left_out: Vec<(String, String)>,
    /// Files that were changed while they were read.
    pub changed: u64,
    /// SHA-256 of the archive's index, which names every file with its own.
    pub index_digest: Bytes,
    /// How long the worker's own writes were held up, in microseconds.
    pub held_micros: u64,
}

impl From<ArchiveSummary> for Summary {
    fn from(summary: ArchiveSummary) -> Self {
        let short = |text: String| text.chars().take(MAX_NAME).collect();
        let left_out = summary.first_left_out.into_iter().take(MAX_NAMED);
        Self {
            version: summary.version,
            files: summary.files,
            directories: summary.directories,
            links: summary.links,
            bytes: summary.bytes,
            left_out: summary.left_out,
            first_left_out: left_out.map(|it| (short(it.path), short(it.why))).collect(),
            changed: summary.changed,
            index_digest: summary.index_digest,
            held_micros: summary.held_micros,
        }
    }
}

/// An archive on its way. Its parts are at most a megabyte each and come as fast as they are taken;
/// without an error and with a summary at the end it is whole. Dropping it gives it up.
#[derive(Debug)]
pub struct Export {
    parts: Streaming<ArchivePart>,
    worker: Arc<Worker>,
    summary: Option<Summary>,
    /// Bytes that may still come.
    left: u64,
    patience: Patience,
    alarm: Pin<Box<Sleep>>,
    is_over: bool,
    _alone: OwnedMutexGuard<()>,
    _by: By,
}

/// Whose work the archive is.
#[derive(Debug)]
#[expect(dead_code, reason = "held until the archive is made or given up")]
enum By {
    /// The tenant's own worker's, among others.
    Own(Pass),
    /// Of one that is there for nothing else.
    Packer(Packer),
}

/// A worker of a suspended tenant. Dropped, it ends, and nobody starts another one before.
#[derive(Debug)]
struct Packer {
    inner: Arc<Inner>,
    worker: Arc<Worker>,
    /// None only once it was dropped.
    held: Option<(Apart, OwnedMutexGuard<Control>)>,
}

impl Drop for Packer {
    fn drop(&mut self) {
        let (worker, held) = (Arc::clone(&self.worker), self.held.take());
        drop(self.inner.tasks.spawn(async move {
            worker.end().await;
            drop(held);
        }));
    }
}

impl Export {
    /// What is in the archive; none before its end.
    pub const fn summary(&self) -> Option<&Summary> {
        self.summary.as_ref()
    }

    /// The next part; `None` after the last one.
    pub async fn next(&mut self) -> Option<Result<Bytes, Error>> {
        std::future::poll_fn(|cx| Pin::new(&mut *self).poll_next(cx)).await
    }

    fn take(&mut self, part: Option<Result<ArchivePart, tonic::Status>>) -> Taken {
        let part = match part {
            Some(Ok(part)) => part,
            Some(Err(status)) => return Taken::Last(Some(self.worker.failure(status))),
            None if self.summary.is_some() => return Taken::Last(None),
            None => return Taken::Last(Some(Error::NotWhole)),
        };
        if self.summary.is_some() {
            return Taken::Last(Some(Error::NotWhole));
        }
        let length = u64::try_from(part.data.len()).unwrap_or(u64::MAX);
        let Some(left) = self.left.checked_sub(length) else {
            return Taken::Last(Some(Error::NotWhole));
        };
        self.left = left;
        self.summary = part.summary.map(Summary::from);
        Taken::Bytes(part.data)
    }
}

/// What came next of an archive.
enum Taken {
    Bytes(Bytes),
    Last(Option<Error>),
}

impl Stream for Export {
    type Item = Result<Bytes, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        while !self.is_over {
            let Poll::Ready(part) = Pin::new(&mut self.parts).poll_next(cx) else {
                let until = self.patience.until();
                self.alarm.as_mut().reset(until);
                ready!(self.alarm.as_mut().poll(cx));
                self.is_over = true;
                return Poll::Ready(Some(Err(Error::Timeout)));
            };
            let bytes = part.as_ref().and_then(|part| Some(part.as_ref().ok()?.data.len()));
            self.patience.moved(bytes.unwrap_or(0));
            match self.take(part) {
                Taken::Bytes(bytes) if bytes.is_empty() => {}
                Taken::Bytes(bytes) => return Poll::Ready(Some(Ok(bytes))),
                Taken::Last(err) => {
                    self.is_over = true;
                    return Poll::Ready(err.map(Err));
                }
            }
        }
        Poll::Ready(None)
    }
}

impl Tenants {
    /// Everything that a tenant has, as one archive that its worker makes; starts one where none is
    /// awake. It is none of the tenant's requests. A suspended tenant stays so: the worker that is
    /// started for it does nothing else, and a tenant that is resumed meanwhile waits for its end.
    ///
    /// # Errors
    /// When there is no such tenant, an archive of it is being made already, or its worker cannot
    /// be started or does not answer.
    pub async fn export(&self, id: &TenantId) -> Result<Export, Error> {
        let tenant = self.find(id)?;
        let alone = Arc::clone(&tenant.exporting).try_lock_owned();
        let alone = alone.map_err(|_held| Error::Archiving)?;
        let (worker, by) = match packer(&self.0, &tenant).await? {
            Some(packer) => (Arc::clone(&packer.worker), By::Packer(packer)),
            None => tenant.ready(&self.0).await.map(|(worker, pass)| (worker, By::Own(pass)))?,
        };
        let parts = tokio::time::timeout(BEGIN, worker.export()).await;
        let parts = parts.map_err(|_elapsed| Error::Timeout)?;
        let parts = parts.map_err(|status| worker.failure(status))?;
        let left = match self.0.host_report.disk {
            Disk::Image => tenant.row.load().limits.disk_max.saturating_add(BEYOND),
            Disk::None => MAX_ARCHIVE,
        };
        let alarm = Box::pin(tokio::time::sleep_until(Instant::now()));
        Ok(Export {
            parts,
            worker,
            summary: None,
            left,
            patience: Patience::default(),
            alarm,
            is_over: false,
            _alone: alone,
            _by: by,
        })
    }
}

/// A worker for a tenant that is suspended; none where it is not.
async fn packer(inner: &Arc<Inner>, tenant: &Arc<Tenant>) -> Result<Option<Packer>, Error> {
    if !tenant.row.load().suspended {
        return Ok(None);
    }
    let control = Arc::clone(&tenant.control).lock_owned().await;
    if !tenant.row.load().suspended || tenant.is_ending() {
        return Ok(None);
    }
    if inner.tasks.is_stopping() {
        return Err(Error::ShuttingDown);
    }
    let apart = launch::packer(inner, tenant).await?;
    let worker = Arc::clone(&apart.worker);
    Ok(Some(Packer { inner: Arc::clone(inner), worker, held: Some((apart, control)) }))
}

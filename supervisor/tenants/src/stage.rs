//! A root beside a tenant's own, made of an archive by a worker that is confined to it, and how it
//! takes the place of the tenant's own.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use proto::worker::ArchivePart;
use tokio::sync::{OwnedMutexGuard, mpsc};
use tokio_stream::wrappers::ReceiverStream;
use tokio_stream::{Stream, StreamExt as _};
use tonic::{Code, Status};
use types::TenantId;

use crate::archive::Summary;
use crate::lifecycle::{self, Busy};
use crate::patience::Patience;
use crate::tenant::Tenant;
use crate::view::State;
use crate::worker::Worker;
use crate::{Error, Inner, Tenants, launch, replace};

/// Bytes of one part on its way to the worker.
const PART: usize = 256 << 10;
/// Parts that wait for the worker.
const WAITING: usize = 4;
/// How long what the tenant has under way may take when its root is replaced.
const DRAIN: Duration = Duration::from_secs(5);
/// How long a worker may take to answer when it has everything: it writes out what it has unpacked.
const ANSWER: Duration = Duration::from_mins(30);
/// Characters of a worker's reason that are passed on.
const MAX_REASON: usize = 200;

/// A root beside the tenant's own. Dropped, it is removed.
#[derive(Debug)]
pub struct Staged {
    beside: Beside,
    summary: Summary,
}

/// The hold on whatever is beside the tenant's own root.
#[derive(Debug)]
struct Beside {
    inner: Arc<Inner>,
    tenant: Arc<Tenant>,
    worker: Option<Arc<Worker>>,
    /// None once it was passed on.
    alone: Option<OwnedMutexGuard<()>>,
}

impl Tenants {
    /// Unpacks an archive into a root beside the tenant's own, by a worker that is confined to it.
    ///
    /// # Errors
    /// When there is no such tenant, there is such a root already, the worker cannot be started,
    /// the archive is refused or does not fit, or `parts` fails. Nothing stays then.
    pub async fn stage<E>(
        &self,
        id: &TenantId,
        parts: impl Stream<Item = Result<Bytes, E>> + Send,
    ) -> Result<Staged, Error>
    where
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let tenant = self.find(id)?;
        let alone = Arc::clone(&tenant.staging).try_lock_owned();
        let alone = alone.map_err(|_held| Error::Archiving)?;
        let inner = Arc::clone(&self.0);
        let mut beside = Beside { inner, tenant, worker: None, alone: Some(alone) };
        match beside.fill(parts).await {
            Ok(summary) => Ok(Staged { beside, summary }),
            Err(err) => {
                beside.remove().await;
                Err(err)
            }
        }
    }
}

/// Passes an archive on to the worker, as fast as it takes it.
async fn relay<E>(
    worker: &Arc<Worker>,
    parts: impl Stream<Item = Result<Bytes, E>> + Send,
) -> Result<Summary, Error>
where
    E: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let (sender, stream) = mpsc::channel(WAITING);
    let mut asked = pin!(worker.import(ReceiverStream::new(stream)));
    let relayed = async {
        let (mut parts, mut patience) = (pin!(parts), Patience::default());
        while let Some(part) = parts.next().await {
            let mut rest = part.map_err(|err| Error::Source(err.into()))?;
            while !rest.is_empty() {
                let data = rest.split_to(rest.len().min(PART));
                let length = data.len();
                let part = ArchivePart { data, summary: None };
                let sent = tokio::time::timeout_at(patience.until(), sender.send(part)).await;
                // A worker that takes no more has answered.
                if sent.map_err(|_elapsed| Error::Timeout)?.is_err() {
                    return Ok::<(), Error>(());
                }
                patience.moved(length);
            }
        }
        drop(sender);
        Ok(())
    };
    let reply = tokio::select! {
        biased;
        reply = &mut asked => reply,
        relayed = relayed => {
            relayed?;
            tokio::time::timeout(ANSWER, asked).await.map_err(|_elapsed| Error::Timeout)?
        }
    };
    let reply = reply.map_err(|status| refusal(worker, status))?;
    reply.summary.map(Summary::from).ok_or(Error::NotWhole)
}

/// What a worker means that has not unpacked an archive.
fn refusal(worker: &Worker, status: Status) -> Error {
    if status.code() == Code::InvalidArgument {
        let shown = |it: &char| !it.is_control();
        Error::BadArchive(status.message().chars().filter(shown).take(MAX_REASON).collect())
    } else if status.code() == Code::ResourceExhausted {
        Error::NoRoom
    } else {
        worker.failure(status)
    }
}

impl Staged {
    /// What was unpacked.
    pub const fn summary(&self) -> &Summary {
        &self.summary
    }

    /// Removes it, and waits until it is gone.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub async fn discard(self) -> Result<(), Error> {
        let mut beside = self.beside;
        let Some(removal) = beside.removal() else { return Ok(()) };
        removal.await
    }

    /// Puts it in the place of the tenant's own, which is kept until a worker has started on the
    /// new one and was verified. What the tenant has under way may finish for a moment; its programs
    /// and terminals end; what arrives meanwhile waits for the new worker.
    ///
    /// # Errors
    /// When the roots cannot be exchanged or no worker starts on the new one: everything is as it
    /// was then.
    pub async fn commit(self) -> Result<(), Error> {
        let mut beside = self.beside;
        let (inner, tenant) = (Arc::clone(&beside.inner), Arc::clone(&beside.tenant));
        let tasks = inner.tasks.clone();
        // A task of its own: whoever hangs up must not leave the tenant without a worker.
        let committing = tasks.spawn(async move {
            let committed = exchange(&inner, &tenant).await;
            match committed {
                // There is nothing beside it any more.
                Ok(()) => drop(beside.alone.take()),
                Err(_) => beside.remove().await,
            }
            committed
        });
        committing.await.map_err(Error::Task)?
    }
}

async fn exchange(inner: &Arc<Inner>, tenant: &Arc<Tenant>) -> Result<(), Error> {
    let mut control = Arc::clone(&tenant.control).lock_owned().await;
    if inner.tasks.is_stopping() {
        return Err(Error::ShuttingDown);
    }
    if tenant.is_ending() {
        return Err(Error::NotFound);
    }
    tenant.programs.close().await;
    lifecycle::drain(tenant, DRAIN).await;
    let exchanged = swap(inner, tenant).await;
    let is_suspended = tenant.row.load().suspended;
    match exchanged {
        Ok(worker) if is_suspended => worker.end().await,
        Ok(worker) => {
            lifecycle::forgive(inner, tenant, &mut control);
            tenant.worker.store(Some(worker));
            tenant.programs.open();
        }
        Err(err) => {
            tracing::error!(tenant = %tenant.id, error = %types::Chain(&err), "the root is not replaced");
            if !is_suspended {
                tenant.programs.open();
                // Where it is not known which root is in place, the next start decides.
                if !tenant.unsettled.load(Ordering::Acquire) {
                    // It is the old one again; what it says it has said to the log.
                    drop(lifecycle::start(inner, tenant, &mut control).await);
                }
            }
            return Err(err);
        }
    }
    Ok(())
}

/// Exchanges the roots and starts a worker on the new one.
async fn swap(inner: &Arc<Inner>, tenant: &Arc<Tenant>) -> Result<Arc<Worker>, Error> {
    let _busy = Busy::new(tenant, State::Starting);
    let _person = tenant.wanted.by_person();
    let (_place, seat) = inner.starts.enter(&tenant.wanted).await?;
    let (launcher, id, index) =
        (inner.launcher.clone(), tenant.id.clone(), tenant.row.load().index);
    let swapped = launch::blocking(move || launcher.swap(&id, index)).await;
    tenant.prepared.store(false, Ordering::Release);
    if let Err(err) = swapped {
        // It may have failed after the exchange.
        if launch::prepare(inner, tenant).await.is_ok() && tenant.unsettled.load(Ordering::Acquire)
        {
            replace::revert(inner, tenant).await;
        }
        return Err(Error::Launcher(err));
    }
    tenant.unsettled.store(true, Ordering::Release);
    launch::launch(inner, tenant, seat).await
}

impl Beside {
    /// Makes an empty root beside the tenant's own, and that one where it was never made.
    async fn make(&self) -> Result<(), Error> {
        let (inner, tenant) = (&self.inner, &self.tenant);
        let control = tenant.control.lock().await;
        if tenant.is_ending() {
            return Err(Error::NotFound);
        }
        launch::prepare(inner, tenant).await?;
        drop(control);
        let (launcher, id, row) =
            (inner.launcher.clone(), tenant.id.clone(), tenant.row.load_full());
        launch::blocking(move || launcher.stage(&id, row.index, row.limits.disk_max))
            .await
            .map_err(Error::Launcher)
    }

    /// Unpacks an archive into a new root.
    async fn fill<E>(
        &mut self,
        parts: impl Stream<Item = Result<Bytes, E>> + Send,
    ) -> Result<Summary, Error>
    where
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        self.make().await?;
        let unpacker = launch::unpacker(&self.inner, &self.tenant).await?;
        self.worker = Some(Arc::clone(&unpacker.worker));
        let summary = tokio::select! {
            biased;
            () = self.tenant.ended.cancelled() => Err(Error::NotFound),
            summary = relay(&unpacker.worker, parts) => summary,
        }?;
        unpacker.worker.end().await;
        self.worker = None;
        Ok(summary)
    }

    /// Removes it. Where that fails the launcher does it at its next start.
    async fn remove(&mut self) {
        let Some(removal) = self.removal() else { return };
        if let Err(err) = removal.await {
            let id = &self.tenant.id;
            tracing::warn!(tenant = %id, error = %types::Chain(&err), "a staged root stays");
        }
    }

    /// What removes it; none where that is somebody else's.
    fn removal(
        &mut self,
    ) -> Option<impl Future<Output = Result<(), Error>> + Send + 'static + use<>> {
        let alone = self.alone.take()?;
        let (inner, worker) = (Arc::clone(&self.inner), self.worker.take());
        let (id, index) = (self.tenant.id.clone(), self.tenant.row.load().index);
        Some(async move {
            if let Some(worker) = worker {
                worker.end().await;
            }
            let launcher = inner.launcher.clone();
            let removed = launch::blocking(move || launcher.discard(&id, index)).await;
            drop(alone);
            removed.map_err(Error::Launcher)
        })
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        let Some(removal) = self.removal() else { return };
        let id = self.tenant.id.clone();
        drop(self.inner.tasks.spawn(async move {
            if let Err(err) = removal.await {
                tracing::warn!(tenant = %id, error = %types::Chain(&err), "a staged root stays");
            }
        }));
    }
}

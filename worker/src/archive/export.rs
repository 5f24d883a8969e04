//! The call that makes an archive: one at a time, and turns go on meanwhile.
//!
//! The worker's own writes are held up only while its files are looked at once, see `pin`.

use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::Arc;
use std::time::Instant;

use proto::worker::ArchivePart;
use runtime::Pass;
use tokio::sync::{Mutex, mpsc};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

use super::Failure;
use super::pack::pack;
use super::part::{Outgoing, Part, WAITING};
use super::pin::Pinned;
use super::pipe::{pipe, squeeze};
use crate::service::Core;

/// Held while an archive is made.
#[derive(Debug, Clone, Default)]
pub(crate) struct Exporting(Arc<Mutex<()>>);

/// Makes an archive; the pass is held until its last part was taken.
pub(crate) fn export(core: &Core, pass: Pass) -> Result<ReceiverStream<Part>, Status> {
    let Ok(alone) = Arc::clone(&core.exporting.0).try_lock_owned() else {
        return Err(Status::failed_precondition("an archive is being made already"));
    };
    let (parts, stream) = mpsc::channel(WAITING);
    let core = core.clone();
    let tasks = core.tasks.clone();
    drop(tasks.spawn(async move {
        let _held = (pass, alone);
        if let Err(status) = make(&core, parts.clone()).await {
            // Whoever has hung up needs no reason.
            drop(parts.send(Err(status)).await);
        }
    }));
    Ok(ReceiverStream::new(stream))
}

async fn make(core: &Core, parts: mpsc::Sender<Part>) -> Result<(), Status> {
    let begun = Instant::now();
    let pinned = core.store.alone(Pinned::new).await;
    let held = begun.elapsed();
    let (root, pinned) = pinned.map_err(|err| {
        tracing::error!(error = %types::Chain(&err), "the archive was not begun");
        Status::internal(err.to_string())
    })?;
    let root: OwnedFd = root.as_fd().try_clone_to_owned()?;
    let last = parts.clone();
    // Each on a thread of its own: what takes longest is the compression.
    let (tar, taken) = pipe();
    let packing = tokio::task::spawn_blocking(move || {
        let (summary, tar) = pack(root, pinned, tar)?;
        tar.end().map_err(Failure::io("write the archive"))?;
        Ok(summary)
    });
    let squeezing = tokio::task::spawn_blocking(move || squeeze(taken, Outgoing::new(parts)));
    let (packed, squeezed) = tokio::join!(packing, squeezing);
    let panicked = |_panic| Status::internal("the archive was not made");
    let (packed, squeezed) = (packed.map_err(panicked)?, squeezed.map_err(panicked)?);
    let whole = |summary| squeezed.map_err(Failure::io("write the archive")).map(|_| summary);
    let mut summary = packed.and_then(whole).map_err(|failure: Failure| {
        tracing::error!(error = %types::Chain(&failure), "the archive was not made");
        status(&failure)
    })?;
    summary.held_micros = u64::try_from(held.as_micros()).unwrap_or(u64::MAX);
    let part = ArchivePart { summary: Some(summary.into()), ..ArchivePart::default() };
    last.send(Ok(part)).await.map_err(|_gone| Status::cancelled("nobody takes the archive"))
}

/// What the supervisor is told of a failure.
pub(super) fn status(failure: &Failure) -> Status {
    use std::io::ErrorKind::{QuotaExceeded, StorageFull};
    match failure {
        Failure::Refused(refusal) => Status::invalid_argument(refusal.to_string()),
        Failure::Io { source, .. } if matches!(source.kind(), StorageFull | QuotaExceeded) => {
            Status::resource_exhausted("the tenant's disk is full")
        }
        Failure::Io { source, .. } => Status::internal(format!("{failure}: {}", source.kind())),
    }
}

//! The call that unpacks an archive: the only one that the process answers which was started for it.

use std::path::PathBuf;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;
use proto::worker::{ArchivePart, ImportReply};
use tokio::sync::mpsc;
use tokio_stream::{Stream, StreamExt as _};
use tonic::Status;

use super::Failure;
use super::export::status;
use super::part::{Incoming, WAITING};
use super::pipe::{pipe, unsqueeze};
use super::restored;
use super::unpack::unpack_tar;

/// Whether the process was started to unpack an archive, and whether it has begun.
#[derive(Debug)]
pub(crate) struct Importing {
    root: PathBuf,
    /// How many bytes may be unpacked; set by `Start`.
    space: OnceLock<u64>,
    begun: AtomicBool,
}

impl Importing {
    pub(crate) fn new(root: PathBuf) -> Self {
        Self { root, space: OnceLock::new(), begun: AtomicBool::new(false) }
    }

    /// The process is there to unpack at most `space` bytes.
    pub(crate) fn expect(&self, space: u64) -> Result<(), Status> {
        self.space.set(space).map_err(|_set| Status::failed_precondition("started already"))
    }

    /// Nothing where it is there for something else.
    pub(crate) fn is_not_expected(&self) -> Result<(), Status> {
        match self.space.get() {
            None => Ok(()),
            Some(_) => Err(Status::failed_precondition("started already")),
        }
    }

    /// Unpacks what arrives, once.
    pub(crate) async fn import(
        &self,
        parts: impl Stream<Item = Result<ArchivePart, Status>> + Unpin,
    ) -> Result<ImportReply, Status> {
        let Some(space) = self.space.get() else {
            return Err(Status::failed_precondition("not started to unpack an archive"));
        };
        if self.begun.swap(true, Ordering::AcqRel) {
            return Err(Status::failed_precondition("an archive was unpacked already"));
        }
        import(&self.root, parts, *space).await
    }
}

async fn import(
    root: &std::path::Path,
    mut parts: impl Stream<Item = Result<ArchivePart, Status>> + Unpin,
    space: u64,
) -> Result<ImportReply, Status> {
    let (sender, arriving) = mpsc::channel(WAITING);
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let root = open(root, flags, Mode::empty()).map_err(Failure::os("open the root"));
    let root = root.map_err(|failure| status(&failure))?;
    let (tar, taken) = pipe();
    let opening = tokio::task::spawn_blocking(move || unsqueeze(Incoming::new(arriving), &tar));
    let again = root.try_clone().map_err(Failure::io("open the root"));
    let again = again.map_err(|failure| status(&failure))?;
    let unpacking = tokio::task::spawn_blocking(move || {
        let summary = unpack_tar(root, taken, space)?;
        restored::mark(&again).map(|()| summary)
    });
    while let Some(part) = parts.next().await {
        // Dropping the sender without its last word tells the other end that it was cut off.
        let data = part?.data;
        if !data.is_empty() && sender.send(Some(data)).await.is_err() {
            break;
        }
    }
    // Where nobody listens any more there is an answer already.
    drop(sender.send(None).await);
    drop(sender);
    let (opened, unpacked) = tokio::join!(opening, unpacking);
    let panicked = |_panic| Status::internal("nothing was unpacked");
    opened.map_err(panicked)?;
    let unpacked = unpacked.map_err(panicked)?;
    match unpacked {
        Ok(summary) => Ok(ImportReply { summary: Some(summary.into()) }),
        Err(failure) => {
            tracing::error!(error = %types::Chain(&failure), "the archive was not unpacked");
            Err(status(&failure))
        }
    }
}

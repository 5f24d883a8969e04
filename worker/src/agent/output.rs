//! Where a turn's reply goes: chunks while it runs, or one document at its end.

use proto::host::llm_event::Event;
use proto::worker::ServePart;
use tokio::sync::mpsc;

use super::turn::Cut;
use crate::openai::{Chunks, Fault, Fold, Shape, document, head, whole};
use crate::runs::Run;
use crate::store::Stop;

/// A client that may go away, and a run that may be stopped.
#[derive(Debug)]
pub(super) struct Output {
    parts: mpsc::Sender<ServePart>,
    run: Run,
    shape: Shape,
    /// Where the client streams.
    chunks: Option<Chunks>,
    head_sent: bool,
}

impl Output {
    /// A reply that goes to `parts`.
    pub(super) fn new(
        parts: mpsc::Sender<ServePart>,
        run: Run,
        shape: &Shape,
        stream: bool,
    ) -> Self {
        let chunks = stream.then(|| Chunks::new(shape));
        Self { parts, run, shape: shape.clone(), chunks, head_sent: false }
    }

    /// The result of `work`, unless the run is cut short first.
    pub(super) async fn unless_cut<T>(&self, work: impl Future<Output = T>) -> Result<T, Cut> {
        tokio::select! {
            biased;
            () = self.run.stopped() => Err(Cut::Stopped),
            () = self.parts.closed() => Err(Cut::Gone),
            done = work => Ok(done),
        }
    }

    /// Writes one event; nothing is sent before [`Output::flush`].
    pub(super) fn event(&mut self, event: &Event) {
        if let Some(chunks) = &mut self.chunks {
            chunks.event(event);
        }
    }

    /// Sends what has been written.
    pub(super) async fn flush(&mut self) -> Result<(), Cut> {
        let Some(data) = self.chunks.as_mut().map(Chunks::take) else { return Ok(()) };
        if data.is_empty() {
            return Ok(());
        }
        let first = !std::mem::replace(&mut self.head_sent, true);
        let part = ServePart { head: first.then_some(head(true)), data };
        self.unless_cut(self.parts.send(part)).await?.map_err(|_closed| Cut::Gone)
    }

    /// Sends the end of a good reply.
    pub(super) async fn finish(&mut self, fold: &Fold) {
        let Some(chunks) = &mut self.chunks else {
            return self.send(whole(document(&self.shape, fold))).await;
        };
        chunks.finish(fold.reason(), fold.usage());
        self.last_chunks().await;
    }

    /// Sends a failure: as a status where nothing has gone out yet, else as an event.
    pub(super) async fn fail(&mut self, fault: &Fault) {
        match &mut self.chunks {
            Some(chunks) if self.head_sent => {
                chunks.error(fault);
                self.last_chunks().await;
            }
            _ => self.send(fault.part()).await,
        }
    }

    /// How a reply that was cut short is stored, and what its client is told.
    pub(super) fn ending(&self, cut: Cut) -> (Stop, Option<Fault>) {
        match cut {
            Cut::TooLong => (Stop::Length, None),
            Cut::Failed(fault) => (Stop::Error, Some(fault)),
            cut @ (Cut::Stopped | Cut::Gone) => (Stop::Aborted, Some(self.fault(cut))),
        }
    }

    /// What a client is told of a reply that was cut short.
    pub(super) fn fault(&self, cut: Cut) -> Fault {
        match cut {
            Cut::Failed(fault) => fault,
            Cut::Stopped if self.run.is_shutdown() => Fault::shutting_down(),
            // Nobody reads what is said to a client that has gone.
            Cut::Stopped | Cut::Gone | Cut::TooLong => Fault::stopped(),
        }
    }

    async fn last_chunks(&mut self) {
        let data = self.chunks.as_mut().map(Chunks::take).unwrap_or_default();
        let first = !std::mem::replace(&mut self.head_sent, true);
        self.send(ServePart { head: first.then_some(head(true)), data }).await;
    }

    async fn send(&self, part: ServePart) {
        if self.parts.send(part).await.is_err() {
            tracing::debug!("the client left before the end of its reply");
        }
    }
}

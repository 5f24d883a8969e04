//! What happens in the worker, on its way to whoever listens: bounded, in order, never waited for.
//!
//! Knows nothing of connections; the supervisor decides who gets what.

use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use proto::worker::worker_event::What;
use proto::worker::{Event, Settled, WorkerEvent};
use serde::Serialize;
use tokio::sync::{mpsc, watch};
use tokio_stream::Stream;
use tokio_stream::wrappers::{ReceiverStream, WatchStream};
use tonic::Status;

/// Events that wait for the supervisor to take them.
const QUEUE: usize = 1024;

/// Bytes of one event; larger ones are left out, and clients read the history instead.
const MAX_EVENT: usize = 512 << 10;

/// Bytes of a reason.
const MAX_WHY: usize = 512;

/// The sending end. Clones send into the same stream.
#[derive(Debug, Clone)]
pub(crate) struct Events(Arc<Inner>);

/// The receiving ends.
type Ends = (mpsc::Receiver<Event>, mpsc::Receiver<Settled>);

#[derive(Debug)]
struct Inner {
    queue: mpsc::Sender<Event>,
    settled: mpsc::Sender<Settled>,
    /// Taken by the one stream that there is.
    taken: Mutex<Option<Ends>>,
    background: watch::Sender<u32>,
    count: AtomicU64,
}

/// A run that goes on although no call waits for it. It ends when dropped.
#[derive(Debug)]
pub(crate) struct Background(Events);

impl Default for Events {
    fn default() -> Self {
        let (queue, events) = mpsc::channel(QUEUE);
        let (settled, ends) = mpsc::channel(QUEUE);
        let taken = Mutex::new(Some((events, ends)));
        let (background, count) = (watch::Sender::new(0), AtomicU64::new(0));
        Self(Arc::new(Inner { queue, settled, taken, background, count }))
    }
}

impl Events {
    /// Sends one event of the event table. `session_key` is the session that it is about, or empty.
    pub(crate) fn emit(&self, name: &'static str, session_key: &str, payload: &impl Serialize) {
        let payload = match serde_json::to_vec(payload) {
            Ok(payload) if payload.len() <= MAX_EVENT => payload,
            Ok(payload) => {
                return tracing::warn!(name, bytes = payload.len(), "an event is too large");
            }
            Err(err) => return tracing::error!(name, error = %err, "an event has no JSON form"),
        };
        let session_key = session_key.to_owned();
        let event = Event { name: name.to_owned(), payload: payload.into(), session_key };
        match self.0.queue.try_send(event) {
            Ok(()) => drop(self.0.count.fetch_add(1, Ordering::AcqRel)),
            Err(err) => tracing::warn!(name, error = %err, "an event was lost"),
        }
    }

    /// How many there were.
    pub(crate) fn count(&self) -> u64 {
        self.0.count.load(Ordering::Acquire)
    }

    /// Says what has become of an event that was handed over. Waits for room: it is not lost as long as
    /// the process lives.
    pub(crate) async fn settled(&self, event_id: &str, again: bool, why: &str) {
        let why = why.get(..why.floor_char_boundary(MAX_WHY)).unwrap_or_default().to_owned();
        let settled = Settled { event_id: event_id.to_owned(), again, why };
        if self.0.settled.send(settled).await.is_err() {
            tracing::debug!("nobody listens any more");
        }
    }

    /// Keeps the worker from being taken for idle.
    pub(crate) fn background(&self) -> Background {
        self.0.background.send_modify(|runs| *runs = runs.saturating_add(1));
        Background(self.clone())
    }

    /// The stream of all events, which there is once.
    pub(crate) fn stream(&self) -> Option<EventStream> {
        let taken = self.0.taken.lock().unwrap_or_else(PoisonError::into_inner).take();
        let (events, settled) = taken?;
        let runs = WatchStream::new(self.0.background.subscribe());
        let (events, settled) = (ReceiverStream::new(events), ReceiverStream::new(settled));
        Some(EventStream { events, settled, runs })
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        self.0.0.background.send_modify(|runs| *runs = runs.saturating_sub(1));
    }
}

/// Events and the number of background runs as they come.
#[derive(Debug)]
pub struct EventStream {
    events: ReceiverStream<Event>,
    settled: ReceiverStream<Settled>,
    runs: WatchStream<u32>,
}

impl Stream for EventStream {
    type Item = Result<WorkerEvent, Status>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Poll::Ready(Some(event)) = Pin::new(&mut self.events).poll_next(cx) {
            return Poll::Ready(Some(Ok(WorkerEvent { what: Some(What::Event(event)) })));
        }
        if let Poll::Ready(Some(settled)) = Pin::new(&mut self.settled).poll_next(cx) {
            return Poll::Ready(Some(Ok(WorkerEvent { what: Some(What::Settled(settled)) })));
        }
        // The number comes after what happened before it changed.
        if let Poll::Ready(Some(runs)) = Pin::new(&mut self.runs).poll_next(cx) {
            return Poll::Ready(Some(Ok(WorkerEvent { what: Some(What::Runs(runs)) })));
        }
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use tokio_stream::StreamExt as _;

    use super::*;

    #[tokio::test]
    async fn events_come_in_order_and_once() {
        let events = Events::default();
        events.emit("chat", "agent:main:main", &1);
        events.emit("chat", "", &2);
        let background = events.background();
        let mut stream = events.stream().unwrap();
        assert!(events.stream().is_none());
        for want in [b"1", b"2"] {
            let Some(What::Event(event)) = stream.next().await.unwrap().unwrap().what else {
                panic!("no event")
            };
            assert_eq!(&*event.payload, want);
        }
        assert_eq!(stream.next().await.unwrap().unwrap().what, Some(What::Runs(1)));
        drop(background);
        assert_eq!(stream.next().await.unwrap().unwrap().what, Some(What::Runs(0)));
    }

    #[tokio::test]
    async fn what_nobody_reads_is_bounded() {
        let events = Events::default();
        for n in 0..QUEUE + 10 {
            events.emit("chat", "", &n);
        }
        events.emit("chat", "", &"x".repeat(MAX_EVENT));
        assert_eq!(events.0.queue.capacity(), 0);
        assert_eq!(events.count(), u64::try_from(QUEUE).unwrap(), "those that were lost are none");
    }
}

//! A reply that arrives in parts; dropping it cancels the run.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use ledger::Admission;
use proto::worker::call_reply::Outcome;
use proto::worker::{CallReply, ServePart};
use runtime::Pass;
use tokio_stream::Stream;
use tonic::Streaming;

use crate::Error;
use crate::worker::Worker;

/// The parts of one reply, in order. It holds the request's place in the tenant's concurrency and
/// the worker's gate until it is dropped.
#[derive(Debug)]
pub struct Reply {
    parts: Streaming<ServePart>,
    worker: Arc<Worker>,
    _held: (Pass, Admission),
}

impl Reply {
    pub(crate) const fn new(
        parts: Streaming<ServePart>,
        worker: Arc<Worker>,
        held: (Pass, Admission),
    ) -> Self {
        Self { parts, worker, _held: held }
    }

    /// The next part; `None` after the last one of a complete reply.
    pub async fn next(&mut self) -> Option<Result<ServePart, Error>> {
        std::future::poll_fn(|cx| Pin::new(&mut *self).poll_next(cx)).await
    }
}

/// The replies of one call, the last one last. It holds the call's place as [`Reply`] does.
#[derive(Debug)]
pub struct Replies {
    replies: Streaming<CallReply>,
    worker: Arc<Worker>,
    _held: (Pass, Admission),
}

impl Replies {
    pub(crate) const fn new(
        replies: Streaming<CallReply>,
        worker: Arc<Worker>,
        held: (Pass, Admission),
    ) -> Self {
        Self { replies, worker, _held: held }
    }

    /// The next reply; `None` after the last one.
    pub async fn next(&mut self) -> Option<Result<CallReply, Error>> {
        match self.replies.message().await {
            Ok(Some(reply)) => {
                if !matches!(reply.outcome, Some(Outcome::Interim(_))) {
                    self.worker.has_told(reply.events).await;
                }
                Some(Ok(reply))
            }
            Ok(None) => None,
            Err(status) => Some(Err(self.worker.failure(status))),
        }
    }
}

impl Stream for Reply {
    type Item = Result<ServePart, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let polled = Pin::new(&mut self.parts).poll_next(cx);
        polled.map(|part| part.map(|it| it.map_err(|status| self.worker.failure(status))))
    }
}

//! The body of an answer as parts of a reply, up to its bound and its deadline.

use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::{Stream, stream};
use http_body_util::BodyExt as _;
use proto::host::{FetchHead, FetchPart};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;
use tonic::Status;

use super::Part;
use crate::exchange::Held;
use crate::outlet::Outlet;
use crate::refused::Refused;

/// The reply, as tonic wants it.
pub(super) type Parts = Pin<Box<dyn Stream<Item = Part> + Send>>;

/// An answer that is being read. Dropped, it ends the connection.
pub(super) struct Reply {
    pub(super) head: Option<FetchHead>,
    pub(super) body: Held,
    /// Bytes that are passed on at most.
    pub(super) most: usize,
    /// Bytes that may still be passed on.
    pub(super) left: usize,
    pub(super) deadline: Instant,
    /// What may be told of where it comes from.
    pub(super) origin: String,
    pub(super) outlet: Arc<Outlet>,
    pub(super) place: OwnedSemaphorePermit,
}

impl Reply {
    pub(super) fn parts(self) -> Parts {
        Box::pin(stream::unfold(Some(self), async |reply| reply?.next().await))
    }

    /// The next part, and the reply unless it was the last.
    async fn next(mut self) -> Option<(Part, Option<Self>)> {
        if self.head.is_some() {
            let part = FetchPart { head: self.head.take(), ..FetchPart::default() };
            return Some((Ok(part), Some(self)));
        }
        match self.data().await {
            Ok(None) => None,
            Ok(Some(mut data)) => {
                let truncated = data.len() > self.left;
                data.truncate(self.left);
                self.left -= data.len();
                if truncated {
                    self.outlet.note(&self.origin, &Refused::Long { most: self.most });
                }
                let part = FetchPart { data, truncated, ..FetchPart::default() };
                Some((Ok(part), (!truncated).then_some(self)))
            }
            Err(refused) => {
                self.outlet.note(&self.origin, &refused);
                Some((Err(Status::from(&refused)), None))
            }
        }
    }

    /// The next bytes; none at the end.
    async fn data(&mut self) -> Result<Option<Bytes>, Refused> {
        loop {
            let frame = tokio::time::timeout_at(self.deadline, self.body.frame()).await;
            let Ok(frame) = frame else { return Err(Refused::Slow) };
            match frame.transpose() {
                Ok(None) => return Ok(None),
                // Trailers say nothing that is of use here.
                Ok(Some(frame)) => match frame.into_data() {
                    Ok(data) if !data.is_empty() => return Ok(Some(data)),
                    Ok(_) | Err(_) => {}
                },
                Err(err) => return Err(self.outlet.broken(err)),
            }
        }
    }
}

impl std::fmt::Debug for Reply {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { left, deadline, place, .. } = self;
        f.debug_struct("Reply")
            .field("left", left)
            .field("deadline", deadline)
            .field("place", place)
            .finish_non_exhaustive()
    }
}

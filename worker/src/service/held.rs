//! What a served request answers with, part by part.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use proto::worker::ServePart;
use runtime::{Pass, limits};
use tokio_stream::Stream;
use tonic::Status;

use crate::openai::Reply;

/// A reply that keeps the gate open until it is read or dropped.
#[derive(Debug)]
pub struct Held {
    reply: Reply,
    /// What the last part had beyond its bound.
    rest: Bytes,
    _pass: Pass,
}

impl Held {
    pub(super) const fn new(reply: Reply, pass: Pass) -> Self {
        Self { reply, rest: Bytes::new(), _pass: pass }
    }

    /// Cuts `part` at the bound and keeps the rest for the next one.
    fn cut(&mut self, mut part: ServePart) -> ServePart {
        if part.data.len() > limits::MAX_PART {
            self.rest = part.data.split_off(limits::MAX_PART);
        }
        part
    }
}

impl Stream for Held {
    type Item = Result<ServePart, Status>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if !self.rest.is_empty() {
            let data = std::mem::take(&mut self.rest);
            let part = self.cut(ServePart { head: None, data });
            return Poll::Ready(Some(Ok(part)));
        }
        let part = ready!(Pin::new(&mut self.reply).poll_next(cx));
        Poll::Ready(part.map(|part| part.map(|part| self.cut(part))))
    }
}

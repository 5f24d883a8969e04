//! A worker's answer on its way to the client: unread, as it comes, and ended at once when the
//! client, the worker or the token goes away.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use axum::body::Body;
use axum::response::Response;
use bytes::{Bytes, BytesMut};
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use http::{HeaderName, StatusCode};
use hyper::body::Frame;
use proto::worker::{Head, ServePart, ServeRequest};
use tenants::{Reply, Tenants, Ticket};
use tokio_stream::Stream as _;

use crate::reply::{JSON, Refusal};
use crate::seat::Seat;

/// Bytes of a reply that are kept back so that it leaves whole, with its length.
const MAX_WHOLE: usize = 1 << 20;

/// Tells proxies of one widespread kind not to hold events back.
const ACCEL: HeaderName = HeaderName::from_static("x-accel-buffering");

/// A reply whose parts are passed on.
struct Relay {
    reply: Reply,
    seat: Arc<Seat>,
    /// What was read before the response began.
    first: Option<Bytes>,
    events: bool,
    over: bool,
}

/// An answer that cannot be finished, after its head has left.
#[derive(Debug, thiserror::Error)]
#[error("the answer broke off")]
struct Broken;

/// Asks the worker and answers with what it says.
pub(crate) async fn answer(
    tenants: &Tenants,
    seat: &Arc<Seat>,
    ticket: Ticket,
    request: ServeRequest,
) -> Result<Response, Refusal> {
    let (head, first, reply) = tokio::select! {
        biased;
        () = seat.ended() => return Err(Refusal::revoked()),
        begun = begin(tenants, ticket, request) => begun?,
    };
    let seat = Arc::clone(seat);
    if head.event_stream {
        let relay = Relay { reply, seat, first: Some(first), events: true, over: false };
        return Ok(stream(&head, relay));
    }
    whole(&head, first, reply, seat).await
}

/// Up to the first part, which carries the head.
async fn begin(
    tenants: &Tenants,
    ticket: Ticket,
    request: ServeRequest,
) -> Result<(Head, Bytes, Reply), Refusal> {
    let mut reply = tenants.serve(ticket, request).await.map_err(|err| failed(&err))?;
    match reply.next().await {
        Some(Ok(ServePart { head: Some(head), data })) => Ok((head, data, reply)),
        Some(Ok(ServePart { head: None, data: _ })) | None => Err(Refusal::no_answer()),
        Some(Err(err)) => Err(failed(&err)),
    }
}

fn failed(err: &tenants::Error) -> Refusal {
    tracing::debug!(error = %types::Chain(err), "a request was not answered");
    err.into()
}

/// A reply that is one document: it leaves when it is complete, so that a worker that dies half-way
/// still gives the client a clean failure.
async fn whole(
    head: &Head,
    first: Bytes,
    mut reply: Reply,
    seat: Arc<Seat>,
) -> Result<Response, Refusal> {
    let mut data = Pieces { whole: first, more: BytesMut::new() };
    loop {
        let part = tokio::select! {
            biased;
            () = seat.ended() => return Err(Refusal::revoked()),
            part = reply.next() => part,
        };
        match part {
            None => return Ok(response(head, JSON, Body::from(data.join()))),
            Some(Err(err)) => return Err(failed(&err)),
            Some(Ok(part)) => data.push(&part.data),
        }
        if data.len() > MAX_WHOLE {
            let first = Some(data.join());
            let rest = Relay { reply, seat, first, events: false, over: false };
            return Ok(response(head, JSON, Body::new(rest)));
        }
    }
}

fn stream(head: &Head, relay: Relay) -> Response {
    let events = HeaderValue::from_static("text/event-stream; charset=utf-8");
    let mut response = response(head, events, Body::new(relay));
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(ACCEL, HeaderValue::from_static("no"));
    response
}

/// The head of a worker's answer, over a body.
pub(crate) fn response(head: &Head, kind: HeaderValue, body: Body) -> Response {
    let mut response = Response::new(body);
    let status = u16::try_from(head.status).ok().and_then(|it| StatusCode::from_u16(it).ok());
    // A status below 200 is none that a worker may answer with.
    let status = status.filter(|it| it.as_u16() >= 200);
    *response.status_mut() = status.unwrap_or(StatusCode::SERVICE_UNAVAILABLE);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, kind);
    if head.retry_after_s > 0 {
        headers.insert(RETRY_AFTER, HeaderValue::from(head.retry_after_s));
    }
    response
}

/// The parts of a document; a single one is not copied.
struct Pieces {
    whole: Bytes,
    more: BytesMut,
}

impl Pieces {
    fn len(&self) -> usize {
        self.whole.len() + self.more.len()
    }

    fn push(&mut self, data: &Bytes) {
        if self.len() == 0 {
            self.whole = data.clone();
        } else {
            self.more.extend_from_slice(data);
        }
    }

    fn join(self) -> Bytes {
        if self.more.is_empty() {
            return self.whole;
        }
        [self.whole.as_ref(), self.more.as_ref()].concat().into()
    }
}

impl hyper::body::Body for Relay {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        if self.over {
            return Poll::Ready(None);
        }
        // Before anything that is there to be sent, or a worker that always has more would have
        // the last word.
        if self.seat.is_ended() {
            return self.break_off(&Refusal::revoked());
        }
        if let Some(first) = self.first.take()
            && !first.is_empty()
        {
            return Poll::Ready(Some(Ok(Frame::data(first))));
        }
        loop {
            return match ready!(Pin::new(&mut self.reply).poll_next(cx)) {
                Some(Ok(part)) if part.data.is_empty() => continue,
                Some(Ok(part)) => Poll::Ready(Some(Ok(Frame::data(part.data)))),
                None => Poll::Ready(None),
                Some(Err(err)) => self.break_off(&failed(&err)),
            };
        }
    }
}

impl Relay {
    /// Says in the stream why it ends; a document can only be cut.
    fn break_off(&mut self, why: &Refusal) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        self.over = true;
        Poll::Ready(Some(if self.events { Ok(Frame::data(why.events())) } else { Err(Broken) }))
    }
}

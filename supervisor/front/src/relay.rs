//! A worker's answer on its way to the client: unread, as it comes, and ended at once when the
//! client, the worker or the token goes away.

use std::pin::Pin;
use std::task::{Context, Poll};

use auth::{Permit, Principal};
use axum::body::Body;
use axum::response::Response;
use bytes::{Bytes, BytesMut};
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use http::{HeaderName, StatusCode};
use hyper::body::Frame;
use proto::worker::{Head, ServePart, ServeRequest};
use tenants::{Reply, Tenants};
use tokio_stream::Stream as _;

use crate::reply::{JSON, Refusal};

/// Bytes of a reply that are kept back so that it leaves whole, with its length.
const MAX_WHOLE: usize = 1 << 20;

/// Tells proxies of one widespread kind not to hold events back.
const ACCEL: HeaderName = HeaderName::from_static("x-accel-buffering");

/// Resolves when the caller's token no longer holds.
type Revoked = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A reply whose parts are passed on.
struct Relay {
    reply: Reply,
    revoked: Revoked,
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
pub(crate) async fn answer(tenants: &Tenants, permit: Permit, request: ServeRequest) -> Response {
    let mut revoked = revoked(permit.principal().clone());
    let begun = tokio::select! {
        biased;
        begun = begin(tenants, &permit, request) => begun,
        () = &mut revoked => Err(Refusal::revoked()),
    };
    let answered = match begun {
        Ok((head, first, reply)) if head.event_stream => Ok(stream(
            &head,
            Relay { reply, revoked, first: Some(first), events: true, over: false },
        )),
        Ok((head, first, reply)) => whole(&head, first, reply, revoked).await,
        Err(refusal) => Err(refusal),
    };
    answered.unwrap_or_else(|refusal| refusal.response())
}

fn revoked(principal: Principal) -> Revoked {
    Box::pin(async move { principal.revoked().await })
}

/// Up to the first part, which carries the head.
async fn begin(
    tenants: &Tenants,
    permit: &Permit,
    request: ServeRequest,
) -> Result<(Head, Bytes, Reply), Refusal> {
    let mut reply = tenants.serve(permit, request).await.map_err(|err| failed(&err))?;
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
    mut revoked: Revoked,
) -> Result<Response, Refusal> {
    let mut data = Pieces { whole: first, more: BytesMut::new() };
    loop {
        let part = tokio::select! {
            biased;
            part = reply.next() => part,
            () = &mut revoked => return Err(Refusal::revoked()),
        };
        match part {
            None => return Ok(response(head, JSON, Body::from(data.join()))),
            Some(Err(err)) => return Err(failed(&err)),
            Some(Ok(part)) => data.push(&part.data),
        }
        if data.len() > MAX_WHOLE {
            let first = Some(data.join());
            let rest = Relay { reply, revoked, first, events: false, over: false };
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

fn response(head: &Head, kind: HeaderValue, body: Body) -> Response {
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
        if let Some(first) = self.first.take()
            && !first.is_empty()
        {
            return Poll::Ready(Some(Ok(Frame::data(first))));
        }
        if self.over {
            return Poll::Ready(None);
        }
        loop {
            return match Pin::new(&mut self.reply).poll_next(cx) {
                Poll::Ready(Some(Ok(part))) if part.data.is_empty() => continue,
                Poll::Ready(Some(Ok(part))) => Poll::Ready(Some(Ok(Frame::data(part.data)))),
                Poll::Ready(None) => Poll::Ready(None),
                Poll::Ready(Some(Err(err))) => self.break_off(&failed(&err)),
                Poll::Pending => match self.revoked.as_mut().poll(cx) {
                    Poll::Ready(()) => self.break_off(&Refusal::revoked()),
                    Poll::Pending => Poll::Pending,
                },
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

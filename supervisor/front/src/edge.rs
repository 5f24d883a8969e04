//! The outermost step of every request, whatever becomes of it: its id, the headers that every
//! reply has, and the figures.

use std::convert::Infallible;
use std::future::ready as at_once;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use axum::Router;
use axum::body::Body;
use bytes::Bytes;
use http::header::{
    CACHE_CONTROL, HeaderMap, HeaderName, HeaderValue, TRANSFER_ENCODING, X_CONTENT_TYPE_OPTIONS,
};
use http::{Request, Response};
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};
use runtime::Tasks;
use tower::Service as _;

use crate::Inner;
use crate::call::refuse;
use crate::chat;
use crate::identity::Identity;
use crate::listener::Open;
use crate::metrics::Running;
use crate::reply::Refusal;
use crate::seat::Seat;
use crate::upgrade;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// All requests of one connection.
#[derive(Debug, Clone)]
pub(crate) struct Edge {
    pub(crate) front: Arc<Inner>,
    pub(crate) router: Router,
    pub(crate) seat: Arc<Seat>,
    /// Counts the connection while anybody has it.
    pub(crate) open: Arc<Open>,
    /// Owns what the connection becomes.
    pub(crate) tasks: Tasks,
}

impl hyper::service::Service<Request<Incoming>> for Edge {
    type Response = Response<Counted>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Counted>, Infallible>> + Send>>;

    fn call(&self, mut request: Request<Incoming>) -> Self::Future {
        let mut running = self.front.metrics.begin(request.uri().path());
        let id = self.front.ids.next();
        if !is_plainly_framed(request.headers()) {
            let refusal = Refusal::coded_body();
            running.answered(refusal.status.as_u16());
            let mut response = refuse(&self.front, Body::new(request.into_body()), &refusal);
            mark(response.headers_mut(), id);
            return Box::pin(at_once(Ok(response.map(|body| Counted { body, running }))));
        }
        if upgrade::is_asked(&request) && chat::socket(request.uri().path()).is_some() {
            let edge = self.clone();
            return Box::pin(async move {
                let mut response = chat::accept(edge, request).await;
                running.answered(response.status().as_u16());
                mark(response.headers_mut(), id);
                Ok(response.map(|body| Counted { body, running }))
            });
        }
        if upgrade::is_asked(&request) {
            let mut response = upgrade::accept(self, request);
            running.answered(response.status().as_u16());
            mark(response.headers_mut(), id);
            return Box::pin(at_once(Ok(response.map(|body| Counted { body, running }))));
        }
        request.extensions_mut().insert(Identity { id: id.clone(), seat: Arc::clone(&self.seat) });
        let response = self.router.clone().call(request);
        Box::pin(async move {
            let mut response = response.await?;
            running.answered(response.status().as_u16());
            mark(response.headers_mut(), id);
            Ok(response.map(|body| Counted { body, running }))
        })
    }
}

/// Whether a body comes as it is: of a coding beside the chunks a proxy may know what it means,
/// and here nobody would undo it.
fn is_plainly_framed(headers: &HeaderMap) -> bool {
    headers
        .get_all(TRANSFER_ENCODING)
        .iter()
        .all(|value| value.to_str().is_ok_and(|value| value.trim().eq_ignore_ascii_case("chunked")))
}

/// What every reply says.
fn mark(headers: &mut HeaderMap, id: HeaderValue) {
    headers.insert(REQUEST_ID, id);
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
}

/// A reply's body; with it ends the request.
#[derive(Debug)]
pub(crate) struct Counted {
    body: Body,
    running: Running,
}

impl HttpBody for Counted {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        if let Some(Ok(frame)) = &frame
            && let Some(data) = frame.data_ref()
        {
            self.running.sent(data.len());
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

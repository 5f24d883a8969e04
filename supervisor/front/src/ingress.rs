//! `POST /in/{channel}/{path}`: what chat networks send. It proves itself by what is in it, and whoever it
//! is not from learns nothing: not even whether there is such an address.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::response::Response;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, StatusCode};

use crate::Inner;
use crate::body::{self, Bounds};
use crate::call::refuse;
use crate::reply::Refusal;

/// Where they are.
pub(crate) const ROUTE: &str = "/in/{channel}/{path}";

/// Bytes of a body: several messages of the longest kind, as one.
const MAX_BODY: usize = 1 << 20;

/// The longest name in the address, in bytes.
const MAX_NAME: usize = 128;

pub(crate) async fn receive(
    State(front): State<Arc<Inner>>,
    Path((channel, path)): Path<(String, String)>,
    request: Request,
) -> Response {
    let (head, mut body) = request.into_parts();
    if channel.len() > MAX_NAME || path.len() > MAX_NAME {
        return refuse(&front, body, &Refusal::not_found());
    }
    let limits = &front.limits;
    let bounds = Bounds { bytes: MAX_BODY.min(limits.body_bytes), time: limits.body_timeout };
    let mut share = front.budget.share(Arc::clone(&front.strangers));
    let read = async {
        body::announced(&head.headers, bounds.bytes)?;
        body::read(&mut body, bounds, &mut share, &mut || Ok(())).await
    };
    let whole = match read.await {
        Ok(whole) => whole,
        Err(refusal) => return refuse(&front, body, &refusal),
    };
    let reply = front.accounts.request(&channel, &path, &head.headers, &whole).await;
    drop(share);
    let status = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::SERVICE_UNAVAILABLE);
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    if let Some((kind, body)) = reply.body {
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        *response.body_mut() = Body::from(body);
    }
    response
}

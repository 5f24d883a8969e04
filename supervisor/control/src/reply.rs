//! What goes back: JSON with its status, and every failure in the one envelope.

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use control_api::{Failure, Problem};
use http::header::{CONTENT_TYPE, HeaderName, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, StatusCode};
use serde::Serialize;
use types::Chain;
use utoipa::ToSchema;

use crate::document::Operation;
use crate::error::Error;

const JSON: HeaderValue = HeaderValue::from_static("application/json");

const BYTES: HeaderValue = HeaderValue::from_static("application/octet-stream");

/// Headers of every reply: it is for a program, for nobody else, and for now.
const HEADERS: [(HeaderName, HeaderValue); 5] = [
    (http::header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    (http::header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (http::header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    (
        http::header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'"),
    ),
    (http::header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
];

/// What a handler gives.
pub(crate) trait Answer: Send + 'static {
    /// The reply.
    fn respond(self) -> Result<Response, Error>;
    /// Writes the reply's form down.
    fn describe(operation: &mut Operation);
}

/// Status 200 with a body.
pub(crate) struct Found<T>(pub(crate) T);

/// Status 201 with a body.
pub(crate) struct Made<T>(pub(crate) T);

/// Bytes as they come.
pub(crate) struct Stream(pub(crate) Body);

/// Text in a form of its own.
pub(crate) struct Text {
    pub(crate) kind: &'static str,
    pub(crate) bytes: Bytes,
}

impl<T: Serialize + ToSchema + Send + 'static> Answer for Found<T> {
    fn respond(self) -> Result<Response, Error> {
        json(StatusCode::OK, &self.0)
    }

    fn describe(operation: &mut Operation) {
        operation.gives::<T>(StatusCode::OK);
    }
}

impl<T: Serialize + ToSchema + Send + 'static> Answer for Made<T> {
    fn respond(self) -> Result<Response, Error> {
        json(StatusCode::CREATED, &self.0)
    }

    fn describe(operation: &mut Operation) {
        operation.repeatable();
        operation.gives::<T>(StatusCode::CREATED);
    }
}

impl Answer for Stream {
    fn respond(self) -> Result<Response, Error> {
        let mut response = Response::new(self.0);
        response.headers_mut().insert(CONTENT_TYPE, BYTES);
        Ok(response)
    }

    fn describe(operation: &mut Operation) {
        operation.gives_text();
    }
}

impl Answer for Text {
    fn respond(self) -> Result<Response, Error> {
        let mut response = Response::new(Body::from(self.bytes));
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(self.kind));
        Ok(response)
    }

    fn describe(operation: &mut Operation) {
        operation.gives_text();
    }
}

/// A JSON reply.
pub(crate) fn json(status: StatusCode, value: &impl Serialize) -> Result<Response, Error> {
    let body = serde_json::to_vec(value).map_err(Error::Encode)?;
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, JSON);
    Ok(response)
}

/// The envelope of a failure. What is the gateway's own fault is logged here, and nowhere else.
pub(crate) fn failure(error: &Error, operation: &'static str, request_id: &str) -> Response {
    let code = error.code();
    if code.status() >= 500 {
        tracing::error!(operation, request_id, error = %Chain(error), "control request failed");
    } else {
        tracing::debug!(operation, request_id, error = %Chain(error), "control request refused");
    }
    let problem = Problem {
        code,
        message: error.public(),
        field: error.field(),
        request_id: request_id.to_owned(),
    };
    let body = serde_json::to_vec(&Failure { error: problem }).unwrap_or_default();
    let mut response = Response::new(Body::from(body));
    *response.status_mut() =
        StatusCode::from_u16(code.status()).unwrap_or(StatusCode::SERVICE_UNAVAILABLE);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, JSON);
    if response.status() == StatusCode::UNAUTHORIZED {
        let bearer = HeaderValue::from_static("Bearer realm=\"openclawmu control\"");
        response.headers_mut().insert(WWW_AUTHENTICATE, bearer);
    }
    if let Some(seconds) = error.retry_after_s() {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

/// Adds what every reply carries.
pub(crate) fn dress(headers: &mut HeaderMap, request_id: &str) {
    for (name, value) in HEADERS {
        headers.insert(name, value);
    }
    if let Ok(id) = HeaderValue::from_str(request_id) {
        headers.insert(HeaderName::from_static(control_api::REQUEST_ID), id);
    }
}

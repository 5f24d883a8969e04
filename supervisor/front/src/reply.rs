//! Every failure becomes a response here and nowhere else, in the shape that `OpenAI`'s clients read.

use auth::{Denied, Unauthenticated};
use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http::StatusCode;
use http::header::{CONNECTION, CONTENT_TYPE, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use serde::Serialize;
use types::Limited;

/// The type of every reply that is one JSON document.
pub(crate) const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// The codes of the refusals after which the connection cannot go on.
const TOO_MANY_CONNECTIONS: &str = "too_many_connections";
const CODED: &str = "unsupported_transfer_coding";

/// A request that is not answered as asked. The message is public.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    code: &'static str,
    pub(crate) message: String,
    retry_after_s: Option<u64>,
    /// The limit that was met, where it was one.
    limit: Option<Box<Limited>>,
}

#[derive(Serialize)]
struct Envelope<'a> {
    error: Error<'a>,
}

#[derive(Serialize)]
struct Error<'a> {
    message: &'a str,
    r#type: &'static str,
    param: Option<&'a str>,
    code: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    limit: Option<serde_json::Value>,
}

impl Refusal {
    fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), retry_after_s: None, limit: None }
    }

    pub(crate) fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", "there is nothing at this path")
    }

    pub(crate) fn wrong_method() -> Self {
        let message = "this path does not take this method";
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", message)
    }

    /// A page that is none of those that may.
    pub(crate) fn foreign_origin() -> Self {
        let message = "pages of this origin may not do that";
        Self::new(StatusCode::FORBIDDEN, "foreign_origin", message)
    }

    pub(crate) fn bad_header(name: &str, max: usize) -> Self {
        let message = format!("{name} must be visible text of at most {max} bytes");
        Self::new(StatusCode::BAD_REQUEST, "invalid_header", message)
    }

    pub(crate) fn bad_path() -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_path", "the path is not well-formed")
    }

    pub(crate) fn not_json() -> Self {
        let message = "the body must be application/json";
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", message)
    }

    pub(crate) fn too_large(max: usize) -> Self {
        let message = format!("the body has more than {max} bytes");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "request_too_large", message)
    }

    pub(crate) fn slow_body() -> Self {
        let message = "the body did not arrive in time";
        Self::new(StatusCode::REQUEST_TIMEOUT, "request_timeout", message)
    }

    /// A body in a coding that is not undone here. The connection ends: where the body does is
    /// what a proxy and the gateway could see differently.
    pub(crate) fn coded_body() -> Self {
        let message = "no transfer coding but chunked is supported";
        Self::new(StatusCode::NOT_IMPLEMENTED, CODED, message)
    }

    pub(crate) fn broken_body() -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_body", "the body cannot be read")
    }

    /// The gateway as a whole has no room for the body.
    pub(crate) fn no_room() -> Self {
        let message = "the gateway is busy; try again in a moment";
        let full = Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", message);
        Self { retry_after_s: Some(1), ..full }
    }

    /// One tenant holds as many connections as one may.
    pub(crate) fn too_many_connections(max: usize) -> Self {
        let message = format!("the tenant has {max} connections open, and may have no more");
        let many = Self::new(StatusCode::TOO_MANY_REQUESTS, TOO_MANY_CONNECTIONS, message);
        Self { retry_after_s: Some(1), ..many }
    }

    /// More than one field where the gateway and a proxy before it could choose differently.
    pub(crate) fn repeated_header(name: &str) -> Self {
        let message = format!("{name} must be given once");
        Self::new(StatusCode::BAD_REQUEST, "invalid_header", message)
    }

    /// A token where addresses are logged.
    pub(crate) fn token_in_address() -> Self {
        let message = "a token belongs in Authorization or x-openclaw-token, not in the address";
        Self::new(StatusCode::BAD_REQUEST, "token_in_address", message)
    }

    /// The worker answered with something that is no answer.
    pub(crate) fn no_answer() -> Self {
        let message = "the tenant's worker gave no answer";
        let empty = Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", message);
        Self { retry_after_s: Some(1), ..empty }
    }

    /// The token was revoked while its request was under way.
    pub(crate) fn revoked() -> Self {
        Denied::Ended.into()
    }

    /// `OpenAI`'s word for what kind of failure it is.
    fn kind(&self) -> &'static str {
        let limit = self.limit.as_deref();
        limit.map_or_else(|| kind(self.status), |limit| api::limited::words(limit).kind)
    }

    /// The bytes of `{"error": ...}`.
    fn json(&self) -> Vec<u8> {
        let error = Error {
            message: &self.message,
            r#type: self.kind(),
            param: None,
            code: self.code,
            limit: self.limit.as_deref().map(api::limited::details),
        };
        serde_json::to_vec(&Envelope { error }).unwrap_or_default()
    }

    /// The response.
    pub(crate) fn response(&self) -> Response {
        let mut response = Response::new(Body::from(self.json()));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, JSON);
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(seconds) = self.retry_after_s {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        if matches!(self.code, TOO_MANY_CONNECTIONS | CODED) {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }

    /// What ends an event stream that cannot be finished.
    pub(crate) fn events(&self) -> Bytes {
        [b"data: ".as_slice(), &self.json(), b"\n\ndata: [DONE]\n\n"].concat().into()
    }
}

fn kind(status: StatusCode) -> &'static str {
    match status.as_u16() {
        401 => "unauthorized",
        403 => "forbidden",
        429 => "rate_limit_error",
        400..=499 => "invalid_request_error",
        _ => "api_error",
    }
}

impl From<Unauthenticated> for Refusal {
    fn from(reason: Unauthenticated) -> Self {
        let (status, code, retry_after_s) = match reason {
            Unauthenticated::Missing => (StatusCode::UNAUTHORIZED, "missing_api_key", None),
            Unauthenticated::Wrong => (StatusCode::UNAUTHORIZED, "invalid_api_key", None),
            Unauthenticated::Expired => (StatusCode::UNAUTHORIZED, "expired_api_key", None),
            Unauthenticated::LockedOut { retry_after_s } => {
                (StatusCode::TOO_MANY_REQUESTS, "too_many_attempts", Some(retry_after_s))
            }
        };
        Self { retry_after_s, ..Self::new(status, code, reason.to_string()) }
    }
}

impl From<Denied> for Refusal {
    fn from(reason: Denied) -> Self {
        let (status, code) = match reason {
            Denied::Ended => (StatusCode::UNAUTHORIZED, "invalid_api_key"),
            Denied::Suspended => (StatusCode::FORBIDDEN, "tenant_suspended"),
            Denied::Scope { .. }
            | Denied::Role { .. }
            | Denied::OtherTenant
            | Denied::Wider
            | Denied::LivesLonger => (StatusCode::FORBIDDEN, "permission_denied"),
        };
        Self::new(status, code, reason.to_string())
    }
}

impl From<Limited> for Refusal {
    fn from(limit: Limited) -> Self {
        let words = api::limited::words(&limit);
        let status = StatusCode::from_u16(words.status).unwrap_or(StatusCode::TOO_MANY_REQUESTS);
        let wait = limit.retry_after_seconds;
        Self {
            retry_after_s: (wait > 0).then_some(wait),
            limit: Some(Box::new(limit.clone())),
            ..Self::new(status, words.code, limit.to_string())
        }
    }
}

impl From<&tenants::Error> for Refusal {
    fn from(error: &tenants::Error) -> Self {
        if let tenants::Error::Refused(refusal) = error {
            return Limited::from(&**refusal).into();
        }
        let status =
            StatusCode::from_u16(error.http_status()).unwrap_or(StatusCode::SERVICE_UNAVAILABLE);
        let code = match status.as_u16() {
            403 => "tenant_suspended",
            404 => "not_found",
            504 => "timeout",
            _ => "unavailable",
        };
        let retry_after_s = error.retry_after_s();
        Self { retry_after_s, ..Self::new(status, code, error.public()) }
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;

    async fn shown(refusal: Refusal) -> (u16, Option<String>, serde_json::Value) {
        let response = refusal.response();
        let status = response.status().as_u16();
        let retry = response.headers().get(RETRY_AFTER).map(|it| it.to_str().unwrap().to_owned());
        assert_eq!(response.headers()[CONTENT_TYPE], "application/json");
        assert_eq!(response.headers().contains_key(WWW_AUTHENTICATE), status == 401);
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, retry, serde_json::from_slice(&body).unwrap())
    }

    #[tokio::test]
    async fn every_failure_has_the_shape_that_clients_read() {
        let check = async |refusal: Refusal, status: u16, kind: &str, retry: Option<&str>| {
            let (found, after, body) = shown(refusal).await;
            assert_eq!((found, after.as_deref()), (status, retry));
            let error = body.get("error").unwrap().as_object().unwrap();
            assert_eq!(error["type"], kind);
            assert!(error["message"].is_string() && error["code"].is_string());
            assert!(
                error["param"].is_null()
                    && error.len() == 4
                    && body.as_object().unwrap().len() == 1
            );
        };
        check(Unauthenticated::Missing.into(), 401, "unauthorized", None).await;
        check(Unauthenticated::Wrong.into(), 401, "unauthorized", None).await;
        check(Unauthenticated::Expired.into(), 401, "unauthorized", None).await;
        let locked = Unauthenticated::LockedOut { retry_after_s: 7 };
        check(locked.into(), 429, "rate_limit_error", Some("7")).await;
        check(Denied::Ended.into(), 401, "unauthorized", None).await;
        check(Denied::Suspended.into(), 403, "forbidden", None).await;
        let scope = Denied::Scope { needs: types::Scope::Write };
        check(scope.into(), 403, "forbidden", None).await;
        check(Refusal::not_found(), 404, "invalid_request_error", None).await;
        check(Refusal::wrong_method(), 405, "invalid_request_error", None).await;
        check(Refusal::slow_body(), 408, "invalid_request_error", None).await;
        check(Refusal::too_large(1), 413, "invalid_request_error", None).await;
        check(Refusal::not_json(), 415, "invalid_request_error", None).await;
        check(Refusal::no_room(), 503, "api_error", Some("1")).await;
        check((&tenants::Error::WorkerGone).into(), 503, "api_error", Some("1")).await;
        let parked = tenants::Error::Parked { retry_after_s: 30 };
        check((&parked).into(), 503, "api_error", Some("30")).await;
        check((&tenants::Error::Timeout).into(), 504, "api_error", None).await;
    }

    #[test]
    fn a_broken_stream_ends_as_clients_expect() {
        let events = Refusal::no_answer().events();
        let text = std::str::from_utf8(&events).unwrap();
        let data =
            text.strip_prefix("data: ").unwrap().strip_suffix("\n\ndata: [DONE]\n\n").unwrap();
        assert!(serde_json::from_str::<serde_json::Value>(data).unwrap()["error"].is_object());
    }
}

//! `/health` and `/ready`: the only routes that need no token.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use http::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use http::{Method, StatusCode};
use serde::Serialize;

use crate::Inner;
use crate::call::bearer;
use crate::identity::Identity;
use crate::reply::JSON;

#[derive(Serialize)]
struct Ready {
    ready: bool,
    /// For callers with a token: a stranger learns only that it is not the time.
    #[serde(skip_serializing_if = "Option::is_none")]
    failing: Option<Vec<&'static str>>,
}

/// The process answers.
pub(crate) async fn live(request: Request) -> Response {
    match *request.method() {
        Method::GET | Method::HEAD => {
            reply(StatusCode::OK, br#"{"ok":true,"status":"live"}"#.to_vec())
        }
        _ => wrong_method(),
    }
}

/// The gateway takes requests.
pub(crate) async fn ready(State(front): State<Arc<Inner>>, request: Request) -> Response {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return wrong_method();
    }
    let failing = front.readiness.failing();
    let known = is_known(&front, request);
    let ready =
        Ready { ready: failing.is_none(), failing: known.then(|| failing.into_iter().collect()) };
    let status = if ready.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    reply(status, serde_json::to_vec(&ready).unwrap_or_default())
}

fn is_known(front: &Inner, request: Request) -> bool {
    let (head, _) = request.into_parts();
    let Some(identity) = head.extensions.get::<Identity>() else { return false };
    let Ok(Some(token)) = bearer(&head) else { return false };
    front.auth.authenticate(Some(token), identity.seat.peer).is_ok_and(|it| it.device().is_none())
}

fn reply(status: StatusCode, body: Vec<u8>) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, JSON);
    response
}

fn wrong_method() -> Response {
    let mut response = Response::new(Body::from("Method Not Allowed"));
    *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
    response
}

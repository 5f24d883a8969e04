//! From a request to a WebSocket: on any path that no route of HTTP has, because a path may name the
//! tenant. Who calls is found out by the gateway's handshake, not here.

use std::sync::Arc;

use axum::body::Body;
use axum::response::Response;
use gateway::Socket;
use http::header::{
    CONNECTION, HOST, HeaderMap, HeaderName, HeaderValue, ORIGIN, SEC_WEBSOCKET_ACCEPT,
    SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use http::{Method, Request, StatusCode};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;

use crate::edge::Edge;

/// Paths of the HTTP surface, on which nothing is upgraded.
const HTTP_ONLY: &[&str] = &[
    "/v1/",
    "/rpc",
    "/hooks/",
    "/health",
    "/healthz",
    "/ready",
    "/readyz",
    "/__openclaw__/worker",
];

/// The one version of the WebSocket protocol.
const VERSION: HeaderValue = HeaderValue::from_static("13");

/// Characters of a client's key: 16 bytes in base64.
const KEY: usize = 24;

/// Whether the request asks for a WebSocket where there may be one.
pub(crate) fn is_asked<B>(request: &Request<B>) -> bool {
    let path = request.uri().path();
    let reserved =
        HTTP_ONLY.iter().any(|it| path == *it || (it.ends_with('/') && path.starts_with(it)));
    !reserved
        && request.method() == Method::GET
        && has(request.headers(), &UPGRADE, "websocket")
        && has(request.headers(), &CONNECTION, "upgrade")
}

/// Accepts the upgrade and serves it in a task of its own, or says what is wrong with it.
pub(crate) fn accept(edge: &Edge, mut request: Request<Incoming>) -> Response {
    let headers = request.headers();
    let response = match answer(headers) {
        Ok(response) => response,
        Err(response) => return *response,
    };
    let text = |name: HeaderName| {
        // What is no text is no origin of ours either.
        let value = headers.get(name);
        value.map(|it| it.to_str().unwrap_or_default().to_owned())
    };
    let (host, origin) = (text(HOST), text(ORIGIN));
    let path = request.uri().path().to_owned();
    let (front, seat, open) =
        (Arc::clone(&edge.front), Arc::clone(&edge.seat), Arc::clone(&edge.open));
    let (tasks, upgraded) = (edge.tasks.clone(), hyper::upgrade::on(&mut request));
    drop(edge.tasks.spawn(async move {
        let stream = match upgraded.await {
            Ok(stream) => TokioIo::new(stream),
            Err(err) => {
                tracing::debug!(error = %types::Chain(&err), "an upgrade was given up");
                return;
            }
        };
        let (peer, counting) = (seat.peer, Arc::clone(&front));
        let claim = move |principal: &auth::Principal| {
            let max = counting.limits.tenant_connections;
            let taken = seat.take(principal, &counting.tenants, max);
            taken.map(drop).map_err(|refusal| refusal.message)
        };
        let starting = front.readiness.failing() == Some("starting");
        let socket = Socket { stream, path, host, origin, peer, starting, claim: Box::new(claim) };
        Box::pin(front.gateway.serve(socket, async move { tasks.stopping().await })).await;
        // The connection counts as long as it is one.
        drop(open);
    }));
    response
}

/// The answer to whoever asks for a WebSocket; the other where it is not asked for as it should be.
pub(crate) fn answer(headers: &HeaderMap) -> Result<Response, Box<Response>> {
    if headers.get(SEC_WEBSOCKET_VERSION) != Some(&VERSION) {
        let mut response = status(StatusCode::UPGRADE_REQUIRED);
        response.headers_mut().insert(SEC_WEBSOCKET_VERSION, VERSION);
        return Err(Box::new(response));
    }
    let key = headers.get(SEC_WEBSOCKET_KEY).filter(|key| key.len() == KEY);
    let answer = key.and_then(|key| gateway::accept_key(key.as_bytes()).try_into().ok());
    let answer = answer.ok_or_else(|| Box::new(status(StatusCode::BAD_REQUEST)))?;
    let mut response = status(StatusCode::SWITCHING_PROTOCOLS);
    let headers = response.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(SEC_WEBSOCKET_ACCEPT, answer);
    Ok(response)
}

fn status(status: StatusCode) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

/// Whether a field that lists words has this one.
fn has(headers: &HeaderMap, name: &HeaderName, word: &str) -> bool {
    let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|it| it.trim().eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_a_websocket_may_be() {
        let check = |method: &str, path: &str, upgrade: &str, connection: &str, want: bool| {
            let request = Request::builder().method(method).uri(path);
            let request = request.header(UPGRADE, upgrade).header(CONNECTION, connection);
            assert_eq!(is_asked(&request.body(()).unwrap()), want, "{method} {path}");
        };
        check("GET", "/", "websocket", "Upgrade", true);
        check("GET", "/ws", "WebSocket", "keep-alive, Upgrade", true);
        check("GET", "/t/acme/", "websocket", "upgrade", true);
        check("GET", "/healthy", "websocket", "upgrade", true);
        check("GET", "/health", "websocket", "upgrade", false);
        check("GET", "/v1/models", "websocket", "upgrade", false);
        check("GET", "/rpc", "websocket", "upgrade", false);
        check("GET", "/__openclaw__/worker", "websocket", "upgrade", false);
        check("POST", "/", "websocket", "upgrade", false);
        check("GET", "/", "h2c", "upgrade", false);
        check("GET", "/", "websocket", "keep-alive", false);
    }
}

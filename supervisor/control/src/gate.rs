//! The way of every request: named, matched with its row, authenticated, authorised, and only then
//! read and answered. Whatever happens, the reply carries the same headers and is counted.

use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;

use audit::{Audit, Intent};
use auth::{Auth, Operator, OperatorPermit, Unauthenticated};
use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use axum::routing::{MethodFilter, on};
use http::StatusCode;
use http::header::AUTHORIZATION;
use http::request::Parts;
use serde::Serialize;

use crate::error::Error;
use crate::metrics::Requests;
use crate::reply;
use crate::row::{Endpoint, Handler, Probe, Row};
use crate::told::Telling;

/// The name under which requests that match no row are counted and logged.
const NO_ROW: &str = "none";

/// Who is at the far end of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Peer {
    /// A user of this machine, on the Unix socket, whose credentials were checked.
    Local {
        /// The user.
        uid: u32,
    },
    /// Somebody on the network, who needs a key.
    Remote(IpAddr),
}

/// What the gate needs to know callers.
#[derive(Debug, Clone)]
pub(crate) struct Gate {
    pub(crate) auth: Auth,
    pub(crate) audit: Audit,
    pub(crate) requests: Requests,
    /// Whether the gateway is going down.
    pub(crate) tasks: runtime::Tasks,
}

/// Calls a handler for somebody who is permitted.
pub(crate) trait Run: Clone + Send + Sync + 'static {
    /// The reply of `handler`. Where it is an act, its end is recorded even when whoever asked has
    /// gone.
    fn run(&self, handler: &dyn Handler, allowed: Allowed, request: Request) -> Running;
}

/// What a handler is called with.
#[derive(Debug)]
pub(crate) struct Allowed {
    pub(crate) permit: OperatorPermit,
    /// The record that it is about to be done, where it is an act.
    pub(crate) intent: Option<Intent>,
}

/// A handler at work.
pub(crate) type Running = Pin<Box<dyn Future<Output = Result<Response, Error>> + Send>>;

/// What one request is called, in the log and in its reply.
#[derive(Debug, Clone)]
struct RequestId(Arc<str>);

/// Which row answered, for the count.
#[derive(Debug, Clone, Copy)]
struct Answered(&'static str);

/// A router over these rows.
pub(crate) fn router(rows: Vec<Row>, gate: &Gate, run: &impl Run) -> Router {
    let mut router = Router::new();
    for row in rows {
        let filter = MethodFilter::try_from(row.method.clone()).unwrap_or(MethodFilter::GET);
        let (row, gate, run) = (Arc::new(row), gate.clone(), run.clone());
        let path = row.path;
        let answer = move |request: Request| {
            let (row, gate, run) = (Arc::clone(&row), gate.clone(), run.clone());
            async move { answer(&row, &gate, &run, request).await }
        };
        router = router.route(path, on(filter, answer));
    }
    let no_path = |request: Request| async move { refuse(&request, &Error::NoPath) };
    let no_method = |request: Request| async move { refuse(&request, &Error::NoMethod) };
    router
        .fallback(no_path)
        .method_not_allowed_fallback(no_method)
        .layer(from_fn_with_state(gate.requests.clone(), envelope))
}

async fn envelope(State(requests): State<Requests>, mut request: Request, next: Next) -> Response {
    let id: Arc<str> = Arc::from(uuid::Uuid::now_v7().to_string());
    request.extensions_mut().insert(RequestId(Arc::clone(&id)));
    let mut response = next.run(request).await;
    reply::dress(response.headers_mut(), &id);
    let answered = response.extensions().get().map_or(NO_ROW, |Answered(operation)| *operation);
    requests.count(answered, response.status());
    response
}

async fn answer(row: &Row, gate: &Gate, run: &impl Run, request: Request) -> Response {
    let id = request_id(&request);
    let replied = match &row.endpoint {
        Endpoint::Open(probe) => alive(*probe, gate),
        Endpoint::Guarded(needs, handler) => match admit(gate, &request, *needs, row.operation) {
            Ok(permit) => {
                let telling = Telling::of(row, &permit, &request, &id.0);
                match telling.tell(&gate.audit).await {
                    Ok(intent) => {
                        run.run(handler.as_ref(), Allowed { permit, intent }, request).await
                    }
                    Err(error) => Err(error.into()),
                }
            }
            Err(error) => Err(error),
        },
    };
    let mut response = replied.unwrap_or_else(|error| reply::failure(&error, row.operation, &id.0));
    response.extensions_mut().insert(Answered(row.operation));
    response
}

/// The permit of whoever sent the request, or why there is none. Reads no byte of the body.
fn admit(
    gate: &Gate,
    request: &Request,
    needs: types::Role,
    operation: &'static str,
) -> Result<OperatorPermit, Error> {
    let operator = operator(gate, request)?;
    Ok(gate.auth.authorize_operator(&operator, needs, operation)?)
}

fn operator(gate: &Gate, request: &Request) -> Result<Operator, Unauthenticated> {
    match request.extensions().get::<Peer>() {
        Some(Peer::Local { uid }) => Ok(gate.auth.local_operator(*uid)),
        Some(Peer::Remote(address)) => gate.auth.authenticate_operator(bearer(request), *address),
        None => Err(Unauthenticated::Missing),
    }
}

/// The key in `Authorization: Bearer`; a key anywhere else, or two of them, is none.
fn bearer(request: &Request) -> Option<&str> {
    let mut values = request.headers().get_all(AUTHORIZATION).iter();
    let value = values.next().filter(|_| values.next().is_none())?;
    let (scheme, key) = value.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| key.trim())
}

fn alive(probe: Probe, gate: &Gate) -> Result<Response, Error> {
    let stopping = probe == Probe::Ready && gate.tasks.is_stopping();
    let (status, word) = if stopping {
        (StatusCode::SERVICE_UNAVAILABLE, "stopping")
    } else {
        (StatusCode::OK, "ok")
    };
    reply::json(status, &Health { status: word })
}

#[derive(Serialize)]
struct Health {
    status: &'static str,
}

fn refuse(request: &Request, error: &Error) -> Response {
    reply::failure(error, NO_ROW, &request_id(request).0)
}

fn request_id(request: &Request) -> RequestId {
    let none = || RequestId(Arc::from(""));
    request.extensions().get().cloned().unwrap_or_else(none)
}

/// Takes a request apart for a handler.
pub(crate) fn parts(request: Request) -> (Parts, axum::body::Body) {
    request.into_parts()
}

#[cfg(test)]
pub(crate) mod tests;

//! What comes in: requests, at most so many at once, each answered when it is done.

use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::time::Duration;

use api::{ApiError, Code, Method};
use auth::{Action, Denied, Permit};
use bytes::Bytes;
use futures_util::stream::{FuturesUnordered, Stream, StreamExt as _};
use hub::{Close, Role};
use methods::Caller;
use serde_json::json;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::{Error as WsError, Message, Utf8Bytes};
use types::Scope;

use crate::frame;
use crate::hello::may_call;
use crate::meter::{Meter, Room};
use crate::refusal::code;
use crate::session::{Session, TICK};

/// Calls of one connection under way; nothing more is read while there are as many.
const MAX_CALLS: usize = 64;

/// How long a client may take to answer a ping.
const PONG: Duration = Duration::from_secs(25);

/// Answers before the last one that wait for their turn.
const INTERIM: usize = 4;

type Under<'a> = FuturesUnordered<Pin<Box<dyn Future<Output = ()> + Send + 'a>>>;

/// A request that may be carried out.
struct Call {
    id: String,
    method: &'static Method,
    params: Bytes,
    permit: Permit,
}

/// Parameters, and the room that they have for as long as anybody refers to them.
struct Held {
    params: Bytes,
    _room: Room,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.params
    }
}

/// Reads and answers until there is nothing more to read; gives how the connection ends.
pub(crate) async fn run<R>(session: &Session<'_>, stream: &mut R, meter: &Meter) -> Close
where
    R: Stream<Item = Result<Message, WsError>> + Unpin,
{
    // What a node says first is held against what it has just declared.
    session.inner.methods.greet_node(&session.connection).await;
    let mut calls = Under::new();
    calls.push(Box::pin(session.health()));
    let mut heard = Instant::now();
    loop {
        let full = calls.len() >= MAX_CALLS;
        tokio::select! {
            Some(()) = calls.next(), if !calls.is_empty() => {
                if full {
                    heard = Instant::now();
                }
            }
            message = next(session, stream, heard), if !full => {
                heard = Instant::now();
                match take(session, message, meter, &calls) {
                    Ok(()) => {}
                    Err(close) => return close,
                }
            }
        }
    }
}

/// The next message; nothing where the client says nothing for too long.
async fn next<R>(
    session: &Session<'_>,
    stream: &mut R,
    heard: Instant,
) -> Option<Result<Message, WsError>>
where
    R: Stream<Item = Result<Message, WsError>> + Unpin,
{
    // A client that does not take its answers asks for no more, and need not be heard of either.
    let waited = session.connection.unloaded().await;
    let heard = if waited { Instant::now() } else { heard };
    tokio::time::timeout_at(heard + TICK + PONG, stream.next()).await.ok().flatten()
}

/// Begins what a message asks for.
fn take<'a>(
    session: &'a Session<'_>,
    message: Option<Result<Message, WsError>>,
    meter: &Meter,
    calls: &Under<'a>,
) -> Result<(), Close> {
    match message {
        Some(Ok(Message::Text(text))) => {
            match request(session, &text, meter.message()) {
                Ok(call) => calls.push(Box::pin(carry_out(session, call))),
                Err(answer) => calls.push(Box::pin(session.connection.answer(answer))),
            }
            Ok(())
        }
        Some(Ok(Message::Ping(payload) | Message::Pong(payload))) => {
            meter.control(payload.len());
            Ok(())
        }
        Some(Ok(Message::Frame(_))) => Ok(()),
        Some(Ok(Message::Binary(_))) => Err(Close::now(code::UNSUPPORTED, "text frames only")),
        Some(Ok(Message::Close(_))) | None => Err(Close::now(code::NORMAL, "")),
        Some(Err(err)) => Err(fault(&err)),
    }
}

fn fault(err: &WsError) -> Close {
    tracing::debug!(error = %types::Chain(err), "nothing more can be read");
    match err {
        WsError::Capacity(_) => Close::now(code::TOO_BIG, "the frame is too large"),
        WsError::Protocol(_) => Close::now(code::PROTOCOL, "protocol error"),
        WsError::Utf8(_) => Close::now(code::NO_TEXT, "not UTF-8"),
        WsError::ConnectionClosed
        | WsError::AlreadyClosed
        | WsError::Io(_)
        | WsError::Tls(_)
        | WsError::WriteBufferFull(_)
        | WsError::AttackAttempt
        | WsError::Url(_)
        | WsError::Http(_)
        | WsError::HttpFormat(_) => Close::now(code::NORMAL, ""),
    }
}

/// What a frame asks for, or the answer to it.
fn request(session: &Session<'_>, text: &Utf8Bytes, room: Room) -> Result<Call, Bytes> {
    let request = frame::parse(text).map_err(|err| {
        let why = ApiError::invalid(format!("invalid request frame: {err}"));
        frame::failure(&err.id, &why)
    })?;
    let id = request.id.into_owned();
    let permitted = permitted(session, &request.method);
    let (method, permit) = permitted.map_err(|err| frame::failure(&id, &err))?;
    let params = request.params.map_or_else(Bytes::new, |params| {
        let params = Bytes::from(text.clone()).slice_ref(params.get().as_bytes());
        Bytes::from_owner(Held { params, _room: room })
    });
    Ok(Call { id, method, params, permit })
}

fn permitted(session: &Session<'_>, name: &str) -> Result<(&'static Method, Permit), ApiError> {
    if name == "connect" {
        return Err(ApiError::invalid("connect is only valid as the first request"));
    }
    let unknown = || ApiError::invalid(format!("unknown method: {name}"));
    let method = api::method(name).ok_or_else(unknown)?;
    let role = session.connection.role();
    if !may_call(role, method) {
        return Err(ApiError::invalid(format!("unauthorized role: {}", role.name())));
    }
    let scope = match role {
        Role::Operator => method.scope,
        Role::Node => Scope::Node,
    };
    let action = Action { name: method.name, scope };
    let permit = session.inner.auth.authorize(&session.principal, action);
    permit.map(|permit| (method, permit)).map_err(denied)
}

fn denied(why: Denied) -> ApiError {
    match why {
        Denied::Scope { needs } => {
            let details = json!({
                "code": "MISSING_SCOPE",
                "missingScope": needs.name(),
                "requiredScopes": [needs.name()],
            });
            let message = format!("missing scope: {}", needs.name());
            ApiError::new(Code::Forbidden, message).with_details(details)
        }
        Denied::Role { .. }
        | Denied::Suspended
        | Denied::Ended
        | Denied::OtherTenant
        | Denied::Wider
        | Denied::LivesLonger => ApiError::new(Code::Forbidden, why.to_string()),
    }
}

/// A request's id, of the form that all have: half of the connection's, and which call it is.
fn request_id(connection: &str, count: u64) -> String {
    let half: String = connection.chars().filter(char::is_ascii_hexdigit).take(16).collect();
    format!("req_{half}{count:016x}")
}

/// Calls the method; what it says before its last answer goes out as it comes.
async fn carry_out(session: &Session<'_>, call: Call) {
    let Call { id, method, params, permit } = call;
    let connection = &session.connection;
    let count = session.calls.fetch_add(1, Ordering::Relaxed);
    let request_id = request_id(connection.id(), count);
    let caller = Caller {
        permit: &permit,
        connection: Some(connection),
        client: &connection.client().id,
        request_id: &request_id,
    };
    let (sender, mut interim) = mpsc::channel(INTERIM);
    let done = session.inner.methods.call(caller, method, params, Some(sender));
    let mut done = std::pin::pin!(done);
    let outcome = loop {
        tokio::select! {
            biased;
            Some(first) = interim.recv() => {
                connection.answer(frame::result(&id, &first)).await;
            }
            outcome = &mut done => break outcome,
        }
    };
    while let Ok(first) = interim.try_recv() {
        connection.answer(frame::result(&id, &first)).await;
    }
    let answer = match outcome {
        Ok(result) => frame::result(&id, &result),
        Err(err) => frame::failure(&id, &err),
    };
    connection.answer(answer).await;
}

//! One connection of a known client, from its welcome to its end.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use auth::{Action, Principal};
use bytes::Bytes;
use futures_util::StreamExt as _;
use hub::{Close, Connection, Message, Role};
use methods::Caller;
use serde_json::json;
use tokio::io::{AsyncRead, AsyncWrite};
use types::Scope;

use crate::handshake::Entered;
use crate::meter::Meter;
use crate::refusal::code;
use crate::{Inner, Ws, read, write};

/// From one `tick` to the next. The official client gives up after twice as long without anything.
pub(crate) const TICK: Duration = Duration::from_secs(30);

/// How long all that is left of a connection may take to end.
const ENDING: Duration = Duration::from_secs(5);

/// Kinds of client that come for a moment, and that nobody is told of.
const PASSING: &[&str] = &["cli", "probe", "backend"];

/// One connection of a known client.
pub(crate) struct Session<'a> {
    pub(crate) inner: &'a Inner,
    pub(crate) principal: Principal,
    pub(crate) connection: Arc<Connection>,
    /// Calls so far, for their ids.
    pub(crate) calls: AtomicU64,
}

/// Serves the connection until it ends.
pub(crate) async fn run<S>(
    inner: &Inner,
    ws: Ws<S>,
    meter: &Meter,
    entered: Entered,
    stopping: impl Future<Output = ()> + Send,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    let Entered { principal, connection, mut outbox } = entered;
    let session =
        Session { inner, principal, connection: Arc::clone(&connection), calls: AtomicU64::new(0) };
    let (mut sink, mut stream) = ws.split();
    {
        let mut writing = std::pin::pin!(write::run(&session, &mut sink, &mut outbox));
        let over = {
            let reading = read::run(&session, &mut stream, meter);
            tokio::select! {
                biased;
                () = session.principal.revoked() => {
                    Some(Close::now(code::POLICY, "the token is no longer valid"))
                }
                () = stopping => Some(session.farewell()),
                close = Box::pin(reading) => Some(close),
                () = &mut writing => None,
            }
        };
        if let Some(close) = over {
            connection.close(close);
            if tokio::time::timeout(ENDING, writing).await.is_err() {
                tracing::debug!("a client did not take what was left for it");
            }
        }
    }
    drop(outbox);
    announce(inner, &connection);
    if let Ok(mut ws) = sink.reunite(stream) {
        write::linger(&mut ws).await;
    }
}

impl Session<'_> {
    /// Tells the client that the gateway lives, and forgets what is old.
    pub(crate) fn tick(&self) {
        self.inner.hub.sweep(self.connection.tenant());
        self.push("tick", &json!({"ts": self.inner.clock.now()}));
    }

    /// Tells an operator how its worker is, if one is awake: nobody wakes it for this.
    pub(crate) async fn health(&self) {
        let awake = self.inner.tenants.peek(self.connection.tenant());
        if !awake.is_ok_and(|it| it.worker.is_some()) {
            return;
        }
        let Some(method) = api::method("health") else { return };
        let action = Action { name: method.name, scope: Scope::Read };
        let Ok(permit) = self.inner.auth.authorize(&self.principal, action) else { return };
        let caller = Caller {
            permit: &permit,
            connection: Some(&self.connection),
            client: &self.connection.client().id,
            request_id: self.connection.id(),
        };
        let health = self.inner.methods.call(caller, method, Bytes::new(), None).await;
        let event = api::events::event("health");
        if let (Ok(payload), Some(event)) = (health, event) {
            let message = Message { event, payload, session_key: String::new() };
            let version = self.inner.hub.state_version(self.connection.tenant());
            self.connection.push_state(&message, version);
        }
    }

    /// Says that the gateway stops; gives how the connection ends.
    fn farewell(&self) -> Close {
        self.push("shutdown", &json!({"reason": "gateway stopping"}));
        Close::after(code::RESTART, "service restart")
    }

    fn push(&self, name: &str, payload: &serde_json::Value) {
        if let Some(event) = api::events::event(name) {
            let payload = payload.to_string().into();
            self.connection.push(&Message { event, payload, session_key: String::new() });
        }
    }
}

/// Tells the tenant's connections who is there, soon and once for many changes.
pub(crate) fn announce(inner: &Inner, connection: &Connection) {
    let passing = PASSING.contains(&connection.client().mode.as_str());
    if passing && connection.role() == Role::Operator {
        return;
    }
    let (hub, tenant) = (inner.hub.clone(), connection.tenant().clone());
    let Some(after) = hub.presence_due(&tenant) else { return };
    inner.tasks.spawn_until_stopped(async move {
        tokio::time::sleep_until(tokio::time::Instant::now() + after).await;
        hub.presence_told(&tenant);
        let presence = methods::presence::entries(&hub, &tenant);
        let Some(event) = api::events::event("presence") else { return };
        let payload = json!({"presence": presence}).to_string().into();
        hub.publish(&tenant, &Message { event, payload, session_key: String::new() });
    });
}

//! From the challenge to the moment in which the client is known: nothing of a tenant is touched
//! before that, and a client that is not let in learns no more than why.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use api::ApiError;
use auth::Principal;
use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use hub::{Connection, Outbox, Role, Spec};
use ring::rand::{SecureRandom as _, SystemRandom};
use serde_json::json;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_tungstenite::tungstenite::{Error as WsError, Message};
use types::Scope;

use crate::admit::{self, Known};
use crate::connect::{self, Connect};
use crate::hello::{self, Hello};
use crate::refusal::{Refusal, code};
use crate::{Claim, Inner, MAX_STRANGER, Ws, frame, session, write};

/// From the challenge to the answer.
const WINDOW: Duration = Duration::from_secs(15);

/// Where a connection comes from.
pub(crate) struct From {
    pub(crate) path: String,
    pub(crate) host: Option<String>,
    pub(crate) origin: Option<String>,
    pub(crate) peer: IpAddr,
    pub(crate) starting: bool,
    pub(crate) claim: Claim,
}

/// A client that was let in.
pub(crate) struct Entered {
    pub(crate) principal: Principal,
    pub(crate) connection: Arc<Connection>,
    pub(crate) outbox: Outbox,
}

/// Challenges the client and lets it in, or answers why not and ends the connection.
pub(crate) async fn shake<S>(inner: &Inner, ws: &mut Ws<S>, from: &From) -> Option<Entered>
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    match tokio::time::timeout(WINDOW, attempt(inner, ws, from)).await {
        Ok(entered) => entered,
        Err(_elapsed) => {
            let late = Refusal::silent(code::NORMAL, "handshake timeout");
            refuse(ws, "", &late).await;
            None
        }
    }
}

async fn attempt<S>(inner: &Inner, ws: &mut Ws<S>, from: &From) -> Option<Entered>
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    let nonce = nonce()?;
    let payload = json!({"nonce": nonce, "ts": inner.clock.now()}).to_string();
    let challenge = frame::event("connect.challenge", payload.into(), None, None);
    write::frame(ws, challenge).await.ok()?;
    let first = match first(ws).await {
        Ok(first) => first?,
        Err(refusal) => {
            refuse(ws, "", &refusal).await;
            return None;
        }
    };
    let (id, outcome) = enter(inner, from, &nonce, &first).await;
    match outcome {
        Ok((entered, hello)) => {
            write::frame(ws, [hello]).await.ok()?;
            session::announce(inner, &entered.connection);
            Some(entered)
        }
        Err(refusal) => {
            let reason = refusal.error.as_ref().map_or("", |it| it.message.as_str());
            tracing::debug!(peer = %from.peer, reason, "a client was not let in");
            refuse(ws, &id, &refusal).await;
            None
        }
    }
}

/// The first frame; `None` where the client is gone.
async fn first<S>(ws: &mut Ws<S>) -> Result<Option<String>, Refusal>
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    loop {
        match ws.next().await {
            Some(Ok(Message::Text(text))) if text.len() > MAX_STRANGER => return Err(too_big()),
            Some(Ok(Message::Text(text))) => return Ok(Some(text.as_str().to_owned())),
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
            Some(Ok(Message::Binary(_))) => {
                return Err(Refusal::silent(code::UNSUPPORTED, "text frames only"));
            }
            Some(Ok(Message::Close(_) | Message::Frame(_))) | None => return Ok(None),
            Some(Err(WsError::Capacity(_))) => return Err(too_big()),
            Some(Err(WsError::Io(err))) if err.kind() == std::io::ErrorKind::FileTooLarge => {
                return Err(too_big());
            }
            Some(Err(err)) => {
                tracing::debug!(error = %types::Chain(&err), "no first frame");
                return Ok(None);
            }
        }
    }
}

const fn too_big() -> Refusal {
    Refusal::silent(code::TOO_BIG, "the frame is too large")
}

/// Answers why, where there is an answer, and ends the connection.
async fn refuse<S>(ws: &mut Ws<S>, id: &str, refusal: &Refusal)
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    let said = async {
        if let Some(error) = &refusal.error {
            write::frame(ws, [frame::failure(id, error)]).await?;
        }
        ws.send(write::close(refusal.close)).await
    };
    if let Err(err) = said.await {
        tracing::debug!(error = %types::Chain(&err), "a client did not hear why it was refused");
    }
}

/// Who sent the first frame, with a place among its tenant's connections and what it is told.
async fn enter(
    inner: &Inner,
    from: &From,
    nonce: &str,
    first: &str,
) -> (String, Result<(Entered, Bytes), Refusal>) {
    let request = match frame::parse(first) {
        Ok(request) => request,
        Err(err) if err.no_json => {
            return (err.id, Err(Refusal::silent(code::NORMAL, "not JSON")));
        }
        Err(err) => return (err.id, Err(Refusal::malformed(&err.why))),
    };
    let id = request.id.into_owned();
    if request.method != "connect" {
        return (id, Err(Refusal::not_connect()));
    }
    if from.starting {
        return (id, Err(Refusal::starting()));
    }
    let connect = match connect::parse(request.params) {
        Ok(connect) => connect,
        Err(why) => return (id, Err(Refusal::params(&why))),
    };
    let outcome = match Box::pin(admit::admit(inner, from, nonce, &connect)).await {
        Ok((protocol, known)) => place(inner, from, &connect, protocol, known, &id),
        Err(refusal) => Err(refusal),
    };
    (id, outcome)
}

/// A place among the tenant's connections, and what the client is told.
fn place(
    inner: &Inner,
    from: &From,
    connect: &Connect<'_>,
    protocol: u32,
    known: Known,
    id: &str,
) -> Result<(Entered, Bytes), Refusal> {
    (from.claim)(&known.principal).map_err(|why| Refusal::full(&why))?;
    let spec = Spec {
        role: connect.role,
        client: connect.client.clone(),
        device_id: known.device_id,
        scopes: match connect.role {
            Role::Operator => known.principal.scopes(),
            Role::Node => std::iter::once(Scope::Node).collect(),
        },
        caps: connect.caps.clone(),
        commands: connect.commands.clone(),
        path_env: connect.path_env.clone(),
        permissions: connect.permissions.clone(),
        connected_at: inner.clock.now(),
        peer: from.peer,
    };
    let joined = inner.hub.join(known.principal.tenant(), spec);
    let (connection, outbox) = joined.map_err(|full| Refusal::full(&full.to_string()))?;
    let hello = Hello {
        protocol,
        scopes: known.scopes,
        device_token: known.device_token.as_ref(),
        method: known.method,
    };
    let payload = hello::payload(inner, &connection, hello)
        .map_err(|err| Refusal::of(ApiError::unavailable(err.to_string())))?;
    let entered = Entered { principal: known.principal, connection, outbox };
    Ok((entered, frame::result(id, &payload)))
}

/// 128 random bits in hexadecimal; none where the system gives none.
fn nonce() -> Option<String> {
    let mut bytes = [0; 16];
    if let Err(err) = SystemRandom::new().fill(&mut bytes) {
        tracing::error!(error = %err, "no random bytes for a challenge");
        return None;
    }
    Some(format!("{:032x}", u128::from_be_bytes(bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn challenges_differ() {
        assert_ne!(nonce().unwrap(), nonce().unwrap());
        assert_eq!(nonce().unwrap().len(), 32);
    }
}

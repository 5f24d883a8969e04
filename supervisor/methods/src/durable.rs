//! Methods whose calls are kept until they are dealt with: a message that was taken is not lost with
//! the worker that took it.
//!
//! Reads two names of what the client sends, by which the message is known when it comes again; all
//! else is the worker's to read, also what is wrong with them.

use std::borrow::Cow;

use api::ApiError;
use bytes::Bytes;
use proto::worker::CallRequest;
use serde::Deserialize;
use serde_json::json;
use tenants::{Delivered, Event, Ticket};

use crate::{Methods, failed, outcome};

/// The one method of this kind.
const SEND: &str = "chat.send";

/// What its events are called.
const ACCOUNT: &str = "chat";

/// The longest key that a worker takes, in bytes.
const MAX_KEY: usize = 256;

/// The longest session key, in bytes.
const MAX_SESSION: usize = 512;

/// The names of a message.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Named {
    lane: String,
    event: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Read<'a> {
    #[serde(borrow)]
    session_key: Cow<'a, str>,
    #[serde(borrow)]
    agent_id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    idempotency_key: Cow<'a, str>,
}

/// The names under which a call is kept; none where it is not, or where a worker refuses it.
pub(crate) fn named(method: &str, params: &[u8]) -> Option<Named> {
    if method != SEND {
        return None;
    }
    let Read { session_key, agent_id, idempotency_key } = serde_json::from_slice(params).ok()?;
    let fits = (1..=MAX_KEY).contains(&idempotency_key.len())
        && (1..=MAX_SESSION).contains(&session_key.len())
        && agent_id.as_ref().is_none_or(|agent| agent.len() <= MAX_KEY);
    let lane = if session_key.starts_with("agent:") {
        session_key.into_owned()
    } else {
        format!("agent:{}:{session_key}", agent_id.as_deref().unwrap_or("main"))
    };
    fits.then(|| Named { lane, event: idempotency_key.into_owned() })
}

impl Methods {
    /// Keeps the call and gives what the worker says to it, or that it is kept.
    pub(crate) async fn keep(
        &self,
        named: &Named,
        ticket: Ticket,
        request: CallRequest,
    ) -> Result<Bytes, ApiError> {
        let Named { lane, event } = named;
        let event = Event { source: ACCOUNT, account: ACCOUNT, lane, event };
        let delivered = self.0.tenants.deliver_call(ticket, event, request).await;
        match delivered.map_err(|err| failed(&err))? {
            Delivered::Answer(reply) => outcome(reply),
            Delivered::Later(_) => {
                let kept = json!({"runId": named.event, "status": "started", "runStarted": false});
                Ok(kept.to_string().into())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_has_one_name_however_its_session_is_spelled() {
        let check = |params: &str, want: Option<(&str, &str)>| {
            let found = named(SEND, params.as_bytes());
            let found = found.as_ref().map(|it| (it.lane.as_str(), it.event.as_str()));
            assert_eq!(found, want, "{params}");
        };
        check(
            r#"{"sessionKey":"main","idempotencyKey":"k","message":{"any":[1]}}"#,
            Some(("agent:main:main", "k")),
        );
        check(
            r#"{"sessionKey":"agent:main:main","idempotencyKey":"k"}"#,
            Some(("agent:main:main", "k")),
        );
        check(
            r#"{"sessionKey":"x","agentId":"b","idempotencyKey":"a\nb"}"#,
            Some(("agent:b:x", "a\nb")),
        );
        check(r#"{"sessionKey":"main"}"#, None);
        check(r#"{"sessionKey":"main","idempotencyKey":""}"#, None);
        check(r#"{"sessionKey":"main","idempotencyKey":7}"#, None);
        check("[", None);
        let long = format!(r#"{{"sessionKey":"main","idempotencyKey":"{}"}}"#, "x".repeat(257));
        check(&long, None);
        assert_eq!(named("chat.inject", br#"{"sessionKey":"m","idempotencyKey":"k"}"#), None);
    }
}

//! What a connection asks to be told. Sends nothing itself: the hub looks at what is asked here.

use std::sync::Arc;

use api::ApiError;
use api::subscriptions::{
    Followed, MAX_KEY, MAX_VIEWED, MessagesParams, SubscribeParams, Subscribed, Subscriptions,
    UnfollowParams, Viewed, ViewersParams,
};
use hub::Connection;
use types::AgentId;

use crate::Call;

impl Subscriptions for Call<'_> {
    async fn subscribe(&self, _: SubscribeParams) -> Result<Subscribed, ApiError> {
        self.connection("sessions.subscribe")?.subscribe_sessions(true);
        Ok(Subscribed { subscribed: true })
    }

    async fn unsubscribe(&self, _: SubscribeParams) -> Result<Subscribed, ApiError> {
        self.connection("sessions.unsubscribe")?.subscribe_sessions(false);
        Ok(Subscribed { subscribed: false })
    }

    async fn messages_subscribe(&self, params: MessagesParams) -> Result<Followed, ApiError> {
        let method = "sessions.messages.subscribe";
        if params.include_approvals == Some(false) {
            let message = format!("invalid {method} params: includeApprovals must be true");
            return Err(ApiError::invalid(message));
        }
        let key = full(method, &params.key, params.agent_id.as_ref())?;
        let followed = self.connection(method)?.subscribe_messages(&key, true);
        followed.map_err(|_full| ApiError::invalid("this connection follows too many sessions"))?;
        Ok(Followed { subscribed: true, key })
    }

    async fn messages_unsubscribe(&self, params: UnfollowParams) -> Result<Followed, ApiError> {
        let method = "sessions.messages.unsubscribe";
        let key = full(method, &params.key, params.agent_id.as_ref())?;
        let forgotten = self.connection(method)?.subscribe_messages(&key, false);
        forgotten.map_err(|err| ApiError::unavailable(err.to_string()))?;
        Ok(Followed { subscribed: false, key })
    }

    async fn viewers_set(&self, params: ViewersParams) -> Result<Viewed, ApiError> {
        let method = "sessions.viewers.set";
        self.connection(method)?;
        if params.session_keys.len() > MAX_VIEWED {
            let message =
                format!("invalid {method} params: sessionKeys has at most {MAX_VIEWED} items");
            return Err(ApiError::invalid(message));
        }
        let keys = params.session_keys.iter();
        let keys = keys.map(|key| full(method, key, params.agent_id.as_ref()));
        Ok(Viewed { session_keys: keys.collect::<Result<_, _>>()? })
    }
}

impl Call<'_> {
    /// The connection that the call came over.
    pub(crate) fn connection(&self, method: &str) -> Result<&Arc<Connection>, ApiError> {
        self.caller
            .connection
            .ok_or_else(|| ApiError::invalid(format!("{method} works on a WebSocket only")))
    }
}

/// The full key of a session, as events carry it.
fn full(method: &str, key: &str, agent: Option<&AgentId>) -> Result<String, ApiError> {
    let short = key.trim().to_lowercase();
    let full = if short.starts_with("agent:") {
        short
    } else {
        let main = AgentId::main();
        format!("agent:{}:{short}", agent.unwrap_or(&main))
    };
    if key.trim().is_empty() || full.len() > MAX_KEY || full.chars().any(char::is_control) {
        let message = format!(
            "invalid {method} params: a session key has 1 to {MAX_KEY} bytes and no control characters"
        );
        return Err(ApiError::invalid(message));
    }
    Ok(full)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_made_whole() {
        let ops: AgentId = "ops".parse().unwrap();
        let check = |key: &str, agent: Option<&AgentId>, want: Option<&str>| {
            assert_eq!(full("m", key, agent).ok().as_deref(), want, "{key}");
        };
        check("main", None, Some("agent:main:main"));
        check(" Main ", Some(&ops), Some("agent:ops:main"));
        check("agent:main:Ops", Some(&ops), Some("agent:main:ops"));
        check(" ", None, None);
        check("a\u{1}", None, None);
        check(&"x".repeat(600), None, None);
    }
}

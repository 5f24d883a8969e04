//! What is to be seen of a conversation, and of what is kept for a tenant.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tests::{Gateway, Tenant};

/// How long something may take that is tried again with longer and longer pauses.
const PATIENCE: Duration = Duration::from_mins(1);

/// The messages of one session.
#[derive(Debug, PartialEq)]
pub(crate) struct Seen {
    /// Role and text.
    pub(crate) messages: Vec<(String, String)>,
}

impl Seen {
    pub(crate) async fn of(gateway: &Gateway, tenant: &Tenant, session: &str) -> Self {
        Self::page(gateway, tenant, session, 0).await
    }

    /// Without so many of the newest.
    async fn page(gateway: &Gateway, tenant: &Tenant, session: &str, offset: usize) -> Self {
        let params = json!({"sessionKey": session, "limit": 1000, "offset": offset});
        let history = rpc(gateway, tenant, "chat.history", params).await;
        let messages = history["messages"].as_array().unwrap().iter().map(|message| {
            let content = &message["content"];
            let text = content.as_str().or_else(|| content[0]["text"].as_str());
            (message["role"].as_str().unwrap().to_owned(), text.unwrap_or_default().to_owned())
        });
        Self { messages: messages.collect() }
    }

    /// The same of a session that is longer than what is had of one at once.
    pub(crate) async fn whole(gateway: &Gateway, tenant: &Tenant, session: &str) -> Self {
        let mut messages = Vec::new();
        loop {
            let page = Self::page(gateway, tenant, session, messages.len()).await;
            if page.messages.is_empty() {
                return Self { messages };
            }
            messages.splice(0..0, page.messages);
        }
    }

    /// Waits until there are so many messages.
    pub(crate) async fn until(
        gateway: &Gateway,
        tenant: &Tenant,
        session: &str,
        count: usize,
    ) -> Self {
        let started = Instant::now();
        loop {
            let seen = Self::of(gateway, tenant, session).await;
            if seen.messages.len() >= count {
                return seen;
            }
            assert!(started.elapsed() < PATIENCE, "{session} has less than {count}: {seen:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    pub(crate) fn count(&self, role: &str, text: &str) -> usize {
        self.messages.iter().filter(|(by, said)| by == role && said == text).count()
    }
}

/// Waits until nothing is kept for the tenant any more, and nothing was given up.
pub(crate) async fn settled(gateway: &Gateway, tenant: &Tenant) {
    let started = Instant::now();
    loop {
        let left = rpc(gateway, tenant, "inbox.list", json!({})).await;
        if left["events"].as_array().unwrap().is_empty() {
            return;
        }
        assert!(started.elapsed() < PATIENCE, "{left}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

pub(crate) async fn rpc(gateway: &Gateway, tenant: &Tenant, method: &str, params: Value) -> Value {
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
    let mut reply = gateway.client(tenant).post("/rpc", &body).await.json();
    assert!(reply["error"].is_null(), "{method}: {reply}");
    reply["result"].take()
}

/// A token that may call hooks and nothing else.
pub(crate) fn hook_token(gateway: &Gateway, tenant: &Tenant) -> String {
    let made =
        gateway.json(&["tokens", "create", &tenant.id, "--label", "hook", "--scope", "hooks"]);
    made["token"].as_str().unwrap().to_owned()
}

/// What the log says when workers are killed.
pub(crate) fn announce_kills(gateway: &Gateway) {
    for text in ["worker crashed", "tenant parked", "events wait for a worker"] {
        gateway.announce(text);
    }
}

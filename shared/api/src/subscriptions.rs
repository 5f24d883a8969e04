//! What a connection asks to be told. Only a connection can: `/rpc` has none.

use serde::{Deserialize, Serialize};
use types::AgentId;

/// The longest session key, in bytes.
pub const MAX_KEY: usize = 512;

/// Sessions that one window shows at most.
pub const MAX_VIEWED: usize = 32;

methods! { Supervisor;
    /// What a connection asks to be told.
    pub trait Subscriptions {
        /// Tells this connection of changes of every session.
        "sessions.subscribe" [Read] fn subscribe(SubscribeParams) -> Subscribed;
        /// Tells it no more.
        "sessions.unsubscribe" [Read] fn unsubscribe(SubscribeParams) -> Subscribed;
        /// Tells this connection of the messages of one session.
        "sessions.messages.subscribe" [Read] fn messages_subscribe(MessagesParams) -> Followed;
        /// Tells it no more.
        "sessions.messages.unsubscribe" [Read] fn messages_unsubscribe(UnfollowParams) -> Followed;
        /// Which sessions this connection shows.
        "sessions.viewers.set" [Read] fn viewers_set(ViewersParams) -> Viewed;
    }
}

/// Nothing to choose.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SubscribeParams {}

/// Whether the connection is told.
#[derive(Debug, Serialize)]
pub struct Subscribed {
    /// Whether it is.
    pub subscribed: bool,
}

/// Which session to follow.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct MessagesParams {
    /// The session key, 1 to 512 bytes.
    pub key: String,
    /// The agent of a key that names none.
    pub agent_id: Option<AgentId>,
    /// True where it is there. No effect: no approval of a session is kept.
    pub include_approvals: Option<bool>,
}

/// Which session not to follow any more.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct UnfollowParams {
    /// The session key, 1 to 512 bytes.
    pub key: String,
    /// The agent of a key that names none.
    pub agent_id: Option<AgentId>,
}

/// Whether the connection follows a session.
#[derive(Debug, Serialize)]
pub struct Followed {
    /// Whether it does.
    pub subscribed: bool,
    /// The session's full key.
    pub key: String,
}

/// What a window shows.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct ViewersParams {
    /// The agent of keys that name none.
    pub agent_id: Option<AgentId>,
    /// Session keys, at most 32, each 1 to 512 bytes.
    pub session_keys: Vec<String>,
}

/// What is known to be shown.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Viewed {
    /// Full session keys.
    pub session_keys: Vec<String>,
}

//! What stands in the first answer on a WebSocket, and the numbers that both sides must know.
//!
//! Frames themselves are read and written in the supervisor's `gateway`.

use serde::Serialize;

use crate::presence::PresenceEntry;

/// The protocol that is spoken, and the newest that there is.
pub const PROTOCOL: u32 = 4;

/// The oldest protocol that is spoken. Events of the newer one are supersets of its own.
pub const OLDEST_PROTOCOL: u32 = 3;

/// What the server can do beyond its methods: the official command line asks for models only from
/// a gateway that says so.
pub const CAPABILITIES: &[&str] = &["published-model-catalog"];

/// The answer to `connect`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HelloOk<'a> {
    /// Always `hello-ok`.
    pub r#type: &'static str,
    /// The protocol of this connection.
    pub protocol: u32,
    /// Who answers.
    pub server: Server<'a>,
    /// What there is to call and to hear.
    pub features: Features,
    /// The state of the tenant at this moment.
    pub snapshot: Snapshot,
    /// What the connection may do.
    pub auth: Granted<'a>,
    /// Bounds.
    pub policy: Policy,
}

/// Who answers.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Server<'a> {
    /// The gateway's version.
    pub version: &'a str,
    /// The connection's id.
    pub conn_id: &'a str,
}

/// What there is to call and to hear.
#[derive(Debug, Serialize)]
pub struct Features {
    /// The methods of the connection's role.
    pub methods: Vec<&'static str>,
    /// The events.
    pub events: Vec<&'static str>,
    /// See [`CAPABILITIES`].
    pub capabilities: &'static [&'static str],
}

/// The state of the tenant at the moment of the answer.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Snapshot {
    /// Who is there.
    pub presence: Vec<PresenceEntry>,
    /// Empty: the worker is not started for this.
    pub health: Empty,
    /// How often presence and health have changed.
    pub state_version: StateVersion,
    /// Milliseconds since the gateway started.
    pub uptime_ms: u64,
    /// Where a message goes that names no session.
    pub session_defaults: SessionDefaults,
}

/// `{}`.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct Empty {}

/// How often presence and health have changed.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct StateVersion {
    /// Changes of presence.
    pub presence: u64,
    /// Changes of health.
    pub health: u64,
}

/// Where a message goes that names no session.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SessionDefaults {
    /// The agent that every tenant has.
    pub default_agent_id: &'static str,
    /// The last word of its main session's key.
    pub main_key: &'static str,
    /// The key of its main session.
    pub main_session_key: &'static str,
    /// Who shares a session.
    pub scope: &'static str,
    /// Whether there is a model to talk to.
    pub model_configured: bool,
}

impl Default for SessionDefaults {
    fn default() -> Self {
        Self {
            default_agent_id: "main",
            main_key: "main",
            main_session_key: "agent:main:main",
            scope: "per-sender",
            model_configured: true,
        }
    }
}

/// What the connection may do.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Granted<'a> {
    /// `operator` or `node`.
    pub role: &'static str,
    /// Of the scopes that were asked for those that are given.
    pub scopes: Vec<String>,
    /// How the caller was known.
    pub method: &'static str,
    /// A new token of the device, told once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device_token: Option<&'a str>,
    /// When that was made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issued_at_ms: Option<u64>,
}

/// Bounds of a connection.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Policy {
    /// Bytes of one frame of the client.
    pub max_payload: usize,
    /// Bytes that wait for a client before it counts as too slow.
    pub max_buffered_bytes: usize,
    /// Milliseconds from one `tick` to the next.
    pub tick_interval_ms: u64,
    /// Bounds of what a message carries.
    pub attachments: Attachments,
}

/// Bounds of what a message carries.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Attachments {
    /// Bytes of all of one message, before they are encoded.
    pub max_bytes: usize,
    /// Bytes of one image.
    pub max_image_bytes: usize,
}

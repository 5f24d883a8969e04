//! Who is connected, and what the gateway says of itself: `system-presence`, `system-event`,
//! `gateway.identity.get`, `update.status`, `logs.tail`.

use serde::{Deserialize, Serialize};

use crate::wire::Empty;

/// Lines of one answer of `logs.tail` where none are asked for.
pub const LINES: u32 = 500;

/// Lines of one answer of `logs.tail` at most.
pub const MAX_LINES: u32 = 5000;

/// Bytes of one answer of `logs.tail` where none are asked for.
pub const BYTES: u32 = 250_000;

/// Bytes of one answer of `logs.tail` at most.
pub const MAX_BYTES: u32 = 1_000_000;

/// The longest text of a system event, in bytes.
pub const MAX_EVENT: usize = 4096;

methods! { Supervisor;
    /// Who is connected, and what the gateway says of itself.
    pub trait Presence {
        /// The tenant's connections.
        "system-presence" [Read] fn system_presence(NoParams) -> Vec<PresenceEntry>;
        /// A client says something of the machine that it runs on; the tenant's connections see it
        /// in the presence of that connection.
        "system-event" [Admin unrecorded] fn system_event(SystemEventParams) -> Done;
        /// A name and a key of this gateway, as this tenant sees it.
        "gateway.identity.get" [Read] fn gateway_identity(NoParams) -> Identity;
        /// Whether there is a newer version. A tenant never learns of one: the operator updates.
        "update.status" [Admin unrecorded] fn update_status(UpdateParams) -> UpdateStatus;
        /// The log of the tenant's own worker.
        "logs.tail" [Read] fn logs_tail(LogsParams) -> Logs;
    }
}

/// No parameters.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NoParams {}

/// One connection of the tenant.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PresenceEntry {
    /// What the client calls itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// Where it comes from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ip: Option<String>,
    /// The client's version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The system that it runs on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub platform: Option<String>,
    /// The kind of device.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device_family: Option<String>,
    /// The model of the device.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model_identifier: Option<String>,
    /// What kind of client.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<String>,
    /// Why the entry is there: `connect`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<&'static str>,
    /// A line for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// When it came, in milliseconds since the epoch.
    pub ts: u64,
    /// The device that proved itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device_id: Option<String>,
    /// `operator` or `node`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub roles: Vec<&'static str>,
    /// What it may do.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub scopes: Vec<&'static str>,
    /// Which installation of the client.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instance_id: Option<String>,
}

/// What a client says of the machine that it runs on. Official clients send more than the text;
/// what is not named here has no effect.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct SystemEventParams {
    /// 1 to 4096 bytes.
    pub text: String,
    /// No effect: the handshake has said it.
    pub device_id: Option<String>,
    /// No effect: the handshake has said it.
    pub instance_id: Option<String>,
    /// No effect: the handshake has said it.
    pub host: Option<String>,
    /// No effect: the connection's own address is shown.
    pub ip: Option<String>,
    /// No effect: the handshake has said it.
    pub mode: Option<String>,
    /// No effect: the handshake has said it.
    pub version: Option<String>,
    /// No effect: the handshake has said it.
    pub platform: Option<String>,
    /// No effect: the handshake has said it.
    pub device_family: Option<String>,
    /// No effect: the handshake has said it.
    pub model_identifier: Option<String>,
    /// No effect.
    pub last_input_seconds: Option<f64>,
    /// No effect.
    pub reason: Option<String>,
    /// No effect.
    pub roles: Option<Vec<String>>,
    /// No effect.
    pub scopes: Option<Vec<String>>,
    /// No effect.
    pub tags: Option<Vec<String>>,
}

/// It is done.
#[derive(Debug, Serialize)]
pub struct Done {
    /// Always true.
    pub ok: bool,
}

/// A name and a key of this gateway.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Identity {
    /// Lower-case hexadecimal SHA-256 of the key.
    pub device_id: String,
    /// 32 bytes in base64url.
    pub public_key: String,
}

/// What to look for.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct UpdateParams {
    /// No effect: there is no checkout.
    #[serde(default)]
    pub refresh_checkout: bool,
}

/// Nothing to be done by a tenant.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct UpdateStatus {
    /// Always null.
    pub sentinel: Option<Empty>,
    /// Always null.
    pub update_available: Option<Empty>,
}

/// Which part of the log.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct LogsParams {
    /// Where the last answer ended; the end of the log where there was none.
    pub cursor: Option<u64>,
    /// Lines, 1 to 5000; 500 if absent.
    pub limit: Option<u32>,
    /// Bytes, 1 to 1000000; 250000 if absent.
    pub max_bytes: Option<u32>,
}

/// A part of the log.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Logs {
    /// A name of the log; it is no path.
    pub file: &'static str,
    /// Where to go on.
    pub cursor: u64,
    /// Bytes that were ever written.
    pub size: u64,
    /// Oldest first.
    pub lines: Vec<String>,
    /// Whether lines before these were left out.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub truncated: bool,
    /// Whether the cursor was not of this log.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub reset: bool,
    /// Bytes after the cursor that were left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub skipped_bytes: Option<u64>,
}

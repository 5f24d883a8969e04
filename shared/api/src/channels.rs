//! `channels.*`: the chat networks of the tenant. None is connected yet, and that is the answer.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

methods! { Supervisor;
    /// The tenant's chat networks.
    pub trait Channels {
        /// Which there are, and how they are.
        "channels.status" [Read] fn channels_status(StatusParams) -> Status;
        /// Connects one.
        "channels.start" [Admin] fn channels_start(ChannelParams) -> Never;
        /// Disconnects one.
        "channels.stop" [Admin] fn channels_stop(ChannelParams) -> Never;
        /// Disconnects one, and forgets its account.
        "channels.logout" [Admin] fn channels_logout(ChannelParams) -> Never;
        /// Who asks to be let in.
        "channels.pairing.list" [Pairing unrecorded] fn channels_pairing_list(PairingParams) -> Pairing;
    }
}

/// Of which channels.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct StatusParams {
    /// Whether they are asked themselves; no effect without a channel.
    pub probe: Option<bool>,
    /// How long that may take, in milliseconds; no effect without a channel.
    pub timeout_ms: Option<u64>,
    /// One channel alone.
    pub channel: Option<String>,
}

/// Which channels there are: the shape of `OpenClaw`, with nothing in it.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// Milliseconds since the epoch.
    pub ts: u64,
    /// In the order of user interfaces.
    pub channel_order: Vec<String>,
    /// For people.
    pub channel_labels: BTreeMap<String, String>,
    /// For people.
    pub channel_detail_labels: BTreeMap<String, String>,
    /// For user interfaces.
    pub channel_system_images: BTreeMap<String, String>,
    /// For user interfaces.
    pub channel_meta: Vec<Value>,
    /// By channel.
    pub channels: BTreeMap<String, Value>,
    /// By channel.
    pub channel_accounts: BTreeMap<String, Vec<Value>>,
    /// By channel.
    pub channel_default_account_id: BTreeMap<String, String>,
}

/// Which channel.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ChannelParams {
    /// Its name.
    pub channel: String,
    /// Which account of it.
    pub account_id: Option<String>,
}

/// There is no channel to which it could be done.
#[derive(Debug, Serialize)]
pub enum Never {}

/// Of which channels.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PairingParams {
    /// One channel alone.
    pub channel: Option<String>,
    /// One account alone.
    pub account_id: Option<String>,
}

/// Who asks to be let in: nobody.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Pairing {
    /// Accounts that could be written to.
    pub accounts: Vec<Value>,
    /// Who asks.
    pub requests: Vec<Value>,
    /// Whether somebody may command the agent from a channel.
    pub command_owner_configured: bool,
    /// Bounds.
    pub limits: PairingLimits,
}

/// Bounds of requests.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PairingLimits {
    /// Requests that wait, for each account.
    pub pending_per_account: u32,
    /// How long one waits, in milliseconds.
    pub ttl_ms: u64,
}

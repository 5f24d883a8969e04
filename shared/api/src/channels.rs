//! `channels.*`: the accounts that the tenant has at chat networks, and who may write to them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use types::{AgentId, Secret};

methods! { Supervisor;
    /// The tenant's chat networks.
    pub trait Channels {
        /// Which there are, and how they are.
        "channels.status" [Read] fn channels_status(StatusParams) -> Status;
        /// The accounts, one by one.
        "channels.list" [Read] fn channels_list(ListParams) -> Accounts;
        /// Makes an account and connects it.
        "channels.add" [Admin] fn channels_add(AddParams) -> Added;
        /// Connects an account.
        "channels.start" [Admin] fn channels_start(ChannelParams) -> Done;
        /// Disconnects an account.
        "channels.stop" [Admin] fn channels_stop(ChannelParams) -> Done;
        /// Disconnects an account, and forgets its credentials.
        "channels.logout" [Admin] fn channels_logout(ChannelParams) -> Done;
        /// Removes an account with everybody who was let in.
        "channels.remove" [Admin] fn channels_remove(ChannelParams) -> Removed;
        /// Asks the network whether it knows the account.
        "channels.test" [Admin] fn channels_test(ChannelParams) -> Tested;
        /// Makes a code that lets in whoever sends it.
        "channels.pair" [Pairing] fn channels_pair(PairParams) -> Code;
        /// Lets in whoever was told a code.
        "channels.approve" [Pairing] fn channels_approve(ApproveParams) -> Approved;
        /// Who asks to be let in.
        "channels.pairing.list" [Pairing unrecorded] fn channels_pairing_list(PairingParams) -> Pairing;
    }
}

/// The name of an account where none is given.
pub const DEFAULT_ACCOUNT: &str = "default";

/// Of which channels.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct StatusParams {
    /// Whether the networks are asked themselves.
    pub probe: Option<bool>,
    /// How long that may take, in milliseconds; no effect: a call has its own bound.
    pub timeout_ms: Option<u64>,
    /// One channel alone.
    pub channel: Option<String>,
}

/// Which channels there are, in the shape of `OpenClaw`.
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

/// No parameters.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListParams {}

/// Accounts.
#[derive(Debug, Serialize)]
pub struct Accounts {
    /// The tenant's own.
    pub accounts: Vec<Account>,
}

/// One account, without a credential.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Account {
    /// Its id.
    pub id: String,
    /// The network.
    pub channel: String,
    /// What people call it.
    pub account: String,
    /// `connected`, `failing`, `stopped` or `shut`.
    pub state: &'static str,
    /// `ok`, `refused` or `missing`.
    pub credential: &'static str,
    /// How its events come in.
    pub way: String,
    /// What the network calls it.
    pub vendor_id: Option<String>,
    /// The name of the user that it is there.
    pub user_name: Option<String>,
    /// Who may write to it alone.
    pub dm_policy: String,
    /// Who may among others.
    pub group_policy: String,
    /// Why nothing is sent over it.
    pub shut: Option<String>,
    /// When something last came over it, in milliseconds since the epoch, since the gateway started.
    pub last_inbound_at: Option<u64>,
    /// When something was last sent over it.
    pub last_outbound_at: Option<u64>,
    /// How long ago it was written how far it has been read, in milliseconds, where one asks.
    pub cursor_age_ms: Option<u64>,
    /// Events that could not be read or kept, ever, since the gateway started.
    pub lost: u64,
    /// What last went wrong.
    pub last_error: Option<String>,
    /// When it was made, in milliseconds since the epoch.
    pub created_at: u64,
}

/// An account to be made.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AddParams {
    /// The network.
    pub channel: String,
    /// What people call it; `default` if absent.
    pub account_id: Option<String>,
    /// What the network is called with.
    pub secret: Option<Secret>,
    /// What proves requests from the network.
    pub inbound_secret: Option<Secret>,
    /// What a socket is opened with, where that is another.
    pub socket_secret: Option<Secret>,
    /// `poll`, `webhook`, `socket` or `page`.
    pub way: Option<String>,
    /// The address of the server, where every account has its own.
    pub server: Option<String>,
    /// What the network's events call the account, where the network does not say.
    pub vendor_id: Option<String>,
    /// `pairing`, `allowlist`, `open` or `disabled`.
    pub dm_policy: Option<String>,
    /// `allowlist`, `open` or `disabled`.
    pub group_policy: Option<String>,
    /// Ids of senders that may write.
    #[serde(default)]
    pub allow_from: Vec<String>,
    /// Ids of conversations of more in which one may.
    #[serde(default)]
    pub groups: Vec<String>,
    /// Whether one is to be named there.
    pub require_mention: Option<bool>,
    /// The agent that answers.
    pub agent_id: Option<AgentId>,
    /// Events that are taken in a minute.
    pub per_minute: Option<u32>,
    /// Origins of sites that may have the account's page in theirs.
    #[serde(default)]
    pub origins: Vec<String>,
    /// Whether only visitors may write there for whom such a site has signed.
    #[serde(default)]
    pub signed_only: bool,
}

/// An account that was made.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Added {
    /// The account.
    #[serde(flatten)]
    pub account: Account,
    /// Where its events may come in, or its page is, below the gateway's address: shown this once.
    pub path: Option<String>,
    /// What was made here to prove requests, or visitors, by: shown this once.
    pub webhook_secret: Option<String>,
}

/// Which account.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ChannelParams {
    /// The network.
    pub channel: String,
    /// Which account of it; `default` if absent.
    pub account_id: Option<String>,
}

/// What was done with an account.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Done {
    /// The network.
    pub channel: String,
    /// The account.
    pub account_id: String,
    /// Whether it is connected now.
    pub started: bool,
    /// Whether it has no credential any more.
    pub logged_out: bool,
}

/// An account that is no more.
#[derive(Debug, Serialize)]
pub struct Removed {
    /// Always true.
    pub removed: bool,
}

/// What the network says of an account.
#[derive(Debug, Serialize)]
pub struct Tested {
    /// Whether it knows it.
    pub ok: bool,
    /// What it says.
    pub detail: String,
}

/// Which code.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PairParams {
    /// The network.
    pub channel: String,
    /// Which account of it, the tenant's or one that all share; `default` if absent.
    pub account_id: Option<String>,
    /// Whether it binds the conversation in which it is sent, and not who sends it.
    #[serde(default)]
    pub group: bool,
    /// The agent that answers whoever is bound by it.
    pub agent_id: Option<AgentId>,
}

/// A code.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Code {
    /// What is to be sent to the account: shown this once.
    pub code: String,
    /// Where one sends it, where that can be told by an address.
    pub link: Option<String>,
    /// Until when it is good, in milliseconds since the epoch.
    pub expires_at: u64,
}

/// Which request.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ApproveParams {
    /// The network.
    pub channel: String,
    /// The code that the stranger was told.
    pub code: String,
}

/// Who was let in.
#[derive(Debug, Serialize)]
pub struct Approved {
    /// The network.
    pub channel: String,
    /// Who, by an id of the network's.
    pub id: String,
}

/// Of which channels.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PairingParams {
    /// One channel alone.
    pub channel: Option<String>,
    /// One account alone.
    pub account_id: Option<String>,
}

/// Who asks to be let in.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Pairing {
    /// Accounts that can be written to.
    pub accounts: Vec<Value>,
    /// Who asks, oldest first. Their codes are known to themselves.
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
    /// Requests that wait, for each account: where one more comes the oldest goes.
    pub pending_per_account: usize,
    /// How long one waits, in milliseconds.
    pub ttl_ms: u64,
}

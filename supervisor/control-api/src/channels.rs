//! Accounts at chat networks: a tenant's, or those that all tenants share.

use std::fmt;

use serde::{Deserialize, Serialize};
use types::{AgentId, TenantId};
use utoipa::{IntoParams, ToSchema};

use crate::{Timestamp, schema};

/// The name of an account where none is given.
pub const DEFAULT_ACCOUNT: &str = "default";

/// The account of a tenant that the path names.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
#[serde(deny_unknown_fields)]
pub struct ChannelPath {
    /// The tenant's id.
    #[param(schema_with = schema::tenant_id)]
    pub id: TenantId,
    /// The network.
    pub channel: String,
    /// The account's name.
    pub account: String,
}

/// The account of all tenants that the path names.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
#[serde(deny_unknown_fields)]
pub struct SharedChannelPath {
    /// The network.
    pub channel: String,
    /// The account's name.
    pub account: String,
}

/// An account to make.
#[derive(Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AddChannel {
    /// The network.
    pub channel: String,
    /// What people call it; `default` if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// What the network is called with; made for `webhook` and `webchat` if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
    /// What proves requests from the network: a signing secret or a public key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inbound_secret: Option<String>,
    /// What a socket is opened with, where that is another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub socket_secret: Option<String>,
    /// `poll`, `webhook`, `socket` or `page`; the network's first if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub way: Option<String>,
    /// The address of the server, where every account has its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<String>,
    /// What the network's events call the account, where the network does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vendor_id: Option<String>,
    /// `pairing`, `allowlist`, `open` or `disabled`; `pairing` if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dm_policy: Option<String>,
    /// `allowlist`, `open` or `disabled`; `allowlist` if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group_policy: Option<String>,
    /// Ids of senders that may write.
    #[serde(default)]
    pub allow_from: Vec<String>,
    /// Ids of conversations of more in which one may.
    #[serde(default)]
    pub groups: Vec<String>,
    /// Whether one is to be named there; true if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub require_mention: Option<bool>,
    /// The agent that answers; the tenant's first if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub agent: Option<AgentId>,
    /// Events that are taken in a minute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per_minute: Option<u32>,
    /// Origins of sites that may have the account's page in theirs; for `webchat` alone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub origins: Vec<String>,
    /// Whether only visitors may write on that page for whom such a site has signed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub signed_only: bool,
}

/// One account, without a credential.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Channel {
    /// Its id.
    pub id: String,
    /// Whose it is; null where all tenants share it.
    #[schema(value_type = Option<String>)]
    pub tenant: Option<TenantId>,
    /// The network.
    pub channel: String,
    /// What people call it.
    pub account: String,
    /// `connected`, `failing`, `stopped` or `shut`.
    pub state: String,
    /// `ok`, `refused` or `missing`.
    pub credential: String,
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
    /// Why nothing is sent over it; null where that is not so.
    pub shut: Option<String>,
    /// When something last came over it since the gateway started.
    pub last_inbound_at: Option<Timestamp>,
    /// When something was last sent over it.
    pub last_outbound_at: Option<Timestamp>,
    /// How long ago it was written how far it has been read, in milliseconds, where one asks.
    pub cursor_age_ms: Option<u64>,
    /// Events that could not be read or kept, ever.
    pub lost: u64,
    /// What last went wrong.
    pub last_error: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
}

/// An account that was made.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AddedChannel {
    /// The account.
    #[serde(flatten)]
    pub account: Channel,
    /// Where its events may come in, or its page is, below the gateway's address. It is shown this once.
    pub path: Option<String>,
    /// What was made to prove requests, or visitors, by. It is shown this once.
    pub webhook_secret: Option<String>,
}

/// Accounts.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ChannelList {
    /// By network and age.
    pub channels: Vec<Channel>,
}

/// What the network says of an account.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ChannelTest {
    /// Whether it knows it.
    pub ok: bool,
    /// What it says.
    pub detail: String,
}

/// A code to make.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PairChannel {
    /// Whether it binds the conversation in which it is sent, and not who sends it.
    #[serde(default)]
    pub group: bool,
    /// The agent that answers whoever is bound by it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub agent: Option<AgentId>,
}

/// A code that was made.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ChannelCode {
    /// What is to be sent to the account. It is shown this once.
    pub code: String,
    /// Where one sends it, where that can be told by an address.
    pub link: Option<String>,
    /// Until when it is good.
    pub expires_at: Timestamp,
}

/// Which request.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ApproveChannel {
    /// The network.
    pub channel: String,
    /// The code that the stranger was told.
    pub code: String,
}

/// Who was let in.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ApprovedChannel {
    /// The network.
    pub channel: String,
    /// Who, by an id of the network's.
    pub id: String,
}

/// Strangers who wait.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ChannelRequests {
    /// Oldest first. Their codes are known to themselves.
    pub requests: Vec<ChannelRequest>,
}

/// A stranger who waits.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ChannelRequest {
    /// At which network.
    pub channel: String,
    /// At which account.
    pub account: String,
    /// Who, by an id of the network's.
    pub id: String,
    /// Since when.
    pub created_at: Timestamp,
    /// Until when.
    pub expires_at: Timestamp,
}

impl fmt::Debug for AddChannel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AddChannel").field("channel", &self.channel).finish_non_exhaustive()
    }
}

impl fmt::Debug for AddedChannel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AddedChannel").field("account", &self.account.id).finish_non_exhaustive()
    }
}

impl fmt::Debug for ChannelCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChannelCode").field("link", &self.link.is_some()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_typed_is_what_is_taken_and_no_secret_is_shown() {
        let text = r#"{"channel":"telegram","secret":"12:ab","allowFrom":[],"groups":[]}"#;
        let add: AddChannel = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&add).unwrap(), text);
        assert!(!format!("{add:?}").contains("12:ab"));
        serde_json::from_str::<AddChannel>(r#"{"channel":"x","token":"y"}"#).unwrap_err();
    }
}

//! What of a tenant's records goes into a backup, and what may come back out of one: a row of a table
//! known by name, in the form that it has here, and nothing else.
//!
//! Sealed secrets are not among them: whoever holds the keys opens and seals them.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use types::{Limits, TenantId, UnixMillis};

use crate::documents::Stored;
use crate::nodes::{NodeQueueRow, NodeRequestRow, NodeRow, TriggersRow};
use crate::store::{MAX_KEY, MAX_VALUE};
use crate::{
    AccountRow, DeviceRequestRow, DeviceRow, Document, Error, PeerRow, Records, TimerRow, TokenRow,
    approvals, channels, devices, json, nodes, overlays, timers, tokens,
};

/// The longest row of a backup as text, in bytes: a text of a tenant whose every character is escaped.
pub const MAX_PORTABLE: usize = 2 << 20;

/// Rows of one tenant: several times what its tables may hold together.
pub const MAX_PORTABLES: usize = 1 << 13;

/// One record of a tenant. Whose it is stands in the backup, and where it is written is decided by
/// whoever writes it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "table", content = "row", rename_all = "kebab-case")]
pub enum Portable {
    /// What the operator has granted.
    Granted(Granted),
    /// A token, by its digest.
    Token(TokenRow),
    /// A paired device.
    Device(DeviceRow),
    /// A device that waits.
    DeviceRequest(DeviceRequestRow),
    /// An approved node.
    Node(NodeRow),
    /// A node that waits.
    NodeRequest(NodeRequestRow),
    /// What waits for a node.
    NodeQueue(Queue),
    /// The words that wake nodes.
    Triggers(TriggersRow),
    /// What the tenant has set.
    Overlay(Text),
    /// What its agents may run.
    Approvals(Text),
    /// When its worker is to be woken.
    Timer(TimerRow),
    /// An account of a chat network.
    Channel(AccountRow),
    /// Who is bound to it there.
    Peer(PeerRow),
}

/// What the operator has granted a tenant.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Granted {
    /// What it may use.
    #[serde(with = "crate::json::limits")]
    pub limits: Limits,
    /// What it may reach, as text.
    pub egress: Vec<String>,
}

/// A text of a tenant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Text {
    /// As it was written.
    pub raw: String,
    /// What names this state of it.
    pub hash: String,
    /// When it was written.
    pub updated_at: UnixMillis,
}

/// What waits for one node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Queue {
    /// The node.
    pub node: String,
    /// What waits.
    pub queue: NodeQueueRow,
}

impl From<Document> for Text {
    fn from(it: Document) -> Self {
        Self { raw: it.raw, hash: it.hash, updated_at: it.updated_at }
    }
}

impl Portable {
    /// Reads a row. What this version would drop of it is refused.
    ///
    /// # Errors
    /// When it is no row of a table that is known here, or says more than this version knows.
    pub fn parse(text: &[u8]) -> Result<Self, Error> {
        let unreadable = |source| Error::Row { key: "a record of a backup".to_owned(), source };
        if text.len() > MAX_PORTABLE {
            return Err(Error::TooLarge { what: "a record of a backup", max: MAX_PORTABLE });
        }
        let given: Value = serde_json::from_slice(text).map_err(unreadable)?;
        let read = Self::deserialize(&given).map_err(unreadable)?;
        let ours = serde_json::to_value(&read).map_err(unreadable)?;
        if !within(&given, &ours) {
            let what = "a record of a backup".to_owned();
            return Err(Error::Newer { what, found: json::VERSION + 1, known: json::VERSION });
        }
        Ok(read)
    }

    /// Whether it gives anybody authority. Such rows of a tenant that is there stay as they are: what
    /// was taken away since the backup is not given back.
    pub const fn is_authority(&self) -> bool {
        match self {
            Self::Granted(_)
            | Self::Token(_)
            | Self::Device(_)
            | Self::DeviceRequest(_)
            | Self::Node(_)
            | Self::NodeRequest(_)
            | Self::NodeQueue(_)
            | Self::Channel(_)
            | Self::Peer(_)
            | Self::Approvals(_) => true,
            Self::Triggers(_) | Self::Overlay(_) | Self::Timer(_) => false,
        }
    }

    /// Whether it holds for one name of a tenant only: tokens say the name, and devices hold tokens.
    pub const fn is_of_name(&self) -> bool {
        match self {
            Self::Token(_)
            | Self::Device(_)
            | Self::DeviceRequest(_)
            | Self::Node(_)
            | Self::NodeRequest(_)
            | Self::Channel(_)
            | Self::Peer(_)
            | Self::NodeQueue(_) => true,
            Self::Granted(_)
            | Self::Triggers(_)
            | Self::Overlay(_)
            | Self::Approvals(_)
            | Self::Timer(_) => false,
        }
    }

    /// Where and how it is stored for `tenant`; nothing for what is part of the tenant's own row.
    pub(crate) fn stored(self, tenant: &TenantId) -> Result<Vec<Stored>, Error> {
        let rows = match self {
            Self::Granted(_) => Vec::new(),
            Self::Token(row) => {
                let row = TokenRow { tenant: tenant.clone(), ..row };
                one(tokens::key(tenant, &row.id), &row)?
            }
            Self::Device(row) => one(devices::key(tenant, &row.id), &row)?,
            Self::DeviceRequest(row) => one(devices::request_key(tenant, &row.id), &row)?,
            Self::Node(row) => one(nodes::key(tenant, &row.id), &row)?,
            Self::NodeRequest(row) => one(nodes::request_key(tenant, &row.id), &row)?,
            Self::NodeQueue(it) => one(nodes::queue_key(tenant, &it.node), &it.queue)?,
            Self::Triggers(row) => one(nodes::triggers_key(tenant), &row)?,
            Self::Overlay(text) => overlays::TABLE.rows(tenant, &text.into())?,
            Self::Approvals(text) => approvals::TABLE.rows(tenant, &text.into())?,
            Self::Channel(row) => {
                let row = AccountRow { owner: Some(tenant.clone()), ..row };
                one(channels::account_key(tenant, &row.id), &row)?
            }
            Self::Peer(row) => one(channels::peer_key(tenant, &row), &row)?,
            Self::Timer(row) => {
                one(timers::key(tenant), &TimerRow { tenant: tenant.clone(), ..row })?
            }
        };
        let fits = |(key, value): &Stored| {
            let plain = key.bytes().all(|it| it.is_ascii_graphic());
            plain && key.len() <= MAX_KEY && value.len() <= MAX_VALUE
        };
        if !rows.iter().all(fits) {
            return Err(Error::TooLarge { what: "a record of a backup", max: MAX_VALUE });
        }
        Ok(rows)
    }
}

impl From<Text> for Document {
    fn from(it: Text) -> Self {
        Self { raw: it.raw, hash: it.hash, updated_at: it.updated_at }
    }
}

fn one<T: Serialize>(key: String, row: &T) -> Result<Vec<Stored>, Error> {
    Ok(vec![(key, json::encode(row, None)?)])
}

/// Whether every field of `given` is one of `ours`.
fn within(given: &Value, ours: &Value) -> bool {
    match (given, ours) {
        (Value::Object(given), Value::Object(ours)) => {
            let known = |(name, value): (&String, &Value)| {
                ours.get(name).is_some_and(|ours| within(value, ours))
            };
            given.iter().all(known)
        }
        (Value::Array(given), Value::Array(ours)) => {
            given.len() == ours.len() && given.iter().zip(ours).all(|(a, b)| within(a, b))
        }
        (given, ours) => given == ours,
    }
}

impl Records {
    /// Everything of a tenant that goes into a backup.
    ///
    /// # Errors
    /// When there is no such tenant, or there is more than a backup may hold.
    pub async fn portable(&self, tenant: &TenantId) -> Result<Vec<Portable>, Error> {
        let row = self.tenant(tenant).await?.ok_or(Error::NotFound)?;
        let granted = Granted { limits: row.limits, egress: row.egress };
        let mut all = vec![Portable::Granted(granted)];
        all.extend(self.portable_tokens(tenant).await?);
        all.extend(self.devices(tenant).await?.into_iter().map(Portable::Device));
        all.extend(self.device_requests(tenant).await?.into_iter().map(Portable::DeviceRequest));
        for row in self.nodes(tenant).await? {
            let queue = self.node_queue(tenant, &row.id).await?;
            if queue != NodeQueueRow::default() {
                all.push(Portable::NodeQueue(Queue { node: row.id.clone(), queue }));
            }
            all.push(Portable::Node(row));
        }
        all.extend(self.node_requests(tenant).await?.into_iter().map(Portable::NodeRequest));
        all.extend(self.triggers(tenant).await?.map(Portable::Triggers));
        all.extend(self.overlay(tenant).await?.map(Text::from).map(Portable::Overlay));
        all.extend(self.approvals(tenant).await?.map(Text::from).map(Portable::Approvals));
        all.extend(self.portable_channels(tenant).await?);
        all.extend(self.timer(tenant).await?.map(Portable::Timer));
        if all.len() > MAX_PORTABLES {
            return Err(Error::TooLarge { what: "the records of a tenant", max: MAX_PORTABLES });
        }
        Ok(all)
    }

    async fn portable_tokens(&self, tenant: &TenantId) -> Result<Vec<Portable>, Error> {
        let tokens = self.every(&tokens::prefix(tenant)).await?;
        let of_devices = self.every(&tokens::device_prefix(tenant)).await?;
        Ok(tokens.into_iter().chain(of_devices).map(Portable::Token).collect())
    }

    async fn portable_channels(&self, tenant: &TenantId) -> Result<Vec<Portable>, Error> {
        let accounts = self.accounts(Some(tenant)).await?.into_iter().map(Portable::Channel);
        let peers = self.peers(tenant, None).await?.into_iter().map(Portable::Peer);
        Ok(accounts.chain(peers).collect())
    }
}

#[cfg(test)]
mod tests;

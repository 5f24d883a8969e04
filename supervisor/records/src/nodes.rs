//! The tables of nodes, of nodes that wait for approval, and of the voice triggers that nodes listen
//! for. Who may pair, and what a node may be asked, is not decided here.

use serde::{Deserialize, Serialize};
use types::{TenantId, UnixMillis};

use crate::pairing::{Over, Put};
use crate::{Error, Records, pairing};

/// Nodes of one tenant: people have few, and each is listed at once.
pub const MAX_NODES: usize = 256;

/// Requests of one tenant that wait for approval at once.
const MAX_REQUESTS: usize = 64;

const NODES: &str = "node/";
const REQUESTS: &str = "node-request/";
const QUEUES: &str = "node-pending/";
const TRIGGERS: &str = "voicewake/";

/// The one row of a tenant's triggers.
const TRIGGERS_ID: &str = "triggers";

/// What a node says of itself and can do.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NodeSelf {
    /// What people call it.
    pub display_name: Option<String>,
    /// What it runs on.
    pub platform: Option<String>,
    /// Version of the client.
    pub version: Option<String>,
    /// Version of the client's core.
    pub core_version: Option<String>,
    /// Version of the client's surface.
    pub ui_version: Option<String>,
    /// The kind of device.
    pub device_family: Option<String>,
    /// The model of the device.
    pub model_identifier: Option<String>,
    /// Which client it is.
    pub client_id: Option<String>,
    /// How the client runs.
    pub client_mode: Option<String>,
    /// Where it last came from.
    pub remote_ip: Option<String>,
    /// What kinds of things it can do, sorted.
    pub caps: Vec<String>,
    /// What it can be asked, sorted.
    pub commands: Vec<String>,
    /// What its user has let it do, sorted by name.
    pub permissions: Vec<(String, bool)>,
}

/// One approved node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NodeRow {
    /// The id of its device, or what it calls itself.
    pub id: String,
    /// What an operator calls it, over what it calls itself.
    pub label: Option<String>,
    /// What was approved.
    pub about: NodeSelf,
    /// SHA-256 of its token, for `node.pair.verify`.
    #[serde(with = "crate::json::digest")]
    pub digest: [u8; 32],
    /// When it was first approved.
    pub created_at: UnixMillis,
    /// When it was last approved.
    pub approved_at: UnixMillis,
}

/// A node that waits for approval, or for approval of more than it has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NodeRequestRow {
    /// A UUID.
    pub id: String,
    /// The node.
    pub node: String,
    /// What it wants to be approved as.
    pub about: NodeSelf,
    /// Whether it is paired already, for less.
    pub repair: bool,
    /// Whether the client asked not to bother anybody.
    pub silent: bool,
    /// When it first asked.
    pub created_at: UnixMillis,
    /// When the request is forgotten, unless the node is connected.
    pub expires_at: UnixMillis,
}

/// What waits for a node until it asks for it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NodeQueueRow {
    /// Grows with every change.
    pub revision: u64,
    /// Oldest first.
    pub items: Vec<NodeQueueItem>,
}

/// One thing that waits for a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NodeQueueItem {
    /// A UUID.
    pub id: String,
    /// `status.request` or `location.request`.
    pub kind: String,
    /// `normal` or `high`.
    pub priority: String,
    /// When it came.
    pub created_at: UnixMillis,
    /// When it is forgotten.
    pub expires_at: Option<UnixMillis>,
}

/// The words that wake a tenant's nodes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TriggersRow {
    /// The words.
    pub triggers: Vec<String>,
    /// When they were set.
    pub updated_at: UnixMillis,
}

/// Where one node is.
pub(crate) fn key(tenant: &TenantId, id: &str) -> String {
    format!("{}{id}", pairing::prefix(NODES, tenant))
}

/// Where one request is.
pub(crate) fn request_key(tenant: &TenantId, id: &str) -> String {
    format!("{}{id}", pairing::prefix(REQUESTS, tenant))
}

/// Where it is what waits for one node.
pub(crate) fn queue_key(tenant: &TenantId, id: &str) -> String {
    format!("{}{id}", pairing::prefix(QUEUES, tenant))
}

/// Where a tenant's triggers are.
pub(crate) fn triggers_key(tenant: &TenantId) -> String {
    format!("{}{TRIGGERS_ID}", pairing::prefix(TRIGGERS, tenant))
}

/// Where everything of a tenant's nodes is, for its deletion.
pub(crate) fn prefixes(tenant: &TenantId) -> [String; 4] {
    [NODES, REQUESTS, QUEUES, TRIGGERS].map(|table| pairing::prefix(table, tenant))
}

impl Records {
    /// The tenant's approved nodes, by id.
    pub async fn nodes(&self, tenant: &TenantId) -> Result<Vec<NodeRow>, Error> {
        self.every(&pairing::prefix(NODES, tenant)).await
    }

    /// One approved node.
    pub async fn node(&self, tenant: &TenantId, id: &str) -> Result<Option<NodeRow>, Error> {
        self.row_of(NODES, tenant, id).await
    }

    /// Writes a node over `read`, as it was read; a request that it answers goes with it. False, and
    /// nothing is done, where the node is another by now or the request is gone.
    ///
    /// # Errors
    /// [`Error::TooLarge`] when there are as many nodes as there may be.
    pub async fn put_node(
        &self,
        tenant: &TenantId,
        read: Option<&NodeRow>,
        row: &NodeRow,
        answers: Option<&str>,
    ) -> Result<bool, Error> {
        let table = pairing::Table { name: NODES, what: "the list of nodes", max: MAX_NODES };
        let answered = answers.map(|request| (REQUESTS, request));
        let put = Put { id: &row.id, row, over: Over::Read(read), answered };
        self.put_over(tenant, &table, put).await
    }

    /// Removes a node.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is none.
    pub async fn delete_node(&self, tenant: &TenantId, id: &str) -> Result<(), Error> {
        self.delete_of(NODES, tenant, id).await
    }

    /// The requests that wait, also those that have expired.
    pub async fn node_requests(&self, tenant: &TenantId) -> Result<Vec<NodeRequestRow>, Error> {
        self.every(&pairing::prefix(REQUESTS, tenant)).await
    }

    /// Writes a request.
    ///
    /// # Errors
    /// [`Error::TooLarge`] when as many wait as may.
    pub async fn put_node_request(
        &self,
        tenant: &TenantId,
        row: &NodeRequestRow,
    ) -> Result<(), Error> {
        let table =
            pairing::Table { name: REQUESTS, what: "the list of requests", max: MAX_REQUESTS };
        self.put_of(tenant, &table, &row.id, row).await
    }

    /// Removes a request.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is none.
    pub async fn delete_node_request(&self, tenant: &TenantId, id: &str) -> Result<(), Error> {
        self.delete_of(REQUESTS, tenant, id).await
    }

    /// What waits for a node.
    pub async fn node_queue(&self, tenant: &TenantId, id: &str) -> Result<NodeQueueRow, Error> {
        Ok(self.row_of(QUEUES, tenant, id).await?.unwrap_or_default())
    }

    /// Writes what waits for a node.
    ///
    /// # Errors
    /// [`Error::TooLarge`] when there are as many queues as there may be.
    pub async fn put_node_queue(
        &self,
        tenant: &TenantId,
        id: &str,
        row: &NodeQueueRow,
    ) -> Result<(), Error> {
        let table = pairing::Table { name: QUEUES, what: "the list of queues", max: MAX_NODES };
        self.put_of(tenant, &table, id, row).await
    }

    /// Removes what waits for a node that is gone.
    pub async fn delete_node_queue(&self, tenant: &TenantId, id: &str) -> Result<(), Error> {
        match self.delete_of(QUEUES, tenant, id).await {
            Err(Error::NotFound) => Ok(()),
            done => done,
        }
    }

    /// The tenant's triggers, where it has set some.
    pub async fn triggers(&self, tenant: &TenantId) -> Result<Option<TriggersRow>, Error> {
        self.row_of(TRIGGERS, tenant, TRIGGERS_ID).await
    }

    /// Sets the tenant's triggers.
    pub async fn put_triggers(&self, tenant: &TenantId, row: &TriggersRow) -> Result<(), Error> {
        let table = pairing::Table { name: TRIGGERS, what: "the list of triggers", max: 1 };
        self.put_of(tenant, &table, TRIGGERS_ID, row).await
    }
}

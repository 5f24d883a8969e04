//! What `node.*` methods give.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::{NodeSkill, PluginTool};

/// A tenant's nodes as pairing sees them.
#[derive(Debug, Serialize)]
pub struct NodePairList {
    /// Those that wait, newest first.
    pub pending: Vec<PendingNode>,
    /// Those that are approved, newest first.
    pub paired: Vec<PairedNode>,
}

/// What a node says of itself.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NodeFacts {
    /// What it is called.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// What it runs on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub platform: Option<String>,
    /// Version of the client.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Version of its core.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub core_version: Option<String>,
    /// Version of its surface.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ui_version: Option<String>,
    /// The kind of device.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device_family: Option<String>,
    /// The model of the device.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model_identifier: Option<String>,
    /// Which client.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    /// How the client runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_mode: Option<String>,
    /// Where it comes from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remote_ip: Option<String>,
    /// What kinds of things it can do.
    pub caps: Vec<String>,
    /// What it can be asked.
    pub commands: Vec<String>,
    /// What its user has let it do.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub permissions: BTreeMap<String, bool>,
}

/// A node that waits; also the payload of `node.pair.requested`.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PendingNode {
    /// The request's id.
    pub request_id: String,
    /// The node's id.
    pub node_id: String,
    /// What it says of itself.
    #[serde(flatten)]
    pub facts: NodeFacts,
    /// What a caller must have to approve it.
    pub required_approve_scopes: Vec<String>,
    /// Asks clients not to bother anybody.
    pub silent: bool,
    /// Whether it is paired already, for less.
    pub is_repair: bool,
    /// When it asked, in milliseconds since the epoch.
    pub ts: u64,
}

/// An approved node. Its token is shown once, in the answer to its approval.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PairedNode {
    /// The node's id.
    pub node_id: String,
    /// What was approved.
    #[serde(flatten)]
    pub facts: NodeFacts,
    /// Its token, in the answer to its approval only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// Milliseconds since the epoch.
    pub created_at_ms: u64,
    /// Milliseconds since the epoch.
    pub approved_at_ms: u64,
}

/// A request that was made.
#[derive(Debug, Serialize)]
pub struct PairRequested {
    /// `pending`.
    pub status: &'static str,
    /// The request.
    pub request: PendingNode,
    /// Whether it is a new one.
    pub created: bool,
}

/// An approved request.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NodeApproved {
    /// The request's id.
    pub request_id: String,
    /// The node, with its token.
    pub node: PairedNode,
}

/// A rejected request.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NodeRejected {
    /// The request's id.
    pub request_id: String,
    /// The node that asked.
    pub node_id: String,
}

/// Whether a token is a node's.
#[derive(Debug, Serialize)]
pub struct Verified {
    /// Whether it is.
    pub ok: bool,
    /// The node, where it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node: Option<PairedNode>,
}

/// The node that it was about.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NodeNamed {
    /// The node's id.
    pub node_id: String,
}

/// A renamed node.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NodeRenamed {
    /// The node's id.
    pub node_id: String,
    /// Its name.
    pub display_name: String,
}

/// A tenant's nodes.
#[derive(Debug, Serialize)]
pub struct NodeList {
    /// Milliseconds since the epoch.
    pub ts: u64,
    /// By id.
    pub nodes: Vec<NodeView>,
}

/// One node.
#[derive(Debug, Serialize)]
pub struct NodeDescription {
    /// Milliseconds since the epoch.
    pub ts: u64,
    /// The node.
    #[serde(flatten)]
    pub node: NodeView,
}

/// One node as it is now.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NodeView {
    /// The node's id.
    pub node_id: String,
    /// What it says of itself; its commands are those that it may be asked.
    #[serde(flatten)]
    pub facts: NodeFacts,
    /// Where its shell looks for programs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path_env: Option<String>,
    /// Whether it is approved.
    pub paired: bool,
    /// Whether it is connected.
    pub connected: bool,
    /// Since when, in milliseconds since the epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connected_at_ms: Option<u64>,
    /// When it was approved, in milliseconds since the epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approved_at_ms: Option<u64>,
    /// The request by which it waits, for callers who may approve it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pending_request_id: Option<String>,
}

/// What came of an invocation.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Invoked {
    /// True.
    pub ok: bool,
    /// The node's id.
    pub node_id: String,
    /// What it did.
    pub command: String,
    /// What came of it.
    pub payload: Option<Box<RawValue>>,
    /// The same as text, where the node sent text.
    #[serde(rename = "payloadJSON")]
    pub payload_json: Option<String>,
}

/// What a node sent was taken.
#[derive(Debug, Serialize)]
pub struct Taken {
    /// True.
    pub ok: bool,
    /// Whether nobody waits for it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub ignored: bool,
}

/// What came of an event.
#[derive(Debug, Serialize)]
pub struct NodeEventResult {
    /// True.
    pub ok: bool,
    /// What happened.
    pub event: String,
    /// Whether anything came of it.
    pub handled: bool,
    /// Why nothing came of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// What waits for a node in the foreground.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Pulled {
    /// The node's id.
    pub node_id: String,
    /// Nothing.
    pub actions: Vec<Value>,
}

/// What is done.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Acked {
    /// The node's id.
    pub node_id: String,
    /// As sent.
    pub acked_ids: Vec<String>,
    /// What waits still.
    pub remaining_count: u32,
}

/// What was queued for a node.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Drained {
    /// The node's id.
    pub node_id: String,
    /// Grows with every change.
    pub revision: u64,
    /// The most urgent first.
    pub items: Vec<PendingItem>,
    /// Whether more waits.
    pub has_more: bool,
}

/// One thing that was queued for a node.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PendingItem {
    /// A UUID.
    pub id: String,
    /// What is asked.
    #[serde(rename = "type")]
    pub kind: String,
    /// How urgent it is.
    pub priority: String,
    /// Milliseconds since the epoch.
    pub created_at_ms: u64,
    /// Milliseconds since the epoch.
    pub expires_at_ms: Option<u64>,
}

/// Something was queued.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Enqueued {
    /// The node's id.
    pub node_id: String,
    /// Grows with every change.
    pub revision: u64,
    /// What was queued.
    pub queued: PendingItem,
    /// False: there is no way to wake a node.
    pub wake_triggered: bool,
}

/// Tools that were taken note of.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PluginTools {
    /// The node's id.
    pub node_id: String,
    /// As sent.
    pub tools: Vec<PluginTool>,
}

/// Skills that were taken note of.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NodeSkills {
    /// The node's id.
    pub node_id: String,
    /// As sent.
    pub skills: Vec<NodeSkill>,
}

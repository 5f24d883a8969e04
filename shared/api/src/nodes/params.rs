//! What `node.*` methods take.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// No parameters.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeListParams {}

/// Which node.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct NodeParams {
    /// The node's id.
    pub node_id: String,
}

/// Which request.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct NodeRequestParams {
    /// The request's id.
    pub request_id: String,
}

/// A new name for a node.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct NodeRenameParams {
    /// The node's id.
    pub node_id: String,
    /// 1 to 64 characters.
    pub display_name: String,
}

/// A node that asks to be admitted.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct PairRequestParams {
    /// The node's id, at most 128 characters.
    pub node_id: String,
    /// What it is called.
    #[serde(default)]
    pub display_name: Option<String>,
    /// What it runs on.
    #[serde(default)]
    pub platform: Option<String>,
    /// Version of the client.
    #[serde(default)]
    pub version: Option<String>,
    /// Version of its core.
    #[serde(default)]
    pub core_version: Option<String>,
    /// Version of its surface.
    #[serde(default)]
    pub ui_version: Option<String>,
    /// The kind of device.
    #[serde(default)]
    pub device_family: Option<String>,
    /// The model of the device.
    #[serde(default)]
    pub model_identifier: Option<String>,
    /// What kinds of things it can do.
    #[serde(default)]
    pub caps: Vec<String>,
    /// What it can be asked.
    #[serde(default)]
    pub commands: Vec<String>,
    /// Where it comes from; the caller's word, shown as such.
    #[serde(default)]
    pub remote_ip: Option<String>,
    /// Asks clients not to bother anybody.
    #[serde(default)]
    pub silent: Option<bool>,
}

/// A node's token, to be checked.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct VerifyParams {
    /// The node's id.
    pub node_id: String,
    /// What it presented.
    pub token: String,
}

/// Something for a node to do.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct InvokeParams {
    /// The node's id.
    pub node_id: String,
    /// What to do.
    pub command: String,
    /// With what; any JSON, passed on as it is.
    #[serde(default)]
    pub params: Option<Box<RawValue>>,
    /// How long to wait: 30,000 where it is left out, at most 600,000.
    #[serde(default)]
    pub timeout_ms: Option<u64>,
    /// Passed on to the node, which does the same thing once.
    pub idempotency_key: String,
    /// For the reference's approvals; without effect.
    #[serde(default)]
    pub session_key: Option<String>,
    /// For the reference's approvals; without effect.
    #[serde(default)]
    pub turn_source_channel: Option<String>,
    /// For the reference's approvals; without effect.
    #[serde(default)]
    pub turn_source_to: Option<String>,
    /// For the reference's approvals; without effect.
    #[serde(default)]
    pub turn_source_account_id: Option<String>,
    /// For the reference's approvals; without effect. Text or a number.
    #[serde(default)]
    pub turn_source_thread_id: Option<Box<RawValue>>,
}

/// What came of an invocation.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct InvokeResultParams {
    /// The id of `node.invoke.request`.
    pub id: String,
    /// The node's id.
    pub node_id: String,
    /// Whether it was done.
    pub ok: bool,
    /// What came of it; any JSON.
    #[serde(default)]
    pub payload: Option<Box<RawValue>>,
    /// The same as text.
    #[serde(default, rename = "payloadJSON")]
    pub payload_json: Option<String>,
    /// Why it was not done.
    #[serde(default)]
    pub error: Option<InvokeFailure>,
}

/// Why a node did not do something.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InvokeFailure {
    /// For programs.
    #[serde(default)]
    pub code: Option<String>,
    /// For people.
    #[serde(default)]
    pub message: Option<String>,
}

/// A part of what comes of an invocation.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct InvokeProgressParams {
    /// The id of `node.invoke.request`.
    pub invoke_id: String,
    /// The node's id.
    pub node_id: String,
    /// Which part.
    pub seq: u64,
    /// At most 16,384 characters.
    pub chunk: String,
}

/// Something that happened on a node.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct NodeEventParams {
    /// What.
    pub event: String,
    /// More of it; any JSON.
    #[serde(default)]
    pub payload: Option<Box<RawValue>>,
    /// The same as text.
    #[serde(default, rename = "payloadJSON")]
    pub payload_json: Option<String>,
}

/// What was pulled and is done.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AckParams {
    /// At least one and at most 64.
    pub ids: Vec<String>,
}

/// How much to take.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct DrainParams {
    /// 1 to 10; 4 where it is left out.
    #[serde(default)]
    pub max_items: Option<u32>,
}

/// Something to queue for a node.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct EnqueueParams {
    /// The node's id.
    pub node_id: String,
    /// What to ask.
    #[serde(rename = "type")]
    pub kind: PendingKind,
    /// How urgent it is.
    #[serde(default)]
    pub priority: Option<PendingPriority>,
    /// When it is forgotten: 1,000 to 86,400,000.
    #[serde(default)]
    pub expires_in_ms: Option<u64>,
    /// Whether the node is to be woken. There is no way to wake a node, so nothing comes of it.
    #[serde(default)]
    pub wake: Option<bool>,
}

/// What can be queued for a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
pub enum PendingKind {
    /// How it is.
    #[serde(rename = "status.request")]
    Status,
    /// Where it is.
    #[serde(rename = "location.request")]
    Location,
}

/// How urgent it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum PendingPriority {
    /// As usual.
    Normal,
    /// Before the others.
    High,
}

/// Tools of a node's plugins.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PluginToolsParams {
    /// At most 256.
    pub tools: Vec<PluginTool>,
}

/// One tool of a node's plugin.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct PluginTool {
    /// The plugin.
    pub plugin_id: String,
    /// A letter, then letters, digits, `_` and `-`; at most 64.
    pub name: String,
    /// What it does.
    pub description: String,
    /// The schema of its parameters: an object, passed on as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parameters: Option<Box<RawValue>>,
    /// The node's command behind it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
    /// The tool of an MCP server behind it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mcp: Option<McpTool>,
}

/// A tool of an MCP server.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct McpTool {
    /// The server.
    pub server: String,
    /// The tool.
    pub tool: String,
}

/// Skills of a node.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeSkillsParams {
    /// At most 64.
    pub skills: Vec<NodeSkill>,
}

/// One skill of a node.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct NodeSkill {
    /// Lowercase letters, digits and single `-`; at most 64.
    pub name: String,
    /// 1 to 1,024 characters.
    pub description: String,
    /// 1 to 65,536 characters.
    pub content: String,
}

/// What a node could run. The reference publishes no schema and clients of different versions send
/// different fields, so that they are open here.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RunnerInventoryParams {
    /// What it understands.
    #[serde(default)]
    pub protocol_features: Vec<String>,
}

/// A surface of a plugin. The reference publishes no schema.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct PluginSurfaceParams {
    /// Which surface.
    pub surface: String,
    /// The address that the client had; without effect.
    #[serde(default)]
    pub observed_url: Option<String>,
}

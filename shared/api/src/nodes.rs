//! `node.*`: machines of a tenant that do what they are asked, and what they say of themselves.

mod params;
mod views;

use serde_json::Value;

pub use params::*;
pub use views::*;

methods! { Supervisor;
    /// A tenant's nodes.
    pub trait Nodes {
        /// Asks that a node be admitted.
        "node.pair.request" [Pairing] fn pair_request(PairRequestParams) -> PairRequested;
        /// Nodes that wait for approval, and those that have it.
        "node.pair.list" [Pairing unrecorded] fn node_pair_list(NodeListParams) -> NodePairList;
        /// Approves what a node declares; what it can do decides what the caller must be.
        "node.pair.approve" [Pairing] fn node_pair_approve(NodeRequestParams) -> NodeApproved;
        /// Forgets a request.
        "node.pair.reject" [Pairing] fn node_pair_reject(NodeRequestParams) -> NodeRejected;
        /// Whether this is the node's token.
        "node.pair.verify" [Pairing unrecorded] fn pair_verify(VerifyParams) -> Verified;
        /// Forgets a node, with its token and its connections.
        "node.pair.remove" [Pairing] fn node_pair_remove(NodeParams) -> NodeNamed;
        /// Calls a node something else.
        "node.rename" [Pairing] fn rename(NodeRenameParams) -> NodeRenamed;
        /// The tenant's nodes, approved or connected.
        "node.list" [Read] fn list(NodeListParams) -> NodeList;
        /// One node.
        "node.describe" [Read] fn describe(NodeParams) -> NodeDescription;
        /// Has a node do something and waits for what comes of it.
        "node.invoke" [Write] fn invoke(InvokeParams) -> Invoked;
        /// What a node says came of it.
        "node.invoke.result" [Node] fn invoke_result(InvokeResultParams) -> Taken;
        /// A part of what comes of it; it is not kept.
        "node.invoke.progress" [Node] fn invoke_progress(InvokeProgressParams) -> Taken;
        /// Something that happened on a node.
        "node.event" [Node] fn event(NodeEventParams) -> NodeEventResult;
        /// What waits for the node in the foreground: nothing, since nothing is queued.
        "node.pending.pull" [Node] fn pending_pull(NodeListParams) -> Pulled;
        /// Says that what was pulled is done.
        "node.pending.ack" [Node] fn pending_ack(AckParams) -> Acked;
        /// Takes what was queued for the node.
        "node.pending.drain" [Node] fn pending_drain(DrainParams) -> Drained;
        /// Queues something for a node.
        "node.pending.enqueue" [Write] fn pending_enqueue(EnqueueParams) -> Enqueued;
        /// Tools that a node's plugins offer; they are checked and not used.
        "node.pluginTools.update" [Node] fn plugin_tools_update(PluginToolsParams) -> PluginTools;
        /// Skills that a node offers; they are checked and not used.
        "node.skills.update" [Node] fn node_skills_update(NodeSkillsParams) -> NodeSkills;
        /// What a node could run for the gateway; nothing is run there.
        "node.runnerInventory.update" [Node] fn runner_inventory_update(RunnerInventoryParams) -> NodeNamed;
        /// A new address for a surface of a plugin, of which there are none.
        "node.pluginSurface.refresh" [Node] fn plugin_surface_refresh(PluginSurfaceParams) -> Value;
    }
}

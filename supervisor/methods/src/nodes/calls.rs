//! `node.*` as methods: who calls, and nothing else.

use api::ApiError;
use api::nodes::{
    AckParams, Acked, DrainParams, Drained, EnqueueParams, Enqueued, InvokeParams,
    InvokeProgressParams, InvokeResultParams, Invoked, NodeApproved, NodeDescription,
    NodeEventParams, NodeEventResult, NodeList, NodeListParams, NodeNamed, NodePairList,
    NodeParams, NodeRejected, NodeRenameParams, NodeRenamed, NodeRequestParams, NodeSkills,
    NodeSkillsParams, PairRequestParams, PairRequested, PluginSurfaceParams, PluginTools,
    PluginToolsParams, Pulled, RunnerInventoryParams, Taken, Verified, VerifyParams,
};
use auth::Principal;
use serde_json::Value;

use super::{Nodes, offers, own_id};
use crate::Call;
use crate::config::pace;

/// Ids that are acknowledged at once.
const MAX_IDS: usize = 64;

/// The longest part of an invocation's output, in characters.
const MAX_CHUNK: usize = 16_384;

/// The longest name of an event that is repeated, in characters.
const MAX_EVENT: usize = 64;

/// When a node that waits for approval may try again, in milliseconds.
const TRY_AGAIN: u32 = 5000;

impl Call<'_> {
    fn nodes(&self) -> Nodes<'_> {
        self.parts.nodes(self.caller.permit.tenant())
    }

    fn by(&self) -> &Principal {
        self.caller.permit.principal()
    }

    fn own_node(&self) -> Result<&str, ApiError> {
        own_id(self.caller.connection)
    }
}

impl api::nodes::Nodes for Call<'_> {
    async fn pair_request(&self, params: PairRequestParams) -> Result<PairRequested, ApiError> {
        self.nodes().pair_request(params).await
    }

    async fn node_pair_list(&self, _: NodeListParams) -> Result<NodePairList, ApiError> {
        self.nodes().pair_list().await
    }

    async fn node_pair_approve(&self, params: NodeRequestParams) -> Result<NodeApproved, ApiError> {
        self.nodes().approve(self.by(), &params.request_id).await
    }

    async fn node_pair_reject(&self, params: NodeRequestParams) -> Result<NodeRejected, ApiError> {
        self.nodes().reject(&params.request_id).await
    }

    async fn pair_verify(&self, params: VerifyParams) -> Result<Verified, ApiError> {
        self.nodes().verify(&params.node_id, &params.token).await
    }

    async fn node_pair_remove(&self, params: NodeParams) -> Result<NodeNamed, ApiError> {
        self.nodes().remove(self.by(), &params.node_id).await
    }

    async fn rename(&self, params: NodeRenameParams) -> Result<NodeRenamed, ApiError> {
        pace(self.parts, self.tenant())?;
        self.nodes().rename(&params.node_id, &params.display_name).await
    }

    async fn list(&self, _: NodeListParams) -> Result<NodeList, ApiError> {
        self.nodes().list(self.by()).await
    }

    async fn describe(&self, params: NodeParams) -> Result<NodeDescription, ApiError> {
        self.nodes().describe(self.by(), &params.node_id).await
    }

    async fn invoke(&self, params: InvokeParams) -> Result<Invoked, ApiError> {
        self.nodes().invoke(self.by(), params).await
    }

    async fn invoke_result(&self, params: InvokeResultParams) -> Result<Taken, ApiError> {
        self.nodes().result(self.caller.connection, params)
    }

    async fn invoke_progress(&self, params: InvokeProgressParams) -> Result<Taken, ApiError> {
        if params.node_id != self.own_node()? {
            return Err(ApiError::invalid("nodeId mismatch"));
        }
        if params.chunk.chars().count() > MAX_CHUNK {
            let wants = format!("chunk has at most {MAX_CHUNK} characters");
            return Err(ApiError::invalid(format!("invalid node.invoke.progress params: {wants}")));
        }
        tracing::trace!(invocation = params.invoke_id, seq = params.seq, "progress of a node");
        Ok(Taken { ok: true, ignored: true })
    }

    async fn event(&self, params: NodeEventParams) -> Result<NodeEventResult, ApiError> {
        self.own_node()?;
        if params.event.is_empty() || params.event.chars().count() > MAX_EVENT {
            let wants = format!("event has 1 to {MAX_EVENT} characters");
            return Err(ApiError::invalid(format!("invalid node.event params: {wants}")));
        }
        tracing::debug!(event = params.event, "event of a node");
        let reason = Some("this gateway does nothing with the event".to_owned());
        Ok(NodeEventResult { ok: true, event: params.event, handled: false, reason })
    }

    async fn pending_pull(&self, _: NodeListParams) -> Result<Pulled, ApiError> {
        Ok(Pulled { node_id: self.own_node()?.to_owned(), actions: Vec::new() })
    }

    async fn pending_ack(&self, params: AckParams) -> Result<Acked, ApiError> {
        let node_id = self.own_node()?.to_owned();
        if !(1..=MAX_IDS).contains(&params.ids.len()) {
            let wants = format!("ids has 1 to {MAX_IDS} entries");
            return Err(ApiError::invalid(format!("invalid node.pending.ack params: {wants}")));
        }
        Ok(Acked { node_id, acked_ids: params.ids, remaining_count: 0 })
    }

    async fn pending_drain(&self, params: DrainParams) -> Result<Drained, ApiError> {
        self.nodes().drain(self.own_node()?, &params).await
    }

    async fn pending_enqueue(&self, params: EnqueueParams) -> Result<Enqueued, ApiError> {
        pace(self.parts, self.tenant())?;
        self.nodes().enqueue(params).await
    }

    async fn plugin_tools_update(
        &self,
        params: PluginToolsParams,
    ) -> Result<PluginTools, ApiError> {
        let node_id = self.own_node()?.to_owned();
        Ok(PluginTools { node_id, tools: offers::tools(params)? })
    }

    async fn node_skills_update(&self, params: NodeSkillsParams) -> Result<NodeSkills, ApiError> {
        let node_id = self.own_node()?.to_owned();
        Ok(NodeSkills { node_id, skills: offers::skills(params)? })
    }

    async fn runner_inventory_update(
        &self,
        params: RunnerInventoryParams,
    ) -> Result<NodeNamed, ApiError> {
        let (id, nodes) = (self.own_node()?, self.nodes());
        tracing::trace!(features = params.protocol_features.len(), "inventory of a node");
        if nodes.paired(id).await?.is_some() {
            return Ok(NodeNamed { node_id: id.to_owned() });
        }
        let waiting = nodes.awaiting(self.by(), id).await?;
        Err(ApiError { retry_after_ms: Some(TRY_AGAIN), ..waiting })
    }

    async fn plugin_surface_refresh(&self, params: PluginSurfaceParams) -> Result<Value, ApiError> {
        self.own_node()?;
        tracing::debug!(surface = params.surface, "a surface that there is not");
        Err(ApiError::unavailable("plugin surface unavailable"))
    }
}

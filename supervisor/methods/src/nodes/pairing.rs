//! Who admits a node, and to what. A node of another tenant is as unknown as one that never was.

use std::sync::Arc;

use api::ApiError;
use api::nodes::{
    NodeApproved, NodeDescription, NodeList, NodeNamed, NodePairList, NodeRejected, NodeRenamed,
    NodeView, PairRequestParams, PairRequested, Verified,
};
use auth::Principal;
use hub::{Close, Connection, Role};
use records::{NodeRequestRow, NodeRow, NodeSelf};
use serde_json::json;
use types::Chain;

use super::surface::{self, Policy};
use super::{MAX_ID, Nodes, may_pair, unknown_node, view};
use crate::config::paced;
use crate::devices::{REQUEST_KEPT, TRIES, contended, failed, label_of, publish, require};

impl Nodes<'_> {
    /// What a node's connection declares is held against what was approved; where it is more,
    /// somebody is asked. Called once for each connection of a node.
    pub(crate) async fn joined(&self, connection: &Arc<Connection>) -> Result<(), ApiError> {
        let Some(id) = connection.device_id() else { return Ok(()) };
        let about = surface::declared(connection);
        let row = self.paired(id).await?;
        if row.as_ref().is_some_and(|row| surface::within(&about, &row.about)) {
            return Ok(());
        }
        self.request(id, about, false).await.map(drop)
    }

    pub(crate) async fn pair_request(
        &self,
        params: PairRequestParams,
    ) -> Result<PairRequested, ApiError> {
        let id = params.node_id.trim();
        let plain = |it: char| it.is_ascii_alphanumeric() || "-_.:@".contains(it);
        if !(1..=MAX_ID).contains(&id.len()) || !id.chars().all(plain) {
            let wants = format!("nodeId has 1 to {MAX_ID} letters, digits and -_.:@");
            return Err(ApiError::invalid(format!("invalid node.pair.request params: {wants}")));
        }
        let text = |it: &Option<String>| it.as_deref().and_then(surface::some);
        let about = NodeSelf {
            display_name: text(&params.display_name),
            platform: text(&params.platform),
            version: text(&params.version),
            core_version: text(&params.core_version),
            ui_version: text(&params.ui_version),
            device_family: text(&params.device_family),
            model_identifier: text(&params.model_identifier),
            client_id: None,
            client_mode: None,
            remote_ip: text(&params.remote_ip),
            caps: surface::caps(&params.caps),
            commands: surface::commands(&params.commands),
            permissions: Vec::new(),
        };
        let silent = params.silent.unwrap_or(false);
        let (row, created) = self.request(id, about, silent).await?;
        Ok(PairRequested { status: "pending", request: view::pending(&row), created })
    }

    /// The node's request, and whether it is a new one: one that asks for something else is.
    async fn request(
        &self,
        node: &str,
        about: NodeSelf,
        silent: bool,
    ) -> Result<(NodeRequestRow, bool), ApiError> {
        let waiting = self.live_requests().await?;
        let now = self.clock.now();
        let expires_at = now.saturating_add(REQUEST_KEPT);
        let mine: Vec<_> = waiting.into_iter().filter(|row| row.node == node).collect();
        let same = mine.iter().find(|row| surface::asks_same(&row.about, &about));
        // It lasts while the node is connected: one that comes again and again has nothing to write.
        let lasts = |row: &NodeRequestRow| row.expires_at.saturating_sub(now) > REQUEST_KEPT / 2;
        if let Some(row) = same.filter(|row| row.about == about && lasts(row)) {
            return Ok((row.clone(), false));
        }
        paced(self.settings, self.tenant, now)?;
        if let Some(row) = same {
            let row = NodeRequestRow { about, expires_at, ..row.clone() };
            let put = self.records.put_node_request(self.tenant, &row).await;
            put.map_err(|err| failed(&err))?;
            return Ok((row, false));
        }
        for row in &mine {
            // One that was looked at must not come to mean more.
            self.forget_request(&row.id).await?;
        }
        let row = NodeRequestRow {
            id: uuid::Uuid::new_v4().to_string(),
            node: node.to_owned(),
            about,
            repair: self.paired(node).await?.is_some(),
            silent,
            created_at: now,
            expires_at,
        };
        self.records.put_node_request(self.tenant, &row).await.map_err(|err| failed(&err))?;
        tracing::info!(tenant = %self.tenant, request = row.id, "node waits for approval");
        publish(self.hub, self.tenant, "node.pair.requested", &view::pending(&row));
        Ok((row, true))
    }

    pub(crate) async fn pair_list(&self) -> Result<NodePairList, ApiError> {
        let mut requests = self.live_requests().await?;
        requests.sort_by(|a, b| (b.created_at, &b.id).cmp(&(a.created_at, &a.id)));
        let rows = self.records.nodes(self.tenant).await.map_err(|err| failed(&err))?;
        let mut paired: Vec<_> = rows.iter().map(view::paired).collect();
        paired.sort_by_key(|it| std::cmp::Reverse(it.approved_at_ms));
        Ok(NodePairList { pending: requests.iter().map(view::pending).collect(), paired })
    }

    pub(crate) async fn approve(
        &self,
        by: &Principal,
        request: &str,
    ) -> Result<NodeApproved, ApiError> {
        let now = self.clock.now();
        for _ in 0..TRIES {
            let request = self.find_request(request).await?;
            require(by, surface::required(&request.about))?;
            let read = self.paired(&request.node).await?;
            let (secret, digest) = auth::node_secret(self.tenant).map_err(|err| {
                tracing::error!(error = %Chain(&err), "no secret for a node");
                ApiError::unavailable("the node's token could not be made")
            })?;
            let row = NodeRow {
                id: request.node,
                label: read.as_ref().and_then(|row| row.label.clone()),
                about: request.about,
                digest,
                created_at: read.as_ref().map_or(now, |row| row.created_at),
                approved_at: now,
            };
            let put = self.records.put_node(self.tenant, read.as_ref(), &row, Some(&request.id));
            if !put.await.map_err(|err| failed(&err))? {
                continue;
            }
            tracing::info!(tenant = %self.tenant, node = row.id, by = by.token_id(), "node approved");
            self.resolved(&request.id, &row.id, "approved");
            let mut node = view::paired(&row);
            node.token = Some(secret.expose().to_owned());
            return Ok(NodeApproved { request_id: request.id, node });
        }
        Err(contended())
    }

    pub(crate) async fn reject(&self, request: &str) -> Result<NodeRejected, ApiError> {
        let request = self.find_request(request).await?;
        self.forget_request(&request.id).await?;
        self.resolved(&request.id, &request.node, "rejected");
        Ok(NodeRejected { request_id: request.id, node_id: request.node })
    }

    pub(crate) async fn verify(&self, id: &str, token: &str) -> Result<Verified, ApiError> {
        let row = self.paired(id).await?.filter(|row| auth::is_secret(token, &row.digest));
        Ok(Verified { ok: row.is_some(), node: row.as_ref().map(view::paired) })
    }

    /// Forgets the node, what waits for it, its device's token for nodes, and its connections; or
    /// what an earlier attempt that failed has left of them.
    pub(crate) async fn remove(&self, by: &Principal, id: &str) -> Result<NodeNamed, ApiError> {
        // At once, however slow the disk is.
        self.cut(id);
        let removed = self.forget(by, id).await;
        // Again: one may have come while that was written.
        self.cut(id);
        if !removed? {
            return Err(unknown_node());
        }
        self.resolved("", id, "removed");
        tracing::info!(tenant = %self.tenant, node = id, "node removed");
        Ok(NodeNamed { node_id: id.to_owned() })
    }

    fn cut(&self, id: &str) {
        let is_it = |it: &Connection| it.role() == Role::Node && it.device_id() == Some(id);
        self.hub.close(self.tenant, is_it, Close::now(1008, "node removed"));
    }

    /// Removes the tokens first, so that what is left of a removal that fails is the node itself.
    /// Gives whether there was a node or a token.
    async fn forget(&self, by: &Principal, id: &str) -> Result<bool, ApiError> {
        let ended = self.auth.end_device(by, id, Some(records::DeviceRole::Node)).await;
        let ended = ended.map_err(|err| {
            tracing::error!(error = %Chain(&err), "a removed node's token not removed");
            ApiError::unavailable("the node's token could not be removed")
        })?;
        self.records.delete_node_queue(self.tenant, id).await.map_err(|err| failed(&err))?;
        match self.records.delete_node(self.tenant, id).await {
            Ok(()) => Ok(true),
            Err(records::Error::NotFound) => Ok(ended),
            Err(err) => Err(failed(&err)),
        }
    }

    pub(crate) async fn rename(&self, id: &str, name: &str) -> Result<NodeRenamed, ApiError> {
        let name = label_of(name, "node.rename", "displayName")?;
        for _ in 0..TRIES {
            let read = self.paired(id).await?.ok_or_else(unknown_node)?;
            if read.label.as_ref() != Some(&name) {
                let row = NodeRow { label: Some(name.clone()), ..read.clone() };
                let put = self.records.put_node(self.tenant, Some(&read), &row, None).await;
                if !put.map_err(|err| failed(&err))? {
                    continue;
                }
            }
            return Ok(NodeRenamed { node_id: read.id, display_name: name });
        }
        Err(contended())
    }

    pub(crate) async fn list(&self, by: &Principal) -> Result<NodeList, ApiError> {
        let rows = self.records.nodes(self.tenant).await.map_err(|err| failed(&err))?;
        let (live, policy) = (self.all_live(), self.policy().await?);
        let mut ids: Vec<&str> = rows.iter().map(|row| row.id.as_str()).collect();
        ids.extend(live.iter().filter_map(|it| it.device_id()));
        ids.sort_unstable();
        ids.dedup();
        let waiting = if may_pair(by) { self.live_requests().await? } else { Vec::new() };
        let one = |id: &&str| {
            let row = rows.iter().find(|row| row.id == **id);
            let live = live.iter().find(|it| it.device_id() == Some(id));
            let view = view::node(id, row, live.map(|it| &**it), &policy);
            with_request(view, &waiting)
        };
        Ok(NodeList { ts: self.clock.now(), nodes: ids.iter().map(one).collect() })
    }

    pub(crate) async fn describe(
        &self,
        by: &Principal,
        id: &str,
    ) -> Result<NodeDescription, ApiError> {
        let (row, live) = (self.paired(id).await?, self.live(id));
        if row.is_none() && live.is_none() {
            return Err(unknown_node());
        }
        let waiting = if may_pair(by) { self.live_requests().await? } else { Vec::new() };
        let view = view::node(id, row.as_ref(), live.as_deref(), &self.policy().await?);
        Ok(NodeDescription { ts: self.clock.now(), node: with_request(view, &waiting) })
    }

    /// What the tenant's settings say of commands.
    pub(super) async fn policy(&self) -> Result<Policy, ApiError> {
        let effective = self.settings.effective(self.tenant).await.map_err(|err| {
            tracing::error!(error = %Chain(&err), "settings not read");
            ApiError::unavailable("the tenant's settings could not be read")
        })?;
        Ok(Policy::of(&effective.settings))
    }

    /// The request by which a node waits.
    pub(super) async fn request_of(&self, node: &str) -> Result<Option<NodeRequestRow>, ApiError> {
        Ok(self.live_requests().await?.into_iter().find(|row| row.node == node))
    }

    async fn find_request(&self, id: &str) -> Result<NodeRequestRow, ApiError> {
        let found = self.live_requests().await?.into_iter().find(|row| row.id == id);
        found.ok_or_else(|| ApiError::invalid("unknown requestId"))
    }

    /// The requests that have not expired, or whose node is connected and waits; others go.
    async fn live_requests(&self) -> Result<Vec<NodeRequestRow>, ApiError> {
        let rows = self.records.node_requests(self.tenant).await.map_err(|err| failed(&err))?;
        let now = self.clock.now();
        let (live, over): (Vec<_>, Vec<_>) = rows
            .into_iter()
            .partition(|row| row.expires_at > now || self.live(&row.node).is_some());
        for row in over {
            self.forget_request(&row.id).await?;
        }
        Ok(live)
    }

    async fn forget_request(&self, id: &str) -> Result<(), ApiError> {
        match self.records.delete_node_request(self.tenant, id).await {
            Ok(()) | Err(records::Error::NotFound) => Ok(()),
            Err(err) => Err(failed(&err)),
        }
    }

    fn resolved(&self, request: &str, node: &str, decision: &str) {
        let ts = self.clock.now();
        let payload =
            json!({ "requestId": request, "nodeId": node, "decision": decision, "ts": ts });
        publish(self.hub, self.tenant, "node.pair.resolved", &payload);
    }
}

fn with_request(view: NodeView, waiting: &[NodeRequestRow]) -> NodeView {
    let request = waiting.iter().find(|row| row.node == view.node_id);
    NodeView { pending_request_id: request.map(|row| row.id.clone()), ..view }
}

//! Nodes: which of a tenant's machines may be asked what, and what comes of it.
//!
//! A node is a device: its id is its key's. What it declares is an offer until somebody approves it,
//! and approval goes no further than what was declared then.

mod calls;
mod invoke;
mod offers;
mod pairing;
mod pending;
mod surface;
mod view;

use std::sync::Arc;

use api::ApiError;
use auth::Principal;
use hub::{Connection, Hub, Role};
use records::{NodeRow, Records};
use settings::Settings;
use types::{Clock, Scope, TenantId};

use crate::Parts;
use crate::devices::failed;

/// The longest id of a node, in bytes.
const MAX_ID: usize = 128;

/// What one caller does with its tenant's nodes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Nodes<'a> {
    pub(crate) hub: &'a Hub,
    pub(crate) records: &'a Records,
    pub(crate) settings: &'a Settings,
    pub(crate) auth: &'a auth::Auth,
    pub(crate) clock: &'a dyn Clock,
    /// Who calls, or whose connection it is about.
    pub(crate) tenant: &'a TenantId,
}

impl Parts {
    pub(crate) fn nodes<'a>(&'a self, tenant: &'a TenantId) -> Nodes<'a> {
        let Self { hub, records, settings, auth, clock, .. } = self;
        Nodes { hub, records, settings, auth, clock: &**clock, tenant }
    }
}

impl Nodes<'_> {
    /// The latest connection of a node: one whose device proved that it is that node.
    fn live(&self, id: &str) -> Option<Arc<Connection>> {
        let all = self.hub.connections(self.tenant);
        all.into_iter().rev().find(|it| it.role() == Role::Node && it.device_id() == Some(id))
    }

    /// The latest connection of every node.
    fn all_live(&self) -> Vec<Arc<Connection>> {
        let mut live: Vec<Arc<Connection>> = Vec::new();
        for it in self.hub.connections(self.tenant).into_iter().rev() {
            let known = |other: &Arc<Connection>| other.device_id() == it.device_id();
            if it.role() == Role::Node && it.device_id().is_some() && !live.iter().any(known) {
                live.push(it);
            }
        }
        live
    }

    /// An approved node of the tenant.
    async fn paired(&self, id: &str) -> Result<Option<NodeRow>, ApiError> {
        if id.len() > MAX_ID {
            return Ok(None);
        }
        self.records.node(self.tenant, id).await.map_err(|err| failed(&err))
    }
}

/// The node whose connection this is.
fn own_id(connection: Option<&Arc<Connection>>) -> Result<&str, ApiError> {
    let node = connection.filter(|it| it.role() == Role::Node);
    node.and_then(|it| it.device_id()).ok_or_else(|| ApiError::invalid("nodeId required"))
}

fn may_pair(by: &Principal) -> bool {
    auth::expanded(by.scopes()).contains(Scope::Pairing)
}

fn unknown_node() -> ApiError {
    ApiError::invalid("unknown nodeId")
}

#[cfg(test)]
mod tests;

//! Nodes as callers see them. No secret and no digest is in it.

use api::nodes::{NodeFacts, NodeView, PairedNode, PendingNode};
use hub::Connection;
use records::{NodeRequestRow, NodeRow, NodeSelf};

use super::surface::{self, Policy};
use crate::devices;

pub(crate) fn facts(about: &NodeSelf) -> NodeFacts {
    let about = about.clone();
    NodeFacts {
        display_name: about.display_name,
        platform: about.platform,
        version: about.version,
        core_version: about.core_version,
        ui_version: about.ui_version,
        device_family: about.device_family,
        model_identifier: about.model_identifier,
        client_id: about.client_id,
        client_mode: about.client_mode,
        remote_ip: about.remote_ip,
        caps: about.caps,
        commands: about.commands,
        permissions: about.permissions.into_iter().collect(),
    }
}

pub(crate) fn pending(row: &NodeRequestRow) -> PendingNode {
    PendingNode {
        request_id: row.id.clone(),
        node_id: row.node.clone(),
        facts: facts(&row.about),
        required_approve_scopes: devices::names(surface::required(&row.about)),
        silent: row.silent,
        is_repair: row.repair,
        ts: row.created_at,
    }
}

pub(crate) fn paired(row: &NodeRow) -> PairedNode {
    let mut facts = facts(&row.about);
    facts.display_name = row.label.clone().or(facts.display_name);
    PairedNode {
        node_id: row.id.clone(),
        facts,
        token: None,
        created_at_ms: row.created_at,
        approved_at_ms: row.approved_at,
    }
}

/// One node as it is now: approved, connected, or both.
pub(crate) fn node(
    id: &str,
    row: Option<&NodeRow>,
    live: Option<&Connection>,
    policy: &Policy,
) -> NodeView {
    let mut about = match (live, row) {
        (Some(live), _) => surface::declared(live),
        (None, Some(row)) => row.about.clone(),
        (None, None) => NodeSelf::default(),
    };
    let approved = row.map(|row| &row.about);
    let may = |command: &String| approved.is_some_and(|it| it.commands.contains(command));
    about.commands.retain(|command| may(command) && policy.refuses(command).is_none());
    about.caps.retain(|cap| approved.is_some_and(|it| it.caps.contains(cap)));
    if approved.is_none() {
        about.permissions.clear();
    }
    let mut facts = facts(&about);
    facts.display_name = row.and_then(|row| row.label.clone()).or(facts.display_name);
    NodeView {
        node_id: id.to_owned(),
        facts,
        path_env: live.filter(|_| row.is_some()).and_then(|it| it.path_env()).map(str::to_owned),
        paired: row.is_some(),
        connected: live.is_some(),
        connected_at_ms: live.map(Connection::connected_at),
        approved_at_ms: row.map(|row| row.approved_at),
        pending_request_id: None,
    }
}

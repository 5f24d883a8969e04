//! What a client that was let in is told first. Paths and the operator's configuration are never
//! part of it.

use api::wire::{
    Attachments, CAPABILITIES, Empty, Features, Granted, HelloOk, Policy, Server, SessionDefaults,
    Snapshot, StateVersion,
};
use api::{Method, events};
use auth::Issued;
use hub::{Connection, Role};
use types::Scope;

use crate::{Inner, MAX_PAYLOAD, session};

/// Bytes of the attachments of one message: they are a third longer on the wire.
const MAX_ATTACHED: usize = 11 << 20;

/// Bytes of one image.
const MAX_IMAGE: usize = 6 << 20;

/// What is said beside what the connection itself says.
pub(crate) struct Hello<'a> {
    pub(crate) protocol: u32,
    pub(crate) scopes: Vec<String>,
    pub(crate) device_token: Option<&'a Issued>,
    pub(crate) method: &'static str,
}

/// The payload of the answer to `connect`.
pub(crate) fn payload(
    inner: &Inner,
    connection: &Connection,
    hello: Hello<'_>,
) -> Result<Vec<u8>, serde_json::Error> {
    let tenant = connection.tenant();
    let version = inner.hub.state_version(tenant);
    let role = connection.role();
    let methods = api::methods().filter(|it| may_call(role, it)).map(|it| it.name).collect();
    let mut names: Vec<_> = events::EVENTS.iter().map(|it| it.wire).collect();
    names.dedup();
    serde_json::to_vec(&HelloOk {
        r#type: "hello-ok",
        protocol: hello.protocol,
        server: Server { version: inner.version, conn_id: connection.id() },
        features: Features { methods, events: names, capabilities: CAPABILITIES },
        snapshot: Snapshot {
            presence: methods::presence::entries(&inner.hub, tenant),
            health: Empty {},
            state_version: StateVersion { presence: version.presence, health: version.health },
            uptime_ms: inner.clock.now().saturating_sub(inner.started_at),
            session_defaults: SessionDefaults::default(),
        },
        auth: Granted {
            role: role.name(),
            scopes: hello.scopes,
            method: hello.method,
            device_token: hello.device_token.map(|it| it.token.expose()),
            issued_at_ms: hello.device_token.map(|it| it.row.created_at),
        },
        policy: Policy {
            max_payload: MAX_PAYLOAD,
            max_buffered_bytes: hub::MAX_BUFFERED,
            tick_interval_ms: u64::try_from(session::TICK.as_millis()).unwrap_or(u64::MAX),
            attachments: Attachments { max_bytes: MAX_ATTACHED, max_image_bytes: MAX_IMAGE },
        },
    })
}

/// Whether a method is for connections of this role at all.
pub(crate) fn may_call(role: Role, method: &Method) -> bool {
    match role {
        Role::Operator => method.scope != Scope::Node,
        Role::Node => method.nodes || method.scope == Scope::Node,
    }
}

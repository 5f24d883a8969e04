//! The gateway's listener: bytes in, replies out. A caller is known and permitted before a byte of
//! its body is read, and a body goes to the caller's worker as it came.
//!
//! Reads no parameter and no reply of a method, keeps nothing of a tenant, and passes no header of
//! a client on but the two that choose a session and an agent.

mod body;
mod call;
mod chat;
mod edge;
mod hooks;
mod identity;
mod ingress;
mod listener;
mod metrics;
mod openai;
mod outflow;
mod peers;
mod probes;
mod rates;
mod readiness;
mod relay;
mod reply;
mod rpc;
mod seat;
mod stack;
mod ui;
mod upgrade;

use std::sync::Arc;
use std::time::Duration;

use accounts::Accounts;
use auth::Auth;
use gateway::Gateway;
use methods::Methods;
use prometheus_client::registry::Registry;
use runtime::Tasks;
use tenants::{Load, Tenants};
use tokio::net::TcpListener;

use body::Budget;
use identity::Ids;
use metrics::Metrics;
use peers::Peers;

pub use readiness::Readiness;
pub use ui::Ui;

/// What the front is made of.
#[derive(Debug)]
pub struct Parts {
    /// Who calls, and may they.
    pub auth: Auth,
    /// Where requests go.
    pub tenants: Tenants,
    /// Who answers methods.
    pub methods: Methods,
    /// Where what chat networks send goes.
    pub accounts: Accounts,
    /// Who serves `WebSocket`s.
    pub gateway: Gateway,
    /// Bounds on what clients may send.
    pub limits: Limits,
    /// What `/ready` says.
    pub readiness: Readiness,
    /// The browser UI, where the operator has one.
    pub ui: Option<Ui>,
}

/// Bounds on what clients may send, before anything is allocated for it.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Bytes of a request's head. At least 8 KiB.
    pub header_bytes: usize,
    /// Bytes of one body.
    pub body_bytes: usize,
    /// Bytes of all bodies that are being read or wait for their worker, and of replies that wait
    /// for their client.
    pub buffered_bytes: usize,
    /// Of these, the bytes of one tenant, which may also have no more than is left for the others.
    pub tenant_buffered_bytes: usize,
    /// Connections at once.
    pub connections: usize,
    /// Of these, those from one address, or from one /64 of IPv6.
    pub peer_connections: usize,
    /// Of these, those whose latest request was of one tenant.
    pub tenant_connections: usize,
    /// From the moment in which a request could begin to the end of its head; also how long a
    /// connection may be idle.
    pub header_timeout: Duration,
    /// From the first byte of a body to its last.
    pub body_timeout: Duration,
    /// How long a client may take nothing of a reply that is there for it.
    pub write_timeout: Duration,
    /// How long requests may go on after the gateway was asked to stop.
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            header_bytes: 64 << 10,
            body_bytes: runtime::limits::MAX_BODY,
            buffered_bytes: 256 << 20,
            tenant_buffered_bytes: 64 << 20,
            connections: 8192,
            peer_connections: 2048,
            tenant_connections: 2048,
            header_timeout: Duration::from_secs(30),
            body_timeout: Duration::from_mins(1),
            write_timeout: Duration::from_secs(30),
            drain: Duration::from_secs(20),
        }
    }
}

/// The gateway's surface, ready to be served.
#[derive(Debug, Clone)]
pub struct Front(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    auth: Auth,
    tenants: Tenants,
    methods: Methods,
    accounts: Accounts,
    /// What is held in memory of those of whom nothing is known yet.
    strangers: Arc<Load>,
    gateway: Gateway,
    limits: Limits,
    readiness: Readiness,
    ui: Option<Ui>,
    budget: Budget,
    ids: Ids,
    metrics: Arc<Metrics>,
    peers: Arc<Peers>,
    /// Owns what is read and thrown away after a refusal.
    discards: Tasks,
}

impl Front {
    /// Puts the parts together; listens nowhere yet.
    pub fn new(parts: Parts, registry: &mut Registry) -> Self {
        Self(Arc::new(Inner {
            budget: Budget::new(parts.limits.buffered_bytes, parts.limits.tenant_buffered_bytes),
            auth: parts.auth,
            tenants: parts.tenants,
            methods: parts.methods,
            accounts: parts.accounts,
            strangers: Arc::default(),
            gateway: parts.gateway,
            readiness: parts.readiness,
            ui: parts.ui,
            ids: Ids::default(),
            metrics: Arc::new(Metrics::register(registry)),
            peers: Arc::new(Peers::new(parts.limits.peer_connections)),
            limits: parts.limits,
            discards: Tasks::default(),
        }))
    }

    /// Serves `listener` until `tasks` is asked to stop; then accepts nothing more and returns when
    /// the requests under way have ended or [`Limits::drain`] is over.
    pub async fn serve(&self, listener: TcpListener, tasks: &Tasks) {
        listener::serve(&self.0, listener, tasks).await;
    }
}

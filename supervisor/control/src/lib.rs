//! The control plane: the operators' HTTP API on a TCP address and on a Unix socket.
//!
//! Every route is one row of one table; router, authorisation and the `OpenAPI` document are made of
//! the rows, and a handler is called with a permit or not at all. Nothing here starts a process,
//! checks a secret or stores anything: that is asked of `tenants`, `auth` and `records`.

mod call;
mod document;
mod error;
mod gate;
mod handlers;
mod idempotency;
mod metrics;
mod reply;
mod routes;
mod row;
mod serve;
mod socket;
mod told;

use std::net::SocketAddr;
use std::sync::Arc;

use accounts::Accounts;
use audit::Audit;
use auth::Auth;
use backups::Backups;
use prometheus_client::registry::Registry;
use records::Records;
use tenants::Tenants;
use tokio::sync::Mutex;
use types::{Clock, UnixMillis};

pub use error::Error;
pub use metrics::Requests;
pub use routes::{Route, routes};
pub use serve::{serve_tcp, serve_unix};
pub use socket::bind;

/// The control plane. Clones are handles to the same.
#[derive(Debug, Clone)]
pub struct Control(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    parts: Parts,
    /// Held from looking up an idempotency key until its outcome is stored.
    creating: Mutex<()>,
}

/// What [`Control`] is made of.
#[derive(Debug)]
pub struct Parts {
    /// Operators' keys and tenants' tokens.
    pub auth: Auth,
    /// The tenants.
    pub tenants: Tenants,
    /// Their backups.
    pub backups: Backups,
    /// Accounts at chat networks.
    pub accounts: Accounts,
    /// Where outcomes of creates are kept for those who repeat them.
    pub records: Records,
    /// Where it is recorded what operators do.
    pub audit: Audit,
    /// Where the time comes from.
    pub clock: Arc<dyn Clock>,
    /// Everything that `/metrics` shows.
    pub metrics: Arc<Registry>,
    /// Counts requests; registered in the registry above.
    pub requests: Requests,
    /// What models cost.
    pub prices: control_api::Prices,
    /// When the gateway started.
    pub started_at: UnixMillis,
    /// The gateway's version.
    pub version: &'static str,
    /// Where tenants' clients connect.
    pub gateway: SocketAddr,
    /// Signs evidence of tenants' boundaries.
    pub evidence_key: evidence::Key,
    /// Who knows where the ledger and the audit log stand.
    pub witness: Arc<dyn evidence::Witness>,
    /// Users besides root and the gateway's own who may use the Unix socket.
    pub allowed_uids: Vec<u32>,
}

impl Control {
    /// A control plane over these parts.
    pub fn new(parts: Parts) -> Self {
        Self(Arc::new(Inner { parts, creating: Mutex::default() }))
    }

    pub(crate) fn parts(&self) -> &Parts {
        &self.0.parts
    }

    pub(crate) fn creating(&self) -> &Mutex<()> {
        &self.0.creating
    }
}

//! The live connections of each tenant, and who of them gets which event.
//!
//! Knows nothing of HTTP, frames on the wire, or methods. A message for one tenant cannot reach a
//! connection of another: there is no operation over two tenants.

use std::sync::Arc;

use api::events::Event;
use bytes::Bytes;
use types::TenantId;

/// Every live connection. Clones are the same hub.
#[derive(Debug, Clone, Default)]
pub struct Hub(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {}

/// One event on its way to a tenant's connections.
#[derive(Debug, Clone)]
pub struct Message {
    /// Which event.
    pub event: &'static Event,
    /// JSON.
    pub payload: Bytes,
    /// The session that it is about, or empty.
    pub session_key: String,
}

/// One live connection.
#[derive(Debug)]
pub struct Connection {
    id: String,
}

impl Connection {
    /// Its id, a UUID.
    pub fn id(&self) -> &str {
        &self.id
    }
}

impl Hub {
    /// Sends an event to the tenant's connections that it is for.
    pub fn publish(&self, tenant: &TenantId, message: &Message) {
        let _ = (&self.0, tenant, message);
    }
}

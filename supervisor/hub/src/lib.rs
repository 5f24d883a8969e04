//! The live connections of each tenant, and who of them gets which event.
//!
//! Knows nothing of HTTP, frames on the wire, or methods. A message for one tenant cannot reach a
//! connection of another: there is no operation over two tenants.

mod connection;
mod invoke;
mod outbox;
mod queue;
mod room;

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use api::events::Event;
use bytes::Bytes;
use types::TenantId;

pub use connection::{Client, Connection, Role, Spec};
pub use invoke::{Invocation, InvokeError, NodeError, Outcome};
pub use outbox::{Next, Outbox};
pub use queue::{Close, Item, StateVersion};

use queue::Budget;
use room::Room;

/// Connections of one tenant at once: a person has a few, a fleet of nodes some hundred.
pub const MAX_CONNECTIONS: usize = 1024;

/// Bytes that wait for one connection before its client counts as too slow.
pub const MAX_BUFFERED: usize = 8 << 20;

/// Bytes that wait for all connections of one tenant.
const TENANT_BUFFERED: usize = 64 << 20;

/// Bytes that wait for all connections.
const TOTAL_BUFFERED: usize = 512 << 20;

/// How often a tenant's connections are told at most who is there: a fleet that comes back at once
/// would otherwise be told of each of its members a thousand times.
const PRESENCE_EVERY: Duration = Duration::from_millis(250);

/// Every live connection. Clones are the same hub.
#[derive(Debug, Clone)]
pub struct Hub(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// Tenants with a connection, and no others.
    rooms: RwLock<HashMap<TenantId, Arc<Room>>>,
    budget: Arc<Budget>,
}

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

/// The tenant has [`MAX_CONNECTIONS`] already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the tenant has {MAX_CONNECTIONS} connections already")]
pub struct Full;

impl Default for Hub {
    fn default() -> Self {
        let budget = Arc::new(Budget::new(TOTAL_BUFFERED, None));
        Self(Arc::new(Inner { rooms: RwLock::default(), budget }))
    }
}

impl Hub {
    /// One more connection of the tenant. It leaves when the outbox is dropped.
    ///
    /// # Errors
    /// When the tenant has too many.
    pub fn join(&self, tenant: &TenantId, spec: Spec) -> Result<(Arc<Connection>, Outbox), Full> {
        let mut rooms = self.0.rooms.write().unwrap_or_else(PoisonError::into_inner);
        let room = match rooms.get(tenant) {
            Some(room) => Arc::clone(room),
            None => Arc::new(Room::new(Arc::clone(&self.0.budget))),
        };
        let connection = room.enter(tenant, spec)?;
        rooms.entry(tenant.clone()).or_insert(room);
        drop(rooms);
        Ok((Arc::clone(&connection), Outbox::new(self.clone(), connection)))
    }

    /// Sends an event to the tenant's connections that it is for.
    pub fn publish(&self, tenant: &TenantId, message: &Message) {
        if let Some(room) = self.room(tenant) {
            room.publish(message);
        }
    }

    /// Sends an event to one connection, without a number in its sequence. False where there is no
    /// such connection or the event is not for it.
    pub fn publish_to(&self, tenant: &TenantId, connection_id: &str, message: &Message) -> bool {
        let found = self.find(tenant, |it| it.id() == connection_id);
        found.is_some_and(|it| it.push_aside(message))
    }

    /// The tenant's connections, oldest first.
    pub fn connections(&self, tenant: &TenantId) -> Vec<Arc<Connection>> {
        self.room(tenant).map_or_else(Vec::new, |room| room.members())
    }

    /// Closes those of the tenant's connections that `pick` picks.
    pub fn close(&self, tenant: &TenantId, pick: impl Fn(&Connection) -> bool, why: Close) {
        for connection in self.connections(tenant) {
            if pick(&connection) {
                connection.close(why);
            }
        }
    }

    /// The latest connection of a node.
    pub fn node(&self, tenant: &TenantId, node_id: &str) -> Option<Arc<Connection>> {
        self.find(tenant, |it| it.role() == Role::Node && it.device_id() == Some(node_id))
    }

    /// How often presence and health of the tenant have changed.
    pub fn state_version(&self, tenant: &TenantId) -> StateVersion {
        self.room(tenant).map_or_else(StateVersion::default, |room| room.state_version())
    }

    /// Whether it is time to tell the tenant's connections who is there: `None` where somebody else
    /// is about to, else after how long.
    pub fn presence_due(&self, tenant: &TenantId) -> Option<Duration> {
        self.room(tenant)?.presence_due(PRESENCE_EVERY)
    }

    /// What the caller of [`Hub::presence_due`] says when it is about to tell.
    pub fn presence_told(&self, tenant: &TenantId) {
        if let Some(room) = self.room(tenant) {
            room.presence_told();
        }
    }

    /// Has a node do something, and waits for its result. The same key for the same node has the
    /// same result for five minutes, as long as there is room for it, and the command runs once
    /// whether there is or not.
    ///
    /// # Errors
    /// When the node is not there, has too much to do, goes away, or takes too long; when it did it
    /// before and the result is not kept.
    pub async fn invoke(
        &self,
        tenant: &TenantId,
        node_id: &str,
        invocation: Invocation,
    ) -> Result<Outcome, InvokeError> {
        let room = self.room(tenant).ok_or(InvokeError::NotConnected)?;
        let node = self.node(tenant, node_id).ok_or(InvokeError::NotConnected)?;
        room.invocations.run(&node, node_id, invocation).await
    }

    /// A node's result of the invocation called `id`. False where that connection was asked for no
    /// such thing.
    #[expect(clippy::unused_self, reason = "results come to whoever asked")]
    pub fn complete(&self, connection: &Connection, id: &str, outcome: Outcome) -> bool {
        connection.pending.complete(id, outcome.shortened())
    }

    /// Forgets the tenant's results that are too old to be asked for again. Somebody says so now and
    /// then, as nobody may ever invoke anything again.
    pub fn sweep(&self, tenant: &TenantId) {
        if let Some(room) = self.room(tenant) {
            room.invocations.sweep();
        }
    }

    fn find(
        &self,
        tenant: &TenantId,
        pick: impl Fn(&Connection) -> bool,
    ) -> Option<Arc<Connection>> {
        self.room(tenant)?.members().into_iter().rev().find(|it| pick(it))
    }

    fn room(&self, tenant: &TenantId) -> Option<Arc<Room>> {
        let rooms = self.0.rooms.read().unwrap_or_else(PoisonError::into_inner);
        rooms.get(tenant).cloned()
    }

    /// The connection's outbox is gone.
    fn leave(&self, connection: &Connection) {
        let mut rooms = self.0.rooms.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(room) = rooms.get(connection.tenant())
            && room.leave(connection)
        {
            rooms.remove(connection.tenant());
        }
    }
}

#[cfg(test)]
mod tests;

//! The connections of one tenant.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use tokio::time::Instant;
use types::TenantId;

use crate::invoke::Invocations;
use crate::queue::{Budget, Queue, StateVersion};
use crate::{Connection, Full, MAX_CONNECTIONS, Message, Spec, TENANT_BUFFERED};

/// The connections of one tenant, and what they share.
#[derive(Debug)]
pub(crate) struct Room {
    members: RwLock<Vec<Arc<Connection>>>,
    budget: Arc<Budget>,
    presence: AtomicU64,
    health: AtomicU64,
    telling: Mutex<Telling>,
    pub(crate) invocations: Invocations,
}

/// When the connections were last told who is there, and whether somebody is about to.
#[derive(Debug, Default)]
struct Telling {
    last: Option<Instant>,
    soon: bool,
}

impl Room {
    pub(crate) fn new(total: Arc<Budget>) -> Self {
        Self {
            members: RwLock::default(),
            budget: Arc::new(Budget::new(TENANT_BUFFERED, Some(total))),
            presence: AtomicU64::new(0),
            health: AtomicU64::new(0),
            telling: Mutex::default(),
            invocations: Invocations::default(),
        }
    }

    pub(crate) fn enter(&self, tenant: &TenantId, spec: Spec) -> Result<Arc<Connection>, Full> {
        let mut members = self.members.write().unwrap_or_else(PoisonError::into_inner);
        if members.len() >= MAX_CONNECTIONS {
            return Err(Full);
        }
        let queue = Queue::new(Arc::clone(&self.budget));
        let connection = Arc::new(Connection::new(tenant, spec, queue));
        members.push(Arc::clone(&connection));
        self.presence.fetch_add(1, Ordering::Relaxed);
        Ok(connection)
    }

    /// True when nobody is left.
    pub(crate) fn leave(&self, connection: &Connection) -> bool {
        let mut members = self.members.write().unwrap_or_else(PoisonError::into_inner);
        members.retain(|it| it.id() != connection.id());
        self.presence.fetch_add(1, Ordering::Relaxed);
        members.is_empty()
    }

    pub(crate) fn members(&self) -> Vec<Arc<Connection>> {
        self.members.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn publish(&self, message: &Message) {
        let version = match message.event.name {
            "health" => {
                self.health.fetch_add(1, Ordering::Relaxed);
                Some(self.state_version())
            }
            "presence" => Some(self.state_version()),
            _ => None,
        };
        for member in &*self.members.read().unwrap_or_else(PoisonError::into_inner) {
            if member.wants(message) {
                member.queue.event(message, version, true);
            }
        }
    }

    pub(crate) fn state_version(&self) -> StateVersion {
        StateVersion {
            presence: self.presence.load(Ordering::Relaxed),
            health: self.health.load(Ordering::Relaxed),
        }
    }

    pub(crate) fn presence_due(&self, every: Duration) -> Option<Duration> {
        let mut telling = self.telling.lock().unwrap_or_else(PoisonError::into_inner);
        if telling.soon {
            return None;
        }
        telling.soon = true;
        Some(telling.last.map_or(Duration::ZERO, |last| every.saturating_sub(last.elapsed())))
    }

    pub(crate) fn presence_told(&self) {
        let mut telling = self.telling.lock().unwrap_or_else(PoisonError::into_inner);
        *telling = Telling { last: Some(Instant::now()), soon: false };
    }
}

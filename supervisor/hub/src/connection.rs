//! One live connection: who it is, what it asked to be told, and what waits for it.

use std::collections::{BTreeMap, HashSet};
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use api::events::{Event, To};
use bytes::Bytes;
use types::{Scopes, TenantId, UnixMillis};

use crate::invoke::Pending;
use crate::queue::{Close, Queue, StateVersion};
use crate::{Full, Message};

/// Sessions whose messages one connection may follow: an open window follows one.
pub(crate) const MAX_FOLLOWED: usize = 256;

/// What a connection is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Calls methods for a person or a program.
    Operator,
    /// Is called: a machine that does things for the tenant.
    Node,
}

impl Role {
    /// The name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Operator => "operator",
            Self::Node => "node",
        }
    }
}

/// What a client says of itself. Not to be trusted; shown to its own tenant.
#[derive(Debug, Clone, Default)]
pub struct Client {
    /// Which program, for example `cli`.
    pub id: String,
    /// What kind of client, for example `ui`.
    pub mode: String,
    /// The program's version.
    pub version: String,
    /// The system that it runs on.
    pub platform: String,
    /// A name for people.
    pub display_name: Option<String>,
    /// The kind of device.
    pub device_family: Option<String>,
    /// The model of the device.
    pub model_identifier: Option<String>,
    /// Which installation of the program.
    pub instance_id: Option<String>,
}

/// What a connection is made of.
#[derive(Debug, Clone)]
pub struct Spec {
    /// What it is for.
    pub role: Role,
    /// What the client says of itself.
    pub client: Client,
    /// The device that proved itself.
    pub device_id: Option<String>,
    /// What it may do.
    pub scopes: Scopes,
    /// What the client can take, for example `tool-events`.
    pub caps: Vec<String>,
    /// What a node can be asked to do.
    pub commands: Vec<String>,
    /// The search path of a node's programs.
    pub path_env: Option<String>,
    /// What a node's user has allowed it.
    pub permissions: BTreeMap<String, bool>,
    /// When it came.
    pub connected_at: UnixMillis,
    /// The address at its far end.
    pub peer: IpAddr,
}

/// One live connection.
#[derive(Debug)]
pub struct Connection {
    id: String,
    tenant: TenantId,
    spec: Spec,
    commands: Mutex<Arc<[String]>>,
    sessions: AtomicBool,
    messages: Mutex<HashSet<String>>,
    note: Mutex<Option<Arc<str>>>,
    pub(crate) queue: Queue,
    pub(crate) pending: Pending,
}

impl Connection {
    pub(crate) fn new(tenant: &TenantId, spec: Spec, queue: Queue) -> Self {
        Self {
            id: uuid::Uuid::new_v4().to_string(),
            tenant: tenant.clone(),
            commands: Mutex::new(Arc::from(spec.commands.as_slice())),
            sessions: AtomicBool::new(false),
            messages: Mutex::default(),
            note: Mutex::default(),
            queue,
            pending: Pending::default(),
            spec,
        }
    }

    /// Its id, a UUID.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Whose it is.
    pub const fn tenant(&self) -> &TenantId {
        &self.tenant
    }

    /// What it is for.
    pub const fn role(&self) -> Role {
        self.spec.role
    }

    /// What the client says of itself.
    pub const fn client(&self) -> &Client {
        &self.spec.client
    }

    /// The device that proved itself; it is also what names a node.
    pub fn device_id(&self) -> Option<&str> {
        self.spec.device_id.as_deref()
    }

    /// What it may do.
    pub const fn scopes(&self) -> Scopes {
        self.spec.scopes
    }

    /// What the client can take, for example `tool-events`.
    pub fn caps(&self) -> &[String] {
        &self.spec.caps
    }

    /// What a node can be asked to do now.
    pub fn commands(&self) -> Arc<[String]> {
        Arc::clone(&self.commands.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// What a node can be asked to do from now on. The caller bounds it.
    pub fn set_commands(&self, commands: Vec<String>) {
        *self.commands.lock().unwrap_or_else(PoisonError::into_inner) = commands.into();
    }

    /// The search path of a node's programs.
    pub fn path_env(&self) -> Option<&str> {
        self.spec.path_env.as_deref()
    }

    /// What a node's user has allowed it.
    pub const fn permissions(&self) -> &BTreeMap<String, bool> {
        &self.spec.permissions
    }

    /// When it came.
    pub const fn connected_at(&self) -> UnixMillis {
        self.spec.connected_at
    }

    /// The address at its far end.
    pub const fn peer(&self) -> IpAddr {
        self.spec.peer
    }

    /// Whether it is told of changes of every session.
    pub fn subscribe_sessions(&self, wanted: bool) {
        self.sessions.store(wanted, Ordering::Relaxed);
    }

    /// Whether it is told of the messages of one session.
    ///
    /// # Errors
    /// When it follows too many sessions.
    pub fn subscribe_messages(&self, key: &str, wanted: bool) -> Result<(), Full> {
        let mut followed = self.followed();
        if !wanted {
            followed.remove(key);
        } else if followed.len() < MAX_FOLLOWED || followed.contains(key) {
            followed.insert(key.to_owned());
        } else {
            return Err(Full);
        }
        Ok(())
    }

    /// What the client last said of its machine.
    pub fn note(&self) -> Option<Arc<str>> {
        self.note.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The client says something of its machine. The caller bounds it.
    pub fn set_note(&self, text: &str) {
        *self.note.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::from(text));
    }

    /// Sends an event with the next number of its sequence, if the event is for it.
    pub fn push(&self, message: &Message) -> bool {
        let wanted = self.wants(message);
        if wanted {
            self.queue.event(message, None, true);
        }
        wanted
    }

    /// Sends an event with the next number of its sequence and the state that it tells of.
    pub fn push_state(&self, message: &Message, version: StateVersion) {
        if self.wants(message) {
            self.queue.event(message, Some(version), true);
        }
    }

    /// Sends an event without a number.
    pub(crate) fn push_aside(&self, message: &Message) -> bool {
        let may = self.may_see(message.event);
        if may {
            self.queue.event(message, None, false);
        }
        may
    }

    /// Sends what is not an event, when there is room for it; at once where it is closed.
    pub async fn answer(&self, frame: Bytes) {
        self.queue.answer(frame).await;
    }

    /// Resolves when little enough waits for it that new work may begin; true where it was not so
    /// at once.
    pub async fn unloaded(&self) -> bool {
        self.queue.unloaded().await
    }

    /// Whether it has ended, or is about to.
    pub fn is_gone(&self) -> bool {
        self.queue.is_closed()
    }

    /// Ends it.
    pub fn close(&self, why: Close) {
        self.queue.close(why);
    }

    /// Whether the event is for it.
    pub(crate) fn wants(&self, message: &Message) -> bool {
        self.may_see(message.event)
            && match message.event.to {
                To::All => true,
                To::Sessions => self.sessions.load(Ordering::Relaxed),
                To::Session => self.followed().contains(&message.session_key),
                To::One => false,
            }
    }

    fn may_see(&self, event: &Event) -> bool {
        event.scope.is_none_or(|scope| self.scopes().contains(scope))
            && event.cap.is_none_or(|cap| self.caps().iter().any(|it| it == cap))
    }

    fn followed(&self) -> MutexGuard<'_, HashSet<String>> {
        self.messages.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

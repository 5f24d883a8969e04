//! Consent: what is asked before a command runs, who decides, and what the decision is for. A decision
//! is for one command to its last byte, for as long as whoever asked waits, or for an entry of the
//! tenant's list that is durable before anybody is told.
//!
//! Who may decide is not known here: callers have checked it. Nothing here is a worker's to call.

mod ask;
mod book;
pub(crate) mod carriers;
mod policy;
mod room;
mod rules;
mod show;
mod ticket;
mod views;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use api::approvals::{Decision, Entry, File, Over, Request, Security, Waiting};
use hub::{Hub, Message};
use records::Records;
use serde::Serialize;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::Instant;
use types::{AgentId, Chain, Clock, Scope, TenantId, UnixMillis};

pub use ask::{Ask, Bound, CommandDigest, Variable};
pub use book::{Book, BookError};
pub use policy::{Outcome, Policy};
pub use room::{By, End, MAX_FOREIGN, MAX_PENDING, Past, Phase, Refused};
pub use show::Text;
pub use ticket::{Approved, Asked, Denied, SYSTEM_PATH, Ticket, Verdict};
pub use views::{Ended, Foreign};

use book::Books;
use room::{Claim, Pending, Room};

/// Requests of all tenants for commands that others run that wait at once. A tenant's own are bounded
/// by themselves: nobody else's take their places.
pub const MAX_TOTAL: usize = 1000;

/// How long somebody has to decide where nothing else is said: as long as a person who is there needs.
pub const USUAL_WAIT: Duration = Duration::from_mins(2);

/// The least time to decide.
pub const MIN_WAIT: Duration = Duration::from_secs(10);

/// The longest time to decide: an agent's turn waits as long.
pub const MAX_WAIT: Duration = Duration::from_mins(30);

/// What all tenants' approvals share. Clones are the same.
#[derive(Debug, Clone)]
pub struct Office {
    books: Books,
    hub: Hub,
    clock: Arc<dyn Clock>,
    places: Arc<Semaphore>,
}

/// The approvals of one tenant. Clones are the same.
#[derive(Debug, Clone)]
pub struct Approvals(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    tenant: TenantId,
    office: Office,
    room: Mutex<Room>,
    /// Held by whoever decides or changes the file, so that decisions are made one after the other.
    turn: tokio::sync::Mutex<()>,
}

/// A request that is to wait.
struct New {
    id: String,
    request: Request,
    entry: Option<Entry>,
    wait: Duration,
    /// Whether those who may decide are told.
    tell: bool,
    /// Its place among those for commands that others run, if it is one.
    place: Option<OwnedSemaphorePermit>,
}

/// A decision that was not made.
#[derive(Debug, thiserror::Error)]
pub enum ResolveError {
    /// It cannot be.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// It could not be written down; the request still waits.
    #[error("the decision could not be kept")]
    Book(#[source] BookError),
}

impl Office {
    /// An office that keeps files in `records` and tells who is connected to `hub`.
    pub fn new(records: Records, hub: Hub, clock: Arc<dyn Clock>) -> Self {
        Self { books: Books(records), hub, clock, places: Arc::new(Semaphore::new(MAX_TOTAL)) }
    }

    /// The approvals of a tenant: made once, where the tenant is, and gone with it.
    pub fn open(&self, tenant: &TenantId) -> Approvals {
        Approvals(Arc::new(Inner {
            tenant: tenant.clone(),
            office: self.clone(),
            room: Mutex::default(),
            turn: tokio::sync::Mutex::default(),
        }))
    }
}

impl Approvals {
    /// What becomes of a command under the operator's and the tenant's settings, which the tenant's
    /// file makes stricter.
    ///
    /// # Errors
    /// When it may not run, whoever would be asked.
    pub async fn decide(&self, ask: &Ask<'_>, policy: Policy) -> Result<Verdict, Denied> {
        let inner = &self.0;
        let book = inner.office.books.read(&inner.tenant).await.map_err(Denied::Book)?;
        let policy = policy.within(&book.file, ask.agent.as_str());
        // A search that decides nothing is not made.
        let matters = policy.verdict(true) != policy.verdict(false);
        let listed = matters.then(|| rules::find(book.entries(ask.agent), ask)).flatten();
        match policy.verdict(listed.is_some()) {
            Outcome::Denied => Err(Denied::Policy),
            Outcome::Missed => Err(Denied::Missed),
            Outcome::Granted => {
                if let Some(entry) = listed {
                    self.note(&book, entry, ask).await;
                }
                let free = policy == Policy::OPEN;
                Ok(Verdict::Granted(Approved { digest: ask.digest(), system_only: !free }))
            }
            Outcome::Asked => self.ask(ask, policy),
        }
    }

    fn ask(&self, ask: &Ask<'_>, policy: Policy) -> Result<Verdict, Denied> {
        let id = uuid::Uuid::new_v4().to_string();
        let entry = rules::entry(ask, uuid::Uuid::new_v4().to_string());
        let request = show::request(ask, policy, entry.is_some());
        let new = New { id, request, entry, wait: USUAL_WAIT, tell: true, place: None };
        let ticket = self.wait(new)?;
        let (digest, agent) = (ask.digest(), ask.agent.clone());
        Ok(Verdict::Asked(Asked { ticket, digest, agent, policy }))
    }

    /// Whether the tenant's file still lets the agent run anything.
    async fn still_open(&self, agent: &AgentId, policy: Policy) -> Result<(), Denied> {
        let book = self.book().await.map_err(Denied::Book)?;
        let policy = policy.within(&book.file, agent.as_str());
        if policy.security == Security::Deny { Err(Denied::Policy) } else { Ok(()) }
    }

    /// One more request, and everybody who may decide told of it.
    fn wait(&self, new: New) -> Result<Ticket, Denied> {
        let inner = &self.0;
        let New { id, request, entry, wait, tell, place } = new;
        let created_at = inner.office.clock.now();
        let wait = wait.clamp(MIN_WAIT, MAX_WAIT);
        let millis = UnixMillis::try_from(wait.as_millis()).unwrap_or(UnixMillis::MAX);
        let expires_at = created_at.saturating_add(millis);
        let (phases, phase) = watch::channel(Phase::Waiting);
        let told = tell.then(|| Waiting {
            id: id.clone(),
            request: request.clone(),
            created_at_ms: created_at,
            expires_at_ms: expires_at,
        });
        let mut room = self.room();
        if room.knows(&id) {
            return Err(Denied::Taken);
        }
        if !room.has_room(place.is_some()) {
            return Err(Denied::Full);
        }
        room.add(Pending {
            id: id.clone(),
            request,
            entry,
            created_at,
            expires_at,
            phase: phases,
            place,
        });
        drop(room);
        let deadline = Instant::now() + wait;
        tracing::info!(tenant = %inner.tenant, approval = id, "a command waits for approval");
        if let Some(told) = told {
            self.publish("exec.approval.requested", &told);
        }
        Ok(Ticket { approvals: self.clone(), id, created_at, expires_at, deadline, phase })
    }

    /// Decides. True where it was this call that did.
    ///
    /// # Errors
    /// When there is nothing to decide, or it was decided otherwise, or the decision cannot be kept.
    pub async fn resolve(
        &self,
        id: &str,
        decision: Decision,
        by: By,
    ) -> Result<bool, ResolveError> {
        let inner = &self.0;
        let turn = inner.turn.lock().await;
        let now = inner.office.clock.now();
        let claim = self.room().claim(id, decision, now)?;
        let Claim::Make(entry) = claim else { return Ok(false) };
        let held = Held { approvals: self, id };
        if let Some(entry) = entry {
            let agent = self.room().find(id).and_then(|it| it.request.agent_id.clone());
            let agent = agent.ok_or(Refused::Unknown)?;
            let added = inner.office.books.add(&inner.tenant, &agent, &entry, now).await;
            added.map_err(ResolveError::Book)?;
        }
        tracing::info!(
            tenant = %inner.tenant, approval = id, decision = decision.name(), by = by.id(),
            "an approval was decided"
        );
        let made = self.over(id, End::Decided(decision), Some(by));
        drop((held, turn));
        // Whoever asked may have gone away while it was written down.
        if made { Ok(true) } else { Err(Refused::Unknown.into()) }
    }

    /// The tenant's file.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn book(&self) -> Result<Book, BookError> {
        self.0.office.books.read(&self.0.tenant).await
    }

    /// Replaces the tenant's file; what waits is decided anew by nobody, and goes on waiting.
    ///
    /// # Errors
    /// When it has changed since, or is out of bounds.
    pub async fn replace_book(&self, file: File, base: Option<&str>) -> Result<Book, BookError> {
        let inner = &self.0;
        let turn = inner.turn.lock().await;
        let now = inner.office.clock.now();
        let book = inner.office.books.replace(&inner.tenant, file, base, now).await;
        drop(turn);
        book
    }

    /// Whether somebody is connected who may decide.
    pub fn has_approver(&self) -> bool {
        let connections = self.0.office.hub.connections(&self.0.tenant);
        connections.iter().any(|it| it.scopes().contains(Scope::Approvals))
    }

    async fn note(&self, book: &Book, entry: &Entry, ask: &Ask<'_>) {
        let inner = &self.0;
        let (now, command) = (inner.office.clock.now(), show::line(ask.argv));
        let noted = inner.office.books.used(&inner.tenant, book, entry, &command, now).await;
        if let Err(err) = noted {
            tracing::warn!(
                tenant = %inner.tenant, error = %Chain(&err),
                "the use of an allowlist entry was not noted"
            );
        }
    }

    fn expire(&self, id: &str) -> Option<End> {
        let now = self.0.office.clock.now();
        let end = self.room().expire(id, now)?;
        self.tell_over(id, end, None, now);
        Some(end)
    }

    /// Ends a request. False where it was over.
    fn over(&self, id: &str, end: End, by: Option<By>) -> bool {
        let now = self.0.office.clock.now();
        let resolved_by = by.as_ref().map(|it| it.id().to_owned());
        let ended = self.room().end(id, end, by, now).is_some();
        if ended {
            self.tell_over(id, end, resolved_by.as_deref(), now);
        }
        ended
    }

    fn tell_over(&self, id: &str, end: End, resolved_by: Option<&str>, ts: UnixMillis) {
        let decision = match end {
            End::Decided(decision) => decision,
            End::Expired | End::Withdrawn => Decision::Deny,
        };
        self.publish("exec.approval.resolved", &Over { id, decision, resolved_by, ts });
    }

    fn publish(&self, event: &str, payload: &impl Serialize) {
        let Some(event) = api::events::event(event) else { return };
        match serde_json::to_vec(payload) {
            Ok(payload) => {
                let message =
                    Message { event, payload: payload.into(), session_key: String::new() };
                self.0.office.hub.publish(&self.0.tenant, &message);
            }
            Err(err) => {
                tracing::error!(event = event.name, error = %err, "an event has no JSON form");
            }
        }
    }

    fn room(&self) -> MutexGuard<'_, Room> {
        self.0.room.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A decision that is being written down: where that fails or is given up, the request waits on.
struct Held<'a> {
    approvals: &'a Approvals,
    id: &'a str,
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.approvals.room().release(self.id);
    }
}

#[cfg(test)]
mod tests;

//! Requests as callers of methods see them, and requests for commands that others run.

use std::sync::Arc;
use std::time::Duration;

use api::approvals::{Decision, Presentation, Request, Resolver, Snapshot, Waiting};

use super::room::{By, End, Past, Pending, Phase};
use super::{Approvals, Denied, New, Ticket, USUAL_WAIT};

/// A request for a command that somebody else will run: it is shown and decided, and nothing more
/// follows from it here.
#[derive(Debug)]
pub struct Foreign {
    /// What names it; a new one where there is none.
    pub id: Option<String>,
    /// What is asked.
    pub request: Request,
    /// How long to wait.
    pub wait: Option<Duration>,
    /// Whether those who may decide are told.
    pub tell: bool,
}

impl Approvals {
    /// Asks for consent to a command that somebody else will run.
    ///
    /// # Errors
    /// When too many wait or the id is taken.
    pub fn ask_for(&self, foreign: Foreign) -> Result<Ticket, Denied> {
        let Foreign { id, request, wait, tell } = foreign;
        let id = id.unwrap_or_else(|| uuid::Uuid::new_v4().to_string());
        let place = Arc::clone(&self.0.office.places).try_acquire_owned();
        let place = Some(place.ok().ok_or(Denied::Full)?);
        self.wait(New { id, request, entry: None, wait: wait.unwrap_or(USUAL_WAIT), tell, place })
    }

    /// Those that can be decided, oldest first.
    pub fn waiting(&self) -> Vec<Waiting> {
        let now = self.0.office.clock.now();
        self.room().waiting(now).map(waiting).collect()
    }

    /// One that can be decided.
    pub fn waiting_for(&self, id: &str) -> Option<Waiting> {
        let now = self.0.office.clock.now();
        self.room().waiting(now).find(|it| it.id == id).map(waiting)
    }

    /// One that waits or is over.
    pub fn snapshot(&self, id: &str) -> Option<Snapshot> {
        let room = self.room();
        room.find(id).map(pending).or_else(|| room.past(id).map(past))
    }

    /// Those that are over, newest first.
    pub fn history(&self) -> Vec<Snapshot> {
        self.room().history().map(past).collect()
    }

    /// Waits for the end of one; where it has not ended until then, none.
    pub async fn wait_for(&self, id: &str, wait: Option<Duration>) -> Option<Ended> {
        let (mut phase, created_at, expires_at) = {
            let room = self.room();
            if let Some(past) = room.past(id) {
                let (created_at, expires_at) = (past.created_at, past.expires_at);
                return Some(Ended { end: Some(past.end), created_at, expires_at });
            }
            let pending = room.find(id)?;
            (pending.phase.subscribe(), pending.created_at, pending.expires_at)
        };
        let over = phase.wait_for(|it| matches!(it, Phase::Over(_)));
        let wait = wait.unwrap_or(super::MAX_WAIT).min(super::MAX_WAIT);
        let end = match tokio::time::timeout(wait, over).await {
            Ok(over) => Some(super::ticket::ended(over.as_deref().copied().ok())),
            Err(_elapsed) => None,
        };
        Some(Ended { end, created_at, expires_at })
    }
}

/// What is known of a request after a wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ended {
    /// How it ended, if it did.
    pub end: Option<End>,
    /// When it was asked.
    pub created_at: u64,
    /// Until when somebody could decide.
    pub expires_at: u64,
}

fn waiting(pending: &Pending) -> Waiting {
    Waiting {
        id: pending.id.clone(),
        request: pending.request.clone(),
        created_at_ms: pending.created_at,
        expires_at_ms: pending.expires_at,
    }
}

fn presentation(request: &Request) -> Presentation {
    Presentation {
        kind: "exec",
        command_text: request.command.clone(),
        warning_text: request.warning_text.clone(),
        host: request.host.clone(),
        node_id: request.node_id.clone(),
        agent_id: request.agent_id.clone(),
        allowed_decisions: request.allowed_decisions.clone(),
    }
}

fn pending(pending: &Pending) -> Snapshot {
    Snapshot {
        id: pending.id.clone(),
        url_path: url_path(&pending.id),
        created_at_ms: pending.created_at,
        expires_at_ms: pending.expires_at,
        presentation: presentation(&pending.request),
        source_session_key: pending.request.session_key.clone(),
        resolved_at_ms: None,
        resolver: None,
        status: "pending",
        decision: None,
        reason: None,
    }
}

fn past(past: &Past) -> Snapshot {
    let (status, decision, reason) = match past.end {
        End::Decided(Decision::Deny) => ("denied", Some(Decision::Deny), "user"),
        End::Decided(decision) => ("allowed", Some(decision), "user"),
        End::Expired => ("expired", None, "timeout"),
        End::Withdrawn => ("cancelled", None, "run-aborted"),
    };
    Snapshot {
        id: past.id.clone(),
        url_path: url_path(&past.id),
        created_at_ms: past.created_at,
        expires_at_ms: past.expires_at,
        presentation: presentation(&past.request),
        source_session_key: None,
        resolved_at_ms: Some(past.over_at),
        resolver: past.by.as_ref().map(resolver),
        status,
        decision,
        reason: Some(reason),
    }
}

fn resolver(by: &By) -> Resolver {
    let kind = match by {
        By::Device(_) => "device",
        By::Token(_) => "runtime",
    };
    Resolver { kind, id: Some(by.id().to_owned()) }
}

fn url_path(id: &str) -> String {
    format!("/approve/{id}")
}

//! The requests of one tenant: those that wait, and the last ones that are over. What is decided is
//! decided once, under one lock; nothing here waits or writes.

use std::collections::VecDeque;

use api::approvals::{Decision, Entry, Request};
use tokio::sync::{OwnedSemaphorePermit, watch};
use types::UnixMillis;

/// Requests of one tenant that wait at once: more than anybody looks at.
pub const MAX_PENDING: usize = 32;

/// Requests of one tenant for commands that others run that wait at once. They take none of the places
/// of its own commands.
pub const MAX_FOREIGN: usize = 8;

/// Requests that are over and still known: whoever decides late learns what was decided.
const MAX_PAST: usize = 64;

/// Bytes of a command that is over.
const MAX_PAST_COMMAND: usize = 1024;

/// Where a request is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Nobody has decided.
    Waiting,
    /// Somebody has, and it is being written down.
    Claimed,
    /// It is over.
    Over(End),
}

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Somebody decided.
    Decided(Decision),
    /// Nobody did in time.
    Expired,
    /// Whoever asked is gone.
    Withdrawn,
}

/// Who decides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum By {
    /// A device that proved itself.
    Device(String),
    /// The holder of a token.
    Token(String),
}

impl By {
    /// Which.
    pub fn id(&self) -> &str {
        match self {
            Self::Device(id) | Self::Token(id) => id,
        }
    }
}

/// One request that waits.
#[derive(Debug)]
pub(crate) struct Pending {
    pub(crate) id: String,
    pub(crate) request: Request,
    /// What a consent from now on adds to the tenant's list.
    pub(crate) entry: Option<Entry>,
    pub(crate) created_at: UnixMillis,
    pub(crate) expires_at: UnixMillis,
    pub(crate) phase: watch::Sender<Phase>,
    /// Its place among all tenants' requests for commands that others run; none for one's own.
    pub(crate) place: Option<OwnedSemaphorePermit>,
}

/// One request that is over.
#[derive(Debug, Clone)]
pub struct Past {
    /// What named it.
    pub id: String,
    /// What was asked, without the words, variables and files of it.
    pub request: Request,
    /// When it was asked.
    pub created_at: UnixMillis,
    /// Until when somebody could decide.
    pub expires_at: UnixMillis,
    /// When it was over.
    pub over_at: UnixMillis,
    /// How it ended.
    pub end: End,
    /// Who decided.
    pub by: Option<By>,
}

/// Why a request cannot be decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// There is no such request, or it is over without a decision.
    #[error("unknown or expired approval id")]
    Unknown,
    /// Another decision was made before.
    #[error("approval already resolved")]
    Decided,
    /// What is asked cannot be decided so.
    #[error("allow-always is unavailable for this request; allowed are allow-once and deny")]
    Unavailable,
}

/// The requests of one tenant.
#[derive(Debug, Default)]
pub(crate) struct Room {
    pending: Vec<Pending>,
    past: VecDeque<Past>,
}

/// What is to be done for a decision.
#[derive(Debug)]
pub(crate) enum Claim {
    /// Nothing: it was made before.
    Made,
    /// This is to be added to the tenant's list, if anything, and then the request be ended.
    Make(Option<Entry>),
}

impl Room {
    /// Whether one more fits, of those for commands that others run or of the tenant's own.
    pub(crate) fn has_room(&self, foreign: bool) -> bool {
        let same = self.pending.iter().filter(|it| it.place.is_some() == foreign).count();
        same < if foreign { MAX_FOREIGN } else { MAX_PENDING }
    }

    pub(crate) fn knows(&self, id: &str) -> bool {
        self.find(id).is_some() || self.past(id).is_some()
    }

    pub(crate) fn add(&mut self, pending: Pending) {
        self.pending.push(pending);
    }

    pub(crate) fn find(&self, id: &str) -> Option<&Pending> {
        self.pending.iter().find(|it| it.id == id)
    }

    pub(crate) fn past(&self, id: &str) -> Option<&Past> {
        self.past.iter().find(|it| it.id == id)
    }

    /// Those that can be decided at `now`, oldest first.
    pub(crate) fn waiting(&self, now: UnixMillis) -> impl Iterator<Item = &Pending> {
        self.pending.iter().filter(move |it| now < it.expires_at)
    }

    /// Those that are over, newest first.
    pub(crate) fn history(&self) -> impl Iterator<Item = &Past> {
        self.past.iter().rev()
    }

    /// Whether and how a request can be decided; until it is ended or released nothing else ends it
    /// but that whoever asked goes away.
    pub(crate) fn claim(
        &mut self,
        id: &str,
        decision: Decision,
        now: UnixMillis,
    ) -> Result<Claim, Refused> {
        if let Some(past) = self.past(id) {
            return match past.end {
                End::Decided(made) if made == decision => Ok(Claim::Made),
                End::Decided(_) => Err(Refused::Decided),
                End::Expired | End::Withdrawn => Err(Refused::Unknown),
            };
        }
        let pending = self.find(id).ok_or(Refused::Unknown)?;
        if *pending.phase.borrow() != Phase::Waiting {
            return Err(Refused::Decided);
        }
        if now >= pending.expires_at {
            return Err(Refused::Unknown);
        }
        if !pending.request.allowed_decisions.contains(&decision) {
            return Err(Refused::Unavailable);
        }
        pending.phase.send_replace(Phase::Claimed);
        let always = decision == Decision::AllowAlways;
        Ok(Claim::Make(pending.entry.clone().filter(|_| always)))
    }

    /// The decision could not be written down.
    pub(crate) fn release(&self, id: &str) {
        if let Some(pending) = self.find(id) {
            pending.phase.send_if_modified(|phase| {
                let claimed = *phase == Phase::Claimed;
                if claimed {
                    *phase = Phase::Waiting;
                }
                claimed
            });
        }
    }

    /// Ends a request whose time is over, unless somebody has just decided. Gives how it ended, if it
    /// did.
    pub(crate) fn expire(&mut self, id: &str, now: UnixMillis) -> Option<End> {
        let claimed = self.find(id).is_some_and(|it| *it.phase.borrow() == Phase::Claimed);
        if claimed { None } else { self.end(id, End::Expired, None, now) }
    }

    /// Ends a request; none where it is over.
    pub(crate) fn end(
        &mut self,
        id: &str,
        end: End,
        by: Option<By>,
        now: UnixMillis,
    ) -> Option<End> {
        let at = self.pending.iter().position(|it| it.id == id)?;
        let pending = self.pending.remove(at);
        let Pending { id, request, created_at, expires_at, phase, place, entry: _ } = pending;
        if self.past.len() >= MAX_PAST {
            self.past.pop_front();
        }
        let over_at = now;
        let request = shortened(request);
        self.past.push_back(Past { id, request, created_at, expires_at, over_at, end, by });
        phase.send_replace(Phase::Over(end));
        drop(place);
        Some(end)
    }
}

/// What is kept of a request that is over: enough to recognise it.
fn shortened(request: Request) -> Request {
    let command = super::show::cut(&request.command, MAX_PAST_COMMAND).0;
    let Request { host, node_id, agent_id, session_key, warning_text, allowed_decisions, .. } =
        request;
    let kept = Request { command, host, node_id, agent_id, session_key, ..Request::default() };
    Request { warning_text, allowed_decisions, ..kept }
}

//! What becomes of a command: the right to run it, or the wait for whoever decides. What nobody waits
//! for any more is withdrawn.

use api::approvals::Decision;
use tokio::sync::watch;
use tokio::time::Instant;
use types::{AgentId, UnixMillis};

use super::ask::{Ask, CommandDigest};
use super::room::{End, Phase};
use super::{Approvals, BookError, Policy};

/// Where programs are found that no agent can write. What was consented to is looked for here only: an
/// agent can put another program of the same name where it looks first otherwise.
pub const SYSTEM_PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// What becomes of a command.
#[derive(Debug)]
pub enum Verdict {
    /// It runs.
    Granted(Approved),
    /// Somebody is asked.
    Asked(Asked),
}

/// The right to run one command, once.
#[derive(Debug)]
pub struct Approved {
    pub(super) digest: CommandDigest,
    pub(super) system_only: bool,
}

/// Somebody is asked. Dropping it withdraws the request: nothing can be decided any more.
#[derive(Debug)]
pub struct Asked {
    pub(super) ticket: Ticket,
    pub(super) digest: CommandDigest,
    pub(super) agent: AgentId,
    pub(super) policy: Policy,
}

/// A request that waits. Dropping it withdraws the request.
#[derive(Debug)]
pub struct Ticket {
    pub(super) approvals: Approvals,
    pub(super) id: String,
    pub(super) created_at: UnixMillis,
    pub(super) expires_at: UnixMillis,
    pub(super) deadline: Instant,
    pub(super) phase: watch::Receiver<Phase>,
}

/// A command that may not run.
#[derive(Debug, thiserror::Error)]
pub enum Denied {
    /// Nothing may run.
    #[error("commands are forbidden by the tenant's rules (security: deny)")]
    Policy,
    /// Only what the list has may run.
    #[error("the command is not on the agent's allowlist")]
    Missed,
    /// Somebody decided so.
    #[error("the command was denied")]
    Decided,
    /// Nobody decided.
    #[error("nobody approved the command in time")]
    Expired,
    /// Whoever asked is gone.
    #[error("the request was withdrawn")]
    Withdrawn,
    /// Too many wait.
    #[error("too many commands wait for approval")]
    Full,
    /// The id is taken.
    #[error("approval id already used")]
    Taken,
    /// The tenant's file cannot be read, and so nothing may run.
    #[error("the tenant's file of approvals cannot be read")]
    Book(#[source] BookError),
}

impl Approved {
    /// Whether this is the command that may run.
    pub fn covers(&self, ask: &Ask<'_>) -> bool {
        self.digest == ask.digest()
    }

    /// The search path that it must run with, where somebody consented to it by name.
    pub const fn search_path(&self) -> Option<&'static str> {
        if self.system_only { Some(SYSTEM_PATH) } else { None }
    }
}

impl Asked {
    /// What names the request.
    pub fn id(&self) -> &str {
        self.ticket.id()
    }

    /// Until when somebody can decide.
    pub const fn expires_at(&self) -> UnixMillis {
        self.ticket.expires_at()
    }

    /// Waits for the decision.
    ///
    /// # Errors
    /// When it is not to run.
    pub async fn answer(mut self) -> Result<Approved, Denied> {
        match self.ticket.end().await {
            End::Decided(Decision::AllowOnce | Decision::AllowAlways) => {
                // What was forbidden meanwhile is forbidden, whoever was asked before.
                self.ticket.approvals.still_open(&self.agent, self.policy).await?;
                Ok(Approved { digest: self.digest, system_only: true })
            }
            End::Decided(Decision::Deny) => Err(Denied::Decided),
            End::Expired => Err(Denied::Expired),
            End::Withdrawn => Err(Denied::Withdrawn),
        }
    }
}

impl Ticket {
    /// What names the request.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// When it was asked.
    pub const fn created_at(&self) -> UnixMillis {
        self.created_at
    }

    /// Until when somebody can decide.
    pub const fn expires_at(&self) -> UnixMillis {
        self.expires_at
    }

    /// Waits for its end.
    pub async fn end(&mut self) -> End {
        loop {
            let over = self.phase.wait_for(|it| matches!(it, Phase::Over(_)));
            if let Ok(over) = tokio::time::timeout_at(self.deadline, over).await {
                return ended(over.as_deref().copied().ok());
            }
            if let Some(end) = self.approvals.expire(&self.id) {
                return end;
            }
            // Somebody decided a moment ago, and it is being written down.
            let settled = self.phase.wait_for(|it| *it != Phase::Claimed).await;
            if let Some(Phase::Over(end)) = settled.ok().map(|it| *it) {
                return end;
            }
        }
    }
}

/// How a request ended whose watch says this.
pub(super) const fn ended(phase: Option<Phase>) -> End {
    match phase {
        Some(Phase::Over(end)) => end,
        Some(Phase::Waiting | Phase::Claimed) | None => End::Withdrawn,
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.approvals.over(&self.id, End::Withdrawn, None);
    }
}

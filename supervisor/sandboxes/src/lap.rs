//! The time of one program, set aside in the tenant's account piece by piece while it runs.
//!
//! A piece is written down before its time begins, so that what a killed gateway leaves open is no
//! more than one piece too much.

use std::sync::Arc;
use std::time::Duration;

use ledger::{Account, Lease, Refusal};
use tokio::time::Instant;
use types::{AgentId, Clock};

use crate::Error;
use crate::programs::Owner;
use crate::run::millis;

/// Milliseconds of one piece. A long program takes a line of the books for each.
const PIECE: u64 = 60_000;

/// The part of a piece, in quarters, after which the next one is asked for.
const AHEAD: u64 = 3;

/// The time that a program has.
#[derive(Debug)]
pub(crate) struct Lap {
    account: Arc<Account>,
    clock: Arc<dyn Clock>,
    agent: Arc<str>,
    /// The current piece; none for a moment while the next takes its place.
    lease: Option<Lease>,
    /// When the piece began; none before the program does.
    since: Option<Instant>,
}

impl Lap {
    /// The first piece.
    ///
    /// # Errors
    /// When a limit leaves no time, or it cannot be written down.
    pub(crate) async fn begin(owner: &Owner, agent: &AgentId) -> Result<Self, Error> {
        let mut lap = Self {
            account: Arc::clone(&owner.account),
            clock: Arc::clone(&owner.clock),
            agent: agent.as_str().into(),
            lease: None,
            since: None,
        };
        lap.lease = Some(lap.piece().await.map_err(limit)?);
        Ok(lap)
    }

    /// The program begins.
    pub(crate) fn start(&mut self) {
        self.since = Some(Instant::now());
    }

    /// Resolves when the time is over and there is no more.
    pub(crate) async fn run_out(&mut self) -> Error {
        loop {
            let length = self.lease.as_ref().map_or(0, Lease::millis);
            let since = *self.since.get_or_insert_with(Instant::now);
            let end = since + Duration::from_millis(length);
            tokio::time::sleep_until(since + Duration::from_millis(length / 4 * AHEAD)).await;
            let next = self.piece().await;
            tokio::time::sleep_until(end).await;
            // What was refused may be granted by now: a window may have begun.
            let next = match next {
                Ok(next) => next,
                Err(_refused) => match self.piece().await {
                    Ok(next) => next,
                    Err(refusal) => return limit(refusal),
                },
            };
            if let Some(over) = self.lease.replace(next) {
                over.settle(self.clock.now(), length);
            }
            self.since = Some(end);
        }
    }

    async fn piece(&self) -> Result<Lease, Refusal> {
        let agent = Some(Arc::clone(&self.agent));
        self.account.lease(self.clock.now(), agent, PIECE)?.written().await
    }
}

impl Drop for Lap {
    /// A program that never began has used nothing.
    fn drop(&mut self) {
        if let (Some(lease), Some(since)) = (self.lease.take(), self.since) {
            lease.settle(self.clock.now(), millis(since.elapsed()));
        }
    }
}

fn limit(refusal: Refusal) -> Error {
    Error::Limit(Box::new(refusal))
}

#[cfg(test)]
mod tests;

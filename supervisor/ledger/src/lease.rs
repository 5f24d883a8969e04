//! Time of a program, set aside before it runs and in pieces while it runs.

use std::sync::Arc;

use types::{Dimension, UnixMillis};

use crate::account::{Account, Who};
use crate::hold::{Reserved, Settled, Share, Stake};
use crate::{Amount, Kind, Refusal};

/// So much time of one program, set aside and written down. Dropping it without settling releases it.
#[derive(Debug)]
#[must_use = "dropping a lease releases it"]
pub struct Lease {
    stake: Stake,
    millis: u64,
}

impl Account {
    /// Sets aside up to `millis` milliseconds of a program of `agent`, or what all limits leave of it.
    /// A program that runs on asks for the next lease before this one is over.
    ///
    /// # Errors
    /// The limit that leaves nothing.
    pub fn lease(
        self: &Arc<Self>,
        now: UnixMillis,
        agent: Option<Arc<str>>,
        millis: u64,
    ) -> Result<Reserved<Lease>, Refusal> {
        self.check_writable(now)?;
        let who = Who { agent, ..Who::default() };
        let mut entered = self.enter(now);
        let (share, born) = entered.act(&who, |pots| {
            let left = pots.left(Dimension::SandboxSeconds, &pots.stamp).unwrap_or(millis);
            let amount = Amount { sandbox_ms: millis.min(left).max(1), ..Amount::ZERO };
            pots.check(|_| (amount, 0))?;
            pots.each(|pot, stamp| pot.hold(&amount, stamp));
            Ok((Share::new(pots.stamp, amount), pots.born()))
        })?;
        let now = entered.now;
        drop(entered);
        let millis = share.held.sandbox_ms;
        let lease = Lease { stake: Stake::new(Arc::clone(self), who, born, share), millis };
        let amount = Amount { sandbox_ms: millis, ..Amount::ZERO };
        let writing = lease.stake.write(lease.stake.entry(Kind::Hold, now, amount));
        Ok(Reserved::new(lease, writing, now))
    }
}

impl Lease {
    /// How much time it is, in milliseconds.
    pub const fn millis(&self) -> u64 {
        self.millis
    }

    /// Records for how many milliseconds the program ran.
    pub fn settle(mut self, now: UnixMillis, millis: u64) -> Settled {
        let amount = Amount { sandbox_ms: millis, ..Amount::ZERO };
        let entry = self.stake.entry(Kind::Settle, now, Amount::ZERO);
        self.stake.settle(now, &amount, entry)
    }
}

//! The bill of one model call: reserved before a byte is sent, settled however the call ends.
//!
//! The hold is in here, and a provider is only reached with a reference to it. Whatever is not
//! known to be free is charged: a tenant that hangs up pays for what was sent and streamed.

use std::sync::Arc;

use ledger::{Account, Hold, Refusal, Tokens};
use proto::host::Usage;
use types::UnixMillis;

use crate::catalog::Target;
use crate::estimate;
use crate::failure::Failure;
use crate::metrics::Outcome;

/// Output tokens set aside where the tenant names no bound: the most that a current model writes.
const MAX_OUTPUT: u64 = 1 << 17;

/// The fewest output tokens for which a call is worth making.
const MIN_OUTPUT: u64 = 16;

/// Input tokens set aside for each one estimated: scripts other than Latin take more tokens than
/// the estimate gives them.
const INPUT_RESERVE: u64 = 2;

/// One call's hold and what is known of its cost.
#[derive(Debug)]
pub(crate) struct Meter {
    hold: Option<Hold>,
    target: Arc<Target>,
    /// Estimated input tokens.
    input: u64,
    /// Output tokens that the account allows.
    granted: u64,
    /// Bytes of answer that have arrived.
    streamed: u64,
    /// The provider's figures so far.
    known: Option<Usage>,
    /// Something was sent that may have to be paid for.
    owed: bool,
    /// The end of the latest attempt is counted.
    counted: bool,
}

impl Meter {
    /// Sets aside what the call may cost. Where that is too much for what is left of the tenant's
    /// limits, the output is cut by halves until it fits.
    pub(crate) fn reserve(
        account: &Arc<Account>,
        now: UnixMillis,
        target: &Arc<Target>,
        input: u64,
        asked: Option<u32>,
    ) -> Result<Box<Self>, Refusal> {
        let reserved = input.saturating_mul(INPUT_RESERVE);
        let mut granted = asked.map_or(MAX_OUTPUT, u64::from).min(MAX_OUTPUT);
        let hold = loop {
            let estimate = Tokens { input: reserved, output: granted, cached: 0 };
            match account.reserve(now, estimate, target.price) {
                Ok(hold) => break hold,
                Err(_) if granted / 2 >= MIN_OUTPUT => granted /= 2,
                Err(refusal) => {
                    target.metrics.count(Outcome::Limited);
                    return Err(refusal);
                }
            }
        };
        Ok(Box::new(Self {
            hold: Some(hold),
            target: Arc::clone(target),
            input,
            granted,
            streamed: 0,
            known: None,
            owed: false,
            counted: true,
        }))
    }

    /// What a provider is reached with, from the moment on in which something may be sent.
    pub(crate) fn start(&mut self) -> Option<&Hold> {
        self.owed = true;
        self.counted = false;
        self.hold.as_ref()
    }

    /// The bound on output to send along; none where neither tenant nor account sets one.
    pub(crate) const fn max_tokens(&self) -> Option<u64> {
        if self.granted < MAX_OUTPUT { Some(self.granted) } else { None }
    }

    pub(crate) const fn target(&self) -> &Arc<Target> {
        &self.target
    }

    /// Notes what has arrived.
    pub(crate) fn arrived(&mut self, bytes: u64, known: Option<Usage>) {
        self.streamed = self.streamed.saturating_add(bytes);
        self.known = known.or(self.known);
    }

    /// The attempt has failed; the hold stays for the next one.
    pub(crate) fn failed(&mut self, failure: &Failure) {
        self.count(failure.outcome());
        self.owed = !failure.is_free();
    }

    /// The answer is complete: settles with the provider's figures, or with estimates.
    pub(crate) fn finish(&mut self, request_id: &str) -> Usage {
        if self.known.is_none() {
            tracing::debug!(
                request_id,
                provider = self.target.provider(),
                model = self.target.model,
                "usage not reported: estimated"
            );
        }
        self.count(Outcome::Ok);
        self.settle()
    }

    fn settle(&mut self) -> Usage {
        let known = self.known.unwrap_or_default();
        let or = |figure: u64, estimate: u64| if figure > 0 { figure } else { estimate };
        let usage = Usage {
            input_tokens: or(known.input_tokens, self.input),
            output_tokens: or(known.output_tokens, estimate::text(self.streamed)),
            cached_tokens: known.cached_tokens,
        };
        if let Some(hold) = self.hold.take() {
            self.target.metrics.settled(usage.input_tokens, usage.output_tokens);
            hold.settle(Tokens {
                input: usage.input_tokens,
                output: usage.output_tokens,
                cached: usage.cached_tokens,
            });
        }
        usage
    }

    fn count(&mut self, outcome: Outcome) {
        self.counted = true;
        self.target.metrics.count(outcome);
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        if !self.counted {
            self.count(Outcome::Cancelled);
        }
        if self.owed && self.hold.is_some() {
            self.settle();
        }
    }
}

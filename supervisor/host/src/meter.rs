//! The bill of one model call: reserved before a byte is sent, settled however the call ends.
//!
//! The hold is in here, and a provider is only reached with a reference to it. Whatever is not
//! known to be free is charged: a tenant that hangs up pays for what was sent and streamed.

use std::sync::Arc;

use ledger::{Account, Hold, Refusal, Tokens};
use proto::host::Usage;
use tokio::time::Instant;
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

/// Output tokens that a provider is taken to make in a second where a call is hung up on: more than
/// large models do. What they think and do not show costs as well.
const PER_SECOND: u64 = 100;

/// One call's hold and what is known of its cost.
#[derive(Debug)]
pub(crate) struct Meter {
    hold: Option<Hold>,
    target: Arc<Target>,
    /// Estimated input tokens.
    input: u64,
    /// Output tokens that the account allows.
    granted: u64,
    /// Input tokens of a request that was sent, had no answer and was sent again.
    lost: u64,
    /// When the latest attempt began.
    begun: Instant,
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
            lost: 0,
            begun: Instant::now(),
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
        self.begun = Instant::now();
        self.hold.as_ref()
    }

    /// The request was sent over a connection that broke, and once more over another.
    pub(crate) const fn sent_again(&mut self) {
        self.lost = self.lost.saturating_add(self.input);
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

    /// The provider has failed in mid-answer: settles what it owes.
    pub(crate) fn give_up(&mut self, failure: &Failure) {
        self.failed(failure);
        self.close();
    }

    /// Nobody took the rest of the answer: settles as if the caller had hung up.
    pub(crate) fn abandon(&mut self) {
        self.count(Outcome::Cancelled);
        let usage = self.interrupted();
        self.settle(&usage);
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
        let known = self.known.unwrap_or_default();
        let usage = Usage {
            input_tokens: or(known.input_tokens, self.input),
            output_tokens: or(known.output_tokens, estimate::text(self.streamed)),
            cached_tokens: known.cached_tokens,
        };
        self.settle(&usage);
        usage
    }

    /// What an answer has cost that its provider broke off.
    fn broken(&self) -> Usage {
        let known = self.known.unwrap_or_default();
        Usage {
            input_tokens: or(known.input_tokens, self.input),
            output_tokens: known.output_tokens.max(estimate::text(self.streamed)),
            cached_tokens: known.cached_tokens,
        }
    }

    /// What an answer may have cost that its caller broke off. Whoever hangs up just before the
    /// provider says what it was must not pay less for it.
    fn interrupted(&self) -> Usage {
        let usage = self.broken();
        let known = self.known.is_some_and(|known| known.input_tokens > 0);
        let took = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        let made = took.saturating_mul(PER_SECOND) / 1000;
        let most = made.max(estimate::text(self.streamed.saturating_mul(2))).min(self.granted);
        Usage {
            input_tokens: usage.input_tokens * if known { 1 } else { INPUT_RESERVE },
            output_tokens: usage.output_tokens.max(most),
            cached_tokens: usage.cached_tokens,
        }
    }

    /// Settles what an attempt that is over owes.
    fn close(&mut self) {
        let usage = if self.owed { self.broken() } else { Usage::default() };
        if self.owed || self.lost > 0 {
            self.settle(&usage);
        }
    }

    fn settle(&mut self, usage: &Usage) {
        let Some(hold) = self.hold.take() else { return };
        let input = usage.input_tokens.saturating_add(self.lost);
        let (output, cached) = (usage.output_tokens, usage.cached_tokens);
        self.target.metrics.settled(input, output);
        hold.settle(Tokens { input, output, cached });
    }

    fn count(&mut self, outcome: Outcome) {
        self.counted = true;
        self.target.metrics.count(outcome);
    }
}

const fn or(figure: u64, estimate: u64) -> u64 {
    if figure > 0 { figure } else { estimate }
}

impl Drop for Meter {
    fn drop(&mut self) {
        if self.counted {
            self.close();
        } else {
            self.abandon();
        }
    }
}

//! The bill of one model call: set aside and written down before a byte is sent, topped up while the
//! answer streams, settled however the call ends.
//!
//! The hold is in here, and a provider is only reached with a reference to it. Whatever is not
//! known to be free is charged: a tenant that hangs up pays for what was sent and streamed.
//!
//! | what the provider says | what is charged |
//! | --- | --- |
//! | its figures at the end | these |
//! | figures several times | the last ones: they are running totals |
//! | nothing, or figures after the end | the estimate: one token for every four bytes |
//! | a figure that is negative, no whole number or beyond belief | as if it had not said it |
//! | more than was asked for or set aside | that, as far as all limits leave room; the rest is lost |
//! | it breaks off | the input, and the larger of its figures and the estimate of what has arrived |
//! | the caller hangs up | the same, and what it may have made unseen, by the time that it had |

mod bill;
mod cover;

use std::pin::Pin;
use std::sync::Arc;

use ledger::{Call, Hold, Refusal, Tokens, TopUp, Want};
use proto::host::Usage;
use tokio::time::Instant;
use types::Clock;

use crate::catalog::Target;
use crate::failure::Failure;
use crate::metrics::Outcome;

/// Output tokens beyond which no bound is sent to a provider where the tenant names none: the most
/// that a current model writes.
const MAX_OUTPUT: u64 = 1 << 17;

/// The fewest output tokens for which a call is worth making.
const MIN_OUTPUT: u64 = 16;

/// Output tokens that are set aside at first: most answers are shorter.
const FIRST: u64 = 1024;

/// One call's hold and what is known of its cost.
#[derive(Debug)]
pub(crate) struct Meter {
    hold: Option<Hold>,
    target: Arc<Target>,
    clock: Arc<dyn Clock>,
    /// Estimated input tokens.
    input: u64,
    /// The most output tokens that the answer may have, where whoever asks or a limit says so.
    most: Option<u64>,
    /// Output tokens that are set aside and written down.
    good: u64,
    /// More of them, on its way into the books.
    coming: Option<Pin<Box<TopUp>>>,
    /// Why there are no more.
    refused: Option<Refusal>,
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
    /// Sets aside what the call takes at first, and waits until that is written down.
    pub(crate) async fn reserve(
        call: &Call,
        clock: &Arc<dyn Clock>,
        target: &Arc<Target>,
        input: u64,
        asked: Option<u32>,
    ) -> Result<Box<Self>, Refusal> {
        let now = clock.now();
        let want = Want {
            provider: Arc::clone(&target.named),
            model: Arc::clone(&target.model),
            price: target.prices.at(now).cloned(),
            input,
            first: FIRST,
            least: MIN_OUTPUT,
            asked: asked.map(u64::from),
        };
        let hold = match call.reserve(now, &want) {
            Ok(reserved) => reserved.written().await,
            Err(refusal) => Err(refusal),
        };
        let hold = hold.inspect_err(|_| target.metrics.count(Outcome::Limited))?;
        Ok(Box::new(Self {
            good: hold.output(),
            most: hold.most(),
            hold: Some(hold),
            target: Arc::clone(target),
            clock: Arc::clone(clock),
            input,
            coming: None,
            refused: None,
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
    pub(crate) fn max_tokens(&self) -> Option<u64> {
        self.most.filter(|most| *most < MAX_OUTPUT)
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
        self.settle(&usage, true);
    }

    /// The answer is complete: settles with the provider's figures, or with estimates.
    pub(crate) fn finish(&mut self, request_id: &str) -> Usage {
        self.count(Outcome::Ok);
        let (usage, estimated) = self.complete();
        if estimated {
            tracing::debug!(
                request_id,
                provider = self.target.provider(),
                model = &*self.target.model,
                "usage not reported: estimated"
            );
        }
        self.settle(&usage, estimated);
        usage
    }

    /// Settles what an attempt that is over owes.
    fn close(&mut self) {
        let usage = if self.owed { self.broken() } else { Usage::default() };
        if self.owed || self.lost > 0 {
            self.settle(&usage, true);
        }
    }

    fn settle(&mut self, usage: &Usage, estimated: bool) {
        let Some(hold) = self.hold.take() else { return };
        let used = Tokens {
            input: usage.input_tokens.saturating_add(self.lost),
            output: usage.output_tokens,
            cached: usage.cached_tokens,
            reasoning: usage.reasoning_tokens,
        };
        self.target.metrics.settled(used.input, used.output);
        let settled = hold.settle(self.clock.now(), &used, estimated);
        self.target.metrics.unbilled(&settled.unbilled);
    }

    fn count(&mut self, outcome: Outcome) {
        self.counted = true;
        self.target.metrics.count(outcome);
    }
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

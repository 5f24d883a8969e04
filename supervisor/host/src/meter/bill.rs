//! What an answer has cost, by how it ended.

use proto::host::Usage;

use super::{MAX_OUTPUT, Meter};
use crate::estimate;

/// Input tokens charged for each one estimated where a caller hangs up before the provider has said
/// what it was: scripts other than Latin take more tokens than the estimate gives them.
const UNSAID_INPUT: u64 = 2;

/// Output tokens that a provider is taken to make in a second where a call is hung up on: more than
/// large models do. What they think and do not show costs as well.
const PER_SECOND: u64 = 100;

impl Meter {
    /// What a complete answer has cost, and whether any of it is an estimate.
    pub(super) fn complete(&self) -> (Usage, bool) {
        let known = self.known.unwrap_or_default();
        let made = estimate::text(self.streamed);
        let estimated = known.input_tokens == 0 || (known.output_tokens == 0 && made > 0);
        let usage = Usage {
            input_tokens: or(known.input_tokens, self.input),
            output_tokens: or(known.output_tokens, made),
            ..known
        };
        (usage, estimated)
    }

    /// What an answer has cost that its provider broke off.
    pub(super) fn broken(&self) -> Usage {
        let known = self.known.unwrap_or_default();
        Usage {
            input_tokens: or(known.input_tokens, self.input),
            output_tokens: known.output_tokens.max(estimate::text(self.streamed)),
            ..known
        }
    }

    /// What an answer may have cost that its caller broke off. Whoever hangs up just before the
    /// provider says what it was must not pay less for it.
    pub(super) fn interrupted(&self) -> Usage {
        let usage = self.broken();
        let known = self.known.is_some_and(|known| known.input_tokens > 0);
        let took = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        let made = took.saturating_mul(PER_SECOND) / 1000;
        let seen = estimate::text(self.streamed.saturating_mul(2));
        let most = made.max(seen).min(self.most.unwrap_or(MAX_OUTPUT));
        let times = if known { 1 } else { UNSAID_INPUT };
        Usage {
            input_tokens: usage.input_tokens.saturating_mul(times),
            output_tokens: usage.output_tokens.max(most),
            ..usage
        }
    }
}

const fn or(figure: u64, estimate: u64) -> u64 {
    if figure > 0 { figure } else { estimate }
}

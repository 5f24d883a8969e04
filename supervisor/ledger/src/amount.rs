//! Arithmetic of amounts: by dimension, and part by part.

use types::Dimension;

use crate::Amount;

impl Amount {
    /// The part that `dimension` counts, in the unit in which it is kept: milliseconds for
    /// sandboxes. Nothing for what is not summed up.
    pub const fn of(&self, dimension: Dimension) -> u64 {
        match dimension {
            Dimension::Requests => self.requests,
            Dimension::InputTokens => self.input_tokens,
            Dimension::CachedTokens => self.cached_tokens,
            Dimension::OutputTokens => self.output_tokens,
            Dimension::ReasoningTokens => self.reasoning_tokens,
            Dimension::Tokens => self.tokens(),
            Dimension::CostMicros => self.cost_micros,
            Dimension::SandboxSeconds => self.sandbox_ms,
            Dimension::EgressBytes => self.egress_bytes,
            Dimension::ConcurrentRuns | Dimension::StoredBytes => 0,
        }
    }

    /// What `change` makes of each part and the same part of `other`.
    pub(crate) fn zip(&self, other: &Self, change: impl Fn(u64, u64) -> u64) -> Self {
        Self {
            requests: change(self.requests, other.requests),
            input_tokens: change(self.input_tokens, other.input_tokens),
            cached_tokens: change(self.cached_tokens, other.cached_tokens),
            output_tokens: change(self.output_tokens, other.output_tokens),
            reasoning_tokens: change(self.reasoning_tokens, other.reasoning_tokens),
            cost_micros: change(self.cost_micros, other.cost_micros),
            sandbox_ms: change(self.sandbox_ms, other.sandbox_ms),
            egress_bytes: change(self.egress_bytes, other.egress_bytes),
        }
    }

    /// Each part less the other's, and nothing where the other's is larger.
    pub(crate) fn less(&self, other: &Self) -> Self {
        self.zip(other, u64::saturating_sub)
    }

    /// The smaller of each two parts.
    pub(crate) fn least(&self, other: &Self) -> Self {
        self.zip(other, u64::min)
    }

    /// A dimension in which the three sum up to more than an integer holds.
    pub(crate) fn overflow(parts: [&Self; 3]) -> Option<Dimension> {
        let over = |dimension: &Dimension| {
            let of = |part: &Self| part.of(*dimension);
            parts.iter().try_fold(0_u64, |sum, part| sum.checked_add(of(part))).is_none()
        };
        Dimension::ALL.iter().copied().find(over)
    }
}

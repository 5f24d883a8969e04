//! What a tenant has used and may still use: admission, reservation, settlement. The invariant is
//! that what is settled plus what is held never exceeds a limit, at any instant.
//!
//! Pure: no I/O, no runtime, and no clock of its own. Who writes the figures down is not its affair.

mod account;
mod price;
mod window;

pub use account::{Account, Admission, Call, Hold};
pub use price::{Price, Tokens};
pub use window::day;

use serde::{Deserialize, Serialize};

/// What was used in one window. Every figure saturates instead of wrapping.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Used {
    /// Requests admitted.
    pub requests: u64,
    /// Input tokens settled, those from a provider's cache included.
    pub input_tokens: u64,
    /// Output tokens settled.
    pub output_tokens: u64,
    /// Micro-dollars settled.
    pub cost_micros: u64,
}

impl Used {
    /// Input and output tokens together.
    pub const fn tokens(&self) -> u64 {
        self.input_tokens.saturating_add(self.output_tokens)
    }

    /// Adds `more` to these figures.
    pub const fn add(&mut self, more: &Self) {
        self.requests = self.requests.saturating_add(more.requests);
        self.input_tokens = self.input_tokens.saturating_add(more.input_tokens);
        self.output_tokens = self.output_tokens.saturating_add(more.output_tokens);
        self.cost_micros = self.cost_micros.saturating_add(more.cost_micros);
    }
}

/// What was used in one UTC day and is not written down yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UsageDelta {
    /// Days since 1970-01-01.
    day: u64,
    used: Used,
}

impl UsageDelta {
    /// What to add to the day's row.
    pub const fn used(&self) -> &Used {
        &self.used
    }

    /// The UTC day, for example `2026-11-22`.
    pub fn day(&self) -> String {
        window::name(self.day)
    }
}

/// A limit that a request would break.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.sentence())]
pub struct Refusal {
    /// The limit, by its name in [`types::Limits`] on the wire.
    pub limit: &'static str,
    /// Its value.
    pub max: u64,
    /// Seconds until the limit may allow more, at least 1.
    pub retry_after_s: u64,
    /// Whether it is a limit on money that nothing of unknown price can be measured against.
    pub price_unknown: bool,
}

impl Refusal {
    fn sentence(&self) -> String {
        let Self { limit, max, retry_after_s, price_unknown } = self;
        if *price_unknown {
            return "the tenant has a limit on money and the price of this model is not known"
                .to_owned();
        }
        format!("the tenant's limit {limit} of {max} is reached; try again in {retry_after_s} s")
    }
}

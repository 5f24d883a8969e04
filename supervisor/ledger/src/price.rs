//! Prices and what tokens cost: integers, rounded up, saturating.

use serde::{Deserialize, Serialize};

/// Tokens to which a price applies.
const UNIT: u128 = 1_000_000;

/// Tokens of one call.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tokens {
    /// Input tokens, those from the provider's cache included.
    pub input: u64,
    /// Output tokens.
    pub output: u64,
    /// The part of `input` that the provider read from its cache.
    pub cached: u64,
}

impl Tokens {
    /// Input and output together.
    pub const fn total(&self) -> u64 {
        self.input.saturating_add(self.output)
    }
}

/// What a model costs, in micro-dollars per million tokens: 2.50 dollars are 2500000.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Price {
    /// A million input tokens.
    pub input: u64,
    /// A million output tokens.
    pub output: u64,
    /// A million input tokens from the provider's cache; none means like `input`.
    #[serde(default)]
    pub cached: Option<u64>,
}

impl Price {
    /// What `tokens` cost in micro-dollars, rounded up so that no call with a price is free.
    pub fn cost(&self, tokens: &Tokens) -> u64 {
        let cached = tokens.cached.min(tokens.input);
        let parts = [
            (tokens.input - cached, self.input),
            (cached, self.cached.unwrap_or(self.input)),
            (tokens.output, self.output),
        ];
        let sum = parts.iter().fold(0_u128, |sum, (count, price)| {
            sum.saturating_add(u128::from(*count) * u128::from(*price))
        });
        u64::try_from(sum.div_ceil(UNIT)).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_tokens_cost() {
        let price = Price { input: 2_500_000, output: 10_000_000, cached: Some(1_250_000) };
        let check = |input, output, cached, cost| {
            assert_eq!(price.cost(&Tokens { input, output, cached }), cost);
        };
        check(0, 0, 0, 0);
        check(1_000_000, 0, 0, 2_500_000);
        check(1_000_000, 100_000, 400_000, 1_500_000 + 500_000 + 1_000_000);
        check(1, 0, 0, 3);
        check(1, 0, 9, 2);
        check(u64::MAX, u64::MAX, 0, u64::MAX);
        let like_input = Price { cached: None, ..price };
        assert_eq!(like_input.cost(&Tokens { input: 4, output: 0, cached: 4 }), 10);
    }
}

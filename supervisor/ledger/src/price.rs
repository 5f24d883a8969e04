//! Prices and what tokens cost: integers, rounded up, saturating.

use serde::{Deserialize, Serialize};

/// Tokens to which a price applies.
const UNIT: u128 = 1_000_000;

/// Tokens of one call.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tokens {
    /// Input tokens, those from the provider's cache included.
    pub input: u64,
    /// Output tokens, those of reasoning included.
    pub output: u64,
    /// The part of `input` that the provider read from its cache.
    pub cached: u64,
    /// The part of `output` that the model thought and did not say.
    pub reasoning: u64,
}

impl Tokens {
    /// Input and output together.
    pub const fn total(&self) -> u64 {
        self.input.saturating_add(self.output)
    }
}

/// What a model costs, in micro-dollars per million tokens: 2.50 dollars are 2500000.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Price {
    /// A million input tokens.
    pub input: u64,
    /// A million output tokens.
    pub output: u64,
    /// A million input tokens from the provider's cache; none means like `input`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cached: Option<u64>,
    /// A million output tokens of reasoning; none means like `output`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning: Option<u64>,
    /// What calls with a long input cost instead.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tiers: Vec<Tier>,
}

/// Prices of a whole call whose input has more than so many tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Tier {
    /// Input tokens; from one more on these prices apply.
    pub above: u64,
    /// See [`Price::input`].
    pub input: u64,
    /// See [`Price::output`].
    pub output: u64,
    /// See [`Price::cached`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cached: Option<u64>,
    /// See [`Price::reasoning`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning: Option<u64>,
}

/// The prices of one call, each class with its own.
#[derive(Debug, Clone, Copy)]
struct Rates {
    input: u64,
    cached: u64,
    output: u64,
    reasoning: u64,
}

impl Price {
    /// What `tokens` cost in micro-dollars, rounded up so that no call with a price is free.
    pub fn cost(&self, tokens: &Tokens) -> u64 {
        let rates = self.rates(tokens.input);
        let cached = tokens.cached.min(tokens.input);
        let reasoning = tokens.reasoning.min(tokens.output);
        sum([
            (tokens.input - cached, rates.input),
            (cached, rates.cached),
            (tokens.output - reasoning, rates.output),
            (reasoning, rates.reasoning),
        ])
    }

    /// The most that so many tokens may cost, of whatever class they turn out to be.
    pub fn most(&self, input: u64, output: u64) -> u64 {
        let rates = self.rates(input).dearest();
        sum([(input, rates.input), (output, rates.output), (0, 0), (0, 0)])
    }

    /// The most output tokens with which a call of `input` tokens costs at most `budget`
    /// micro-dollars, of whatever class they turn out to be.
    pub fn affordable(&self, input: u64, budget: u64) -> u64 {
        let rates = self.rates(input).dearest();
        let spent = u128::from(input).saturating_mul(rates.input.into());
        let left = (u128::from(budget) * UNIT).saturating_sub(spent);
        let tokens = left.checked_div(rates.output.into());
        tokens.map_or(u64::MAX, |it| u64::try_from(it).unwrap_or(u64::MAX))
    }

    /// The prices of a call with so many input tokens.
    fn rates(&self, input: u64) -> Rates {
        let reached = self.tiers.iter().filter(|tier| input > tier.above);
        match reached.max_by_key(|tier| tier.above) {
            Some(tier) => Rates::new(tier.input, tier.cached, tier.output, tier.reasoning),
            None => Rates::new(self.input, self.cached, self.output, self.reasoning),
        }
    }
}

impl Rates {
    fn new(input: u64, cached: Option<u64>, output: u64, reasoning: Option<u64>) -> Self {
        Self {
            input,
            cached: cached.unwrap_or(input),
            output,
            reasoning: reasoning.unwrap_or(output),
        }
    }

    /// The same, every token at the price of the dearer class of its kind.
    fn dearest(self) -> Self {
        let (input, output) = (self.input.max(self.cached), self.output.max(self.reasoning));
        Self { input, cached: input, output, reasoning: output }
    }
}

fn sum(parts: [(u64, u64); 4]) -> u64 {
    let sum = parts.iter().fold(0_u128, |sum, (count, price)| {
        sum.saturating_add(u128::from(*count) * u128::from(*price))
    });
    u64::try_from(sum.div_ceil(UNIT)).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;

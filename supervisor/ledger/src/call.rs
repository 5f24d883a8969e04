//! One model call under way, and what it asks to be set aside.

use std::sync::Arc;

use types::{Dimension, UnixMillis};

use crate::account::{Account, Born, Pots, Who};
use crate::hold::{Bill, Hold, Reserved, Share, Stake};
use crate::refusal::Refusal;
use crate::{Amount, Priced};

/// One model call under way. Dropping it gives the place back; without one nothing is reserved.
#[derive(Debug)]
pub struct Call {
    account: Arc<Account>,
    who: Who,
    born: Born,
}

/// What one attempt at a model may take.
#[derive(Debug, Clone)]
pub struct Want {
    /// Who is asked.
    pub provider: Arc<str>,
    /// The model, as the provider calls it.
    pub model: Arc<str>,
    /// What it costs; none where nobody has said so.
    pub price: Option<Priced>,
    /// Input tokens, as estimated.
    pub input: u64,
    /// Output tokens that are set aside at first, where there are so many.
    pub first: u64,
    /// The fewest output tokens for which the call is worth making.
    pub least: u64,
    /// The most output tokens, where whoever asks says so.
    pub asked: Option<u64>,
}

impl Call {
    pub(crate) const fn new(account: Arc<Account>, who: Who, born: Born) -> Self {
        Self { account, who, born }
    }

    /// For whom it is.
    pub const fn who(&self) -> &Who {
        &self.who
    }

    /// Sets aside what an attempt takes at first. What is granted is good when it is written down.
    ///
    /// Where there is a limit on money, a call of unknown price is refused.
    pub fn reserve(&self, now: UnixMillis, want: &Want) -> Result<Reserved<Hold>, Refusal> {
        let account = &self.account;
        account.check_writable(now)?;
        let mut entered = account.enter(now);
        let (share, born, output, most) = entered.act(&self.who, |pots| {
            if let Some(refusal) = pots.money().filter(|_| want.price.is_none()) {
                return Err(refusal);
            }
            let classes = Classes::of(pots);
            let left = left(pots, want.input, want.price.as_ref());
            let most = [left, want.asked].into_iter().flatten().min();
            let least = want.asked.map_or(want.least, |asked| asked.min(want.least));
            let first = piece(want.first, left);
            let output = first.min(most.unwrap_or(first)).max(least);
            let amount = classes.amount(want.price.as_ref(), want.input, output);
            pots.check(|_| (amount, 0))?;
            pots.each(|pot, stamp| pot.hold(&amount, stamp));
            Ok((Share::new(pots.stamp, amount), pots.born(), output, most))
        })?;
        let now = entered.now;
        drop(entered);
        let stake = Stake::new(Arc::clone(account), self.who.clone(), born, share);
        let bill = Bill {
            provider: Arc::clone(&want.provider),
            model: Arc::clone(&want.model),
            price: want.price.clone(),
        };
        Ok(Hold::new(stake, bill, (output, most)).written(now))
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        let mut entered = self.account.enter(0);
        entered.books.calls = entered.books.calls.saturating_sub(1);
        entered.found(&self.who, &self.born).each(|pot, _| {
            if matches!(pot.level(), types::Level::Agent | types::Level::Session) {
                pot.stop(1);
            }
        });
    }
}

/// The part of what is left that one call gets at once: near a limit, many calls that need little fit
/// beside each other, and none is refused for what another has set aside and will not need.
const PART: u64 = 16;

/// Output tokens below which it is not worth parting.
const LEAST_PIECE: u64 = 64;

/// As much of `wanted` as one call gets at once where all limits leave `left`.
pub(crate) fn piece(wanted: u64, left: Option<u64>) -> u64 {
    left.map_or(wanted, |left| wanted.min((left / PART).max(LEAST_PIECE)))
}

/// Whether the classes of tokens are limited for themselves that nobody knows before the end. Where
/// they are, the worst is set aside: all of the input from the cache, all of the output reasoning.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Classes {
    cached: bool,
    reasoning: bool,
}

impl Classes {
    pub(crate) fn of(pots: &Pots<'_>) -> Self {
        let limited = |dimension| pots.left(dimension, &pots.stamp).is_some();
        Self {
            cached: limited(Dimension::CachedTokens),
            reasoning: limited(Dimension::ReasoningTokens),
        }
    }

    /// What a call of so many tokens may take at most.
    pub(crate) fn amount(self, price: Option<&Priced>, input: u64, output: u64) -> Amount {
        Amount {
            input_tokens: input,
            cached_tokens: if self.cached { input } else { 0 },
            output_tokens: output,
            reasoning_tokens: if self.reasoning { output } else { 0 },
            cost_micros: price.map_or(0, |priced| priced.price.most(input, output)),
            ..Amount::ZERO
        }
    }
}

/// Output tokens that all limits leave to a call with so many input tokens; none without a limit.
fn left(pots: &Pots<'_>, input: u64, price: Option<&Priced>) -> Option<u64> {
    let left = |dimension| pots.left(dimension, &pots.stamp);
    let affordable = |budget| price.map(|priced| priced.price.affordable(input, budget));
    let most = [
        left(Dimension::OutputTokens),
        left(Dimension::ReasoningTokens),
        left(Dimension::Tokens).map(|tokens| tokens.saturating_sub(input)),
        left(Dimension::CostMicros).and_then(affordable),
    ];
    most.into_iter().flatten().min()
}

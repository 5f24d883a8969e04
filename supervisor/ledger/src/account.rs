//! One tenant's account. A tiny mutex guards a few integers: every operation is some arithmetic,
//! allocates nothing, and never waits for anything but another such operation.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use types::{Limits, UnixMillis};

use crate::window::{DAY, MINUTE, seconds_left};
use crate::{Price, Refusal, Tokens, UsageDelta, Used};

/// What one tenant has used and may still use.
#[derive(Debug)]
pub struct Account(Mutex<Books>);

#[derive(Debug)]
struct Books {
    requests_per_minute: Option<u64>,
    tokens_per_day: Option<u64>,
    cost_micros_per_day: Option<u64>,
    concurrency: u32,
    /// Requests under way.
    running: u32,
    /// Model calls under way.
    calls: u32,
    /// Minutes since 1970, and the requests admitted in that minute.
    minute: u64,
    requests_this_minute: u64,
    /// Model calls that requests of clients have paid for: one each.
    paid_calls: u64,
    /// Days since 1970. What follows is of that day.
    day: u64,
    settled: Used,
    held_tokens: u64,
    held_cost: u64,
    /// What of the current day is not written down yet.
    unwritten: Used,
    /// What of earlier days is not written down yet.
    earlier: Option<UsageDelta>,
}

impl Account {
    /// An account that starts with what was used earlier today.
    pub fn new(limits: &Limits, used_today: Used, now: UnixMillis) -> Self {
        Self(Mutex::new(Books {
            requests_per_minute: limits.requests_per_minute,
            tokens_per_day: limits.tokens_per_day,
            cost_micros_per_day: limits.cost_micros_per_day,
            concurrency: limits.concurrency,
            running: 0,
            calls: 0,
            minute: now / MINUTE,
            requests_this_minute: 0,
            paid_calls: 0,
            day: now / DAY,
            settled: used_today,
            held_tokens: 0,
            held_cost: 0,
            unwritten: Used::default(),
            earlier: None,
        }))
    }

    /// Applies new limits to whatever is admitted or reserved from now on.
    pub fn set_limits(&self, limits: &Limits) {
        let mut books = self.books();
        books.requests_per_minute = limits.requests_per_minute;
        books.tokens_per_day = limits.tokens_per_day;
        books.cost_micros_per_day = limits.cost_micros_per_day;
        books.concurrency = limits.concurrency;
    }

    /// A place for one more request, which counts from now on. Refused requests do not count.
    pub fn admit(self: &Arc<Self>, now: UnixMillis) -> Result<Admission, Refusal> {
        self.books().admit(now)?;
        Ok(Admission(Arc::clone(self)))
    }

    /// A place for one more model call. As many as requests may be under way, and as many again for
    /// requests that have just ended and whose calls are still being cancelled.
    ///
    /// A request pays for one call. What an agent asks beyond that, and what it asks when no client has
    /// (jobs, sub-agents), counts as a request, so that a limit holds for what agents do by themselves.
    pub fn begin_call(self: &Arc<Self>, now: UnixMillis) -> Result<Call, Refusal> {
        let mut books = self.books();
        if books.calls >= books.concurrency.saturating_mul(2) {
            return Err(refusal("concurrency", u64::from(books.concurrency), 1));
        }
        books.pay_for_call(now)?;
        books.calls += 1;
        drop(books);
        Ok(Call(Arc::clone(self)))
    }

    /// Sets aside what one call may cost at most.
    ///
    /// Where the tenant has a limit on money, a call of unknown price is refused.
    pub fn reserve(
        self: &Arc<Self>,
        now: UnixMillis,
        estimate: Tokens,
        price: Option<Price>,
    ) -> Result<Hold, Refusal> {
        let cost = price.map(|price| price.cost(&estimate));
        let day = self.books().reserve(now, estimate.total(), cost)?;
        let (tokens, cost) = (estimate.total(), cost.unwrap_or(0));
        Ok(Hold { account: Arc::clone(self), day, tokens, cost, price })
    }

    /// What was used in the UTC day of `now`.
    pub fn used(&self, now: UnixMillis) -> Used {
        let mut books = self.books();
        books.turn(now);
        books.settled
    }

    /// What has not been taken yet, of one day, oldest first. The taker writes it down or gives it
    /// back with [`Account::put_back`].
    pub fn take_deltas(&self, now: UnixMillis) -> Option<UsageDelta> {
        let mut books = self.books();
        books.turn(now);
        if let Some(earlier) = books.earlier.take() {
            return Some(earlier);
        }
        let used = std::mem::take(&mut books.unwritten);
        (used != Used::default()).then_some(UsageDelta { day: books.day, used })
    }

    /// Takes back what could not be written down.
    pub fn put_back(&self, delta: &UsageDelta) {
        self.books().owe(delta.day, &delta.used);
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        // No operation on the books can stop half-way, so those of a panicked thread are sound.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Books {
    /// Starts the windows that `now` has entered. A clock that goes back does not reopen one.
    fn turn(&mut self, now: UnixMillis) {
        if now / MINUTE > self.minute {
            self.minute = now / MINUTE;
            self.requests_this_minute = 0;
            // Those that are under way may still make their call.
            self.paid_calls = self.paid_calls.min(self.running.into());
        }
        if now / DAY > self.day {
            let unwritten = std::mem::take(&mut self.unwritten);
            let ended = std::mem::replace(&mut self.day, now / DAY);
            self.settled = Used::default();
            // Holds of the ended day stay within that day's limit and leave the new one alone.
            self.held_tokens = 0;
            self.held_cost = 0;
            if unwritten != Used::default() {
                self.owe(ended, &unwritten);
            }
        }
    }

    fn admit(&mut self, now: UnixMillis) -> Result<(), Refusal> {
        self.turn(now);
        if self.running >= self.concurrency {
            return Err(refusal("concurrency", u64::from(self.concurrency), 1));
        }
        self.count_request(now)?;
        self.running += 1;
        self.paid_calls = self.paid_calls.saturating_add(1);
        self.settle(self.day, &Used { requests: 1, ..Used::default() });
        Ok(())
    }

    fn count_request(&mut self, now: UnixMillis) -> Result<(), Refusal> {
        if let Some(max) = self.requests_per_minute
            && self.requests_this_minute >= max
        {
            return Err(refusal("requestsPerMinute", max, seconds_left(now, MINUTE)));
        }
        self.requests_this_minute = self.requests_this_minute.saturating_add(1);
        Ok(())
    }

    fn pay_for_call(&mut self, now: UnixMillis) -> Result<(), Refusal> {
        self.turn(now);
        match self.paid_calls.checked_sub(1) {
            Some(left) => {
                self.paid_calls = left;
                Ok(())
            }
            None => self.count_request(now),
        }
    }

    fn reserve(&mut self, now: UnixMillis, tokens: u64, cost: Option<u64>) -> Result<u64, Refusal> {
        self.turn(now);
        let left = seconds_left(now, DAY);
        // Without a limit the sums must still be sums, or releasing a hold would miscount.
        let max = self.tokens_per_day.unwrap_or(u64::MAX);
        if !fits(&[self.settled.tokens(), self.held_tokens, tokens], max) {
            return Err(refusal("tokensPerDay", max, left));
        }
        let max = self.cost_micros_per_day.unwrap_or(u64::MAX);
        let over = refusal("costMicrosPerDay", max, left);
        if cost.is_none() && self.cost_micros_per_day.is_some() {
            return Err(Refusal { price_unknown: true, ..over });
        }
        let cost = cost.unwrap_or(0);
        if !fits(&[self.settled.cost_micros, self.held_cost, cost], max) {
            return Err(over);
        }
        self.held_tokens += tokens;
        self.held_cost += cost;
        Ok(self.day)
    }

    fn release(&mut self, day: u64, tokens: u64, cost: u64) {
        if day == self.day {
            self.held_tokens = self.held_tokens.saturating_sub(tokens);
            self.held_cost = self.held_cost.saturating_sub(cost);
        }
    }

    fn settle(&mut self, day: u64, used: &Used) {
        if day == self.day {
            self.settled.add(used);
        }
        self.owe(day, used);
    }

    fn owe(&mut self, day: u64, used: &Used) {
        if day == self.day {
            self.unwritten.add(used);
        } else {
            // Two ended days are owed at once only if nothing could be written for a whole day:
            // then the sum counts for the later of them, and no money is lost.
            let earlier =
                self.earlier.get_or_insert_with(|| UsageDelta { day, used: Used::default() });
            earlier.day = earlier.day.max(day);
            earlier.used.add(used);
        }
    }
}

/// One request under way. Dropping it gives the place back.
#[derive(Debug)]
pub struct Admission(Arc<Account>);

impl Drop for Admission {
    fn drop(&mut self) {
        let mut books = self.0.books();
        books.running = books.running.saturating_sub(1);
    }
}

/// One model call under way. Dropping it gives the place back.
#[derive(Debug)]
pub struct Call(Arc<Account>);

impl Drop for Call {
    fn drop(&mut self) {
        let mut books = self.0.books();
        books.calls = books.calls.saturating_sub(1);
    }
}

/// What one call may cost at most, set aside. Dropping it without settling releases it.
#[derive(Debug)]
#[must_use = "dropping a hold releases it"]
pub struct Hold {
    account: Arc<Account>,
    /// The day against which it counts, however late it is settled.
    day: u64,
    tokens: u64,
    cost: u64,
    price: Option<Price>,
}

impl Hold {
    /// Records what the call has really used, in the day of the reservation, and releases the rest.
    ///
    /// Usage is a bill: a provider that counts more than was reserved is recorded in full, and
    /// the next reservation pays for it. Whoever estimates generously never sees that.
    pub fn settle(self, used: Tokens) {
        let cost = self.price.map_or(0, |price| price.cost(&used));
        let used = Used {
            requests: 0,
            input_tokens: used.input,
            output_tokens: used.output,
            cost_micros: cost,
        };
        let mut books = self.account.books();
        books.release(self.day, self.tokens, self.cost);
        books.settle(self.day, &used);
        drop(books);
        self.forget();
    }

    /// Ends a hold whose amounts are released already.
    fn forget(mut self) {
        self.tokens = 0;
        self.cost = 0;
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.account.books().release(self.day, self.tokens, self.cost);
    }
}

fn fits(parts: &[u64], max: u64) -> bool {
    let sum = parts.iter().try_fold(0_u64, |sum, part| sum.checked_add(*part));
    sum.is_some_and(|sum| sum <= max)
}

const fn refusal(limit: &'static str, max: u64, retry_after_s: u64) -> Refusal {
    Refusal { limit, max, retry_after_s, price_unknown: false }
}

#[cfg(test)]
mod tests;

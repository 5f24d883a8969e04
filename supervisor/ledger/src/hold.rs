//! What is set aside for something that runs: written down before it is good, topped up while it
//! runs, and settled or released when it ends, once, however it ends.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use types::{Dimension, UnixMillis, Window};

use crate::account::{Account, Born, Pots, Who};
use crate::call::{Classes, piece};
use crate::refusal::{Refusal, Why};
use crate::window::{DAY, Stamp};
use crate::{Amount, Day, Entry, Kind, Priced, Tokens, Unwritten, Writing};

/// What is set aside, and in which windows. It counts in the day and the month in which it was first
/// set aside, however late it is settled; what is added later counts in the minute and the hour in
/// which it is added.
#[derive(Debug, Clone)]
pub(crate) struct Share {
    /// The day and the month of the beginning; the minute and the hour of the latest addition.
    pub(crate) stamp: Stamp,
    /// Everything.
    pub(crate) held: Amount,
    /// What of it was set aside in the latest minute and the latest hour.
    minute: Amount,
    hour: Amount,
}

impl Share {
    pub(crate) const fn new(stamp: Stamp, held: Amount) -> Self {
        Self { stamp, held, minute: held, hour: held }
    }

    /// What of it is set aside in the window of that kind.
    pub(crate) const fn part(&self, window: Window) -> &Amount {
        match window {
            Window::Minute => &self.minute,
            Window::Hour => &self.hour,
            Window::Day | Window::Month => &self.held,
        }
    }

    /// Leaves the minute and the hour that have ended: what was set aside there was used there.
    fn advance(&mut self, pots: &mut Pots<'_>) {
        let now = pots.stamp;
        if now.minute > self.stamp.minute {
            let (number, part) = (self.stamp.minute, std::mem::take(&mut self.minute));
            pots.each(|pot, _| pot.leave(Window::Minute, number, &part));
            self.stamp.minute = now.minute;
        }
        if now.hour > self.stamp.hour {
            let (number, part) = (self.stamp.hour, std::mem::take(&mut self.hour));
            pots.each(|pot, _| pot.leave(Window::Hour, number, &part));
            self.stamp.hour = now.hour;
        }
    }

    /// Sets more aside.
    fn add(&mut self, more: &Amount, pots: &mut Pots<'_>) {
        pots.each(|pot, _| pot.hold(more, &self.stamp));
        self.held.add(more);
        self.minute.add(more);
        self.hour.add(more);
    }
}

/// A share of an account that is given back when this is dropped.
#[derive(Debug)]
pub(crate) struct Stake {
    account: Arc<Account>,
    who: Who,
    born: Born,
    share: Share,
    id: u64,
    /// Not settled yet.
    open: bool,
}

impl Stake {
    pub(crate) fn new(account: Arc<Account>, who: Who, born: Born, share: Share) -> Self {
        let id = account.ledger().journal().next_id();
        Self { account, who, born, share, id, open: true }
    }

    /// A line of the books about it.
    pub(crate) fn entry(&self, kind: Kind, at: UnixMillis, amount: Amount) -> Entry {
        let Who { token, agent, session } = self.who.clone();
        let day = Day::of(self.share.stamp.day.saturating_mul(DAY));
        let tenant = self.account.tenant().clone();
        Entry { day, token, agent, session, amount, ..Entry::new(kind, self.id, at, tenant) }
    }

    /// Writes a line down.
    pub(crate) fn write(&self, entry: Entry) -> Writing {
        self.account.ledger().journal().write(entry)
    }

    /// Counts `used` for good, as far as it was set aside or all limits leave room for more, and gives
    /// back the rest. The line is `entry` with the amounts filled in.
    pub(crate) fn settle(&mut self, now: UnixMillis, used: &Amount, entry: Entry) -> Settled {
        let mut entered = self.account.enter(now);
        let mut pots = entered.found(&self.who, &self.born);
        self.share.advance(&mut pots);
        let base = used.least(&self.share.held);
        pots.each(|pot, _| pot.release(&self.share, &base));
        let beyond = used.less(&base);
        let more = if beyond.is_zero() { beyond } else { pots.fit_at(&self.share.stamp, &beyond) };
        pots.each(|pot, _| pot.settle(&more, &self.share.stamp));
        let mut charged = base;
        charged.add(&more);
        let settled = Settled { charged, unbilled: used.less(&charged) };
        entered.mark(&self.who);
        let at = entered.now;
        drop(entered);
        self.open = false;
        let (amount, unbilled) = (settled.charged, settled.unbilled);
        self.account.ledger().journal().post(Entry { at, amount, unbilled, ..entry });
        settled
    }
}

impl Drop for Stake {
    fn drop(&mut self) {
        if !self.open {
            return;
        }
        let mut entered = self.account.enter(0);
        let mut pots = entered.found(&self.who, &self.born);
        pots.each(|pot, _| pot.release(&self.share, &Amount::ZERO));
        let at = entered.now;
        drop(entered);
        let entry = self.entry(Kind::Release, at, Amount::ZERO);
        self.account.ledger().journal().post(entry);
    }
}

/// What was counted when something ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settled {
    /// What the tenant is charged.
    pub charged: Amount,
    /// What was used beyond what any limit leaves: the operator's loss.
    pub unbilled: Amount,
}

/// Something that is set aside, and good as soon as it is written down. Dropping it releases it.
#[derive(Debug)]
#[must_use = "what is not written down is released"]
pub struct Reserved<T> {
    held: T,
    writing: Written,
}

/// The writing of one line, begun at a time.
struct Written {
    writing: Writing,
    now: UnixMillis,
}

impl std::fmt::Debug for Written {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Written").field("now", &self.now).finish_non_exhaustive()
    }
}

impl<T> Reserved<T> {
    pub(crate) const fn new(held: T, writing: Writing, now: UnixMillis) -> Self {
        Self { held, writing: Written { writing, now } }
    }

    /// Waits until it is written down.
    ///
    /// # Errors
    /// When it cannot be; it is released then.
    pub async fn written(self) -> Result<T, Refusal> {
        let Self { held, mut writing } = self;
        std::future::poll_fn(|cx| writing.poll(cx)).await?;
        Ok(held)
    }
}

impl Written {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Refusal>> {
        let written = ready!(self.writing.as_mut().poll(cx));
        Poll::Ready(written.map_err(|Unwritten| Refusal::unwritable(self.now)))
    }
}

/// Whom and what a model call is paid to and for.
#[derive(Debug, Clone)]
pub(crate) struct Bill {
    pub(crate) provider: Arc<str>,
    pub(crate) model: Arc<str>,
    pub(crate) price: Option<Priced>,
}

/// What one model call may take, set aside and written down: a provider is reached with a reference
/// to one, and in no other way. Dropping it without settling releases it.
#[derive(Debug)]
#[must_use = "dropping a hold releases it"]
pub struct Hold {
    stake: Stake,
    bill: Bill,
    /// Output tokens set aside.
    output: u64,
    /// The most output tokens that whoever asked and all limits allowed at the beginning.
    most: Option<u64>,
}

impl Hold {
    pub(crate) const fn new(stake: Stake, bill: Bill, (output, most): (u64, Option<u64>)) -> Self {
        Self { stake, bill, output, most }
    }

    pub(crate) fn written(self, now: UnixMillis) -> Reserved<Self> {
        let entry = self.entry(Kind::Hold, now, self.stake.share.held);
        let writing = self.stake.write(entry);
        Reserved::new(self, writing, now)
    }

    /// Output tokens that are set aside, additions that are still being written among them.
    pub const fn output(&self) -> u64 {
        self.output
    }

    /// The most output tokens that whoever asked and all limits allowed when it was made; none where
    /// nobody has set a bound. What is sent to a provider as its bound.
    pub const fn most(&self) -> Option<u64> {
        self.most
    }

    /// Sets `more` output tokens aside, or fewer where limits leave little. They are good as soon as what
    /// this gives says so.
    ///
    /// # Errors
    /// The limit that leaves none.
    pub fn top_up(&mut self, now: UnixMillis, more: u64) -> Result<TopUp, Refusal> {
        self.stake.account.check_writable(now)?;
        let Self { stake, bill, output, .. } = self;
        let Stake { account, who, born, share, .. } = stake;
        let mut entered = account.enter(now);
        let mut pots = entered.found(who, born);
        share.advance(&mut pots);
        let classes = Classes::of(&pots);
        let input = share.held.input_tokens;
        let left = left(&pots, share, *output, bill.price.as_ref());
        // One, where none is left, so that the limit is named that refuses it.
        let granted = piece(more, left).min(left.unwrap_or(more)).max(1);
        let all = classes.amount(bill.price.as_ref(), input, output.saturating_add(granted));
        let extra = all.less(&share.held);
        let checked = pots.check_at(&share.stamp, |_| (extra, 0));
        if let Err(refusal) = checked {
            entered.refused(who, &refusal);
            return Err(refusal);
        }
        share.add(&extra, &mut pots);
        let now = entered.now;
        drop(entered);
        *output = output.saturating_add(granted);
        let entry = self.entry(Kind::TopUp, now, extra);
        let writing = self.stake.write(entry);
        Ok(TopUp { granted, writing: Written { writing, now } })
    }

    /// Records what the call has used, in the day of the reservation, and releases the rest.
    /// `estimated` says that the figures are not the provider's.
    ///
    /// What a provider counts beyond what is set aside is charged as far as all limits leave room, and
    /// is the operator's loss beyond.
    pub fn settle(mut self, now: UnixMillis, used: &Tokens, estimated: bool) -> Settled {
        let cost = self.bill.price.as_ref().map_or(0, |priced| priced.price.cost(used));
        let amount = Amount {
            input_tokens: used.input,
            cached_tokens: used.cached.min(used.input),
            output_tokens: used.output,
            reasoning_tokens: used.reasoning.min(used.output),
            cost_micros: cost,
            ..Amount::ZERO
        };
        let entry = self.entry(Kind::Settle, now, Amount::ZERO);
        self.stake.settle(now, &amount, Entry { estimated, ..entry })
    }

    fn entry(&self, kind: Kind, at: UnixMillis, amount: Amount) -> Entry {
        Entry {
            provider: Some(Arc::clone(&self.bill.provider)),
            model: Some(Arc::clone(&self.bill.model)),
            price_version: self.bill.price.as_ref().map(|priced| Arc::clone(&priced.version)),
            ..self.stake.entry(kind, at, amount)
        }
    }
}

/// Output tokens that all limits leave to a call beyond those that it has; none without a limit.
fn left(pots: &Pots<'_>, share: &Share, output: u64, price: Option<&Priced>) -> Option<u64> {
    let left = |dimension| pots.left(dimension, &share.stamp);
    let affordable = |budget: u64| {
        let budget = budget.saturating_add(share.held.cost_micros);
        let most = price.map(|it| it.price.affordable(share.held.input_tokens, budget));
        most.map(|most| most.saturating_sub(output))
    };
    let most = [
        left(Dimension::OutputTokens),
        left(Dimension::ReasoningTokens),
        left(Dimension::Tokens),
        left(Dimension::CostMicros).and_then(affordable),
    ];
    most.into_iter().flatten().min()
}

/// More for a hold, on its way into the books. It gives how many output tokens it was. Dropping it
/// takes nothing back.
#[derive(Debug)]
pub struct TopUp {
    granted: u64,
    writing: Written,
}

impl Future for TopUp {
    type Output = Result<u64, Refusal>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<u64, Refusal>> {
        let written = ready!(self.writing.poll(cx));
        Poll::Ready(written.map(|()| self.granted))
    }
}

impl Account {
    /// Refuses where nothing can be written down: what could not be is not granted.
    pub(crate) fn check_writable(&self, now: UnixMillis) -> Result<(), Refusal> {
        if self.ledger().journal().is_writable() { Ok(()) } else { Err(Refusal::unwritable(now)) }
    }
}

impl Refusal {
    fn unwritable(now: UnixMillis) -> Self {
        Self {
            why: Why::Unwritable,
            level: types::Level::Installation,
            subject: None,
            dimension: Dimension::Requests,
            window: None,
            max: 0,
            remaining: 0,
            retry_after_s: Self::UNWRITABLE_S,
            resets_at: now.saturating_add(Self::UNWRITABLE_S * 1000),
        }
    }
}

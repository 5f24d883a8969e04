//! One tenant's account, and what of it is asked on every request: a place for it, and a place for
//! each of its model calls.
//!
//! One mutex guards the counters of a tenant, and one more those of the installation, where there are
//! any: every operation is some arithmetic, allocates nothing where nothing is new, and never waits for
//! anything but another such operation. All counters of all levels are looked at before any is changed.

mod books;
mod owed;

use std::sync::{Arc, Mutex, PoisonError};

use types::{Dimension, Level, Limits, TenantId, UnixMillis, Window};

use crate::live::CallId;
use crate::subjects::Subjects;
use crate::{Amount, Call, Ledger, Refusal, Standing, Warning};

pub(crate) use books::{Books, Born, Entered, Pots};

/// The longest name of an agent or a session that counts for one, in bytes.
pub const MAX_NAME: usize = 512;

/// One request.
const REQUEST: Amount = Amount { requests: 1, ..Amount::ZERO };

/// What one tenant has used and may still use.
#[derive(Debug)]
pub struct Account {
    tenant: TenantId,
    ledger: Arc<Ledger>,
    books: Mutex<Books>,
}

/// For whom something is used. What is not known counts for nobody on that level.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Who {
    /// The id of the API token whose request it was; none for what no client asked for.
    pub token: Option<Arc<str>>,
    /// The agent, in the worker's words.
    pub agent: Option<Arc<str>>,
    /// The session, in the worker's words.
    pub session: Option<Arc<str>>,
}

impl Account {
    /// An account in which nothing was used yet.
    pub fn new(ledger: &Arc<Ledger>, tenant: TenantId, limits: &Limits, now: UnixMillis) -> Self {
        let books = Mutex::new(Books::new(limits, now));
        Self { tenant, ledger: Arc::clone(ledger), books }
    }

    /// Whose account it is.
    pub const fn tenant(&self) -> &TenantId {
        &self.tenant
    }

    /// What all accounts share.
    pub const fn ledger(&self) -> &Arc<Ledger> {
        &self.ledger
    }

    /// Adds what was used earlier in the window that holds `now`, as the books say: by the tenant, or
    /// by the subject of another level, where a quota is for it. What the tenant's own sums are made
    /// of, those of its tokens included, is not added to them again.
    pub fn carry(
        &self,
        (level, subject): (Level, Option<&Arc<str>>),
        window: Window,
        used: &Amount,
        now: UnixMillis,
    ) {
        let mut entered = self.enter(now);
        let (now, stamp) = (entered.now, entered.stamp);
        let books = &mut *entered.books;
        let pot = match level {
            Level::Installation => None,
            Level::Tenant => Some(&mut books.own),
            // There is room for all that a quota names; of others as many as are remembered.
            Level::Token => books.tokens.open(subject, &stamp, now).ok().flatten(),
            Level::Agent => books.agents.open(subject, &stamp, now).ok().flatten(),
            Level::Session => books.sessions.open(subject, &stamp, now).ok().flatten(),
        };
        if let Some(pot) = pot {
            pot.carry(window, used);
        }
    }

    /// Applies new limits to whatever is admitted or reserved from now on. What was used counts against
    /// new limits of the tenant; for a token, an agent or a session that had no quota, use is counted
    /// from now on.
    pub fn set_limits(&self, limits: &Limits) {
        self.enter(0).books.limit(limits);
    }

    /// A place for one more request of a client that has presented the token with the id `token`. It
    /// counts from now on; refused requests do not count.
    pub fn admit(
        self: &Arc<Self>,
        now: UnixMillis,
        token: Option<&Arc<str>>,
    ) -> Result<Admission, Refusal> {
        let who = Who { token: token.cloned(), ..Who::default() };
        let mut entered = self.enter(now);
        let born = entered.act(&who, |pots| {
            pots.check(|_| (REQUEST, 1))?;
            pots.each(|pot, stamp| {
                pot.run(1);
                pot.settle(&REQUEST, stamp);
            });
            Ok(pots.born())
        })?;
        entered.owe(&who, &REQUEST);
        drop(entered);
        Ok(Admission { account: Arc::clone(self), who, born, id: None, lingers: false })
    }

    /// A place for one more model call, in the name of the request `id`, for an agent and a session as
    /// the worker calls them. As many as requests may be under way, and as many again for requests that
    /// have just ended and whose calls are still being cancelled.
    ///
    /// A request pays for one call. What an agent asks beyond that, and what it asks when no client has
    /// (jobs, sub-agents), counts as a request, so that a limit holds for what agents do by themselves.
    pub fn begin_call(
        self: &Arc<Self>,
        now: UnixMillis,
        id: &str,
        (agent, session): (Option<Arc<str>>, Option<Arc<str>>),
    ) -> Result<Call, Refusal> {
        let id = CallId::read(id);
        let mut entered = self.enter(now);
        let asker = entered.books.live.call(id, entered.now);
        let known = |name: &Arc<str>| (1..=MAX_NAME).contains(&name.len());
        let who =
            Who { token: asker.token, agent: agent.filter(known), session: session.filter(known) };
        entered.room_for_call()?;
        let unpaid = if asker.paid { Amount::ZERO } else { REQUEST };
        let born = entered.act(&who, |pots| {
            let counts = |level| match level {
                Level::Agent | Level::Session => (REQUEST, 1),
                Level::Installation | Level::Tenant | Level::Token => (unpaid, 0),
            };
            pots.check(counts)?;
            pots.each(|pot, stamp| {
                let (request, runs) = counts(pot.level());
                pot.run(runs);
                pot.settle(&request, stamp);
            });
            Ok(pots.born())
        })?;
        entered.books.calls += 1;
        entered.books.live.made(id);
        if !asker.paid {
            entered.owe(&who, &REQUEST);
        }
        drop(entered);
        Ok(Call::new(Arc::clone(self), who, born))
    }

    /// Counts what was used without being set aside: bytes that have left. What is beyond a limit is
    /// not charged, but written down as the operator's loss.
    ///
    /// # Errors
    /// When it is more than a limit leaves: whoever uses it must stop.
    pub fn spend(&self, now: UnixMillis, used: &Amount) -> Result<(), Refusal> {
        let who = Who::default();
        let mut entered = self.enter(now);
        let outcome = entered.act(&who, |pots| {
            let refused = pots.check(|_| (*used, 0)).err();
            let charged = if refused.is_some() { pots.fit(used) } else { *used };
            pots.each(|pot, stamp| pot.settle(&charged, stamp));
            Ok((charged, refused))
        });
        let (charged, refused) = outcome?;
        entered.owe(&who, &charged);
        entered.lose(&who, &used.less(&charged));
        if let Some(refusal) = &refused {
            entered.refused(&who, refusal);
        }
        drop(entered);
        refused.map_or(Ok(()), Err)
    }

    /// Whether one more request, or one more byte or millisecond of what is counted as it goes, would be
    /// granted. Of the rest the answer is yes: it is asked for by a [`Call`].
    ///
    /// # Errors
    /// The limit that is used up.
    pub fn allows(&self, now: UnixMillis, dimension: Dimension) -> Result<(), Refusal> {
        let one = match dimension {
            Dimension::SandboxSeconds => Amount { sandbox_ms: 1, ..Amount::ZERO },
            Dimension::EgressBytes => Amount { egress_bytes: 1, ..Amount::ZERO },
            Dimension::Requests => REQUEST,
            Dimension::InputTokens
            | Dimension::CachedTokens
            | Dimension::OutputTokens
            | Dimension::ReasoningTokens
            | Dimension::Tokens
            | Dimension::CostMicros
            | Dimension::ConcurrentRuns
            | Dimension::StoredBytes => return Ok(()),
        };
        self.enter(now).act(&Who::default(), |pots| pots.check(|_| (one, 0)))
    }

    /// What the tenant used in the window of that kind that holds `now`.
    pub fn used(&self, window: Window, now: UnixMillis) -> Amount {
        *self.enter(now).books.own.now(window).0
    }

    /// How every limit stands that the tenant has, those of its tokens, agents and sessions included.
    /// Those of the installation are the operator's affair: [`Ledger::standings`].
    pub fn standings(&self, now: UnixMillis) -> Vec<Standing> {
        let mut entered = self.enter(now);
        let (now, stamp) = (entered.now, entered.stamp);
        let books = &mut *entered.books;
        books.turn(&stamp);
        let inner = [&books.tokens, &books.agents, &books.sessions];
        let inner = inner.into_iter().flat_map(Subjects::all);
        std::iter::once(&books.own).chain(inner).flat_map(|pot| pot.standings(now)).collect()
    }

    /// How the limits stand that a request of a client with the token `token` has to keep: the tenant's
    /// own and the token's.
    pub fn standings_of(&self, now: UnixMillis, token: &str) -> Vec<Standing> {
        let mut entered = self.enter(now);
        let (now, stamp) = (entered.now, entered.stamp);
        let books = &mut *entered.books;
        let mut standings: Vec<_> = books.own.standings(now).collect();
        if let Some(pot) = books.tokens.named(token) {
            pot.turn(&stamp);
            standings.extend(pot.standings(now));
        }
        standings
    }

    /// What is set aside for what is under way.
    pub fn held(&self, now: UnixMillis) -> Amount {
        *self.enter(now).books.own.now(Window::Month).1
    }

    /// The warnings since the last time, oldest first.
    pub fn take_warnings(&self) -> Vec<Warning> {
        std::mem::take(&mut self.enter(0).books.warnings)
    }

    /// Writes down what was used without a hold and is not written down yet. Where nothing can be
    /// written it stays, summed up, for the next time.
    pub fn post_uses(&self, now: UnixMillis) {
        let journal = self.ledger.journal();
        if !journal.is_writable() {
            return;
        }
        let mut entered = self.enter(now);
        let now = entered.now;
        let uses = entered.books.owed.take();
        drop(entered);
        for entry in uses.into_iter().map(|it| it.entry(journal.next_id(), now, &self.tenant)) {
            journal.post(entry);
        }
    }

    /// The account at the time `now`, or the latest that it knows.
    pub(crate) fn enter(&self, now: UnixMillis) -> Entered<'_> {
        // No operation on the books can stop half-way, so those of a panicked thread are sound.
        let books = self.books.lock().unwrap_or_else(PoisonError::into_inner);
        Entered::new(books, self.ledger.house(), now)
    }
}

/// One request under way. Dropping it gives the place back.
#[derive(Debug)]
pub struct Admission {
    account: Arc<Account>,
    who: Who,
    born: Born,
    id: Option<CallId>,
    lingers: bool,
}

impl Admission {
    /// From now on, model calls in the name of `id` are the request's: the id under which the
    /// supervisor passes it on. One of another form names nothing.
    #[must_use]
    pub fn named(mut self, id: &str) -> Self {
        self.id = CallId::read(id);
        if let Some(id) = self.id {
            let mut entered = self.account.enter(0);
            let now = entered.now;
            entered.books.live.begin(id, self.who.token.as_ref(), now);
        }
        self
    }

    /// What the request has begun may go on when it is over: model calls in its name are its token's
    /// for an hour after the latest of them.
    #[must_use]
    pub const fn lingering(mut self) -> Self {
        self.lingers = true;
        self
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        let mut entered = self.account.enter(0);
        entered.found(&self.who, &self.born).each(|pot, _| pot.stop(1));
        if let Some(id) = self.id {
            let now = entered.now;
            entered.books.live.end(id, self.lingers, now);
        }
    }
}

#[cfg(test)]
mod tests;

//! What the account's mutex guards, and the counters of one operation, of all levels.

use std::sync::MutexGuard;

use types::{Dimension, Level, Limits, UnixMillis, Window};

use super::Who;
use super::owed::Owed;
use crate::house::{House, MAX_WARNINGS};
use crate::live::Live;
use crate::pot::{Limit, Pot};
use crate::refusal::{Refusal, Warning, Why};
use crate::subjects::Subjects;
use crate::window::Stamp;
use crate::{Amount, Day};

/// Everything of one tenant.
#[derive(Debug)]
pub(crate) struct Books {
    /// The latest time that was heard of. What has no clock goes by it.
    now: UnixMillis,
    stamp: Stamp,
    pub(super) own: Pot,
    pub(super) tokens: Subjects,
    pub(super) agents: Subjects,
    pub(super) sessions: Subjects,
    concurrency: u64,
    /// Model calls under way.
    pub(crate) calls: u64,
    pub(crate) live: Live,
    pub(super) owed: Owed,
    pub(super) warnings: Vec<Warning>,
}

/// An account and its installation, locked, at one time.
#[derive(Debug)]
pub(crate) struct Entered<'a> {
    pub(crate) books: MutexGuard<'a, Books>,
    house: Option<MutexGuard<'a, House>>,
    /// The latest of the times that all know.
    pub(crate) now: UnixMillis,
    pub(crate) stamp: Stamp,
}

/// The counters that one operation is about.
#[derive(Debug)]
pub(crate) struct Pots<'a> {
    all: [Option<&'a mut Pot>; 5],
    pub(crate) stamp: Stamp,
    pub(crate) now: UnixMillis,
}

/// Which counters of the inner levels an operation was about, so that what is given back is given back
/// to them and to no others of the same name. 0 for none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Born {
    token: u64,
    agent: u64,
    session: u64,
}

impl Books {
    pub(super) fn new(limits: &Limits, now: UnixMillis) -> Self {
        let stamp = Stamp::at(now);
        let mut books = Self {
            now,
            stamp,
            own: Pot::new(Level::Tenant, None, stamp),
            tokens: Subjects::new(Level::Token),
            agents: Subjects::new(Level::Agent),
            sessions: Subjects::new(Level::Session),
            concurrency: 0,
            calls: 0,
            live: Live::default(),
            owed: Owed::new(Day::of(now)),
            warnings: Vec::new(),
        };
        books.limit(limits);
        books
    }

    pub(super) fn limit(&mut self, limits: &Limits) {
        self.concurrency = limits.concurrency.into();
        let short = [
            (Dimension::ConcurrentRuns, None, Some(self.concurrency)),
            (Dimension::Requests, Some(Window::Minute), limits.requests_per_minute),
            (Dimension::Tokens, Some(Window::Day), limits.tokens_per_day),
            (Dimension::CostMicros, Some(Window::Day), limits.cost_micros_per_day),
        ];
        let short = short
            .into_iter()
            .filter_map(|(dimension, window, max)| Some(Limit::new(dimension, window, max?)));
        let general = limits.quotas.iter().filter(|quota| quota.level() == Level::Tenant);
        self.own.limit(short.chain(general.map(Limit::of)));
        self.tokens.limit(&limits.quotas);
        self.agents.limit(&limits.quotas);
        self.sessions.limit(&limits.quotas);
    }

    /// Starts the windows that have begun, of all.
    pub(super) fn turn(&mut self, stamp: &Stamp) {
        self.own.turn(stamp);
        let inner = [&mut self.tokens, &mut self.agents, &mut self.sessions];
        inner.into_iter().flat_map(Subjects::all_mut).for_each(|pot| pot.turn(stamp));
    }
}

impl<'a> Entered<'a> {
    pub(super) fn new(
        mut books: MutexGuard<'a, Books>,
        mut house: Option<MutexGuard<'a, House>>,
        now: UnixMillis,
    ) -> Self {
        let mut now = now.max(books.now);
        if let Some(house) = &mut house {
            now = house.turn(now);
        }
        let stamp = books.stamp.next(now);
        (books.now, books.stamp) = (now, stamp);
        books.own.turn(&stamp);
        Self { books, house, now, stamp }
    }

    /// A place for one more model call: see [`super::Account::begin_call`].
    pub(super) fn room_for_call(&mut self) -> Result<(), Refusal> {
        let max = self.books.concurrency.saturating_mul(2);
        if self.books.calls < max {
            return Ok(());
        }
        let limit = Limit::new(Dimension::ConcurrentRuns, None, self.books.concurrency);
        let refusal = self.books.own.refusal(&limit, Why::Limit, &self.stamp, self.now);
        Err(Refusal { remaining: 0, ..refusal })
    }

    /// Does something to the counters of `who`, on every level, all of it or nothing.
    pub(crate) fn act<T>(
        &mut self,
        who: &Who,
        act: impl FnOnce(&mut Pots<'_>) -> Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        let done = self.pots(who).and_then(|mut pots| act(&mut pots));
        match &done {
            Ok(_) => self.mark(who),
            Err(refusal) => self.refused(who, refusal),
        }
        done
    }

    fn pots(&mut self, who: &Who) -> Result<Pots<'_>, Refusal> {
        let (stamp, now) = (self.stamp, self.now);
        let books = &mut *self.books;
        let token = books.tokens.open(who.token.as_ref(), &stamp, now)?;
        let agent = books.agents.open(who.agent.as_ref(), &stamp, now)?;
        let session = books.sessions.open(who.session.as_ref(), &stamp, now)?;
        let house = self.house.as_mut().map(|house| &mut house.pot);
        Ok(Pots { all: [house, Some(&mut books.own), token, agent, session], stamp, now })
    }

    /// The counters of something that was begun earlier, as far as they are still there.
    pub(crate) fn found(&mut self, who: &Who, born: &Born) -> Pots<'_> {
        let (stamp, now) = (self.stamp, self.now);
        let books = &mut *self.books;
        let token = books.tokens.find(who.token.as_ref(), born.token);
        let agent = books.agents.find(who.agent.as_ref(), born.agent);
        let session = books.sessions.find(who.session.as_ref(), born.session);
        let house = self.house.as_mut().map(|house| &mut house.pot);
        let mut pots =
            Pots { all: [house, Some(&mut books.own), token, agent, session], stamp, now };
        pots.each(Pot::turn);
        pots
    }

    /// Collects the marks that the counters of `who` have crossed.
    pub(crate) fn mark(&mut self, who: &Who) {
        let now = self.now;
        if let Some(house) = &mut self.house {
            let House { pot, warnings, .. } = &mut **house;
            pot.mark(now, warnings, MAX_WARNINGS);
        }
        let books = &mut *self.books;
        books.own.mark(now, &mut books.warnings, MAX_WARNINGS);
        let inner = [
            books.tokens.known(who.token.as_ref()),
            books.agents.known(who.agent.as_ref()),
            books.sessions.known(who.session.as_ref()),
        ];
        for pot in inner.into_iter().flatten() {
            pot.mark(now, &mut books.warnings, MAX_WARNINGS);
        }
    }

    /// Notes that a limit has refused something.
    pub(crate) fn refused(&mut self, who: &Who, refusal: &Refusal) {
        if refusal.why != Why::Limit {
            return;
        }
        let now = self.now;
        let books = &mut *self.books;
        let warnings = &mut books.warnings;
        let pot = match refusal.level {
            Level::Installation => {
                if let Some(house) = &mut self.house {
                    let House { pot, warnings, .. } = &mut **house;
                    pot.refused(refusal, now, warnings, MAX_WARNINGS);
                }
                return;
            }
            Level::Tenant => Some(&mut books.own),
            Level::Token => books.tokens.known(who.token.as_ref()),
            Level::Agent => books.agents.known(who.agent.as_ref()),
            Level::Session => books.sessions.known(who.session.as_ref()),
        };
        if let Some(pot) = pot {
            pot.refused(refusal, now, warnings, MAX_WARNINGS);
        }
    }

    /// Notes what is to be written down.
    pub(crate) fn owe(&mut self, who: &Who, used: &Amount) {
        let day = Day::of(self.now);
        self.books.owed.add(day, &who.token, used, &Amount::ZERO);
    }

    /// Notes what is to be written down as lost.
    pub(crate) fn lose(&mut self, who: &Who, unbilled: &Amount) {
        let day = Day::of(self.now);
        self.books.owed.add(day, &who.token, &Amount::ZERO, unbilled);
    }
}

impl Pots<'_> {
    fn iter(&self) -> impl Iterator<Item = &Pot> {
        self.all.iter().filter_map(|pot| pot.as_deref())
    }

    /// Changes every one of them.
    pub(crate) fn each(&mut self, mut change: impl FnMut(&mut Pot, &Stamp)) {
        for pot in self.all.iter_mut().flatten() {
            change(pot, &self.stamp);
        }
    }

    /// The limit that would be broken; of several the one that lasts longest.
    pub(crate) fn check(&self, of: impl Fn(Level) -> (Amount, u64)) -> Result<(), Refusal> {
        self.check_at(&self.stamp, of)
    }

    /// The same in other windows than those of now.
    pub(crate) fn check_at(
        &self,
        stamp: &Stamp,
        of: impl Fn(Level) -> (Amount, u64),
    ) -> Result<(), Refusal> {
        let broken = self.iter().filter_map(|pot| {
            let (want, runs) = of(pot.level());
            pot.check(&want, runs, stamp, self.now).err()
        });
        broken.max_by_key(|refusal| refusal.resets_at).map_or(Ok(()), Err)
    }

    /// A limit on money.
    pub(crate) fn money(&self) -> Option<Refusal> {
        self.iter().find_map(|pot| pot.money(&self.stamp, self.now))
    }

    /// The least that all levels leave of `dimension`; none where none limits it.
    pub(crate) fn left(&self, dimension: Dimension, stamp: &Stamp) -> Option<u64> {
        self.iter().filter_map(|pot| pot.left(dimension, stamp)).min()
    }

    /// As much of `used` as all limits leave.
    pub(crate) fn fit(&self, used: &Amount) -> Amount {
        self.fit_at(&self.stamp, used)
    }

    /// The same in other windows than those of now.
    pub(crate) fn fit_at(&self, stamp: &Stamp, used: &Amount) -> Amount {
        let left = |dimension| self.left(dimension, stamp).unwrap_or(u64::MAX);
        let tokens = left(Dimension::Tokens);
        let input = used.input_tokens.min(left(Dimension::InputTokens)).min(tokens);
        let output = used.output_tokens.min(left(Dimension::OutputTokens)).min(tokens - input);
        Amount {
            requests: used.requests.min(left(Dimension::Requests)),
            input_tokens: input,
            cached_tokens: used.cached_tokens.min(left(Dimension::CachedTokens)),
            output_tokens: output,
            reasoning_tokens: used.reasoning_tokens.min(left(Dimension::ReasoningTokens)),
            cost_micros: used.cost_micros.min(left(Dimension::CostMicros)),
            sandbox_ms: used.sandbox_ms.min(left(Dimension::SandboxSeconds)),
            egress_bytes: used.egress_bytes.min(left(Dimension::EgressBytes)),
        }
    }

    /// Which counters of the inner levels these are.
    pub(crate) fn born(&self) -> Born {
        let mut born = Born::default();
        for pot in self.iter() {
            match pot.level() {
                Level::Token => born.token = pot.born,
                Level::Agent => born.agent = pot.born,
                Level::Session => born.session = pot.born,
                Level::Installation | Level::Tenant => {}
            }
        }
        born
    }
}

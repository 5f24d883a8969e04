//! One level's counters and the limits on them. Knows neither the other levels nor who asks.

use std::sync::Arc;

use types::{Dimension, Level, Quota, UnixMillis, Window};

use crate::refusal::{Refusal, Standing, Warning, Why};
use crate::window::{Stamp, end, seconds_until};
use crate::{Amount, hold::Share};

/// Parts of a limit, in percent, whose use is worth a word.
const MARKS: [u8; 3] = [50, 80, 100];

/// Milliseconds to a second: in milliseconds sandboxes are counted, in seconds they are limited.
const MILLIS: u64 = 1000;

/// Counters of one subject of one level.
#[derive(Debug)]
pub(crate) struct Pot {
    level: Level,
    subject: Option<Arc<str>>,
    /// Which pot it is: one that was taken away and made anew is another.
    pub(crate) born: u64,
    minute: Span,
    hour: Span,
    day: Span,
    month: Span,
    /// What is under way.
    running: u64,
    limits: Vec<Limit>,
}

/// One window and the one before it, whose holds may still be open.
#[derive(Debug)]
struct Span {
    current: Period,
    before: Period,
}

#[derive(Debug, Clone, Copy)]
struct Period {
    /// The window's number.
    number: u64,
    settled: Amount,
    held: Amount,
}

/// One limit of the pot.
#[derive(Debug, Clone)]
pub(crate) struct Limit {
    dimension: Dimension,
    window: Option<Window>,
    /// In the unit in which the dimension is kept.
    max: u64,
    /// The last mark that was told, and in which window.
    told: u8,
    told_in: u64,
}

impl Limit {
    pub(crate) fn of(quota: &Quota) -> Self {
        Self::new(quota.dimension(), quota.window(), quota.max())
    }

    pub(crate) const fn new(dimension: Dimension, window: Option<Window>, max: u64) -> Self {
        let unit = if matches!(dimension, Dimension::SandboxSeconds) { MILLIS } else { 1 };
        Self { dimension, window, max: max.saturating_mul(unit), told: 0, told_in: 0 }
    }
}

impl Period {
    const fn new(number: u64) -> Self {
        Self { number, settled: Amount::ZERO, held: Amount::ZERO }
    }
}

impl Span {
    const fn new(number: u64) -> Self {
        Self { current: Period::new(number), before: Period::new(number) }
    }

    /// Starts the window `number`. A clock that goes back opens none again.
    const fn turn(&mut self, number: u64) {
        if number > self.current.number {
            self.before = self.current;
            self.current = Period::new(number);
        }
    }

    const fn find(&self, number: u64) -> Option<&Period> {
        if number == self.current.number {
            Some(&self.current)
        } else if number == self.before.number {
            Some(&self.before)
        } else {
            None
        }
    }

    const fn find_mut(&mut self, number: u64) -> Option<&mut Period> {
        if number == self.current.number {
            Some(&mut self.current)
        } else if number == self.before.number {
            Some(&mut self.before)
        } else {
            None
        }
    }
}

impl Pot {
    pub(crate) fn new(level: Level, subject: Option<Arc<str>>, stamp: Stamp) -> Self {
        let Stamp { minute, hour, day, month } = stamp;
        Self {
            level,
            subject,
            born: 0,
            minute: Span::new(minute),
            hour: Span::new(hour),
            day: Span::new(day),
            month: Span::new(month),
            running: 0,
            limits: Vec::new(),
        }
    }

    pub(crate) const fn level(&self) -> Level {
        self.level
    }

    /// Puts new limits in the place of the old ones; what was told of one that stays is not told again.
    pub(crate) fn limit(&mut self, limits: impl Iterator<Item = Limit>) {
        let old = std::mem::take(&mut self.limits);
        let same =
            |a: &Limit, b: &Limit| (a.dimension, a.window, a.max) == (b.dimension, b.window, b.max);
        let kept = limits.map(|new| old.iter().find(|it| same(it, &new)).cloned().unwrap_or(new));
        self.limits = kept.collect();
    }

    /// Starts the windows that have begun.
    pub(crate) const fn turn(&mut self, stamp: &Stamp) {
        self.minute.turn(stamp.minute);
        self.hour.turn(stamp.hour);
        self.day.turn(stamp.day);
        self.month.turn(stamp.month);
    }

    /// Whether nothing in it would be missed: nothing is under way, and no window with a limit has
    /// anything in it.
    pub(crate) fn is_idle(&self) -> bool {
        let settled = |window| !self.span(window).current.settled.is_zero();
        let held = !self.month.current.held.is_zero() || !self.month.before.held.is_zero();
        let mut windows = self.limits.iter().filter_map(|limit| limit.window);
        self.running == 0 && !held && !windows.any(settled)
    }

    /// What was used and what is set aside in the current window.
    pub(crate) const fn now(&self, window: Window) -> (&Amount, &Amount) {
        let Period { settled, held, .. } = &self.span(window).current;
        (settled, held)
    }

    /// What was used before anybody counted here.
    pub(crate) const fn carry(&mut self, window: Window, used: &Amount) {
        self.span_mut(window).current.settled.add(used);
    }

    /// The limit that `want` and one more of `runs` would break.
    pub(crate) fn check(
        &self,
        want: &Amount,
        runs: u64,
        stamp: &Stamp,
        now: UnixMillis,
    ) -> Result<(), Refusal> {
        for limit in &self.limits {
            let asked = if limit.dimension == Dimension::ConcurrentRuns {
                runs
            } else {
                want.of(limit.dimension)
            };
            // What asks for nothing is not stopped by a limit that is already reached.
            if asked > 0 && asked > self.room(limit, stamp) {
                return Err(self.refusal(limit, Why::Limit, stamp, now));
            }
        }
        let month = &self.month.current;
        match Amount::overflow([&month.settled, &month.held, want]) {
            Some(dimension) => {
                let limit = Limit::new(dimension, Some(Window::Month), u64::MAX);
                Err(self.refusal(&limit, Why::Limit, stamp, now))
            }
            None => Ok(()),
        }
    }

    /// A limit on money, of which nothing of unknown price may be asked.
    pub(crate) fn money(&self, stamp: &Stamp, now: UnixMillis) -> Option<Refusal> {
        let mut limits = self.limits.iter();
        let limit = limits.find(|limit| limit.dimension == Dimension::CostMicros)?;
        Some(self.refusal(limit, Why::PriceUnknown, stamp, now))
    }

    /// The least that any limit leaves of `dimension` in the windows of `stamp`; none without a limit.
    pub(crate) fn left(&self, dimension: Dimension, stamp: &Stamp) -> Option<u64> {
        let limits = self.limits.iter().filter(|limit| limit.dimension == dimension);
        limits.map(|limit| self.room(limit, stamp)).min()
    }

    fn room(&self, limit: &Limit, stamp: &Stamp) -> u64 {
        let used = match limit.window {
            None => self.running,
            Some(window) => match self.span(window).find(stamp.of(window)) {
                Some(period) => {
                    let (settled, held) =
                        (period.settled.of(limit.dimension), period.held.of(limit.dimension));
                    settled.saturating_add(held)
                }
                // Two windows ago: nobody knows any more what of it is left.
                None => return 0,
            },
        };
        limit.max.saturating_sub(used)
    }

    /// One more, or several, under way.
    pub(crate) const fn run(&mut self, runs: u64) {
        self.running = self.running.saturating_add(runs);
    }

    pub(crate) const fn stop(&mut self, runs: u64) {
        self.running = self.running.saturating_sub(runs);
    }

    /// Sets aside.
    pub(crate) fn hold(&mut self, amount: &Amount, stamp: &Stamp) {
        self.each(stamp, |period, _| period.held.add(amount));
    }

    /// Counts for good what was not set aside.
    pub(crate) fn settle(&mut self, amount: &Amount, stamp: &Stamp) {
        self.each(stamp, |period, _| period.settled.add(amount));
    }

    /// Gives back what `share` has set aside, of which `used` is counted for good. What was set aside
    /// in a minute or an hour that has ended since was used there.
    pub(crate) fn release(&mut self, share: &Share, used: &Amount) {
        self.each(&share.stamp, |period, window| {
            let part = share.part(window);
            period.held = period.held.less(part);
            let before = share.held.less(part);
            period.settled.add(&used.less(&before));
        });
    }

    /// What `share` has set aside in a minute or an hour that ends for it counts as used there.
    pub(crate) fn leave(&mut self, window: Window, number: u64, part: &Amount) {
        if let Some(period) = self.span_mut(window).find_mut(number) {
            period.held = period.held.less(part);
            period.settled.add(part);
        }
    }

    fn each(&mut self, stamp: &Stamp, mut change: impl FnMut(&mut Period, Window)) {
        for window in Window::ALL {
            if let Some(period) = self.span_mut(*window).find_mut(stamp.of(*window)) {
                change(period, *window);
            }
        }
    }

    /// How its limits stand.
    pub(crate) fn standings(&self, now: UnixMillis) -> impl Iterator<Item = Standing> {
        self.limits.iter().map(move |limit| self.standing(limit, now))
    }

    /// Adds the marks that are crossed now and were not in this window.
    pub(crate) fn mark(&mut self, now: UnixMillis, warnings: &mut Vec<Warning>, most: usize) {
        let mut limits = std::mem::take(&mut self.limits);
        for limit in &mut limits {
            let Some(window) = limit.window else { continue };
            let period = &self.span(window).current;
            if limit.told_in != period.number {
                (limit.told, limit.told_in) = (0, period.number);
            }
            let settled = u128::from(period.settled.of(limit.dimension)) * 100;
            let reached = |mark: &&u8| settled >= u128::from(limit.max) * u128::from(**mark);
            let Some(mark) = MARKS.iter().rev().find(reached) else { continue };
            // Of a limit that allows nothing there is nothing to warn.
            if limit.max > 0 && *mark > limit.told && warnings.len() < most {
                limit.told = *mark;
                warnings.push(Warning { standing: self.standing(limit, now), percent: *mark });
            }
        }
        self.limits = limits;
    }

    /// Notes that a limit has refused something: as if all of it were used.
    pub(crate) fn refused(
        &mut self,
        refusal: &Refusal,
        now: UnixMillis,
        warnings: &mut Vec<Warning>,
        most: usize,
    ) {
        let mut limits = std::mem::take(&mut self.limits);
        for limit in &mut limits {
            let same = (limit.dimension, limit.window) == (refusal.dimension, refusal.window);
            let Some(window) = limit.window.filter(|_| same && limit.max > 0) else { continue };
            let number = self.span(window).current.number;
            if (limit.told, limit.told_in) != (100, number) && warnings.len() < most {
                (limit.told, limit.told_in) = (100, number);
                warnings.push(Warning { standing: self.standing(limit, now), percent: 100 });
            }
        }
        self.limits = limits;
    }

    fn standing(&self, limit: &Limit, now: UnixMillis) -> Standing {
        let unit = if limit.dimension == Dimension::SandboxSeconds { MILLIS } else { 1 };
        let (settled, held) = match limit.window {
            None => (0, self.running),
            Some(window) => {
                let period = &self.span(window).current;
                (period.settled.of(limit.dimension), period.held.of(limit.dimension))
            }
        };
        Standing {
            level: self.level,
            subject: self.subject.clone(),
            dimension: limit.dimension,
            window: limit.window,
            max: limit.max / unit,
            // Started seconds count, but together with what is held they are no more than the limit.
            settled: settled.div_ceil(unit),
            held: settled.saturating_add(held).div_ceil(unit) - settled.div_ceil(unit),
            resets_at: limit.window.map(|window| end(window, now)),
        }
    }

    pub(crate) fn refusal(
        &self,
        limit: &Limit,
        why: Why,
        stamp: &Stamp,
        now: UnixMillis,
    ) -> Refusal {
        let unit = if limit.dimension == Dimension::SandboxSeconds { MILLIS } else { 1 };
        let resets_at = match limit.window {
            Some(window) => end(window, now),
            // A place may be given back at any time.
            None => now.saturating_add(MILLIS),
        };
        Refusal {
            why,
            level: self.level,
            subject: self.subject.clone(),
            dimension: limit.dimension,
            window: limit.window,
            max: limit.max / unit,
            remaining: self.room(limit, stamp) / unit,
            retry_after_s: seconds_until(resets_at, now),
            resets_at,
        }
    }

    const fn span(&self, window: Window) -> &Span {
        match window {
            Window::Minute => &self.minute,
            Window::Hour => &self.hour,
            Window::Day => &self.day,
            Window::Month => &self.month,
        }
    }

    const fn span_mut(&mut self, window: Window) -> &mut Span {
        match window {
            Window::Minute => &mut self.minute,
            Window::Hour => &mut self.hour,
            Window::Day => &mut self.day,
            Window::Month => &mut self.month,
        }
    }
}

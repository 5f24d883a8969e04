//! Limits as clients and operators see them: what is left of a caller's, how all of a tenant's stand,
//! and what was used in a day or a month.

use auth::Permit;
use books::{DayRow, MonthRow};
use ledger::{Amount, Day, Standing};
use types::{Dimension, Level, TenantId, UnixMillis, Window};

use crate::view::UsageView;

use crate::{Error, Tenants};

/// What is left of one kind of limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// The most there may be in its window.
    pub max: u64,
    /// What is left of it.
    pub remaining: u64,
    /// Milliseconds until the window ends.
    pub resets_in_ms: u64,
}

/// What is left of a caller's requests and tokens: of each the tightest limit that counts in a window.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rates {
    /// Requests.
    pub requests: Option<Rate>,
    /// Input and output tokens together.
    pub tokens: Option<Rate>,
}

/// The current one of what, in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Span {
    /// The day.
    Day,
    /// The month.
    Month,
}

impl Span {
    const fn window(self) -> Window {
        match self {
            Self::Day => Window::Day,
            Self::Month => Window::Month,
        }
    }

    /// The one that `now` is in, as `2026-11-22` or `2026-11`.
    fn name(self, now: UnixMillis) -> String {
        let day = Day::of(now);
        match self {
            Self::Day => day.to_string(),
            Self::Month => books::Month::of(day).to_string(),
        }
    }
}

impl Rates {
    /// The tightest of what counts for the tenant as a whole and for the token `own`.
    fn of(standings: &[Standing], own: &str, now: UnixMillis) -> Self {
        let counts = |it: &&Standing| match it.level {
            Level::Tenant => true,
            Level::Token => it.subject.as_deref() == Some(own),
            Level::Installation | Level::Agent | Level::Session => false,
        };
        let tightest = |dimension| {
            let rates = standings.iter().filter(counts).filter(|it| it.dimension == dimension);
            let rates = rates.filter_map(|it| {
                let resets_in_ms = it.resets_at?.saturating_sub(now);
                Some(Rate { max: it.max, remaining: it.remaining(), resets_in_ms })
            });
            // Of two that leave as little, the one that leaves it for longer.
            rates.min_by_key(|it| (it.remaining, std::cmp::Reverse(it.resets_in_ms)))
        };
        Self { requests: tightest(Dimension::Requests), tokens: tightest(Dimension::Tokens) }
    }
}

impl Tenants {
    /// What is left of a caller's limits; nothing of a tenant that is gone.
    pub fn rates(&self, permit: &Permit) -> Rates {
        let Ok(tenant) = self.find(permit.tenant()) else { return Rates::default() };
        let now = self.0.clock.now();
        let own = permit.principal().token_id();
        Rates::of(&tenant.account.standings_of(now, own), own, now)
    }

    /// How each of a tenant's limits stands, those of its tokens, agents and sessions included.
    ///
    /// # Errors
    /// When there is no such tenant.
    pub fn standings(&self, id: &TenantId) -> Result<Vec<Standing>, Error> {
        Ok(self.find(id)?.account.standings(self.0.clock.now()))
    }

    /// What a tenant used in the current day or month.
    ///
    /// # Errors
    /// When there is no such tenant.
    pub fn usage(&self, id: &TenantId, span: Span) -> Result<UsageView, Error> {
        let tenant = self.find(id)?;
        let now = self.0.clock.now();
        let used = tenant.account.used(span.window(), now);
        Ok(UsageView { window: span.name(now), used, limits: tenant.row.load().limits.clone() })
    }

    /// What up to `limit` tenants after `after` used in the current day or month, in the order of their
    /// ids, and which day or month that is.
    pub fn usage_page(
        &self,
        after: Option<&TenantId>,
        limit: usize,
        span: Span,
    ) -> (String, Vec<(TenantId, Amount)>) {
        let now = self.0.clock.now();
        let page = self.0.directory.page(after, limit);
        let used = page.iter().map(|it| (it.id.clone(), it.account.used(span.window(), now)));
        (span.name(now), used.collect())
    }

    /// What a tenant used on each day from `from` to `to` on which it used something, oldest first.
    ///
    /// # Errors
    /// When there is no such tenant, there are too many days, or the books cannot be read.
    pub async fn days(&self, id: &TenantId, from: Day, to: Day) -> Result<Vec<DayRow>, Error> {
        self.find(id)?;
        self.0.books.days(id, from, to).await.map_err(Error::Books)
    }

    /// What a tenant used in each of the last `count` months in which it used something, newest first.
    ///
    /// # Errors
    /// When there is no such tenant.
    pub fn months(&self, id: &TenantId, count: usize) -> Result<Vec<MonthRow>, Error> {
        self.find(id)?;
        Ok(self.0.books.months(id, count))
    }

    /// How the limits stand that all tenants share.
    pub fn installation_standings(&self) -> Vec<Standing> {
        self.0.ledger.standings(self.0.clock.now())
    }
}

#[cfg(test)]
mod tests {
    use types::Window;

    use super::*;

    fn standing(level: Level, dimension: Dimension, max: u64, settled: u64) -> Standing {
        Standing {
            level,
            subject: (level == Level::Token).then(|| "tok_1".into()),
            dimension,
            window: Some(Window::Minute),
            max,
            settled,
            held: 1,
            resets_at: Some(5_000),
        }
    }

    #[test]
    fn a_caller_is_told_of_the_tightest_limit_of_its_own() {
        let requests = |level, max, settled| standing(level, Dimension::Requests, max, settled);
        let shown = |standings: &[Standing], own: &str| Rates::of(standings, own, 2_000).requests;
        let tenant = requests(Level::Tenant, 60, 10);
        let wide = Some(Rate { max: 60, remaining: 49, resets_in_ms: 3_000 });
        assert_eq!(shown(std::slice::from_ref(&tenant), "tok_1"), wide);
        let token = requests(Level::Token, 5, 1);
        let house = requests(Level::Installation, 1, 0);
        let all = [tenant, token, house];
        let narrow = Some(Rate { max: 5, remaining: 3, resets_in_ms: 3_000 });
        assert_eq!(shown(&all, "tok_1"), narrow);
        assert_eq!(shown(&all, "tok_2"), wide);
        assert_eq!(Rates::of(&all, "tok_1", 2_000).tokens, None);
        let long = Standing { resets_at: Some(90_000), ..requests(Level::Tenant, 7, 3) };
        let month = Some(Rate { max: 7, remaining: 3, resets_in_ms: 88_000 });
        assert_eq!(shown(&[all[1].clone(), long], "tok_1"), month);
    }
}

//! What a tenant has used and may still use: the current windows from the ledger, earlier months from
//! the books.

use api::ApiError;
use api::tenants::{History, Month, QuotaStatus, Standing, Usage};
use books::MonthRow;
use ledger::Amount;
use tenants::{Span, UsageView};
use types::{Dimension, Level, Window};

use crate::{Call, failed};

/// Months of a history, and where nobody asks for a number.
const MAX_MONTHS: u32 = 24;
const MONTHS: u32 = 6;

/// Milliseconds of a day.
const DAY: u64 = 86_400_000;

/// Micro-dollars of a cent.
const CENT: u64 = 10_000;

/// In per cent, what of a limit is used when it is time to think of more.
const SOFT: u64 = 80;

/// The current month.
pub(super) fn current(call: &Call<'_>) -> Result<Usage, ApiError> {
    let view = view(call, Span::Month)?;
    let now = call.parts.clock.now();
    Ok(Usage {
        tenant_id: call.tenant().clone(),
        month: month(view.window, &view.used),
        updated_at: now,
        quota_reset_at: now.saturating_sub(now % DAY).saturating_add(DAY),
        standings: standings(call)?,
    })
}

/// How each of the caller's limits stands.
pub(crate) fn standings(call: &Call<'_>) -> Result<Vec<Standing>, ApiError> {
    let standings = call.parts.tenants.standings(call.tenant()).map_err(|err| failed(&err))?;
    Ok(standings.iter().map(standing).collect())
}

fn standing(of: &ledger::Standing) -> Standing {
    Standing {
        level: of.level,
        subject: of.subject.as_deref().map(str::to_owned),
        limit: of.limit(),
        dimension: of.dimension,
        window: of.window,
        max: of.max,
        settled: of.settled,
        held: of.held,
        remaining: of.remaining(),
        percent: percent(of.settled.saturating_add(of.held), of.max),
        resets_at: of.resets_at,
    }
}

/// The last months, newest first.
pub(super) fn history(call: &Call<'_>, count: Option<u32>) -> Result<History, ApiError> {
    let count = count.unwrap_or(MONTHS);
    if !(1..=MAX_MONTHS).contains(&count) {
        let message = format!("invalid tenants.usage.history params: months is 1 to {MAX_MONTHS}");
        return Err(ApiError::invalid(message));
    }
    let count = usize::try_from(count).unwrap_or_default();
    let months = call.parts.tenants.months(call.tenant(), count).map_err(|err| failed(&err))?;
    let current = view(call, Span::Month)?;
    let history = newest_first(current, &months);
    Ok(History { tenant_id: call.tenant().clone(), history })
}

/// The current day beside the limits, and how each of them stands.
pub(super) fn quota(call: &Call<'_>) -> Result<QuotaStatus, ApiError> {
    let UsageView { window, used, limits } = view(call, Span::Day)?;
    let standings = standings(call)?;
    let own = |it: &&Standing| it.level == Level::Tenant;
    let of_day = |dimension: Dimension| {
        let is_it = |it: &&Standing| it.dimension == dimension && it.window == Some(Window::Day);
        standings.iter().filter(own).find(is_it)
    };
    let (tokens, cost) = (of_day(Dimension::Tokens), of_day(Dimension::CostMicros));
    let is_over = |it: Option<&Standing>| it.is_some_and(|it| it.settled >= it.max);
    // What is under way at once is full and free again within moments.
    let lasting = |it: &&Standing| it.level == Level::Tenant && it.window.is_some();
    Ok(QuotaStatus {
        tenant_id: call.tenant().clone(),
        window,
        requests: used.requests,
        input_tokens: used.input_tokens,
        output_tokens: used.output_tokens,
        cost_micros: used.cost_micros,
        token_usage_percent: tokens.map(|it| percent(it.settled, it.max)),
        cost_usage_percent: cost.map(|it| percent(it.settled, it.max)),
        is_over_token_limit: is_over(tokens),
        is_over_cost_limit: is_over(cost),
        is_blocked: standings.iter().filter(lasting).any(|it| it.settled >= it.max),
        is_at_soft_limit: standings.iter().filter(lasting).any(|it| it.percent >= SOFT),
        limits,
        standings,
    })
}

fn view(call: &Call<'_>, span: Span) -> Result<UsageView, ApiError> {
    call.parts.tenants.usage(call.tenant(), span).map_err(|err| failed(&err))
}

/// What of a limit is used; all of a limit of nothing.
fn percent(used: u64, limit: u64) -> u64 {
    used.saturating_mul(100).checked_div(limit).unwrap_or(100)
}

/// The current month, which the ledger knows better than the books, and those before it.
fn newest_first(current: UsageView, months: &[MonthRow]) -> Vec<Month> {
    let earlier = months.iter().map(|row| (row.month.to_string(), row.used));
    let earlier = earlier.filter(|(period, _)| *period != current.window).collect::<Vec<_>>();
    let all = std::iter::once((current.window, current.used)).chain(earlier);
    all.filter(|(_, used)| !used.is_zero()).map(|(period, used)| month(period, &used)).collect()
}

fn month(period: String, used: &Amount) -> Month {
    Month {
        period,
        total_requests: used.requests,
        input_tokens: used.input_tokens,
        output_tokens: used.output_tokens,
        total_tokens: used.tokens(),
        cached_tokens: used.cached_tokens,
        reasoning_tokens: used.reasoning_tokens,
        cost_micros: used.cost_micros,
        total_cost_cents: used.cost_micros / CENT,
        sandbox_seconds: used.sandbox_ms / 1000,
        egress_bytes: used.egress_bytes,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ledger_is_right_of_the_current_month() {
        let used = |requests| Amount { requests, ..Amount::ZERO };
        let row = |month: &str, requests| MonthRow {
            month: month.parse().unwrap(),
            used: used(requests),
        };
        let current = |requests| UsageView {
            window: "2026-11".to_owned(),
            used: used(requests),
            limits: types::Limits::default(),
        };
        let months = [row("2026-11", 2), row("2026-10", 1)];
        let check = |current: UsageView, want: &[(&str, u64)]| {
            let found = newest_first(current, &months);
            let found: Vec<_> =
                found.iter().map(|it| (it.period.as_str(), it.total_requests)).collect();
            assert_eq!(found, want);
        };
        check(current(10), &[("2026-11", 10), ("2026-10", 1)]);
        check(current(0), &[("2026-10", 1)]);
    }

    #[test]
    fn what_of_a_limit_is_used() {
        assert_eq!(percent(1, 3), 33);
        assert_eq!(percent(7, 0), 100);
        assert_eq!(percent(u64::MAX, 1), u64::MAX);
    }
}

//! What a tenant has used: days from the records, and the current one from the ledger, which is
//! ahead of them.

use std::collections::BTreeMap;

use api::ApiError;
use api::tenants::{History, Month, QuotaStatus, Usage};
use records::UsageRow;
use tenants::UsageView;
use types::Chain;

use crate::{Call, failed};

/// Months of a history, and where nobody asks for a number.
const MAX_MONTHS: u32 = 24;
const MONTHS: u32 = 6;

/// Milliseconds of a day.
const DAY: u64 = 86_400_000;

/// Micro-dollars of a cent.
const CENT: u64 = 10_000;

/// The current month.
pub(super) async fn current(call: &Call<'_>) -> Result<Usage, ApiError> {
    let (view, months) = months(call, 1).await?;
    let now = call.parts.clock.now();
    let period = period(&view.window).to_owned();
    Ok(Usage {
        tenant_id: call.tenant().clone(),
        month: month((period.clone(), months.get(&period).copied().unwrap_or_default())),
        updated_at: now,
        quota_reset_at: now.saturating_sub(now % DAY).saturating_add(DAY),
    })
}

/// The last months, newest first.
pub(super) async fn history(call: &Call<'_>, count: Option<u32>) -> Result<History, ApiError> {
    let count = count.unwrap_or(MONTHS);
    if !(1..=MAX_MONTHS).contains(&count) {
        let message = format!("invalid tenants.usage.history params: months is 1 to {MAX_MONTHS}");
        return Err(ApiError::invalid(message));
    }
    let (_, months) = months(call, count).await?;
    let history = months.into_iter().rev().map(month).collect();
    Ok(History { tenant_id: call.tenant().clone(), history })
}

/// The current day beside its limits.
pub(super) fn quota(call: &Call<'_>) -> Result<QuotaStatus, ApiError> {
    let view = call.parts.tenants.usage(call.tenant()).map_err(|err| failed(&err))?;
    let (used, limits) = (view.used, view.limits);
    let tokens = used.input_tokens.saturating_add(used.output_tokens);
    let over = |used: u64, limit: Option<u64>| limit.is_some_and(|limit| used >= limit);
    let over_tokens = over(tokens, limits.tokens_per_day);
    let over_cost = over(used.cost_micros, limits.cost_micros_per_day);
    Ok(QuotaStatus {
        tenant_id: call.tenant().clone(),
        window: view.window,
        requests: used.requests,
        input_tokens: used.input_tokens,
        output_tokens: used.output_tokens,
        cost_micros: used.cost_micros,
        token_usage_percent: limits.tokens_per_day.map(|limit| percent(tokens, limit)),
        cost_usage_percent: limits.cost_micros_per_day.map(|it| percent(used.cost_micros, it)),
        is_over_token_limit: over_tokens,
        is_over_cost_limit: over_cost,
        is_blocked: over_tokens || over_cost,
        limits,
    })
}

/// What of a limit is used; all of a limit of nothing.
fn percent(used: u64, limit: u64) -> u64 {
    used.saturating_mul(100).checked_div(limit).unwrap_or(100)
}

type Months = BTreeMap<String, UsageRow>;

/// Use by month, of the last `count` months, and the current day's.
async fn months(call: &Call<'_>, count: u32) -> Result<(UsageView, Months), ApiError> {
    let (parts, tenant) = (call.parts, call.tenant());
    let view = parts.tenants.usage(tenant).map_err(|err| failed(&err))?;
    let days = parts.records.usage_after(tenant, &before(&view.window, count)).await;
    let days = days.map_err(|err| {
        tracing::error!(%tenant, error = %Chain(&err), "usage cannot be read");
        ApiError::unavailable("the gateway's records failed")
    })?;
    let today = UsageRow {
        requests: view.used.requests,
        input_tokens: view.used.input_tokens,
        output_tokens: view.used.output_tokens,
        cost_micros: view.used.cost_micros,
    };
    Ok((view.clone(), sums(days, &view.window, today)))
}

fn sums(days: Vec<(String, UsageRow)>, window: &str, today: UsageRow) -> Months {
    let mut months = Months::new();
    let past = days.into_iter().filter(|(day, _)| day != window);
    for (day, row) in past.chain([(window.to_owned(), today)]) {
        if row == UsageRow::default() {
            continue;
        }
        let sum = months.entry(period(&day).to_owned()).or_default();
        sum.requests = sum.requests.saturating_add(row.requests);
        sum.input_tokens = sum.input_tokens.saturating_add(row.input_tokens);
        sum.output_tokens = sum.output_tokens.saturating_add(row.output_tokens);
        sum.cost_micros = sum.cost_micros.saturating_add(row.cost_micros);
    }
    months
}

fn month((period, row): (String, UsageRow)) -> Month {
    Month {
        period,
        total_requests: row.requests,
        input_tokens: row.input_tokens,
        output_tokens: row.output_tokens,
        total_tokens: row.input_tokens.saturating_add(row.output_tokens),
        cost_micros: row.cost_micros,
        total_cost_cents: row.cost_micros / CENT,
    }
}

/// The month of a day such as `2026-11-22`.
fn period(day: &str) -> &str {
    day.rsplit_once('-').map_or(day, |(month, _)| month)
}

/// What comes in the order of days right before the first of `count` months, the last of which is
/// `day`'s.
fn before(day: &str, count: u32) -> String {
    let number = |it: Option<&str>| it.and_then(|it| it.parse::<u32>().ok());
    let mut parts = day.split('-');
    let (Some(year), Some(month)) = (number(parts.next()), number(parts.next())) else {
        return day.to_owned();
    };
    let months = year.saturating_mul(12).saturating_add(month).saturating_sub(count);
    format!("{:04}-{:02}-00", months / 12, months % 12 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_some_months() {
        assert_eq!(before("2026-11-22", 1), "2026-11-00");
        assert_eq!(before("2026-11-22", 6), "2026-06-00");
        assert_eq!(before("2026-01-31", 2), "2025-12-00");
        assert_eq!(before("2026-12-31", 24), "2025-01-00");
    }

    #[test]
    fn days_come_to_months_and_the_ledger_is_right_of_today() {
        let row = |requests| UsageRow { requests, ..UsageRow::default() };
        let day = |day: &str, requests| (day.to_owned(), row(requests));
        let days = vec![day("2026-10-31", 1), day("2026-11-01", 2), day("2026-11-22", 4)];
        let found = sums(days, "2026-11-22", row(8));
        let found: Vec<_> =
            found.iter().map(|(month, row)| (month.as_str(), row.requests)).collect();
        assert_eq!(found, [("2026-10", 1), ("2026-11", 10)]);
        assert!(sums(Vec::new(), "2026-11-22", UsageRow::default()).is_empty());
    }

    #[test]
    fn what_of_a_limit_is_used() {
        assert_eq!(percent(1, 3), 33);
        assert_eq!(percent(7, 0), 100);
        assert_eq!(percent(u64::MAX, 1), u64::MAX);
    }
}

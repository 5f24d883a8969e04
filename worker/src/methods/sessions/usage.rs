//! `sessions.usage`, from the entries alone: no transcript is read for a sum.

use std::collections::BTreeMap;

use api::ApiError;
use api::sessions::{
    AgentShare, Aggregates, MessageCounts, ModelShare, ProviderShare, SessionUsage, Share,
    TokenTotals, ToolCounts, UsageParams, UsageReport,
};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};
use types::UnixMillis;

use super::super::{Call, storage};
use super::list::{Found, all};
use crate::store::{Dir, Row};

/// Sessions of one answer.
const MAX_SESSIONS: u32 = 1000;

/// What sessions have used.
pub(super) async fn usage(call: &Call<'_>, params: UsageParams) -> Result<UsageReport, ApiError> {
    let now = call.core.store.now();
    let [first, last] = days(&params, now)?;
    let limit = match params.limit {
        Some(0) => return Err(ApiError::invalid("limit must be 1 or more")),
        limit => usize::try_from(limit.unwrap_or(50).min(MAX_SESSIONS)).unwrap_or(usize::MAX),
    };
    let agent = params.agent_id.clone();
    let key = params.key.as_deref().map(|key| super::keyed(key, agent.as_ref())).transpose()?;
    let read = move |root: &Dir| all(root, agent.as_ref());
    let mut found = call.core.store.job(read).await.map_err(|err| storage(&err))?;
    found.retain(|(_, row)| {
        let is_meant = key.as_ref().is_none_or(|key| key.as_str() == row.key);
        is_meant && day_of(row.updated_at).is_some_and(|day| (first..=last).contains(&day))
    });
    found.sort_by(|(_, a), (_, b)| b.updated_at.cmp(&a.updated_at).then_with(|| a.key.cmp(&b.key)));
    let mut totals = TokenTotals::default();
    for (_, row) in &found {
        add(&mut totals, &totals_of(row));
    }
    let aggregates = aggregates(&found);
    let sessions = found.into_iter().take(limit).map(session).collect();
    let (start_date, end_date) = (first.to_string(), last.to_string());
    Ok(UsageReport { updated_at: now, start_date, end_date, sessions, totals, aggregates })
}

/// The first and the last day that are counted.
fn days(params: &UsageParams, now: UnixMillis) -> Result<[Date; 2], ApiError> {
    let today = day_of(now).unwrap_or(Date::MIN);
    let day = |name: &str, text: &Option<String>| match text {
        None => Ok(None),
        Some(text) if text.len() == 10 => {
            let parsed = text.parse::<Date>();
            parsed.map(Some).map_err(|err| ApiError::invalid(format!("{name} is no day: {err}")))
        }
        Some(_) => Err(ApiError::invalid(format!("{name} must be YYYY-MM-DD"))),
    };
    let first = day("startDate", &params.start_date)?;
    let last = day("endDate", &params.end_date)?.unwrap_or(today);
    let before = match params.range.as_deref() {
        None | Some("30d") => 29.days(),
        Some("7d") => 6.days(),
        Some("90d") => 89.days(),
        Some("1y") => 364.days(),
        Some("all") => 18_000.days(),
        Some(_) => return Err(ApiError::invalid("range must be one of 7d, 30d, 90d, 1y, all")),
    };
    let by_range = last.checked_sub(before).unwrap_or(Date::MIN);
    Ok([first.unwrap_or(by_range), last])
}

/// The day of a time, in UTC.
fn day_of(at: UnixMillis) -> Option<Date> {
    let at = Timestamp::from_millisecond(i64::try_from(at).ok()?).ok()?;
    Some(at.to_zoned(TimeZone::UTC).date())
}

fn totals_of(row: &Row) -> TokenTotals {
    let [input, output, total_tokens] = row.totals;
    let cache_read = row.meta.cache_read.unwrap_or(0);
    let input = input.saturating_sub(cache_read);
    TokenTotals { input, output, cache_read, total_tokens, ..TokenTotals::default() }
}

fn add(to: &mut TokenTotals, more: &TokenTotals) {
    to.input = to.input.saturating_add(more.input);
    to.output = to.output.saturating_add(more.output);
    to.cache_read = to.cache_read.saturating_add(more.cache_read);
    to.total_tokens = to.total_tokens.saturating_add(more.total_tokens);
}

fn session((agent_id, row): Found) -> SessionUsage {
    let usage = totals_of(&row);
    let title = row.meta.derived_title.filter(|title| !title.is_empty());
    SessionUsage {
        key: row.key,
        label: row.meta.label.or(title),
        session_id: row.session_id.as_str().to_owned(),
        updated_at: row.updated_at,
        agent_id,
        model_provider: row.meta.model_provider,
        model: row.model,
        usage,
    }
}

fn aggregates(found: &[Found]) -> Aggregates {
    let mut by_agent = BTreeMap::new();
    let mut by_model = BTreeMap::new();
    let mut by_provider = BTreeMap::new();
    for (agent, row) in found {
        let totals = totals_of(row);
        add(by_agent.entry(agent).or_default(), &totals);
        let (Some(provider), Some(model)) = (&row.meta.model_provider, &row.model) else {
            continue;
        };
        let (sum, count): &mut (TokenTotals, u64) = by_model.entry((provider, model)).or_default();
        add(sum, &totals);
        *count += 1;
        let (sum, count): &mut (TokenTotals, u64) = by_provider.entry(provider).or_default();
        add(sum, &totals);
        *count += 1;
    }
    let of_agent = |(id, totals): (&types::AgentId, _)| Share {
        of: AgentShare { agent_id: id.clone() },
        totals,
    };
    let of_model = |((provider, model), (totals, count)): ((&String, &String), _)| {
        let of = ModelShare { provider: provider.clone(), model: model.clone(), count };
        Share { of, totals }
    };
    let of_provider = |(provider, (totals, count)): (&String, _)| Share {
        of: ProviderShare { provider: provider.clone(), count },
        totals,
    };
    Aggregates {
        by_agent: by_agent.into_iter().map(of_agent).collect(),
        by_model: by_model.into_iter().map(of_model).collect(),
        by_provider: by_provider.into_iter().map(of_provider).collect(),
        by_channel: [],
        daily: [],
        messages: MessageCounts::default(),
        tools: ToolCounts::default(),
    }
}

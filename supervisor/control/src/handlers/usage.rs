//! `/v1/usage`, `/v1/quotas`, and what one tenant used.

use control_api::{
    Period, Quotas, Standing, TenantPath, Usage, UsageList, UsagePageQuery, UsageQuery, UsageRow,
};
use tenants::{Span, UsageView};

use super::within;
use crate::call::{Call, Nothing};
use crate::error::Error;
use crate::reply::Found;

pub(crate) async fn tenant(call: Call<TenantPath, UsageQuery>) -> Result<Found<Usage>, Error> {
    let tenants = &call.control.parts().tenants;
    let view = tenants.usage(&call.path.id, span(call.query.period))?;
    let standings = tenants.standings(&call.path.id)?;
    let UsageView { window, used, limits } = view;
    Ok(Found(Usage {
        tenant: call.path.id,
        window,
        requests: used.requests,
        input_tokens: used.input_tokens,
        output_tokens: used.output_tokens,
        cost_micros: used.cost_micros,
        cached_tokens: used.cached_tokens,
        reasoning_tokens: used.reasoning_tokens,
        sandbox_ms: used.sandbox_ms,
        egress_bytes: used.egress_bytes,
        limits: limits.into(),
        standings: standings.iter().map(standing).collect(),
    }))
}

pub(crate) async fn all(call: Call<Nothing, UsagePageQuery>) -> Result<Found<UsageList>, Error> {
    let limit = call.query.limit.unwrap_or(control_api::DEFAULT_PAGE);
    within("limit", limit, 1, control_api::MAX_PAGE, "from 1 to 1000")?;
    let limit = usize::try_from(limit).unwrap_or_default();
    let tenants = &call.control.parts().tenants;
    // One more than asked for tells whether there is a next page.
    let after = call.query.after.as_ref();
    let (window, mut rows) = tenants.usage_page(after, limit + 1, span(call.query.period));
    let more = rows.len() > limit;
    rows.truncate(limit);
    let next = rows.last().filter(|_| more).map(|(id, _)| id.clone());
    let row = |(tenant, used): (types::TenantId, ledger::Amount)| UsageRow {
        tenant,
        requests: used.requests,
        input_tokens: used.input_tokens,
        cached_tokens: used.cached_tokens,
        output_tokens: used.output_tokens,
        reasoning_tokens: used.reasoning_tokens,
        cost_micros: used.cost_micros,
        sandbox_ms: used.sandbox_ms,
        egress_bytes: used.egress_bytes,
    };
    Ok(Found(UsageList { window, usage: rows.into_iter().map(row).collect(), next }))
}

pub(crate) async fn quotas(call: Call) -> Result<Found<Quotas>, Error> {
    let standings = call.control.parts().tenants.installation_standings();
    let quota = |it: &ledger::Standing| format!("{}={}", it.limit(), it.max);
    Ok(Found(Quotas {
        quotas: standings.iter().map(quota).collect(),
        standings: standings.iter().map(standing).collect(),
    }))
}

const fn span(period: Period) -> Span {
    match period {
        Period::Day => Span::Day,
        Period::Month => Span::Month,
    }
}

fn standing(of: &ledger::Standing) -> Standing {
    Standing {
        level: of.level.name().to_owned(),
        subject: of.subject.as_deref().map(str::to_owned),
        limit: of.limit(),
        dimension: of.dimension.name().to_owned(),
        window: of.window.map(|it| it.name().to_owned()),
        max: of.max,
        settled: of.settled,
        held: of.held,
        remaining: of.remaining(),
        resets_at: of.resets_at.map(Into::into),
    }
}

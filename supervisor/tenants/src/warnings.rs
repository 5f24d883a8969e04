//! Limits that are nearly used up: the tenant's clients hear of it, its log and the gateway's keep it,
//! and the operator's webhook is told. Looked for once a second, so that no request waits for any of it.

use egress::Journal as _;
use hub::Message;
use ledger::{Standing, Warning};
use serde::Serialize;
use types::{TenantId, UnixMillis};

use crate::Inner;
use crate::tenant::Tenant;

/// What is sent, to clients as an event and to the operator as an alert.
const NAME: &str = "quota.warning";

/// A warning on the wire.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Told<'a> {
    /// Absent where it is about all tenants together.
    #[serde(skip_serializing_if = "Option::is_none")]
    tenant_id: Option<&'a TenantId>,
    level: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<&'a str>,
    limit: String,
    dimension: &'static str,
    window: Option<&'static str>,
    /// 50, 80 or 100.
    percent: u8,
    max: u64,
    settled: u64,
    held: u64,
    resets_at: Option<UnixMillis>,
}

/// Tells whoever is to hear of what was crossed since the last time.
pub(crate) fn tell(inner: &Inner) {
    for tenant in inner.directory.all() {
        for warning in tenant.account.take_warnings() {
            tell_tenant(inner, &tenant, &warning);
        }
    }
    for warning in inner.ledger.take_warnings() {
        let told = Told::of(&warning, None);
        tracing::warn!(
            limit = told.limit,
            percent = told.percent,
            "a limit of all tenants is near"
        );
        inner.alerts.send(NAME, &told);
    }
}

fn tell_tenant(inner: &Inner, tenant: &Tenant, warning: &Warning) {
    let told = Told::of(warning, Some(&tenant.id));
    tenant.log.note(&line(&warning.standing, &told));
    tracing::info!(
        tenant = %tenant.id,
        level = told.level,
        limit = told.limit,
        percent = told.percent,
        "a limit is near"
    );
    inner.alerts.send(NAME, &told);
    let Some(event) = api::events::event(NAME) else { return };
    match serde_json::to_vec(&told) {
        Ok(payload) => {
            let message = Message { event, payload: payload.into(), session_key: String::new() };
            inner.hub.publish(&tenant.id, &message);
        }
        Err(err) => tracing::error!(error = %types::Chain(&err), "a warning has no JSON form"),
    }
}

/// A line of the tenant's log.
fn line(standing: &Standing, told: &Told<'_>) -> String {
    let Told { level, limit, percent, max, .. } = told;
    let whose = standing.subject.as_ref().map_or_else(String::new, |it| format!(" {it}"));
    format!("limit {limit} of {level}{whose}: {percent} % of {max} are used")
}

impl<'a> Told<'a> {
    fn of(warning: &'a Warning, tenant_id: Option<&'a TenantId>) -> Self {
        let Warning { standing, percent } = warning;
        Self {
            tenant_id,
            level: standing.level.name(),
            subject: standing.subject.as_deref(),
            limit: standing.limit(),
            dimension: standing.dimension.name(),
            window: standing.window.map(types::Window::name),
            percent: *percent,
            max: standing.max,
            settled: standing.settled,
            held: standing.held,
            resets_at: standing.resets_at,
        }
    }
}

#[cfg(test)]
mod tests {
    use types::{Dimension, Level, Window};

    use super::*;

    #[test]
    fn what_is_said_of_a_limit() {
        let standing = Standing {
            level: Level::Token,
            subject: Some("tok_1".into()),
            dimension: Dimension::Tokens,
            window: Some(Window::Day),
            max: 100,
            settled: 70,
            held: 10,
            resets_at: Some(86_400_000),
        };
        let warning = Warning { standing, percent: 80 };
        let tenant = "acme".parse().unwrap();
        let told = Told::of(&warning, Some(&tenant));
        assert_eq!(
            serde_json::to_string(&told).unwrap(),
            r#"{"tenantId":"acme","level":"token","subject":"tok_1","limit":"tokens/day","dimension":"tokens","window":"day","percent":80,"max":100,"settled":70,"held":10,"resetsAt":86400000}"#
        );
        assert_eq!(
            line(&warning.standing, &told),
            "limit tokens/day of token tok_1: 80 % of 100 are used"
        );
    }
}

//! What was used, and how limits stand.

use serde::{Deserialize, Serialize};
use types::TenantId;
use utoipa::{IntoParams, ToSchema};

use crate::{Limits, Timestamp, schema};

/// A day or a month, in UTC.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Period {
    /// The current day.
    #[default]
    Day,
    /// The current month.
    Month,
}

/// Which stretch of time.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct UsageQuery {
    /// `day` or `month`: the current one; `day` if absent.
    #[serde(default)]
    #[param(inline)]
    pub period: Period,
}

/// Which page of all tenants' use.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct UsagePageQuery {
    /// `day` or `month`: the current one; `day` if absent.
    #[serde(default)]
    #[param(inline)]
    pub period: Period,
    /// At most this many rows; 100 if absent.
    #[param(minimum = 1, maximum = 1000)]
    pub limit: Option<u32>,
    /// Only rows after this id: the `next` of the page before.
    #[param(value_type = Option<String>)]
    pub after: Option<TenantId>,
}

/// What a tenant used in one window, beside its limits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Usage {
    /// The tenant's id.
    #[schema(schema_with = schema::tenant_id)]
    pub tenant: TenantId,
    /// The UTC day or month, for example `2026-11-22` or `2026-11`.
    pub window: String,
    /// Requests.
    pub requests: u64,
    /// Input tokens, those from a provider's cache included.
    pub input_tokens: u64,
    /// Output tokens, those of reasoning included.
    pub output_tokens: u64,
    /// Micro-dollars.
    pub cost_micros: u64,
    /// The part of the input tokens that came from a provider's cache.
    #[serde(default)]
    pub cached_tokens: u64,
    /// The part of the output tokens that was reasoning.
    #[serde(default)]
    pub reasoning_tokens: u64,
    /// Milliseconds that programs ran.
    #[serde(default)]
    pub sandbox_ms: u64,
    /// Bytes that left for the outside or came from it.
    #[serde(default)]
    pub egress_bytes: u64,
    /// The limits that hold.
    pub limits: Limits,
    /// How each limit stands now, those of the tenant's tokens, agents and sessions that have used
    /// something lately included.
    #[serde(default)]
    pub standings: Vec<Standing>,
}

/// What one tenant used, in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct UsageRow {
    /// The tenant's id.
    #[schema(schema_with = schema::tenant_id)]
    pub tenant: TenantId,
    /// Requests.
    pub requests: u64,
    /// Input tokens, those from a provider's cache included.
    pub input_tokens: u64,
    /// The part of them that came from a provider's cache.
    pub cached_tokens: u64,
    /// Output tokens, those of reasoning included.
    pub output_tokens: u64,
    /// The part of them that was reasoning.
    pub reasoning_tokens: u64,
    /// Micro-dollars.
    pub cost_micros: u64,
    /// Milliseconds that programs ran.
    pub sandbox_ms: u64,
    /// Bytes that left for the outside or came from it.
    pub egress_bytes: u64,
}

/// One page of what tenants used, in the order of their ids.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct UsageList {
    /// The UTC day or month, for example `2026-11-22` or `2026-11`.
    pub window: String,
    /// The tenants, those that used nothing included.
    pub usage: Vec<UsageRow>,
    /// What `after` has to be for the next page; null at the end.
    #[schema(value_type = Option<String>)]
    pub next: Option<TenantId>,
}

/// How one limit stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Standing {
    /// `installation`, `tenant`, `token`, `agent` or `session`.
    pub level: String,
    /// Which token, agent or session; null on the levels above.
    pub subject: Option<String>,
    /// The limit as quotas write it, for example `costMicros/month`.
    pub limit: String,
    /// What is counted.
    pub dimension: String,
    /// In which window; null for what is counted as it is now.
    pub window: Option<String>,
    /// The most there may be, in units of what is counted.
    pub max: u64,
    /// What is used.
    pub settled: u64,
    /// What is set aside for what is under way.
    pub held: u64,
    /// What may still be asked for.
    pub remaining: u64,
    /// When the window ends; null for what has no window.
    pub resets_at: Option<Timestamp>,
}

/// The limits of the installation, which all tenants share.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Quotas {
    /// As the configuration has them, for example `costMicros/month=50000000`.
    pub quotas: Vec<String>,
    /// How each stands now.
    pub standings: Vec<Standing>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_scripts_read_of_use_keeps_its_names() {
        let usage = Usage {
            tenant: "acme".parse().unwrap(),
            window: "2026-11-22".to_owned(),
            requests: 1,
            input_tokens: 2,
            output_tokens: 3,
            cost_micros: 4,
            cached_tokens: 5,
            reasoning_tokens: 6,
            sandbox_ms: 7,
            egress_bytes: 8,
            limits: types::Limits::default().into(),
            standings: vec![Standing {
                level: "token".to_owned(),
                subject: Some("tok_1".to_owned()),
                limit: "tokens/day".to_owned(),
                dimension: "tokens".to_owned(),
                window: Some("day".to_owned()),
                max: 10,
                settled: 4,
                held: 1,
                remaining: 5,
                resets_at: Some(86_400_000.into()),
            }],
        };
        let limits = serde_json::to_string(&usage.limits).unwrap();
        let text = serde_json::to_string(&usage).unwrap();
        assert_eq!(
            text,
            format!(
                r#"{{"tenant":"acme","window":"2026-11-22","requests":1,"inputTokens":2,"outputTokens":3,"costMicros":4,"cachedTokens":5,"reasoningTokens":6,"sandboxMs":7,"egressBytes":8,"limits":{limits},"standings":[{{"level":"token","subject":"tok_1","limit":"tokens/day","dimension":"tokens","window":"day","max":10,"settled":4,"held":1,"remaining":5,"resetsAt":"1970-01-02T00:00:00.000Z"}}]}}"#
            )
        );
        assert_eq!(serde_json::from_str::<Usage>(&text).unwrap(), usage);
    }

    #[test]
    fn a_period_is_a_day_or_a_month() {
        assert_eq!(serde_json::from_str::<Period>("\"month\"").unwrap(), Period::Month);
        serde_json::from_str::<Period>("\"year\"").unwrap_err();
    }
}

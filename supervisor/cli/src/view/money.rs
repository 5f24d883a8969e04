//! Use, limits and prices for people.

use control_api::{Prices, Quotas, Standing, Usage, UsageList};
use serde::Serialize;
use types::TenantId;

use super::{dollars, when};
use crate::output::{Output, View};

/// What counts micro-dollars, in the names of limits.
const MONEY: &str = "costMicros";

/// A tenant's quotas, and how they stand.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TenantQuotas {
    pub(crate) tenant: TenantId,
    pub(crate) quotas: Vec<String>,
    pub(crate) standings: Vec<Standing>,
}

impl View for Usage {
    fn show(&self, output: &mut Output) {
        output.line(&format!("{} in {} (UTC)", self.tenant, self.window));
        output.pairs(&[
            ("requests", self.requests.to_string()),
            ("input tokens", self.input_tokens.to_string()),
            ("  from a cache", self.cached_tokens.to_string()),
            ("output tokens", self.output_tokens.to_string()),
            ("  of reasoning", self.reasoning_tokens.to_string()),
            ("cost", dollars(self.cost_micros)),
            ("programs", format!("{}.{:03} s", self.sandbox_ms / 1000, self.sandbox_ms % 1000)),
            ("egress", super::size(self.egress_bytes)),
        ]);
        output.line("");
        standings(output, &self.standings);
    }
}

impl View for UsageList {
    fn show(&self, output: &mut Output) {
        output.line(&format!("{} (UTC)", self.window));
        let row = |row: &control_api::UsageRow| {
            vec![
                row.tenant.to_string(),
                row.requests.to_string(),
                row.input_tokens.to_string(),
                row.output_tokens.to_string(),
                dollars(row.cost_micros),
            ]
        };
        let head = ["TENANT", "REQUESTS", "INPUT TOKENS", "OUTPUT TOKENS", "COST"];
        output.table(&head, self.usage.iter().map(row).collect());
        if let Some(next) = &self.next {
            output.line(&format!("There are more: those after {next}"));
        }
    }
}

impl View for Quotas {
    fn show(&self, output: &mut Output) {
        standings(output, &self.standings);
    }
}

impl View for TenantQuotas {
    fn show(&self, output: &mut Output) {
        for quota in &self.quotas {
            output.line(quota);
        }
        if !self.quotas.is_empty() {
            output.line("");
        }
        standings(output, &self.standings);
    }
}

impl View for Prices {
    fn show(&self, output: &mut Output) {
        match &self.version {
            Some(version) => output.line(&format!("Price table {version}")),
            None => output.line("No price table; see `prices` of the configuration."),
        }
        if self.prices.is_empty() {
            output.line("No model has a price: under a limit on money each is refused.");
            return;
        }
        let money = |micros: Option<u64>| micros.map_or_else(String::new, dollars);
        let row = |price: &control_api::PriceRow| {
            vec![
                format!("{}/{}", price.provider, price.model),
                price.from.clone().unwrap_or_default(),
                price.above.map_or_else(String::new, |it| format!("> {it}")),
                dollars(price.input),
                money(price.cached),
                dollars(price.output),
                money(price.reasoning),
                price.retrieved.clone().unwrap_or_default(),
                price.source.clone(),
            ]
        };
        let head =
            ["MODEL", "FROM", "TOKENS", "INPUT", "CACHED", "OUTPUT", "REASONING", "READ", "SOURCE"];
        output.table(&head, self.prices.iter().map(row).collect());
        output.line("\nPrices are for a million tokens.");
    }
}

/// A price file that can be used.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CheckedPrices {
    pub(crate) version: String,
    pub(crate) models: usize,
    pub(crate) oldest: Option<String>,
}

impl View for CheckedPrices {
    fn show(&self, output: &mut Output) {
        let Self { version, models, oldest } = self;
        output.line(&format!("{version}: {models} prices, all of them usable."));
        if let Some(oldest) = oldest {
            output.line(&format!("The oldest was read on {oldest}."));
        }
    }
}

fn standings(output: &mut Output, standings: &[Standing]) {
    if standings.is_empty() {
        output.line("No limits.");
        return;
    }
    let row = |it: &Standing| {
        let whose = it
            .subject
            .as_ref()
            .map_or_else(|| it.level.clone(), |subject| format!("{} {subject}", it.level));
        let amount = |of: u64| amount(&it.limit, of);
        let again = when(it.resets_at, "");
        vec![
            whose,
            it.limit.clone(),
            amount(it.settled),
            amount(it.held),
            amount(it.remaining),
            amount(it.max),
            again,
        ]
    };
    let head = ["WHOSE", "LIMIT", "USED", "HELD", "LEFT", "MOST", "BEGINS ANEW"];
    output.table(&head, standings.iter().map(row).collect());
}

/// An amount of what `limit` counts.
fn amount(limit: &str, of: u64) -> String {
    if limit.split('/').next() == Some(MONEY) { dollars(of) } else { of.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_is_shown_as_money() {
        assert_eq!(amount("costMicros/month", 2_500_000), "$2.500000");
        assert_eq!(amount("tokens/day", 7), "7");
        assert_eq!(amount("concurrentRuns", 7), "7");
    }
}

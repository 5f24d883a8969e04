//! How replies look to people.

mod boundary;
mod money;

pub(crate) use money::{CheckedPrices, TenantQuotas};

use control_api::{
    Checks, CreatedKey, CreatedTenant, Deleted, EgressRules, ErasedTenant, IssuedToken, KeyList,
    Limits, Logs, Status, Tenant, TenantList, Timestamp, TokenList,
};
use types::Scopes;

use crate::output::{Output, View};

impl View for CreatedTenant {
    fn show(&self, output: &mut Output) {
        output.line(&format!("Tenant {} is made.", self.id));
        output.pairs(&[("token", once(self.token.as_deref()))]);
        output.line(&format!("\nKeep the token: it is not shown again. Next:\n  openclawmu chat {id} 'Hello'\n  openclawmu tenants inspect {id}", id = self.id));
    }
}

impl View for TenantList {
    fn show(&self, output: &mut Output) {
        if self.tenants.is_empty() {
            output.line("There are no tenants. Make one: openclawmu tenants create acme");
            return;
        }
        let row = |tenant: &control_api::TenantRow| {
            vec![
                tenant.id.to_string(),
                tenant.state.as_str().to_owned(),
                tenant.created_at.to_string(),
            ]
        };
        output.table(&["TENANT", "STATE", "MADE"], self.tenants.iter().map(row).collect());
        if let Some(next) = &self.next {
            output.line(&format!("There are more: repeat with --after {next}"));
        }
    }
}

impl View for Tenant {
    fn show(&self, output: &mut Output) {
        let mut pairs = vec![
            ("tenant", self.id.to_string()),
            ("state", self.state.as_str().to_owned()),
            ("made", self.created_at.to_string()),
            ("last active", when(self.last_active_at, "never")),
        ];
        if let Some(worker) = &self.worker {
            pairs.push(("worker", format!("pid {}, version {}", worker.pid, worker.version)));
            pairs.push(("since", worker.started_at.to_string()));
            pairs.push(("memory", worker.pss_bytes.map_or_else(|| "unknown".to_owned(), size)));
        }
        output.pairs(&pairs);
        output.line("");
        output.pairs(&limits(&self.limits, &self.sleeps));
    }
}

impl View for Logs {
    fn show(&self, output: &mut Output) {
        for line in &self.lines {
            output.line(line);
        }
    }
}

impl View for EgressRules {
    fn show(&self, output: &mut Output) {
        if self.allow.is_empty() && self.everyone.is_empty() {
            output.line(&format!("{} may reach nothing.", self.tenant));
            return;
        }
        let row = |rule: &String, of: &str| vec![rule.clone(), of.to_owned()];
        let own = self.allow.iter().map(|rule| row(rule, self.tenant.as_str()));
        let everyone = self.everyone.iter().map(|rule| row(rule, "everyone"));
        output.table(&["ALLOWED", "FOR"], own.chain(everyone).collect());
    }
}

impl View for ErasedTenant {
    fn show(&self, output: &mut Output) {
        output.line(&format!("{} is gone.", self.id));
    }
}

impl View for Deleted {
    fn show(&self, output: &mut Output) {
        output.line(&format!("{} is gone.", self.id));
    }
}

impl View for IssuedToken {
    fn show(&self, output: &mut Output) {
        output.pairs(&[
            ("id", self.id.clone()),
            ("label", self.label.clone()),
            ("scopes", scopes(self.scopes)),
            ("expires", when(self.expires_at, "never")),
            ("token", once(self.token.as_deref())),
        ]);
        output.line("\nKeep the token: it is not shown again.");
    }
}

impl View for TokenList {
    fn show(&self, output: &mut Output) {
        let row = |token: &control_api::Token| {
            vec![
                token.id.clone(),
                token.label.clone(),
                scopes(token.scopes),
                when(token.expires_at, "never"),
                when(token.last_used_at, "never"),
            ]
        };
        let head = ["ID", "LABEL", "SCOPES", "EXPIRES", "LAST USED"];
        output.table(&head, self.tokens.iter().map(row).collect());
    }
}

impl View for CreatedKey {
    fn show(&self, output: &mut Output) {
        output.pairs(&[
            ("id", self.id.clone()),
            ("label", self.label.clone()),
            ("role", self.role.name().to_owned()),
            ("expires", when(self.expires_at, "never")),
            ("key", once(self.key.as_deref())),
        ]);
        output.line("\nKeep the key: it is not shown again. Use it as OPENCLAWMU_KEY.");
    }
}

impl View for KeyList {
    fn show(&self, output: &mut Output) {
        if self.keys.is_empty() {
            output.line("There are no keys; the Unix socket needs none.");
            return;
        }
        let row = |key: &control_api::Key| {
            vec![
                key.id.clone(),
                key.label.clone(),
                key.role.name().to_owned(),
                when(key.expires_at, "never"),
            ]
        };
        let head = ["ID", "LABEL", "ROLE", "EXPIRES"];
        output.table(&head, self.keys.iter().map(row).collect());
    }
}

impl View for Status {
    fn show(&self, output: &mut Output) {
        let tenants = &self.tenants;
        output.pairs(&[
            ("version", self.version.clone()),
            ("since", self.started_at.to_string()),
            ("gateway", format!("http://{}", self.gateway)),
            (
                "tenants",
                format!(
                    "{} registered, {} ready, {} parked, {} suspended",
                    tenants.registered, tenants.ready, tenants.parked, tenants.suspended
                ),
            ),
            ("mode", self.host.mode.clone()),
            ("kernel", self.host.kernel.clone()),
        ]);
        for weaker in &self.host.degraded {
            output.line(&format!("weaker here: {weaker}"));
        }
    }
}

impl View for Checks {
    fn show(&self, output: &mut Output) {
        let row = |check: &control_api::Check| {
            vec![check.name.clone(), check.status.as_str().to_owned(), check.detail.clone()]
        };
        output.table(&["CHECK", "STATUS", "FOUND"], self.checks.iter().map(row).collect());
        for check in self.checks.iter().filter(|check| !check.remedy.is_empty()) {
            output.line(&format!("\n{}: {}", check.name, check.remedy));
        }
    }
}

fn limits(limits: &Limits, sleeps: &str) -> Vec<(&'static str, String)> {
    let money = limits.cost_micros_per_day.map_or_else(|| bound(None), dollars);
    let mut idle = match sleeps.parse::<u32>() {
        Ok(seconds) => format!("after {seconds} s"),
        Err(_word) => sleeps.to_owned(),
    };
    if limits.sleep == "default" {
        idle.push_str(" (default)");
    }
    let quotas =
        if limits.quotas.is_empty() { "none".to_owned() } else { limits.quotas.join(", ") };
    vec![
        ("requests a minute", bound(limits.requests_per_minute)),
        ("tokens a day", bound(limits.tokens_per_day)),
        ("cost a day", money),
        ("requests at once", limits.concurrency.to_string()),
        ("memory", size(limits.memory_max)),
        ("processes", limits.pids_max.to_string()),
        ("CPU", format!("{} cores", thousandths(limits.cpu_millis))),
        ("disk", size(limits.disk_max)),
        ("sleeps", idle),
        ("quotas", quotas),
    ]
}

fn scopes(scopes: Scopes) -> String {
    scopes.iter().map(types::Scope::name).collect::<Vec<_>>().join(" ")
}

fn once(secret: Option<&str>) -> String {
    secret.unwrap_or("(was shown when it was made)").to_owned()
}

fn when(time: Option<Timestamp>, none: &str) -> String {
    time.map_or_else(|| none.to_owned(), |time| time.to_string())
}

fn bound(limit: Option<u64>) -> String {
    limit.map_or_else(|| "unlimited".to_owned(), |limit| limit.to_string())
}

fn dollars(micros: u64) -> String {
    format!("${}.{:06}", micros / 1_000_000, micros % 1_000_000)
}

fn thousandths(millis: u32) -> String {
    format!("{}.{:03}", millis / 1000, millis % 1000)
}

/// Bytes with one decimal of the largest unit that fits.
pub(crate) fn size(bytes: u64) -> String {
    for (unit, shift) in [("GiB", 30), ("MiB", 20), ("KiB", 10)] {
        if bytes >> shift > 0 {
            let tenths = ((bytes >> (shift - 10)) * 10) >> 10;
            return format!("{}.{} {unit}", tenths / 10, tenths % 10);
        }
    }
    format!("{bytes} B")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_for_people() {
        assert_eq!(size(0), "0 B");
        assert_eq!(size(1536), "1.5 KiB");
        assert_eq!(size(256 << 20), "256.0 MiB");
        assert_eq!(size(u64::MAX), "17179869183.9 GiB");
        assert_eq!(dollars(2_500_001), "$2.500001");
        assert_eq!(thousandths(500), "0.500");
    }
}

//! What the gateway says that tenants have used: its sums as operators see them, and the lines of its
//! books as they stand in the files, read by these types and none of the gateway's.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use crate::{Gateway, Tenant};

/// One line of the books.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    /// `hold`, `topUp`, `settle`, `release`, `use` or `carried`.
    pub kind: String,
    /// The hold, or the use.
    pub id: u64,
    /// Whose account.
    pub tenant: String,
    /// The provider's model that was asked.
    #[serde(default)]
    pub model: String,
    /// No provider said what was used.
    #[serde(default)]
    pub estimated: bool,
    /// A start has ended what an earlier run had left open.
    #[serde(default)]
    pub reconciled: bool,
    /// How much.
    #[serde(default)]
    pub amount: Amount,
    /// What a provider counted beyond what could be charged.
    #[serde(default)]
    pub unbilled: Amount,
}

/// Amounts by dimension.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Amount {
    /// Requests.
    pub requests: u64,
    /// Input tokens.
    pub input_tokens: u64,
    /// Those from a provider's cache.
    pub cached_tokens: u64,
    /// Output tokens.
    pub output_tokens: u64,
    /// Micro-dollars.
    pub cost_micros: u64,
}

/// One hold from its first line to its last.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Life {
    /// What was set aside, all together.
    pub held: Amount,
    /// What was charged.
    pub settled: Amount,
    /// What the provider counted beyond that.
    pub unbilled: Amount,
    /// Lines that began it.
    pub begun: usize,
    /// Lines that ended it.
    pub ended: usize,
    /// A start of the gateway has ended it.
    pub reconciled: bool,
    /// The provider has not said what was used.
    pub estimated: bool,
}

impl Amount {
    /// Input and output tokens together.
    pub const fn tokens(&self) -> u64 {
        self.input_tokens + self.output_tokens
    }

    const fn add(&mut self, more: &Self) {
        self.requests += more.requests;
        self.input_tokens += more.input_tokens;
        self.cached_tokens += more.cached_tokens;
        self.output_tokens += more.output_tokens;
        self.cost_micros += more.cost_micros;
    }
}

impl Gateway {
    /// What the tenant has used today, as operators are told.
    pub fn used(&self, tenant: &Tenant) -> Amount {
        let told = self.json(&["usage", &tenant.id]);
        serde_json::from_value(told).unwrap()
    }

    /// Gives the tenant these quotas in the place of all that it had.
    pub fn set_quotas(&self, tenant: &Tenant, quotas: &[&str]) {
        let mut args = vec!["tenants", "limits", tenant.id.as_str()];
        args.extend(quotas.iter().flat_map(|quota| ["--quota", quota]));
        if quotas.is_empty() {
            args.push("--no-quotas");
        }
        self.json(&args);
    }

    /// Every whole line of the books, oldest first.
    pub fn entries(&self) -> Vec<Entry> {
        let folder = self.state_dir().join("ledger");
        let files = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
        let mut files: Vec<_> =
            files.filter(|file| file.extension().is_some_and(|it| it == "jsonl")).collect();
        files.sort();
        let mut entries = Vec::new();
        for file in files {
            let text = std::fs::read_to_string(file).unwrap();
            // What is behind the last end of a line is being written.
            let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
            entries.extend(whole.lines().map(|line| serde_json::from_str::<Entry>(line).unwrap()));
        }
        entries
    }

    /// What the books say that the tenant has used.
    pub fn booked(&self, tenant: &Tenant) -> Amount {
        let mut sum = Amount::default();
        let entries = self.entries();
        let of_tenant = entries.iter().filter(|entry| entry.tenant == tenant.id);
        for entry in of_tenant.filter(|entry| matches!(entry.kind.as_str(), "settle" | "use")) {
            sum.add(&entry.amount);
        }
        sum
    }

    /// Every hold of the tenant, by its id.
    pub fn lives(&self, tenant: &Tenant) -> BTreeMap<u64, Life> {
        let mut lives = BTreeMap::<u64, Life>::new();
        let entries = self.entries();
        for entry in entries.iter().filter(|entry| entry.tenant == tenant.id) {
            if matches!(entry.kind.as_str(), "use" | "carried") {
                continue;
            }
            let life = lives.entry(entry.id).or_default();
            match entry.kind.as_str() {
                "hold" => {
                    life.begun += 1;
                    life.held.add(&entry.amount);
                }
                "topUp" => life.held.add(&entry.amount),
                "settle" => {
                    life.ended += 1;
                    life.settled.add(&entry.amount);
                    life.unbilled.add(&entry.unbilled);
                }
                "release" => life.ended += 1,
                other => panic!("an unknown line {other}"),
            }
            life.reconciled |= entry.reconciled;
            life.estimated |= entry.estimated;
        }
        lives
    }

    /// How the tenant's limit of this name stands, for example `tokens/day`: what is settled, and what
    /// is held.
    pub fn standing(&self, tenant: &Tenant, limit: &str) -> (u64, u64) {
        let told = self.json(&["usage", &tenant.id]);
        let (dimension, window) = limit.split_once('/').unwrap();
        let standings = told["standings"].as_array().unwrap_or_else(|| panic!("{told}"));
        let is_it = |it: &&Value| {
            it["level"] == "tenant" && it["dimension"] == dimension && it["window"] == window
        };
        let standing = standings.iter().find(is_it).unwrap_or_else(|| panic!("{limit}: {told}"));
        let figure = |name: &str| standing[name].as_u64().unwrap();
        (figure("settled"), figure("held"))
    }
}

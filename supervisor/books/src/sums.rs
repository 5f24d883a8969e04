//! Sums of entries: in total and by token, agent and model, each of bounded size whatever a worker
//! calls its agents.

use std::collections::{BTreeMap, BTreeSet};

use ledger::{Amount, Entry};
use ring::digest::{Context, SHA256};
use serde::{Deserialize, Serialize};

/// Names of one kind that have sums of their own, per tenant and period; the ledger remembers as many.
/// The first ones in the order of the lines, so that the same lines always give the same sums; the
/// others share [`REST`].
pub(crate) const MAX_NAMES: usize = 1024;

/// Stands for all names beyond [`MAX_NAMES`].
pub(crate) const REST: &str = "*";

/// Sums by name. The empty name is of lines that have none.
pub type Names = BTreeMap<Box<str>, Amount>;

/// What was used, by whom within the tenant and of what.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Sums {
    /// All of it.
    pub total: Amount,
    /// What providers counted beyond what could be charged; in no other sum.
    #[serde(default, skip_serializing_if = "Amount::is_zero")]
    pub unbilled: Amount,
    /// By the id of the token.
    pub by_token: Names,
    /// By agent.
    pub by_agent: Names,
    /// By `provider/model`.
    pub by_model: Names,
    /// The versions of the price table that costs come from.
    pub price_versions: BTreeSet<Box<str>>,
}

impl Sums {
    /// Counts `entry` in.
    pub(crate) fn add(&mut self, entry: &Entry) {
        self.unbilled.add(&entry.unbilled);
        if !entry.kind.counts() {
            return;
        }
        self.total.add(&entry.amount);
        add(&mut self.by_token, name(entry.token.as_deref()), &entry.amount);
        add(&mut self.by_agent, name(entry.agent.as_deref()), &entry.amount);
        add(&mut self.by_model, &model(entry), &entry.amount);
        self.priced_by(entry.price_version.as_deref());
    }

    /// Counts in what another period has.
    pub(crate) fn merge(&mut self, more: &Self) {
        self.unbilled.add(&more.unbilled);
        self.total.add(&more.total);
        merge(&mut self.by_token, &more.by_token);
        merge(&mut self.by_agent, &more.by_agent);
        merge(&mut self.by_model, &more.by_model);
        for version in &more.price_versions {
            self.priced_by(Some(version));
        }
    }

    fn priced_by(&mut self, version: Option<&str>) {
        let Some(version) = version.filter(|it| !self.price_versions.contains(*it)) else { return };
        let full = self.price_versions.len() >= MAX_NAMES;
        self.price_versions.insert(Box::from(if full { REST } else { version }));
    }
}

/// Adds to the sum of `name`, or to that of [`REST`] where there are too many.
pub(crate) fn add(names: &mut Names, name: &str, amount: &Amount) {
    if let Some(sum) = names.get_mut(name) {
        return sum.add(amount);
    }
    let name = if names.len() < MAX_NAMES { name } else { REST };
    names.entry(Box::from(name)).or_default().add(amount);
}

/// Adds all sums of `more`.
pub(crate) fn merge(names: &mut Names, more: &Names) {
    for (name, amount) in more {
        add(names, name, amount);
    }
}

fn name(text: Option<&str>) -> &str {
    text.unwrap_or_default()
}

/// `provider/model`, or nothing where no provider was asked.
pub(crate) fn model(entry: &Entry) -> String {
    match (entry.provider.as_deref(), entry.model.as_deref()) {
        (None, None) => String::new(),
        (provider, model) => format!("{}/{}", name(provider), name(model)),
    }
}

/// What one tenant has in a period: sums, and the digest of the lines that they come from.
#[derive(Clone)]
pub(crate) struct Page {
    pub(crate) sums: Sums,
    /// Lines of all kinds.
    pub(crate) entries: u64,
    digest: Context,
}

impl Default for Page {
    fn default() -> Self {
        Self { sums: Sums::default(), entries: 0, digest: Context::new(&SHA256) }
    }
}

impl std::fmt::Debug for Page {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Page").field("sums", &self.sums).finish_non_exhaustive()
    }
}

impl Page {
    /// Counts in an entry whose line is `line`.
    pub(crate) fn add(&mut self, entry: &Entry, line: &[u8]) {
        self.sums.add(entry);
        self.entries = self.entries.saturating_add(1);
        self.covers(line);
    }

    /// Counts in what a closed day has.
    pub(crate) fn add_day(&mut self, day: &str, entries: u64, digest: &str, sums: &Sums) {
        self.sums.merge(sums);
        self.entries = self.entries.saturating_add(entries);
        self.covers(format!("{day} {digest}").as_bytes());
    }

    /// The digest of all lines so far, each with its end, in hexadecimal.
    pub(crate) fn digest(&self) -> String {
        let digest = self.digest.clone().finish();
        let digits = digest.as_ref().iter().flat_map(|byte| [byte >> 4, byte & 15]);
        digits.filter_map(|digit| char::from_digit(digit.into(), 16)).collect()
    }

    fn covers(&mut self, line: &[u8]) {
        self.digest.update(line);
        self.digest.update(b"\n");
    }
}

#[cfg(test)]
mod tests {
    use ledger::Kind;

    use super::*;

    #[test]
    fn names_that_a_worker_makes_up_cost_no_memory_and_no_money() {
        let mut sums = Sums::default();
        let count = u64::try_from(MAX_NAMES).unwrap() + 50;
        for n in 0..count {
            let mut entry = Entry::new(Kind::Use, n, 0, "a".parse().unwrap());
            entry.agent = Some(format!("agent{n}").into());
            entry.price_version = Some(format!("{n}").into());
            entry.amount.cost_micros = 1;
            sums.add(&entry);
        }
        assert_eq!(sums.by_agent.len(), MAX_NAMES + 1);
        assert_eq!(sums.price_versions.len(), MAX_NAMES + 1);
        assert_eq!(sums.by_agent[REST].cost_micros, 50);
        assert_eq!(sums.by_agent.values().map(|it| it.cost_micros).sum::<u64>(), count);
        assert_eq!((sums.total.cost_micros, sums.by_token[""].cost_micros), (count, count));
    }

    #[test]
    fn only_lines_that_count_are_in_sums_and_all_are_in_the_digest() {
        let mut page = Page::default();
        for kind in [Kind::Hold, Kind::TopUp, Kind::Settle, Kind::Release, Kind::Carried] {
            let mut entry = Entry::new(kind, 1, 0, "a".parse().unwrap());
            entry.amount.requests = 1;
            page.add(&entry, b"x");
        }
        assert_eq!((page.sums.total.requests, page.entries), (1, 5));
        // sha256sum of five lines "x".
        assert_eq!(
            page.digest(),
            "d5fa84798fbf07d49346b67ef5c06fe987ac99852b15ed9ffda05bdc7683b92c"
        );
    }
}

//! `quotas` and `prices` of the configuration: what all tenants together may use, and what models cost,
//! read and checked before privilege is dropped; and the books, which are opened afterwards.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use books::Books;
use control_api::PriceRow;
use ledger::{Ledger, PriceError, PriceTable};
use prometheus_client::registry::Registry;
use serde::Deserialize;
use tenants::Watched;
use types::{Clock, Quota, Window};

use crate::config::{Config, Model};

/// Bytes of a price file that are read; one more than a table may have tells that it is too large.
const MAX_FILE: u64 = (4 << 20) + 1;

/// Where prices come from that do not stand beside a model.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct Prices {
    /// A price file; `openclawmu prices check` says what is wrong with one.
    pub file: Option<PathBuf>,
    /// Use the table that comes with this version, where there is no file. Look at its dates first:
    /// `openclawmu prices shipped`.
    pub shipped: bool,
}

/// A price table that cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be read.
    #[error("prices.file: {path} cannot be read")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The file is no price table.
    #[error("prices.file")]
    Table(#[source] PriceError),
}

impl Prices {
    /// The table, where the operator asks for one.
    pub(crate) fn read(&self) -> Result<Option<PriceTable>, Error> {
        let Some(path) = &self.file else {
            let shipped = self.shipped.then(PriceTable::shipped);
            return shipped.transpose().map_err(Error::Table);
        };
        let fail = |source| Error::File { path: path.clone(), source };
        let mut bytes = Vec::new();
        let file = std::fs::File::open(path).map_err(fail)?;
        file.take(MAX_FILE).read_to_end(&mut bytes).map_err(fail)?;
        PriceTable::parse(&bytes).map(Some).map_err(Error::Table)
    }
}

/// What is wrong with the quotas of the installation.
pub(crate) fn mistakes(texts: &[String], mistakes: &mut Vec<String>) {
    match texts.iter().map(|text| Quota::installation(text)).collect::<Result<Vec<_>, _>>() {
        Ok(quotas) => {
            mistakes.extend(Quota::check(&quotas).err().map(|err| format!("quotas: {err}")));
        }
        Err(err) => mistakes.push(format!("quotas: {err}")),
    }
}

/// The quotas of the installation; what is none was told by [`mistakes`].
pub(crate) fn quotas(texts: &[String]) -> Vec<Quota> {
    texts.iter().filter_map(|text| Quota::installation(text).ok()).collect()
}

/// Where every account writes to, and the limits that all tenants share, with what was used before.
/// Blocks; nothing else is under way at the start that could be held up.
pub(crate) fn books(
    clock: Arc<dyn Clock>,
    quotas: &[Quota],
    registry: &mut Registry,
) -> Result<(Books, Arc<Ledger>), books::Error> {
    let now = clock.now();
    let books = Books::open(Path::new(books::FOLDER), clock, registry)?;
    let journal = Watched::new(Arc::new(books.clone()), registry);
    let ledger = Arc::new(Ledger::new(Arc::new(journal), quotas, now));
    let opening = books.installation();
    ledger.carry(Window::Minute, &opening.minute.total);
    ledger.carry(Window::Hour, &opening.hour.total);
    ledger.carry(Window::Day, &opening.day.total);
    ledger.carry(Window::Month, &opening.month.total);
    Ok((books, ledger))
}

/// The prices in use, for operators.
pub(crate) fn shown(config: &Config, table: Option<&PriceTable>) -> control_api::Prices {
    let entries = table.map_or(&[][..], PriceTable::entries);
    let mut prices: Vec<_> = entries.iter().flat_map(ledger_rows).collect();
    for (provider, listed) in &config.providers {
        for model in &listed.models {
            if let Model::Priced(priced) = model {
                prices.push(PriceRow {
                    provider: provider.clone(),
                    model: priced.name.clone(),
                    from: None,
                    above: None,
                    input: priced.input_micros_per_million,
                    cached: priced.cached_micros_per_million,
                    output: priced.output_micros_per_million,
                    reasoning: None,
                    source: "the configuration".to_owned(),
                    retrieved: None,
                });
            }
        }
    }
    control_api::Prices { version: table.map(|it| it.version().to_string()), prices }
}

/// One row for each length of input.
fn ledger_rows(entry: &ledger::PriceEntry) -> Vec<PriceRow> {
    let row = |above, (input, cached, output, reasoning)| PriceRow {
        provider: entry.provider.clone(),
        model: entry.model.clone(),
        from: Some(entry.from.to_string()),
        above,
        input,
        cached,
        output,
        reasoning,
        source: entry.source.clone(),
        retrieved: Some(entry.retrieved.to_string()),
    };
    let price = &entry.price;
    let first = row(None, (price.input, price.cached, price.output, price.reasoning));
    let tiers = price.tiers.iter();
    let tiers = tiers.map(|it| row(Some(it.above), (it.input, it.cached, it.output, it.reasoning)));
    std::iter::once(first).chain(tiers).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotas_of_the_installation_are_of_no_other_level() {
        let check = |texts: &[&str], wrong: usize| {
            let texts: Vec<_> = texts.iter().map(|it| (*it).to_owned()).collect();
            let mut found = Vec::new();
            mistakes(&texts, &mut found);
            assert_eq!(found.len(), wrong, "{found:?}");
        };
        check(&["costMicros/month=5000000", "requests/minute=100"], 0);
        check(&["token:* requests/minute=100"], 1);
        check(&["requests/minute=1", "requests/minute=2"], 1);
        check(&["lots"], 1);
    }

    #[test]
    fn prices_are_those_that_the_operator_asks_for() {
        let none = Prices::default().read().unwrap();
        assert!(none.is_none());
        let shipped = Prices { file: None, shipped: true }.read().unwrap().unwrap();
        let rows = shown(&Config::default(), Some(&shipped)).prices;
        assert!(rows.iter().all(|it| it.retrieved.is_some() && !it.source.is_empty()));
        let file = Some(PathBuf::from("/nonexistent/prices.json"));
        assert!(matches!(Prices { file, shipped: true }.read(), Err(Error::File { .. })));
    }
}

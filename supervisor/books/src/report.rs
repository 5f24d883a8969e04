//! Reports: sums of the lines themselves, in one pass over the files and with memory for the sums alone.
//!
//! A report works on files at rest as well as on those of a running gateway, and needs no gateway.

mod table;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::Path;
use std::str::FromStr;

use ledger::{Amount, Day, Entry};
use types::TenantId;

use crate::folder::Folder;
use crate::snapshot::Reader;
use crate::sums::{MAX_NAMES, REST, model};
use crate::{Error, MAX_DAYS, Month, lines};

pub use table::Format;

/// What the rows of a report are of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Group {
    /// A row for each tenant; the name is empty.
    Tenant,
    /// A row for each tenant and day.
    Day,
    /// A row for each tenant and token, by its id; no name is what no client asked for.
    Token,
    /// A row for each tenant and agent.
    Agent,
    /// A row for each tenant and `provider/model`; no name is what no provider was asked for.
    Model,
}

impl Group {
    /// Its name in reports.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Tenant => "tenant",
            Self::Day => "day",
            Self::Token => "token",
            Self::Agent => "agent",
            Self::Model => "model",
        }
    }

    /// Names of one tenant that have rows of their own.
    fn max(self) -> usize {
        match self {
            Self::Tenant | Self::Day => usize::MAX,
            Self::Token | Self::Agent | Self::Model => MAX_NAMES,
        }
    }

    fn name(self, entry: &Entry) -> String {
        match self {
            Self::Tenant => String::new(),
            Self::Day => entry.day.to_string(),
            Self::Token => entry.token.as_deref().unwrap_or_default().to_owned(),
            Self::Agent => entry.agent.as_deref().unwrap_or_default().to_owned(),
            Self::Model => model(entry),
        }
    }
}

impl FromStr for Group {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let all = [Self::Tenant, Self::Day, Self::Token, Self::Agent, Self::Model];
        all.into_iter().find(|group| group.as_str() == text).ok_or(Error::Group)
    }
}

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    /// The first day.
    pub from: Day,
    /// The last day; at most [`MAX_DAYS`] with the first.
    pub to: Day,
    /// One tenant, or all, those that are gone included.
    pub tenant: Option<TenantId>,
    /// What the rows are of.
    pub by: Group,
}

impl Query {
    /// A whole month of all tenants.
    pub fn month(month: Month, by: Group) -> Self {
        Self { from: month.first(), to: month.last(), tenant: None, by }
    }
}

/// One row of a report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Whose.
    pub tenant: TenantId,
    /// What of the tenant; see [`Group`]. `*` are those beyond the first 1,024 names.
    pub name: String,
    /// What was used.
    pub used: Amount,
    /// What providers counted beyond what could be charged.
    pub unbilled: Amount,
}

/// Writes a report, row by row.
///
/// # Errors
/// When the range is too long, a file is missing or damaged, or `out` cannot be written.
pub fn report(dir: &Path, query: &Query, format: Format, out: &mut dyn Write) -> Result<(), Error> {
    table::write(query, format, &rows(dir, query)?, out).map_err(Error::Output)
}

/// The rows of a report, by tenant and name.
///
/// # Errors
/// When the range is too long, or a file is missing or damaged.
pub fn rows(dir: &Path, query: &Query) -> Result<Vec<Row>, Error> {
    let folder = Folder::at(dir);
    let (files, last) = files(&folder, query)?;
    let mut sums = BTreeMap::<TenantId, BTreeMap<String, (Amount, Amount)>>::new();
    for file in files {
        let path = folder.lines(file);
        let end = lines::entries(&path, |entry, _line| {
            if query.wants(&entry) {
                add(&mut sums, query.by, &entry);
            }
            Ok(())
        })?;
        // The last line of the last file may be about to be written.
        if Some(file) != last {
            end.untorn(&path)?;
        }
    }
    let rows = sums.into_iter().flat_map(|(tenant, names)| {
        names.into_iter().map(move |(name, (used, unbilled))| Row {
            tenant: tenant.clone(),
            name,
            used,
            unbilled,
        })
    });
    Ok(rows.collect())
}

impl Query {
    fn wants(&self, entry: &Entry) -> bool {
        (entry.kind.counts() || !entry.unbilled.is_zero())
            && (self.from..=self.to).contains(&entry.day)
            && self.tenant.as_ref().is_none_or(|tenant| *tenant == entry.tenant)
    }
}

type Sums = BTreeMap<TenantId, BTreeMap<String, (Amount, Amount)>>;

fn add(sums: &mut Sums, by: Group, entry: &Entry) {
    if !sums.contains_key(&entry.tenant) {
        sums.insert(entry.tenant.clone(), BTreeMap::new());
    }
    let Some(names) = sums.get_mut(&entry.tenant) else { return };
    let mut name = by.name(entry);
    if names.len() >= by.max() && !names.contains_key(&name) {
        REST.clone_into(&mut name);
    }
    let (used, unbilled) = names.entry(name).or_default();
    if entry.kind.counts() {
        used.add(&entry.amount);
    }
    unbilled.add(&entry.unbilled);
}

/// The files that may have lines of the days asked for, and the last file of all.
fn files(folder: &Folder, query: &Query) -> Result<(BTreeSet<Day>, Option<Day>), Error> {
    let listing = folder.list()?;
    let mut files = BTreeSet::new();
    let (mut day, mut count) = (query.from, 0);
    while day <= query.to {
        count += 1;
        if count > MAX_DAYS {
            return Err(Error::Range { max: MAX_DAYS });
        }
        if listing.closed_days.contains(&day) {
            files.extend(&Reader::open(&folder.snapshot(day))?.head().files);
        } else {
            files.extend(listing.days.range(day..));
        }
        day = day.next();
    }
    Ok((files, listing.days.last().copied()))
}

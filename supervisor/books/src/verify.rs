//! Whether snapshots say what the lines say: both are read, the sums and digests are made anew, and
//! what differs is named. Needs the files and nothing else.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::path::Path;

use ledger::Day;
use types::TenantId;

use crate::folder::{Folder, Listing};
use crate::live::{DayBook, MonthBook};
use crate::snapshot::{Reader, Record};
use crate::sums::Page;
use crate::{Error, Month, lines};

/// Differences that are named; a file that is replaced as a whole has no use for more.
const MAX_NAMED: usize = 1000;

/// What was compared, and what differs.
#[derive(Debug, Default)]
pub struct Checked {
    /// Closed days that were compared.
    pub days: u64,
    /// Closed months that were compared.
    pub months: u64,
    /// Lines that were read.
    pub entries: u64,
    /// What differs; the first 1,000 of it.
    pub differences: Vec<Difference>,
}

/// Something that is not as it was closed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The day, month or file.
    pub period: String,
    /// The tenant, where one can be named.
    pub tenant: Option<TenantId>,
    /// What differs, in a few words.
    pub what: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.tenant {
            Some(tenant) => write!(f, "{}: {tenant}: {}", self.period, self.what),
            None => write!(f, "{}: {}", self.period, self.what),
        }
    }
}

/// Compares all closed days and months in `dir`, or those of one month.
///
/// # Errors
/// When the folder cannot be read. What is damaged or missing is a difference.
pub fn verify(dir: &Path, month: Option<Month>) -> Result<Checked, Error> {
    let folder = Folder::at(dir);
    let listing = folder.list()?;
    let is_asked = |day: &Day| month.is_none_or(|month| Month::of(*day) == month);
    let mut check = Check::new(&folder);
    check.gaps(&listing, is_asked);
    for day in listing.closed_days.iter().copied().filter(is_asked) {
        match Reader::open(&folder.snapshot(day)) {
            Ok(reader) => check.expect(day, reader.head().files.iter().copied().collect()),
            Err(err) => check.differs(day, None, &err.to_string()),
        }
    }
    let last = listing.days.last().copied();
    for file in check.files() {
        check.file(file, last == Some(file));
        check.compare_days(Some(file));
    }
    check.compare_days(None);
    for closed in &listing.closed_months {
        if month.is_none_or(|month| month == *closed) {
            check.compare_month(*closed);
        }
    }
    Ok(check.found)
}

struct Check<'a> {
    folder: &'a Folder,
    /// Closed days, and the files that have their lines.
    closed: BTreeMap<Day, BTreeSet<Day>>,
    /// Those that are not compared yet, in order.
    expected: VecDeque<Day>,
    /// Days of which lines were found and which are not compared yet.
    books: BTreeMap<Day, DayBook>,
    months: BTreeMap<Month, MonthBook>,
    found: Checked,
}

impl<'a> Check<'a> {
    fn new(folder: &'a Folder) -> Self {
        Self {
            folder,
            closed: BTreeMap::new(),
            expected: VecDeque::new(),
            books: BTreeMap::new(),
            months: BTreeMap::new(),
            found: Checked::default(),
        }
    }

    /// Days with lines that are not closed though later ones are.
    fn gaps(&mut self, listing: &Listing, is_asked: impl Fn(&Day) -> bool) {
        let Some(last) = listing.closed_days.last() else { return };
        let open = listing.days.range(..last).filter(|day| !listing.closed_days.contains(day));
        for day in open.filter(|day| is_asked(day)) {
            self.differs(day, None, "has lines and no snapshot, though later days are closed");
        }
    }

    fn expect(&mut self, day: Day, files: BTreeSet<Day>) {
        self.closed.insert(day, files);
        self.expected.push_back(day);
    }

    fn files(&self) -> BTreeSet<Day> {
        // A day's own file is read in any case: lines may have been added.
        let own = self.closed.keys().copied().filter(|day| self.folder.lines(*day).exists());
        own.chain(self.closed.values().flatten().copied()).collect()
    }

    fn file(&mut self, file: Day, is_last: bool) {
        let path = self.folder.lines(file);
        let mut read = 0;
        let (closed, books) = (&self.closed, &mut self.books);
        let mut strays = BTreeSet::new();
        let end = lines::entries(&path, |entry, line| {
            read += 1;
            match closed.get(&entry.day) {
                Some(files) if !files.contains(&file) => drop(strays.insert(entry.day)),
                Some(_) => books.entry(entry.day).or_default().add(file, &entry, line),
                // Not closed, or not asked for.
                None => {}
            }
            Ok(())
        });
        self.found.entries += read;
        for day in strays {
            self.differs(
                day,
                None,
                &format!("the file of {file} has lines of it that its snapshot does not know"),
            );
        }
        let whole = end.and_then(|end| if is_last { Ok(()) } else { end.untorn(&path) });
        if let Err(err) = whole {
            let why = std::error::Error::source(&err).map(|why| format!(": {why}"));
            self.differs(file, None, &format!("{err}{}", why.unwrap_or_default()));
        }
    }

    /// Compares the days of which every file was read, up to that of `read`; all that are left
    /// where there is none.
    fn compare_days(&mut self, read: Option<Day>) {
        while let Some(day) = self.expected.front().copied() {
            let last = self.closed.get(&day).and_then(BTreeSet::last).copied().unwrap_or(day);
            if read.is_some_and(|read| last.max(day) > read) {
                return;
            }
            self.expected.pop_front();
            let pages = self.books.remove(&day).unwrap_or_default().pages;
            let month = self.months.entry(Month::of(day)).or_default();
            month.days.push(day);
            for (tenant, page) in &pages {
                let sum = month.pages.entry(tenant.clone()).or_default();
                sum.add_day(&day.to_string(), page.entries, &page.digest(), &page.sums);
            }
            self.found.days += 1;
            let compared = self.compare(&day.to_string(), pages);
            compared.unwrap_or_else(|err| self.differs(day, None, &err.to_string()));
        }
    }

    fn compare_month(&mut self, month: Month) {
        let MonthBook { days, pages } = self.months.remove(&month).unwrap_or_default();
        self.found.months += 1;
        let head =
            Reader::open(&self.folder.snapshot(month)).map(|reader| reader.head().files.clone());
        match head {
            Ok(closed) if closed != days => {
                self.differs(month, None, "its days are not those that were closed");
            }
            Ok(_) | Err(_) => {}
        }
        let compared = self.compare(&month.to_string(), pages);
        compared.unwrap_or_else(|err| self.differs(month, None, &err.to_string()));
    }

    /// Compares what the lines come to with the records of a snapshot.
    fn compare(&mut self, period: &str, mut pages: BTreeMap<TenantId, Page>) -> Result<(), Error> {
        let mut reader = Reader::open(&self.folder.snapshot(period))?;
        while let Some(closed) = reader.next()? {
            let tenant = closed.tenant.clone();
            let page = pages.remove(&tenant).unwrap_or_default();
            for what in differences(&closed, &Record::of((&tenant, &page))) {
                self.differs(period, Some(tenant.clone()), &what);
            }
        }
        for (tenant, page) in pages {
            let what = format!("has {} lines and no record in the snapshot", page.entries);
            self.differs(period, Some(tenant), &what);
        }
        Ok(())
    }

    fn differs(&mut self, period: impl fmt::Display, tenant: Option<TenantId>, what: &str) {
        if self.found.differences.len() < MAX_NAMED {
            let (period, what) = (period.to_string(), what.to_owned());
            self.found.differences.push(Difference { period, tenant, what });
        }
    }
}

fn differences(closed: &Record, found: &Record) -> Vec<String> {
    let mut named = Vec::new();
    if closed.entries != found.entries {
        named
            .push(format!("closed with {} lines, and there are {}", closed.entries, found.entries));
    }
    let amounts = closed.sums.total.columns().into_iter().zip(found.sums.total.columns());
    for ((name, closed), (_, found)) in amounts.filter(|(closed, found)| closed != found) {
        named.push(format!("{name} closed as {closed}, and the lines come to {found}"));
    }
    if named.is_empty() && closed.sums != found.sums {
        named.push("the sums by name are not those of the lines".to_owned());
    }
    if named.is_empty() && closed.digest != found.digest {
        named.push(
            "the lines are not those that were closed, though they come to the same".to_owned(),
        );
    }
    named
}

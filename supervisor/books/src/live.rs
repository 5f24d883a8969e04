//! What is known without reading a file: the days that are not closed, what the closed ones of a
//! month come to, and the totals of earlier months.

use std::collections::{BTreeMap, BTreeSet};

use ledger::{Amount, Day, Entry};
use types::{TenantId, UnixMillis};

use crate::Month;
use crate::snapshot::{Head, Record};
use crate::sums::{self, Names, Page, Sums};

/// Months whose totals are kept in memory; as many as a history shows.
pub(crate) const MAX_MONTHS: usize = 24;

const MINUTE: u64 = 60_000;
const HOUR: u64 = 60 * MINUTE;

/// What was used in one window, by those who have limits of their own.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Used {
    /// All of it.
    pub total: Amount,
    /// By the id of the token.
    pub by_token: Names,
    /// By agent.
    pub by_agent: Names,
    /// By session; of windows of a day at most.
    pub by_session: Names,
}

/// What a tenant has used so far in the windows that are now open, at the start of the gateway. What
/// was held when an earlier run ended is in it in full.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Opening {
    /// In this minute, by the time of settlement.
    pub minute: Used,
    /// In this hour, by the time of settlement.
    pub hour: Used,
    /// In this day.
    pub day: Used,
    /// In this month.
    pub month: Used,
}

/// A day that is not closed.
#[derive(Debug, Default)]
pub(crate) struct DayBook {
    /// The days whose files have lines of this one.
    pub(crate) files: BTreeSet<Day>,
    pub(crate) pages: BTreeMap<TenantId, Page>,
}

impl DayBook {
    /// Counts in an entry of the day whose line is in the file of `file`.
    pub(crate) fn add(&mut self, file: Day, entry: &Entry, line: &[u8]) {
        self.files.insert(file);
        if let Some(page) = self.pages.get_mut(&entry.tenant) {
            return page.add(entry, line);
        }
        self.pages.entry(entry.tenant.clone()).or_default().add(entry, line);
    }
}

/// What the closed days of a month come to.
#[derive(Debug, Default)]
pub(crate) struct MonthBook {
    pub(crate) days: Vec<Day>,
    pub(crate) pages: BTreeMap<TenantId, Page>,
}

/// The windows that were open when the books were.
#[derive(Debug, Default)]
struct Recent {
    minute: u64,
    hour: u64,
    minutes: BTreeMap<TenantId, Used>,
    hours: BTreeMap<TenantId, Used>,
}

/// All of it.
#[derive(Debug, Default)]
pub(crate) struct Live {
    /// The days that are not closed.
    pub(crate) days: BTreeMap<Day, DayBook>,
    /// The months that are not closed.
    pub(crate) months: BTreeMap<Month, MonthBook>,
    /// What sessions used on the newest day.
    sessions: (Option<Day>, BTreeMap<TenantId, Names>),
    totals: BTreeMap<TenantId, BTreeMap<Month, Amount>>,
    closed_through: Option<Day>,
    recent: Recent,
}

impl Live {
    /// Nothing yet, at `now`.
    pub(crate) fn at(now: UnixMillis) -> Self {
        let recent = Recent { minute: now / MINUTE, hour: now / HOUR, ..Recent::default() };
        Self { recent, ..Self::default() }
    }

    /// Counts in an entry, unless its day is closed and so has it already.
    pub(crate) fn add(&mut self, file: Day, entry: &Entry, line: &[u8]) {
        if self.closed_through >= Some(entry.day) {
            return;
        }
        self.days.entry(entry.day).or_default().add(file, entry, line);
        if !entry.kind.counts() {
            return;
        }
        if self.sessions.0 < Some(entry.day) {
            self.sessions = (Some(entry.day), BTreeMap::new());
        }
        if let Some(session) = entry.session.as_deref()
            && self.sessions.0 == Some(entry.day)
        {
            let names = self.sessions.1.entry(entry.tenant.clone()).or_default();
            sums::add(names, session, &entry.amount);
        }
    }

    /// Counts an entry into the windows that are open now; at the start only.
    pub(crate) fn add_recent(&mut self, entry: &Entry) {
        let Recent { minute, hour, minutes, hours } = &mut self.recent;
        if entry.kind.counts() && entry.at / HOUR == *hour {
            used(hours.entry(entry.tenant.clone()).or_default(), entry);
            if entry.at / MINUTE == *minute {
                used(minutes.entry(entry.tenant.clone()).or_default(), entry);
            }
        }
    }

    /// Counts in a record of a closed day.
    pub(crate) fn add_closed(&mut self, day: Day, record: &Record) {
        let month = self.months.entry(Month::of(day)).or_default();
        let page = month.pages.entry(record.tenant.clone()).or_default();
        page.add_day(&day.to_string(), record.entries, &record.digest, &record.sums);
    }

    /// The day is closed, and all its records are counted in.
    pub(crate) fn closed(&mut self, day: Day) {
        self.months.entry(Month::of(day)).or_default().days.push(day);
        self.days.remove(&day);
        self.closed_through = self.closed_through.max(Some(day));
    }

    /// The total of a closed month.
    pub(crate) fn add_total(&mut self, month: Month, tenant: TenantId, amount: Amount) {
        let months = self.totals.entry(tenant).or_default();
        months.insert(month, amount);
        while months.len() > MAX_MONTHS {
            months.pop_first();
        }
    }

    /// The month is closed: no more of it is kept than its totals.
    pub(crate) fn closed_month(&mut self, month: Month) {
        for (tenant, page) in self.months.remove(&month).unwrap_or_default().pages {
            self.add_total(month, tenant, page.sums.total);
        }
    }

    /// Every day up to `day` is closed, whatever of them is kept here.
    pub(crate) fn closed_through_at_least(&mut self, day: Day) {
        self.closed_through = self.closed_through.max(Some(day));
    }

    /// The last day that is closed.
    pub(crate) const fn closed_through(&self) -> Option<Day> {
        self.closed_through
    }

    /// What a snapshot of `day` says first.
    pub(crate) fn head(&self, day: Day, now: UnixMillis, last_id: u64) -> Head {
        let files = self.days.get(&day).map(|book| book.files.iter().copied().collect());
        Head::new(day.to_string(), now, files.unwrap_or_default(), last_id)
    }

    /// What the tenant has used in the windows that are open at `now`.
    pub(crate) fn opening(&self, tenant: &TenantId, now: UnixMillis) -> Opening {
        let today = Day::of(now);
        let mut opening = Opening::default();
        if now / HOUR == self.recent.hour {
            opening.hour = self.recent.hours.get(tenant).cloned().unwrap_or_default();
        }
        if now / MINUTE == self.recent.minute {
            opening.minute = self.recent.minutes.get(tenant).cloned().unwrap_or_default();
        }
        if let Some(page) = self.days.get(&today).and_then(|book| book.pages.get(tenant)) {
            merge(&mut opening.day, &page.sums);
        }
        if self.sessions.0 == Some(today) {
            opening.day.by_session = self.sessions.1.get(tenant).cloned().unwrap_or_default();
        }
        self.each_of_month(Month::of(today), tenant, |sums| merge(&mut opening.month, sums));
        opening
    }

    /// What all tenants together have used, those that are gone included.
    pub(crate) fn installation(&self, now: UnixMillis) -> Opening {
        let today = Day::of(now);
        let mut opening = Opening::default();
        if now / HOUR == self.recent.hour {
            self.recent.hours.values().for_each(|used| opening.hour.total.add(&used.total));
        }
        if now / MINUTE == self.recent.minute {
            self.recent.minutes.values().for_each(|used| opening.minute.total.add(&used.total));
        }
        for page in self.days.get(&today).into_iter().flat_map(|book| book.pages.values()) {
            opening.day.total.add(&page.sums.total);
        }
        let month = Month::of(today);
        for page in self.months.get(&month).into_iter().flat_map(|book| book.pages.values()) {
            opening.month.total.add(&page.sums.total);
        }
        for (_, book) in self.days.range(month.first()..=month.last()) {
            book.pages.values().for_each(|page| opening.month.total.add(&page.sums.total));
        }
        opening
    }

    /// What the tenant has on `day`, if that is not closed.
    pub(crate) fn day(&self, tenant: &TenantId, day: Day) -> Option<&Sums> {
        self.days.get(&day)?.pages.get(tenant).map(|page| &page.sums)
    }

    /// What the tenant has used in `month`.
    pub(crate) fn month(&self, tenant: &TenantId, month: Month) -> Amount {
        let closed = self.totals.get(tenant).and_then(|months| months.get(&month));
        let mut sum = closed.copied().unwrap_or_default();
        self.each_of_month(month, tenant, |sums| sum.add(&sums.total));
        sum
    }

    fn each_of_month(&self, month: Month, tenant: &TenantId, mut take: impl FnMut(&Sums)) {
        let closed = self.months.get(&month).and_then(|book| book.pages.get(tenant));
        if let Some(page) = closed {
            take(&page.sums);
        }
        for (_, book) in self.days.range(month.first()..=month.last()) {
            if let Some(page) = book.pages.get(tenant) {
                take(&page.sums);
            }
        }
    }
}

fn used(used: &mut Used, entry: &Entry) {
    used.total.add(&entry.amount);
    let named = [
        (&mut used.by_token, &entry.token),
        (&mut used.by_agent, &entry.agent),
        (&mut used.by_session, &entry.session),
    ];
    for (names, name) in named {
        if let Some(name) = name {
            sums::add(names, name, &entry.amount);
        }
    }
}

fn merge(used: &mut Used, more: &Sums) {
    used.total.add(&more.total);
    sums::merge(&mut used.by_token, &more.by_token);
    sums::merge(&mut used.by_agent, &more.by_agent);
}

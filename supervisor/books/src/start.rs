//! The start: snapshots are believed, the files of days that are not closed are read, and a torn last
//! line is cut off and kept aside.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;

use ledger::{Day, Entry};
use types::UnixMillis;

use crate::folder::{Folder, Listing};
use crate::lines::{self, End};
use crate::live::{Live, MAX_MONTHS};
use crate::snapshot::Reader;
use crate::writer::apply;
use crate::{Error, Month};

/// What the files say.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) live: Live,
    /// Holds that are open.
    pub(crate) open: BTreeMap<u64, Entry>,
    /// The largest number that was given out.
    pub(crate) last_id: u64,
    /// The last day that has a file.
    pub(crate) last_file: Option<Day>,
}

impl Loaded {
    /// Reads what has to be known at `now`.
    pub(crate) fn read(folder: &Folder, now: UnixMillis) -> Result<Self, Error> {
        let listing = folder.list()?;
        let last_file = listing.days.last().copied();
        let mut loaded = Self { live: Live::at(now), open: BTreeMap::new(), last_id: 0, last_file };
        loaded.months(folder, &listing, Month::of(Day::of(now)))?;
        if let Some(last) = listing.closed_days.last() {
            let reader = Reader::open(&folder.snapshot(last))?;
            loaded.last_id = loaded.last_id.max(reader.head().last_id);
            // Closed in an earlier month, whose own snapshot has it.
            loaded.live.closed_through_at_least(*last);
        }
        let closed_through = loaded.live.closed_through();
        for day in unclosed(folder, &listing, closed_through)? {
            loaded.file(folder, day, last_file == Some(day))?;
        }
        Ok(loaded)
    }

    /// Totals of closed months, and the closed days of the others.
    fn months(&mut self, folder: &Folder, listing: &Listing, now: Month) -> Result<(), Error> {
        let mut oldest = now;
        for _ in 1..MAX_MONTHS {
            oldest = oldest.previous();
        }
        for month in listing.closed_months.range(oldest..) {
            let mut reader = Reader::open(&folder.snapshot(month))?;
            while let Some(record) = reader.next()? {
                self.live.add_total(*month, record.tenant, record.sums.total);
            }
        }
        let days = listing.closed_days.range(oldest.first()..);
        for day in days.filter(|day| !listing.closed_months.contains(&Month::of(**day))) {
            let mut reader = Reader::open(&folder.snapshot(day))?;
            while let Some(record) = reader.next()? {
                self.live.add_closed(*day, &record);
            }
            self.live.closed(*day);
        }
        Ok(())
    }

    /// The file of a day that is not closed.
    fn file(&mut self, folder: &Folder, day: Day, is_last: bool) -> Result<(), Error> {
        let path = folder.lines(day);
        self.live.days.entry(day).or_default();
        let end = lines::entries(&path, |entry, line| {
            self.live.add(day, &entry, line);
            self.live.add_recent(&entry);
            self.last_id = self.last_id.max(entry.id);
            apply(&mut self.open, entry);
            Ok(())
        })?;
        if is_last { cut(folder, day, &end) } else { end.untorn(&path) }
    }
}

/// The days whose files have to be read: all from the first one that is not closed on.
fn unclosed(
    folder: &Folder,
    listing: &Listing,
    closed_through: Option<Day>,
) -> Result<BTreeSet<Day>, Error> {
    let open: BTreeSet<Day> = listing.days.difference(&listing.closed_days).copied().collect();
    match open.first() {
        // Days are closed in their order.
        Some(first) if Some(*first) <= closed_through => {
            Err(Error::Missing { path: folder.snapshot(first) })
        }
        _ => Ok(open),
    }
}

/// Cuts off what a crash has left of a line that was acknowledged to nobody.
fn cut(folder: &Folder, day: Day, end: &End) -> Result<(), Error> {
    if end.torn.is_empty() {
        return Ok(());
    }
    let (path, aside) = (folder.lines(day), folder.torn(day));
    let kept = OpenOptions::new().create(true).append(true).mode(0o600).open(&aside);
    let mut kept = kept.map_err(Error::file("make", &aside))?;
    kept.write_all(&[&end.torn, b"\n".as_slice()].concat())
        .map_err(Error::file("write", &aside))?;
    kept.sync_all().map_err(Error::file("sync", &aside))?;
    let file = OpenOptions::new().write(true).open(&path).map_err(Error::file("open", &path))?;
    file.set_len(end.whole).map_err(Error::file("cut", &path))?;
    file.sync_all().map_err(Error::file("sync", &path))?;
    let (bytes, line) = (end.torn.len(), end.lines.saturating_add(1));
    tracing::warn!(path = %path.display(), line, bytes, aside = %aside.display(), "a torn last line is cut off");
    Ok(())
}

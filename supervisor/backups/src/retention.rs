//! Which backups are kept: pure, by their times alone.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use types::UnixMillis;

/// Which day, week or month a time is in.
type Span = fn(UnixMillis) -> u64;

const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// 1970-01-01 was a Thursday: with three days more, weeks begin on Mondays.
const TO_MONDAY: u64 = 3;

/// What is kept. A backup stays that any of these keeps; where none says anything, all stay.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Keep {
    /// The newest so many.
    pub newest: u32,
    /// The newest of each of the last so many UTC days that have one.
    pub days: u32,
    /// The same of weeks, from Monday on.
    pub weeks: u32,
    /// The same of months.
    pub months: u32,
}

impl Keep {
    /// Whether everything stays.
    pub const fn is_everything(self) -> bool {
        self.newest == 0 && self.days == 0 && self.weeks == 0 && self.months == 0
    }

    /// Those of the good backups, by when they were begun, that are not kept. The newest always is.
    ///
    /// One that was begun later than it is now was begun while the clock was ahead: it stays until its
    /// time has come, and takes no other's place until then.
    pub fn doomed(self, mut begun: Vec<UnixMillis>, now: UnixMillis) -> BTreeSet<UnixMillis> {
        begun.retain(|at| *at <= now);
        begun.sort_unstable_by(|a, b| b.cmp(a));
        if self.is_everything() {
            return BTreeSet::new();
        }
        let newest = usize::try_from(self.newest).unwrap_or(usize::MAX).max(1);
        let mut kept: BTreeSet<UnixMillis> = begun.iter().take(newest).copied().collect();
        let spans: [(u32, Span); 3] = [(self.days, day), (self.weeks, week), (self.months, month)];
        for (most, span) in spans {
            let mut seen = BTreeSet::new();
            for at in &begun {
                if seen.len() >= usize::try_from(most).unwrap_or(usize::MAX) {
                    break;
                }
                if seen.insert(span(*at)) {
                    kept.insert(*at);
                }
            }
        }
        begun.into_iter().filter(|at| !kept.contains(at)).collect()
    }
}

const fn day(at: UnixMillis) -> u64 {
    at / DAY_MS
}

const fn week(at: UnixMillis) -> u64 {
    (day(at) + TO_MONDAY) / 7
}

fn month(at: UnixMillis) -> u64 {
    let time = i64::try_from(at).ok().and_then(|it| jiff::Timestamp::from_millisecond(it).ok());
    let date = time.unwrap_or(jiff::Timestamp::MAX).to_zoned(jiff::tz::TimeZone::UTC);
    let (year, month) = (date.year().unsigned_abs(), date.month().unsigned_abs());
    u64::from(year) * 12 + u64::from(month)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: &str = "2026-11-29T03:00:00Z";

    fn at(text: &str) -> UnixMillis {
        let time: jiff::Timestamp = text.parse().unwrap();
        u64::try_from(time.as_millisecond()).unwrap()
    }

    fn check(keep: Keep, begun: &[&str], kept: &[&str]) {
        let all: Vec<_> = begun.iter().map(|it| at(it)).collect();
        let doomed = keep.doomed(all, at(NOW));
        let left: Vec<_> = begun.iter().filter(|it| !doomed.contains(&at(it))).copied().collect();
        assert_eq!(left, kept, "{keep:?}");
    }

    #[test]
    fn what_is_kept() {
        let all = [
            "2026-09-30T23:00:00Z",
            "2026-10-31T01:00:00Z",
            "2026-11-22T12:00:00Z",
            "2026-11-23T01:00:00Z",
            "2026-11-28T01:00:00Z",
            "2026-11-29T01:00:00Z",
            "2026-11-29T02:00:00Z",
        ];
        let none = Keep::default();
        check(none, &all, &all);
        check(Keep { newest: 2, ..none }, &all, &all[5..]);
        check(Keep { days: 2, ..none }, &all, &[all[4], all[6]]);
        // 22 November is a Sunday, 23 November a Monday.
        check(Keep { weeks: 2, ..none }, &all, &[all[2], all[6]]);
        check(Keep { months: 2, ..none }, &all, &[all[1], all[6]]);
        check(Keep { months: 12, ..none }, &all, &[all[0], all[1], all[6]]);
        check(Keep { newest: 1, days: 2, ..none }, &all, &[all[4], all[6]]);
        check(Keep { newest: 1, ..none }, &[], &[]);
        // What was begun while the clock was ahead is not the newest, and goes before its time neither.
        let ahead = [&all[..], &["2031-01-01T00:00:00Z", "2032-01-01T00:00:00Z"]].concat();
        check(Keep { newest: 1, ..none }, &ahead, &ahead[6..]);
        check(Keep { months: 1, days: 2, ..none }, &ahead, &[all[4], all[6], ahead[7], ahead[8]]);
    }

    proptest! {
        #[test]
        fn the_newest_stays_and_more_keeps_no_less(
            begun in prop::collection::vec(0..4_000_000_000_000_u64, 1..40),
            newest in 0..5_u32, days in 0..5_u32, weeks in 0..5_u32, months in 0..5_u32,
            now in 0..4_000_000_000_000_u64,
        ) {
            let keep = Keep { newest, days, weeks, months };
            let doomed = keep.doomed(begun.clone(), now);
            let last = begun.iter().filter(|at| **at <= now).max();
            prop_assert!(last.is_none_or(|last| !doomed.contains(last)));
            prop_assert!(doomed.iter().all(|at| *at <= now));
            let more = Keep { newest: newest + 1, days: days + 1, weeks: weeks + 1, months: months + 1 };
            if !keep.is_everything() {
                prop_assert!(more.doomed(begun, now).is_subset(&doomed));
            }
        }
    }
}

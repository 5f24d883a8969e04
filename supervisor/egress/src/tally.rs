//! The bytes of one tenant: of this day, against a limit; and what was refused, told or counted.

use std::time::Duration;

use types::UnixMillis;

/// Milliseconds of a day.
const DAY: UnixMillis = 86_400_000;

/// Milliseconds in which so many refusals are told.
const MINUTE: UnixMillis = 60_000;

/// Refusals that are told in one minute: enough to see what happens, few enough that they push
/// nothing else out of the tenant's log.
const TOLD: u32 = 30;

/// Bytes of one UTC day.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    day: UnixMillis,
    bytes: u64,
}

impl Tally {
    /// Adds `bytes`; false where there are more than `most` now.
    pub(crate) fn add(&mut self, now: UnixMillis, bytes: u64, most: u64) -> bool {
        if self.day != now / DAY {
            *self = Self { day: now / DAY, bytes: 0 };
        }
        self.bytes = self.bytes.saturating_add(bytes);
        self.bytes < most
    }
}

/// What becomes of one refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Turn {
    /// It is told by itself.
    Tell,
    /// It is the first that is only counted: the count is told after this time.
    CountFrom(Duration),
    /// It is counted among others.
    Count,
}

/// How often something was told.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    minute: UnixMillis,
    told: u32,
    untold: u64,
}

impl Pace {
    /// What becomes of one more; and how many were counted, where a minute with such has ended.
    pub(crate) fn next(&mut self, now: UnixMillis) -> (Turn, Option<u64>) {
        let mut counted = None;
        if self.minute != now / MINUTE {
            counted = self.take();
            *self = Self { minute: now / MINUTE, ..Self::default() };
        }
        if self.told < TOLD {
            self.told += 1;
            return (Turn::Tell, counted);
        }
        self.untold = self.untold.saturating_add(1);
        let turn = if self.untold == 1 {
            Turn::CountFrom(Duration::from_millis(MINUTE - now % MINUTE))
        } else {
            Turn::Count
        };
        (turn, counted)
    }

    /// How many were counted since this was last asked, if any.
    pub(crate) fn take(&mut self) -> Option<u64> {
        Some(std::mem::take(&mut self.untold)).filter(|it| *it > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_has_so_many_bytes() {
        let mut tally = Tally::default();
        assert!(tally.add(DAY, 99, 100));
        assert!(!tally.add(DAY, 1, 100));
        assert!(!tally.add(2 * DAY - 1, 0, 100));
        assert!(tally.add(2 * DAY, 0, 100));
        assert!(!tally.add(2 * DAY, u64::MAX, 100) && !tally.add(2 * DAY, u64::MAX, 100));
    }

    #[test]
    fn a_minute_has_so_many_lines_and_the_others_are_counted() {
        let (mut pace, now) = (Pace::default(), MINUTE + 20_000);
        assert!((0..30).all(|_| pace.next(now) == (Turn::Tell, None)));
        assert_eq!(pace.next(now), (Turn::CountFrom(Duration::from_secs(40)), None));
        assert!((0..69).all(|_| pace.next(now) == (Turn::Count, None)));
        assert_eq!(pace.next(2 * MINUTE), (Turn::Tell, Some(70)));
        assert_eq!(pace.next(2 * MINUTE), (Turn::Tell, None));
        assert_eq!(pace.take(), None);
    }

    #[test]
    fn what_was_counted_is_told_once() {
        let mut pace = Pace::default();
        assert_eq!((0..33).filter(|_| pace.next(MINUTE).0 == Turn::Tell).count(), 30);
        assert_eq!((pace.take(), pace.take()), (Some(3), None));
        assert_eq!(pace.next(MINUTE), (Turn::CountFrom(Duration::from_mins(1)), None));
        assert_eq!(pace.next(2 * MINUTE), (Turn::Tell, Some(1)));
    }
}

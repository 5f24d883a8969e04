//! The bytes of one tenant: of this day, against a limit, and what was refused, told now and then.

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

/// How often something was told.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    minute: UnixMillis,
    told: u32,
    untold: u64,
}

impl Pace {
    /// Whether one more may be told; and how many were not, where a minute with such has ended.
    pub(crate) fn next(&mut self, now: UnixMillis) -> (bool, Option<u64>) {
        let mut missed = None;
        if self.minute != now / MINUTE {
            missed = (self.untold > 0).then_some(self.untold);
            *self = Self { minute: now / MINUTE, told: 0, untold: 0 };
        }
        let tell = self.told < TOLD;
        if tell {
            self.told += 1;
        } else {
            self.untold += 1;
        }
        (tell, missed)
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
    fn a_minute_has_so_many_lines_and_the_next_says_how_many_were_left_out() {
        let mut pace = Pace::default();
        let told = (0..100).filter(|_| pace.next(MINUTE).0).count();
        assert_eq!(told, 30);
        assert_eq!(pace.next(2 * MINUTE), (true, Some(70)));
        assert_eq!(pace.next(2 * MINUTE), (true, None));
    }
}

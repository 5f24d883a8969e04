//! Windows start where the UTC clock says. Each has a number, so that two times are of one window when
//! their numbers are equal.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use types::{UnixMillis, Window};

pub(crate) const MINUTE: u64 = 60_000;
const HOUR: u64 = 60 * MINUTE;
pub(crate) const DAY: u64 = 24 * HOUR;

/// The UTC day of `now`, for example `2026-11-22`.
pub fn day(now: UnixMillis) -> String {
    date(now / DAY).to_string()
}

/// The numbers of the windows that hold one time: minutes, hours and days since 1970, and months
/// since the year 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp {
    pub(crate) minute: u64,
    pub(crate) hour: u64,
    pub(crate) day: u64,
    pub(crate) month: u64,
}

impl Stamp {
    pub(crate) fn at(now: UnixMillis) -> Self {
        Self { minute: now / MINUTE, hour: now / HOUR, day: now / DAY, month: month(now / DAY) }
    }

    /// The same, where the calendar need only be asked when another day has begun.
    pub(crate) fn next(self, now: UnixMillis) -> Self {
        let day = now / DAY;
        let month = if day == self.day { self.month } else { month(day) };
        Self { minute: now / MINUTE, hour: now / HOUR, day, month }
    }

    pub(crate) const fn of(&self, window: Window) -> u64 {
        match window {
            Window::Minute => self.minute,
            Window::Hour => self.hour,
            Window::Day => self.day,
            Window::Month => self.month,
        }
    }
}

/// When the window that holds `now` ends.
pub(crate) fn end(window: Window, now: UnixMillis) -> UnixMillis {
    let after = |length: u64| (now / length).saturating_add(1).saturating_mul(length);
    match window {
        Window::Minute => after(MINUTE),
        Window::Hour => after(HOUR),
        Window::Day => after(DAY),
        Window::Month => {
            let last = date(now / DAY).last_of_month();
            let next = last.tomorrow().ok().and_then(|it| it.to_zoned(TimeZone::UTC).ok());
            let next = next.map(|it| it.timestamp().as_millisecond());
            next.and_then(|it| u64::try_from(it).ok()).unwrap_or(UnixMillis::MAX)
        }
    }
}

/// Seconds from `now` to `then`, rounded up, at least 1.
pub(crate) fn seconds_until(then: UnixMillis, now: UnixMillis) -> u64 {
    then.saturating_sub(now).div_ceil(1000).max(1)
}

/// The day that starts `days` after 1970-01-01; the calendar's last one for those beyond it.
fn date(days: u64) -> Date {
    let start = i64::try_from(days.saturating_mul(DAY)).ok();
    let start = start.and_then(|millis| jiff::Timestamp::from_millisecond(millis).ok());
    start.unwrap_or(jiff::Timestamp::MAX).to_zoned(TimeZone::UTC).date()
}

fn month(days: u64) -> u64 {
    let date = date(days);
    let (year, month) = (i64::from(date.year()), i64::from(date.month()));
    u64::try_from(year * 12 + month - 1).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2024-02-29T00:00:00Z.
    const LEAP: UnixMillis = 1_709_164_800_000;

    #[test]
    fn days_have_names() {
        let check = |now, name: &str| assert_eq!(day(now), name);
        check(0, "1970-01-01");
        check(DAY - 1, "1970-01-01");
        check(DAY, "1970-01-02");
        check(1_795_305_600_000, "2026-11-22");
        check(LEAP, "2024-02-29");
        check(u64::MAX, "9999-12-30");
    }

    #[test]
    fn windows_end_where_the_next_begin() {
        let check = |window, now, want| {
            assert_eq!(end(window, now), want);
            let before = Stamp::at(want - 1);
            assert_eq!(before.of(window), Stamp::at(now).of(window));
            assert_eq!(Stamp::at(want).of(window), before.of(window) + 1);
            assert_eq!(before.next(want), Stamp::at(want));
            assert_eq!(end(window, want - 1), want);
        };
        check(Window::Minute, 0, MINUTE);
        check(Window::Minute, 59_999, MINUTE);
        check(Window::Hour, LEAP + 1, LEAP + HOUR);
        check(Window::Day, LEAP, LEAP + DAY);
        check(Window::Month, LEAP, LEAP + DAY);
        check(Window::Month, 0, 31 * DAY);
        check(Window::Month, LEAP + DAY, LEAP + 32 * DAY);
        assert!(end(Window::Month, u64::MAX) > 0);
    }

    #[test]
    fn a_wait_has_a_second_at_least() {
        assert_eq!(seconds_until(60_000, 0), 60);
        assert_eq!(seconds_until(60_000, 59_001), 1);
        assert_eq!(seconds_until(60_000, 60_000), 1);
        assert_eq!(seconds_until(60_000, 70_000), 1);
    }
}

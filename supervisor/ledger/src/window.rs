//! Windows start where the UTC clock says: minutes and days since 1970.

use types::UnixMillis;

pub(crate) const MINUTE: u64 = 60_000;
pub(crate) const DAY: u64 = 24 * 60 * MINUTE;

/// The UTC day of `now`, for example `2026-11-22`.
pub fn day(now: UnixMillis) -> String {
    name(now / DAY)
}

/// The day that starts `days` after 1970-01-01; the calendar's last one for those beyond it.
pub(crate) fn name(days: u64) -> String {
    let start = i64::try_from(days.saturating_mul(DAY)).ok();
    let start = start.and_then(|millis| jiff::Timestamp::from_millisecond(millis).ok());
    let start = start.unwrap_or(jiff::Timestamp::MAX);
    start.to_zoned(jiff::tz::TimeZone::UTC).date().to_string()
}

/// Seconds until the window of `length` that holds `now` ends, rounded up.
pub(crate) const fn seconds_left(now: UnixMillis, length: u64) -> u64 {
    (length - now % length).div_ceil(1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_have_names() {
        let check = |now, name: &str| assert_eq!(day(now), name);
        check(0, "1970-01-01");
        check(DAY - 1, "1970-01-01");
        check(DAY, "1970-01-02");
        check(1_795_305_600_000, "2026-11-22");
        check(1_709_164_800_000, "2024-02-29");
        check(u64::MAX, "9999-12-30");
    }

    #[test]
    fn a_window_ends_within_its_length() {
        assert_eq!(seconds_left(0, MINUTE), 60);
        assert_eq!(seconds_left(59_001, MINUTE), 1);
        assert_eq!(seconds_left(59_999, MINUTE), 1);
        assert_eq!(seconds_left(60_000, MINUTE), 60);
    }
}

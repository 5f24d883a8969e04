//! UTC days, as the files are called.

use types::UnixMillis;

/// Milliseconds of a day.
pub const DAY: u64 = 24 * 60 * 60 * 1000;

/// How the files of days end.
const ENDING: &str = ".jsonl";

/// The UTC day of `at`, for example `2026-11-22`.
pub fn day(at: UnixMillis) -> String {
    let start = i64::try_from(at).ok();
    let start = start.and_then(|millis| jiff::Timestamp::from_millisecond(millis).ok());
    let start = start.unwrap_or(jiff::Timestamp::MAX);
    start.to_zoned(jiff::tz::TimeZone::UTC).date().to_string()
}

/// The file of the UTC day `day`.
pub fn file_name(day: &str) -> String {
    format!("{day}{ENDING}")
}

/// The day whose file is called `name`; none where it is not called as the file of a day.
pub fn is_day_file(name: &str) -> Option<&str> {
    let day = name.strip_suffix(ENDING)?;
    let is_date = day.len() == 10 && day.parse::<jiff::civil::Date>().is_ok();
    is_date.then_some(day)
}

/// The last millisecond of the UTC day `day`; of all time where it is none.
pub fn day_end(day: &str) -> UnixMillis {
    let next = file_day(&file_name(day)).map(|day| day.saturating_add(1).saturating_mul(DAY));
    next.map_or(UnixMillis::MAX, |next| next.saturating_sub(1))
}

/// Days from 1970-01-01 to the day whose file is called `name`; none where it is no day's.
pub(crate) fn file_day(name: &str) -> Option<u64> {
    let date: jiff::civil::Date = is_day_file(name)?.parse().ok()?;
    let start = date.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp().as_millisecond();
    u64::try_from(start).ok().map(|start| start / DAY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_have_files() {
        assert_eq!(day(1_795_305_600_000 - 1), "2026-11-21");
        assert_eq!(day_end("2026-11-21"), 1_795_305_600_000 - 1);
        assert_eq!(file_name(&day(1_795_305_600_000)), "2026-11-22.jsonl");
        assert_eq!(is_day_file("2026-11-22.jsonl"), Some("2026-11-22"));
        for other in ["head.json", "2026-13-22.jsonl", "2026-11-22.jsonl.old", "26-11-22.jsonl"] {
            assert_eq!(is_day_file(other), None, "{other}");
        }
    }
}

//! A UTC day of the calendar.

use std::fmt;
use std::str::FromStr;

use jiff::civil::Date;
use jiff::tz::{Offset, TimeZone};
use serde::de::{Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use types::UnixMillis;

/// Milliseconds of a day.
const LENGTH: u64 = 86_400_000;

/// A UTC day, written like `2026-11-22`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day(u64);

/// Text that is not a day of the calendar from 1970 on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a day is written like 2026-11-22")]
pub struct InvalidDay;

impl Day {
    /// The day that `at` is in.
    pub const fn of(at: UnixMillis) -> Self {
        Self(at / LENGTH)
    }

    /// When it begins.
    pub const fn start(self) -> UnixMillis {
        self.0.saturating_mul(LENGTH)
    }

    /// The one after it.
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// The one before it.
    pub const fn previous(self) -> Self {
        Self(self.0.saturating_sub(1))
    }

    /// The first one of its month.
    pub fn first_of_month(self) -> Self {
        let day = u64::try_from(self.date().day()).unwrap_or(1);
        Self(self.0.saturating_sub(day.saturating_sub(1)))
    }

    /// Its month, for example `2026-11`.
    pub fn month(self) -> String {
        let date = self.date();
        format!("{:04}-{:02}", date.year(), date.month())
    }

    /// In the calendar, whose last day stands for those beyond it.
    fn date(self) -> Date {
        let start = i64::try_from(self.start()).ok();
        let start = start.and_then(|millis| jiff::Timestamp::from_millisecond(millis).ok());
        start.unwrap_or(jiff::Timestamp::MAX).to_zoned(TimeZone::UTC).date()
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let date = self.date();
        write!(f, "{:04}-{:02}-{:02}", date.year(), date.month(), date.day())
    }
}

impl fmt::Debug for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Day {
    type Err = InvalidDay;

    fn from_str(text: &str) -> Result<Self, InvalidDay> {
        let (year, rest) = text.split_once('-').ok_or(InvalidDay)?;
        let (month, day) = rest.split_once('-').ok_or(InvalidDay)?;
        let year = i16::try_from(number(year, 4)?).ok();
        let (month, day) =
            (i8::try_from(number(month, 2)?).ok(), i8::try_from(number(day, 2)?).ok());
        let date = year.zip(month).zip(day);
        let date = date.and_then(|((year, month), day)| Date::new(year, month, day).ok());
        let start = date.and_then(|it| {
            Offset::UTC.to_timestamp(it.to_datetime(jiff::civil::Time::midnight())).ok()
        });
        let start = start.and_then(|it| u64::try_from(it.as_millisecond()).ok());
        start.map(Self::of).ok_or(InvalidDay)
    }
}

/// A number of exactly `digits` digits.
fn number(text: &str, digits: usize) -> Result<u16, InvalidDay> {
    let plain = text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| plain).ok_or(InvalidDay)
}

impl Serialize for Day {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Day {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_str(Text)
    }
}

struct Text;

impl Visitor<'_> for Text {
    type Value = Day;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a day like 2026-11-22")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Day, E> {
        text.parse().map_err(|InvalidDay| E::invalid_value(Unexpected::Str(text), &self))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_have_names() {
        let check = |at: UnixMillis, name: &str| {
            assert_eq!(Day::of(at).to_string(), name);
            assert_eq!(name.parse(), Ok(Day::of(at)));
        };
        check(0, "1970-01-01");
        check(LENGTH - 1, "1970-01-01");
        check(LENGTH, "1970-01-02");
        check(1_795_305_600_000, "2026-11-22");
        check(1_709_164_800_000, "2024-02-29");
        assert_eq!(Day::of(u64::MAX).to_string(), "9999-12-30");
    }

    #[test]
    fn what_is_no_day() {
        for text in ["", "2026", "2026-11", "2026-13-01", "2026-02-29", "2026-1-01", "+026-01-01"] {
            assert_eq!(text.parse::<Day>(), Err(InvalidDay), "{text:?}");
        }
        assert_eq!("1969-12-31".parse::<Day>(), Err(InvalidDay));
    }

    #[test]
    fn days_are_in_months() {
        let day: Day = "2026-12-31".parse().unwrap();
        assert_eq!(day.month(), "2026-12");
        assert_eq!(day.first_of_month().to_string(), "2026-12-01");
        assert_eq!(day.next().to_string(), "2027-01-01");
        assert_eq!(day.next().first_of_month(), day.next());
        assert_eq!(day.next().previous(), day);
    }
}

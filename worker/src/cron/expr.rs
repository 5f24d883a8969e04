//! Cron expressions: five fields, or six with seconds first, in the wall time of a time zone.
//!
//! Pure. Where days of the month and of the week are both restricted, either is enough, as cron
//! has it. A time that the clocks skip is moved behind the gap, and a time that they repeat is
//! taken once, unless the expression means every hour: then it follows real time through both.

use jiff::civil::{Date, DateTime};
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{Timestamp, ToSpan as _};

mod field;

use field::{Bounds, parse};

/// How far ahead a time is looked for: the 29th of February may be eight years away.
const HORIZON_DAYS: usize = 366 * 9;

/// Bytes of an expression.
const MAX_EXPR: usize = 200;

const SECONDS: Bounds = Bounds { name: "second", min: 0, max: 59, words: &[] };
const MINUTES: Bounds = Bounds { name: "minute", min: 0, max: 59, words: &[] };
const HOURS: Bounds = Bounds { name: "hour", min: 0, max: 23, words: &[] };
const DAYS: Bounds = Bounds { name: "day of month", min: 1, max: 31, words: &[] };
const MONTHS: Bounds = Bounds {
    name: "month",
    min: 1,
    max: 12,
    words: &["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"],
};
const WEEKDAYS: Bounds = Bounds {
    name: "day of week",
    min: 0,
    max: 7,
    words: &["sun", "mon", "tue", "wed", "thu", "fri", "sat"],
};

const SHORT: [(&str, &str); 7] = [
    ("@yearly", "0 0 1 1 *"),
    ("@annually", "0 0 1 1 *"),
    ("@monthly", "0 0 1 * *"),
    ("@weekly", "0 0 * * 0"),
    ("@daily", "0 0 * * *"),
    ("@midnight", "0 0 * * *"),
    ("@hourly", "0 * * * *"),
];

/// An expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Expr {
    /// Bit n stands for the value n.
    seconds: u64,
    minutes: u64,
    hours: u64,
    months: u64,
    /// Bit 0 stands for the last day of the month, `L`.
    days: u64,
    any_day: bool,
    /// Bit 0 is Sunday.
    weekdays: u64,
    any_weekday: bool,
}

impl Expr {
    /// Reads an expression, or says what is wrong with it.
    pub(crate) fn new(text: &str) -> Result<Self, String> {
        if text.len() > MAX_EXPR {
            return Err(format!("it has at most {MAX_EXPR} bytes"));
        }
        let lower = text.trim().to_ascii_lowercase();
        let short = SHORT.iter().find(|(name, _)| *name == lower);
        let lower = short.map_or(lower.as_str(), |(_, long)| long);
        let fields: Vec<&str> = lower.split_whitespace().collect();
        let (second, rest) = match fields.as_slice() {
            [_, _, _, _, _] => ("0", fields.as_slice()),
            [second, rest @ ..] if rest.len() == 5 => (*second, rest),
            _ => return Err(format!("it has 5 or 6 fields, not {}", fields.len())),
        };
        let [minute, hour, day, month, weekday] = rest else {
            return Err("it has 5 or 6 fields".to_owned());
        };
        let weekdays = parse(weekday, &WEEKDAYS)?;
        Ok(Self {
            seconds: parse(second, &SECONDS)?,
            minutes: parse(minute, &MINUTES)?,
            hours: parse(hour, &HOURS)?,
            months: parse(month, &MONTHS)?,
            days: if *day == "l" { 1 } else { parse(day, &DAYS)? },
            any_day: field::is_any(day),
            // 7 is Sunday too.
            weekdays: weekdays | (weekdays >> 7 & 1),
            any_weekday: field::is_any(weekday),
        })
    }

    /// The first time after `after`, or `None` where there is none within nine years.
    pub(crate) fn next(&self, after: Timestamp, tz: &TimeZone) -> Option<Timestamp> {
        // The day before is looked at too: a time that was moved behind a gap may lie on it.
        let mut day = tz.to_datetime(after).date().yesterday().ok()?;
        for _ in 0..HORIZON_DAYS {
            if self.is_on(day)
                && let Some(found) = self.in_day(day, after, tz)
            {
                return Some(found);
            }
            day = day.tomorrow().ok()?;
        }
        None
    }

    fn is_on(&self, day: Date) -> bool {
        if !has(self.months, day.month()) {
            return false;
        }
        let by_day = has(self.days, day.day()) || has(self.days, 0) && day == day.last_of_month();
        let by_weekday = has(self.weekdays, day.weekday().to_sunday_zero_offset());
        match (self.any_day, self.any_weekday) {
            (true, true) => true,
            (true, false) => by_weekday,
            (false, true) => by_day,
            (false, false) => by_day || by_weekday,
        }
    }

    fn in_day(&self, day: Date, after: Timestamp, tz: &TimeZone) -> Option<Timestamp> {
        let end = day.checked_add(2.days()).ok()?.to_zoned(tz.clone()).ok()?.timestamp();
        if end <= after {
            return None;
        }
        for hour in (0..24_i8).filter(|hour| has(self.hours, *hour)) {
            let found = self.in_hour(day.at(hour, 0, 0, 0), after, tz);
            if found.is_some() {
                return found;
            }
        }
        None
    }

    /// The earliest time after `after` of one hour on the wall.
    fn in_hour(&self, hour: DateTime, after: Timestamp, tz: &TimeZone) -> Option<Timestamp> {
        let last = tz.to_ambiguous_timestamp(hour.with().minute(59).second(59).build().ok()?);
        if last.later().ok()? <= after {
            return None;
        }
        let mut best: Option<Timestamp> = None;
        for minute in (0..60_i8).filter(|minute| has(self.minutes, *minute)) {
            for second in (0..60_i8).filter(|second| has(self.seconds, *second)) {
                let wall = hour.with().minute(minute).second(second).build().ok()?;
                let found = self.instants(wall, tz).into_iter().flatten();
                best = found.filter(|at| *at > after).chain(best).min();
                if best.is_some() && !is_repeated(wall, tz) {
                    return best;
                }
            }
        }
        best
    }

    /// When the clocks show `wall`: once, or twice where they are put back and that is meant.
    fn instants(&self, wall: DateTime, tz: &TimeZone) -> [Option<Timestamp>; 2] {
        let every_hour = self.hours == (1 << 24) - 1;
        let ambiguous = tz.to_ambiguous_timestamp(wall);
        match ambiguous.offset() {
            AmbiguousOffset::Unambiguous { .. } => [ambiguous.compatible().ok(), None],
            AmbiguousOffset::Gap { .. } if every_hour => [None, None],
            AmbiguousOffset::Gap { .. } => [ambiguous.later().ok(), None],
            AmbiguousOffset::Fold { .. } if every_hour => {
                [ambiguous.earlier().ok(), ambiguous.later().ok()]
            }
            AmbiguousOffset::Fold { .. } => [ambiguous.earlier().ok(), None],
        }
    }
}

fn is_repeated(wall: DateTime, tz: &TimeZone) -> bool {
    matches!(tz.to_ambiguous_timestamp(wall).offset(), AmbiguousOffset::Fold { .. })
}

fn has(bits: u64, value: i8) -> bool {
    u32::try_from(value)
        .ok()
        .and_then(|value| bits.checked_shr(value))
        .is_some_and(|it| it & 1 == 1)
}

#[cfg(test)]
mod tests;

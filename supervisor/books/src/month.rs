//! A month of the calendar.

use std::fmt;
use std::str::FromStr;

use ledger::Day;

use crate::Error;

/// Longer than any month and shorter than two.
const MORE_THAN_A_MONTH: u64 = 32 * 86_400_000;

/// A month, written like `2026-11`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Month(Day);

impl Month {
    /// The month that `day` is in.
    pub fn of(day: Day) -> Self {
        Self(day.first_of_month())
    }

    /// Its first day.
    pub const fn first(self) -> Day {
        self.0
    }

    /// Its last day.
    pub fn last(self) -> Day {
        self.next().0.previous()
    }

    /// The one after it.
    pub fn next(self) -> Self {
        Self::of(Day::of(self.0.start().saturating_add(MORE_THAN_A_MONTH)))
    }

    /// The one before it.
    pub fn previous(self) -> Self {
        Self::of(self.0.previous())
    }
}

impl fmt::Display for Month {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.month())
    }
}

impl FromStr for Month {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let first = format!("{text}-01").parse();
        first.map(Self).map_err(|_invalid: ledger::InvalidDay| Error::Month)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn months_have_first_and_last_days() {
        let check = |month: &str, last: &str, next: &str| {
            let month: Month = month.parse().unwrap();
            assert_eq!(month.last().to_string(), last);
            assert_eq!(month.next().to_string(), next);
            assert_eq!(month.next().previous(), month);
        };
        check("2026-11", "2026-11-30", "2026-12");
        check("2026-12", "2026-12-31", "2027-01");
        check("2024-02", "2024-02-29", "2024-03");
        for text in ["2026", "2026-13", "2026-11-02", "x"] {
            text.parse::<Month>().unwrap_err();
        }
    }
}

//! Sizes, money, shares and times as people type them, read exactly and without floating point.

use std::str::FromStr;

use control_api::Timestamp;
use serde_json::value::RawValue;
use types::{Clock as _, Role, SystemClock};

/// Text that is not what a flag asks for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Invalid(&'static str);

/// A number of bytes: `1048576`, `256M`, `1G`, `512KiB`. Units are powers of 1024.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size(pub u64);

/// Micro-dollars, typed as dollars: `2`, `0.50`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usd(pub u64);

/// Thousandths of one core, typed as cores: `1`, `0.5`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cpu(pub u32);

/// When something ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expiry {
    /// So many milliseconds from now.
    After(u64),
    /// At this time.
    At(Timestamp),
}

impl Expiry {
    /// The time itself, by this machine's clock.
    pub(crate) fn time(self) -> Timestamp {
        match self {
            Self::After(millis) => SystemClock.now().saturating_add(millis).into(),
            Self::At(time) => time,
        }
    }
}

impl FromStr for Size {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        const INVALID: Invalid = Invalid("a size is a whole number with K, M, G or T, as in 256M");
        let (number, unit) = split_number(text).ok_or(INVALID)?;
        let shift = match unit.strip_suffix("iB").unwrap_or(unit) {
            "" | "B" if !unit.ends_with("iB") => 0,
            "K" | "k" => 10,
            "M" | "m" => 20,
            "G" | "g" => 30,
            "T" | "t" => 40,
            _ => return Err(INVALID),
        };
        number.checked_mul(1 << shift).map(Self).ok_or(INVALID)
    }
}

impl FromStr for Usd {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        decimal(text, 6).map(Self).ok_or(Invalid("an amount is dollars, as in 2 or 0.50"))
    }
}

impl FromStr for Cpu {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        const INVALID: Invalid = Invalid("a share of CPU time is in cores, as in 1 or 0.5");
        let millis = decimal(text, 3).and_then(|millis| u32::try_from(millis).ok());
        millis.map(Self).ok_or(INVALID)
    }
}

impl FromStr for Expiry {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        const INVALID: Invalid = Invalid("a time is 30d, 12h, 15m, or 2027-01-31T00:00:00Z");
        let seconds = split_number(text).and_then(|(number, unit)| {
            let unit = match unit {
                "s" => 1,
                "m" => 60,
                "h" => 3600,
                "d" => 24 * 3600,
                "w" => 7 * 24 * 3600,
                _ => return None,
            };
            number.checked_mul(unit)
        });
        match seconds.and_then(|seconds| seconds.checked_mul(1000)) {
            Some(0) => Err(INVALID),
            Some(millis) => Ok(Self::After(millis)),
            None => text.parse().map(Self::At).or(Err(INVALID)),
        }
    }
}

/// A role, by its name.
pub(crate) fn role(text: &str) -> Result<Role, Invalid> {
    let known = [Role::Auditor, Role::Operator, Role::Owner];
    let role = known.into_iter().find(|role| role.name() == text);
    role.ok_or(Invalid("a role is auditor, operator or owner"))
}

/// JSON text, kept as it was typed.
pub(crate) fn json(text: &str) -> Result<Box<RawValue>, serde_json::Error> {
    serde_json::from_str(text)
}

/// Leading digits and what follows them.
fn split_number(text: &str) -> Option<(u64, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(end)?;
    Some((number.parse().ok()?, unit))
}

/// A decimal number without sign, in units of 10^-`places`; more places than that are refused.
fn decimal(text: &str, places: usize) -> Option<u64> {
    let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(part) || part.len() > places {
        return None;
    }
    format!("{whole}{part:0<places$}").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        let check = |text: &str, bytes: Option<u64>| {
            assert_eq!(text.parse::<Size>().ok(), bytes.map(Size), "{text:?}");
        };
        check("0", Some(0));
        check("1048576", Some(1 << 20));
        check("7B", Some(7));
        check("256M", Some(256 << 20));
        check("1g", Some(1 << 30));
        check("512KiB", Some(512 << 10));
        check("2T", Some(2 << 40));
        for wrong in ["", "M", "-1", "1.5G", "1 G", "1GB", "1MM", "iB", "1iB", "99999999999T"] {
            check(wrong, None);
        }
    }

    #[test]
    fn money_and_cores_are_exact() {
        let check = |text: &str, micros: Option<u64>| {
            assert_eq!(text.parse::<Usd>().ok(), micros.map(Usd), "{text:?}");
        };
        check("2", Some(2_000_000));
        check("0.1", Some(100_000));
        check("19.990001", Some(19_990_001));
        for wrong in ["", ".", "1.", ".5", "-1", "1e3", "0.0000001", "1,5", "99999999999999999999"]
        {
            check(wrong, None);
        }
        assert_eq!("0.5".parse(), Ok(Cpu(500)));
        assert_eq!("2".parse(), Ok(Cpu(2000)));
        assert_eq!("0.0005".parse::<Cpu>().ok(), None);
        assert_eq!("5000000".parse::<Cpu>().ok(), None);
    }

    #[test]
    fn times() {
        let check = |text: &str, expiry: Option<Expiry>| {
            assert_eq!(text.parse::<Expiry>().ok(), expiry, "{text:?}");
        };
        check("30d", Some(Expiry::After(30 * 86_400_000)));
        check("5m", Some(Expiry::After(300_000)));
        check("1970-01-01T00:00:01Z", Some(Expiry::At(1000.into())));
        for wrong in ["", "0d", "30", "d", "-1d", "tomorrow", "2027-01-31"] {
            check(wrong, None);
        }
    }

    #[test]
    fn roles() {
        assert_eq!(role("owner"), Ok(Role::Owner));
        role("root").unwrap_err();
    }
}

//! When a tenant's worker that has nothing to do is put to sleep.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// When a tenant's worker sleeps. As text: `default`, `never`, `warm`, or seconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Sleep {
    /// As the operator has set it for all tenants.
    #[default]
    Default,
    /// So many seconds after its last work.
    After(u32),
    /// Not of itself; it is started by its first request, and gives way where memory is short.
    Never,
    /// It is always awake: started with the gateway, after a crash and after a restart. Where memory is
    /// short it gives way last.
    Warm,
}

/// A text that says no such thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("default, never, warm, or seconds from 1 to 4294967295")]
pub struct InvalidSleep;

impl Sleep {
    /// What holds where the operator says nothing.
    pub const USUAL: Self = Self::After(900);

    /// This, or what stands for the operator's default.
    pub fn or(self, default: Self) -> Self {
        if self == Self::Default { default } else { self }
    }
}

impl FromStr for Sleep {
    type Err = InvalidSleep;

    fn from_str(text: &str) -> Result<Self, InvalidSleep> {
        match text {
            "default" => Ok(Self::Default),
            "never" => Ok(Self::Never),
            "warm" => Ok(Self::Warm),
            // 0 was the word for never before there were others.
            seconds => seconds.parse::<u32>().ok().map(Self::from).ok_or(InvalidSleep),
        }
    }
}

impl From<u32> for Sleep {
    fn from(seconds: u32) -> Self {
        if seconds == 0 { Self::Never } else { Self::After(seconds) }
    }
}

impl fmt::Display for Sleep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::After(seconds) => write!(f, "{seconds}"),
            Self::Never => f.write_str("never"),
            Self::Warm => f.write_str("warm"),
        }
    }
}

impl Serialize for Sleep {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Sleep {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_read_as_it_is_written() {
        let check = |text: &str, sleep: Sleep| {
            assert_eq!(text.parse(), Ok(sleep));
            assert_eq!(sleep.to_string(), text);
            let json = serde_json::to_string(&sleep).unwrap();
            assert_eq!(serde_json::from_str::<Sleep>(&json).unwrap(), sleep);
        };
        check("default", Sleep::Default);
        check("never", Sleep::Never);
        check("warm", Sleep::Warm);
        check("60", Sleep::After(60));
        assert_eq!("0".parse(), Ok(Sleep::Never));
        for text in ["", "-1", "soon", "4294967296", "1 s"] {
            assert_eq!(text.parse::<Sleep>(), Err(InvalidSleep), "{text}");
        }
    }

    #[test]
    fn only_the_default_gives_way_to_the_operators() {
        assert_eq!(Sleep::Default.or(Sleep::Warm), Sleep::Warm);
        assert_eq!(Sleep::After(1).or(Sleep::Warm), Sleep::After(1));
    }
}

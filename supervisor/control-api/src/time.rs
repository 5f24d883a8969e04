//! Points in time as the control plane writes them: RFC 3339, UTC, milliseconds.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use types::UnixMillis;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{KnownFormat, ObjectBuilder, Schema, SchemaFormat, Type};
use utoipa::{PartialSchema, ToSchema};

/// A point in time, for example `2026-11-22T09:30:00.000Z`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Timestamp(UnixMillis);

impl Timestamp {
    /// Milliseconds since 1970-01-01T00:00:00Z.
    pub const fn millis(self) -> UnixMillis {
        self.0
    }
}

impl From<UnixMillis> for Timestamp {
    fn from(millis: UnixMillis) -> Self {
        Self(millis)
    }
}

impl FromStr for Timestamp {
    type Err = jiff::Error;

    fn from_str(text: &str) -> Result<Self, jiff::Error> {
        let millis = text.parse::<jiff::Timestamp>()?.as_millisecond();
        Ok(Self(UnixMillis::try_from(millis).unwrap_or_default()))
    }
}

impl TryFrom<String> for Timestamp {
    type Error = jiff::Error;

    fn try_from(text: String) -> Result<Self, jiff::Error> {
        text.parse()
    }
}

impl From<Timestamp> for String {
    fn from(time: Timestamp) -> Self {
        time.to_string()
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = i64::try_from(self.0).unwrap_or(i64::MAX);
        // A time past the year 9999 has no RFC 3339 form; the last one that has stands for it.
        let time = jiff::Timestamp::from_millisecond(millis).unwrap_or(jiff::Timestamp::MAX);
        write!(f, "{time:.3}")
    }
}

impl PartialSchema for Timestamp {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
            .description(Some("RFC 3339, UTC."))
            .into()
    }
}

impl ToSchema for Timestamp {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn written_and_read_back() {
        let check = |millis: u64, text: &str| {
            assert_eq!(Timestamp::from(millis).to_string(), text);
            assert_eq!(text.parse::<Timestamp>().unwrap().millis(), millis);
        };
        check(0, "1970-01-01T00:00:00.000Z");
        check(1_795_334_400_123, "2026-11-22T08:00:00.123Z");
        assert_eq!("2026-11-22T09:00:00+01:00".parse::<Timestamp>().unwrap().millis() % 1000, 0);
        "tomorrow".parse::<Timestamp>().unwrap_err();
        assert!(Timestamp::from(u64::MAX).to_string().starts_with("9999-"));
    }
}

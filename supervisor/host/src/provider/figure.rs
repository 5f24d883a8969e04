//! One figure of a provider's count. What is no count of tokens counts as not said: a provider that
//! counts wrong must neither end an answer nor spoil an account.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// The most tokens that are believed: thousands of times what any model takes or makes in one call.
const MAX: u64 = 1 << 32;

/// A count of tokens; 0 where there is none that can be believed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Figure(u64);

impl Figure {
    pub(super) const fn tokens(self) -> u64 {
        self.0
    }
}

impl<'de> Deserialize<'de> for Figure {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(Any)
    }
}

/// Takes whatever there is.
struct Any;

impl<'de> Visitor<'de> for Any {
    type Value = Figure;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a count of tokens")
    }

    fn visit_u64<E: Error>(self, figure: u64) -> Result<Figure, E> {
        Ok(Figure(if figure > MAX { 0 } else { figure }))
    }

    fn visit_i64<E: Error>(self, figure: i64) -> Result<Figure, E> {
        self.visit_u64(u64::try_from(figure).unwrap_or(0))
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Figure, E> {
        Ok(Figure(0))
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Figure, E> {
        Ok(Figure(0))
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<Figure, E> {
        Ok(Figure(0))
    }

    fn visit_unit<E: Error>(self) -> Result<Figure, E> {
        Ok(Figure(0))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Figure, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Figure(0))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Figure, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Figure(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_count_was_not_said() {
        let check = |json: &str, want: u64| {
            assert_eq!(serde_json::from_str::<Figure>(json).unwrap().tokens(), want, "{json}");
        };
        check("7", 7);
        check("4294967296", MAX);
        check("4294967297", 0);
        check("18446744073709551615", 0);
        check("-1", 0);
        check("1.5", 0);
        check("\"7\"", 0);
        check("null", 0);
        check("true", 0);
        check("[1]", 0);
        check("{\"a\":1}", 0);
    }
}

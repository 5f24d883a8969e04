//! The price table: what each model of each provider costs from which day on. A file of the operator's
//! with a closed schema; what it does not name has no price.

use std::sync::Arc;

use serde::{Deserialize, Deserializer};
use types::UnixMillis;

use crate::{Day, Price, Tier};

/// Bytes of a price file: tens of thousands of entries.
const MAX_BYTES: usize = 4 << 20;

/// Entries of a table; more than all providers together have models.
const MAX_ENTRIES: usize = 16_384;

/// Prices of one entry that depend on the length of the input.
const MAX_TIERS: usize = 8;

/// The dearest price, in micro-dollars for a million tokens: a dollar for each token. The most that a
/// call can cost is then far from what an integer holds.
const MAX_RATE: u64 = 1_000_000_000_000;

/// Bytes of a version or a name.
const MAX_NAME: usize = 128;

/// Bytes of a source.
const MAX_SOURCE: usize = 512;

/// A price, and the version of the table that it comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Priced {
    /// The price.
    pub price: Arc<Price>,
    /// The version of its table.
    pub version: Arc<str>,
}

/// What one model costs, by day. Nothing where nobody has said so.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Prices {
    /// With the day from which each holds, oldest first.
    dated: Vec<(Day, Priced)>,
}

/// Prices of models, by provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PriceTable {
    version: Arc<str>,
    entries: Vec<PriceEntry>,
}

/// What a model costs from a day on, and where that is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PriceEntry {
    /// The provider, by the operator's name for it, or by the language that it speaks.
    pub provider: String,
    /// The model, exactly as the provider calls it.
    pub model: String,
    /// The first day of the price.
    pub from: Day,
    /// Where the price was read.
    pub source: String,
    /// When it was read.
    pub retrieved: Day,
    /// The price.
    pub price: Arc<Price>,
}

/// A file that is no price table.
#[derive(Debug, thiserror::Error)]
pub enum PriceError {
    /// Too large.
    #[error("the price file has more than {MAX_BYTES} bytes")]
    Large,
    /// Not of the schema. The text names the field.
    #[error("the price file cannot be read: {0}")]
    Schema(serde_json::Error),
    /// A value that cannot be used.
    #[error("{place}{field}: {want}")]
    Field {
        /// Where: `entries[3].`, or nothing at the top.
        place: String,
        /// The field.
        field: &'static str,
        /// What it must be.
        want: String,
    },
}

/// Deserialises fields so that what is wrong with one names it.
macro_rules! named {
    ($($field:ident),+) => {
        mod named {
            use serde::de::{Deserialize, Deserializer, Error};
            $(pub(super) fn $field<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
                from: D,
            ) -> Result<T, D::Error> {
                let name = stringify!($field);
                T::deserialize(from).map_err(|err| D::Error::custom(format_args!("{name}: {err}")))
            })+
        }
    };
}

named!(
    version, entries, provider, model, from, source, retrieved, above, input, output, cached,
    reasoning, tiers
);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(deserialize_with = "named::version")]
    version: String,
    #[serde(deserialize_with = "named::entries")]
    entries: Vec<Written>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    #[serde(deserialize_with = "named::provider")]
    provider: String,
    #[serde(deserialize_with = "named::model")]
    model: String,
    #[serde(deserialize_with = "named::from")]
    from: Day,
    #[serde(deserialize_with = "named::source")]
    source: String,
    #[serde(deserialize_with = "named::retrieved")]
    retrieved: Day,
    #[serde(deserialize_with = "named::input")]
    input: Rate,
    #[serde(deserialize_with = "named::output")]
    output: Rate,
    #[serde(default, deserialize_with = "named::cached")]
    cached: Option<Rate>,
    #[serde(default, deserialize_with = "named::reasoning")]
    reasoning: Option<Rate>,
    #[serde(default, deserialize_with = "named::tiers")]
    tiers: Vec<WrittenTier>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenTier {
    #[serde(deserialize_with = "named::above")]
    above: u64,
    #[serde(deserialize_with = "named::input")]
    input: Rate,
    #[serde(deserialize_with = "named::output")]
    output: Rate,
    #[serde(default, deserialize_with = "named::cached")]
    cached: Option<Rate>,
    #[serde(default, deserialize_with = "named::reasoning")]
    reasoning: Option<Rate>,
}

/// Micro-dollars for a million tokens.
#[derive(Clone, Copy)]
struct Rate(u64);

impl<'de> Deserialize<'de> for Rate {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let rate = u64::deserialize(from)?;
        if rate > MAX_RATE {
            let why = format_args!("a price has at most {MAX_RATE} micro-dollars");
            return Err(serde::de::Error::custom(why));
        }
        Ok(Self(rate))
    }
}

impl PriceTable {
    /// The price file that comes with this version. Nothing uses it that does not ask for it by name.
    pub const SHIPPED: &[u8] = include_bytes!("../prices.json");

    /// Reads a price file.
    ///
    /// # Errors
    /// When it has a field that is not known, lacks one, or a value cannot be used; the text says which.
    pub fn parse(file: &[u8]) -> Result<Self, PriceError> {
        if file.len() > MAX_BYTES {
            return Err(PriceError::Large);
        }
        let File { version, entries } = serde_json::from_slice(file).map_err(PriceError::Schema)?;
        check_name("", "version", &version)?;
        if entries.len() > MAX_ENTRIES {
            return Err(wrong("", "entries", format!("at most {MAX_ENTRIES}")));
        }
        let read = |(index, entry)| PriceEntry::read(&format!("entries[{index}]."), entry);
        let entries = entries.into_iter().enumerate().map(read).collect::<Result<Vec<_>, _>>()?;
        let mut seen = std::collections::HashSet::with_capacity(entries.len());
        for (index, entry) in entries.iter().enumerate() {
            if !seen.insert((&entry.provider, &entry.model, entry.from)) {
                let want = "there is another price of this model from the same day";
                return Err(wrong(&format!("entries[{index}]."), "from", want.to_owned()));
            }
        }
        Ok(Self { version: version.into(), entries })
    }

    /// The prices that come with this version, each marked with its source and the day on which it was
    /// read. They are to be used only where the operator asks for them.
    ///
    /// # Errors
    /// Never: the file is part of the program, and a test reads it.
    pub fn shipped() -> Result<Self, PriceError> {
        Self::parse(Self::SHIPPED)
    }

    /// What people call this table.
    pub const fn version(&self) -> &Arc<str> {
        &self.version
    }

    /// Every entry, in the order of the file.
    pub fn entries(&self) -> &[PriceEntry] {
        &self.entries
    }

    /// What `model` costs at the provider that the operator calls `name` and whose language is `kind`.
    /// An entry for the name goes before one for the kind. The model must be the same to the letter.
    pub fn prices(&self, name: &str, kind: &str, model: &str) -> Prices {
        let named = |provider: &str| {
            let of = self.entries.iter();
            let of = of.filter(|it| it.provider == provider && it.model == model);
            let dated = |entry: &PriceEntry| {
                let (price, version) = (Arc::clone(&entry.price), Arc::clone(&self.version));
                (entry.from, Priced { price, version })
            };
            let mut dated: Vec<_> = of.map(dated).collect();
            dated.sort_by_key(|(from, _)| *from);
            Prices { dated }
        };
        let prices = named(name);
        if prices.dated.is_empty() { named(kind) } else { prices }
    }
}

impl Prices {
    /// One price for all days.
    pub fn always(price: Price, version: &str) -> Self {
        let priced = Priced { price: Arc::new(price), version: version.into() };
        Self { dated: vec![(Day::of(0), priced)] }
    }

    /// The price at `now`; none before the first one holds.
    pub fn at(&self, now: UnixMillis) -> Option<&Priced> {
        let today = Day::of(now);
        self.dated.iter().rev().find(|(from, _)| *from <= today).map(|(_, priced)| priced)
    }
}

impl PriceEntry {
    fn read(place: &str, written: Written) -> Result<Self, PriceError> {
        let Written { provider, model, from, source, retrieved, .. } = written;
        check_name(place, "provider", &provider)?;
        check_name(place, "model", &model)?;
        if !(1..=MAX_SOURCE).contains(&source.len()) {
            return Err(wrong(place, "source", format!("1 to {MAX_SOURCE} bytes")));
        }
        let tiers: Vec<_> = written.tiers.iter().map(WrittenTier::tier).collect();
        let ascend = tiers.iter().zip(tiers.iter().skip(1)).all(|(a, b)| a.above < b.above);
        if tiers.len() > MAX_TIERS || !ascend {
            let want = format!("at most {MAX_TIERS}, each above more tokens than the one before");
            return Err(wrong(place, "tiers", want));
        }
        let price = Price {
            input: written.input.0,
            output: written.output.0,
            cached: written.cached.map(|it| it.0),
            reasoning: written.reasoning.map(|it| it.0),
            tiers,
        };
        Ok(Self { provider, model, from, source, retrieved, price: Arc::new(price) })
    }
}

impl WrittenTier {
    fn tier(&self) -> Tier {
        Tier {
            above: self.above,
            input: self.input.0,
            output: self.output.0,
            cached: self.cached.map(|it| it.0),
            reasoning: self.reasoning.map(|it| it.0),
        }
    }
}

fn check_name(place: &str, field: &'static str, name: &str) -> Result<(), PriceError> {
    let plain = name.bytes().all(|byte| byte.is_ascii_graphic());
    if plain && (1..=MAX_NAME).contains(&name.len()) {
        Ok(())
    } else {
        Err(wrong(place, field, format!("1 to {MAX_NAME} visible characters")))
    }
}

fn wrong(place: &str, field: &'static str, want: String) -> PriceError {
    PriceError::Field { place: place.to_owned(), field, want }
}

#[cfg(test)]
mod tests;

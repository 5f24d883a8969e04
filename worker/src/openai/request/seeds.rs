//! Readers of single values, each of which says what it wants, and the path to what was wrong.

use std::cell::RefCell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, SeqAccess, Unexpected, Visitor};
use serde_json::error::Category;

use super::super::error::Fault;

/// Stop sequences of one request, as at `OpenAI`.
const MAX_STOPS: usize = 4;
/// Bytes of one stop sequence.
const MAX_STOP: usize = 1024;

/// Where the reading failed, and why where that is not serde's own reason.
#[derive(Debug, Default)]
pub(in crate::openai) struct Context {
    /// Innermost first.
    path: RefCell<Vec<String>>,
    fault: RefCell<Option<Fault>>,
}

impl Context {
    /// Notes that `err` happened inside `field`.
    pub(in crate::openai) fn at<E: Error>(&self, field: &str, err: E) -> E {
        self.path.borrow_mut().push(field.to_owned());
        err
    }

    /// Fails with `fault` instead of a sentence of serde's.
    pub(in crate::openai) fn refuse<E: Error>(&self, fault: Fault) -> E {
        self.fault.borrow_mut().get_or_insert(fault);
        E::custom("refused")
    }

    /// What the client is told.
    pub(in crate::openai) fn fault(&self, err: &serde_json::Error) -> Fault {
        if let Some(fault) = self.fault.borrow_mut().take() {
            return fault;
        }
        match err.classify() {
            Category::Data => {
                let path = self.path();
                let message =
                    if path.is_empty() { err.to_string() } else { format!("{path}: {err}") };
                Fault::unprocessable(&path, message)
            }
            Category::Io | Category::Syntax | Category::Eof => {
                Fault::invalid(None, format!("The body is not valid JSON: {err}."))
            }
        }
    }

    fn path(&self) -> String {
        let mut path = String::new();
        for part in self.path.borrow().iter().rev() {
            if !path.is_empty() && !part.starts_with('[') {
                path.push('.');
            }
            path.push_str(part);
        }
        path
    }
}

/// A value that may be null.
pub(in crate::openai) struct Maybe<S>(pub(in crate::openai) S);

impl<'de, S: DeserializeSeed<'de>> DeserializeSeed<'de> for Maybe<S> {
    type Value = Option<S::Value>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_option(self)
    }
}

impl<'de, S: DeserializeSeed<'de>> Visitor<'de> for Maybe<S> {
    type Value = Option<S::Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value or null")
    }

    fn visit_none<E: Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        self.0.deserialize(deserializer).map(Some)
    }
}

/// Makes a visitor usable as a seed by asking for whatever is there.
macro_rules! seed {
    ($Type:ty => $Value:ty) => {
        impl<'de> DeserializeSeed<'de> for $Type {
            type Value = $Value;

            fn deserialize<D: Deserializer<'de>>(
                self,
                deserializer: D,
            ) -> Result<$Value, D::Error> {
                deserializer.deserialize_any(self)
            }
        }
    };
}

/// A number in a range.
#[derive(Debug, Clone, Copy)]
pub(in crate::openai) struct Number {
    pub(in crate::openai) min: f64,
    pub(in crate::openai) max: f64,
}

seed!(Number => f64);

impl Visitor<'_> for Number {
    type Value = f64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a number from {} to {}", self.min, self.max)
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<f64, E> {
        if (self.min..=self.max).contains(&value) {
            Ok(value)
        } else {
            Err(E::invalid_value(Unexpected::Float(value), &self))
        }
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<f64, E> {
        let small = u32::try_from(value);
        let small =
            small.map_err(|_too_large| E::invalid_value(Unexpected::Unsigned(value), &self));
        self.visit_f64(small?.into())
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<f64, E> {
        let small = i32::try_from(value);
        let small = small.map_err(|_too_large| E::invalid_value(Unexpected::Signed(value), &self));
        self.visit_f64(small?.into())
    }
}

/// An integer in a range.
#[derive(Debug, Clone, Copy)]
pub(in crate::openai) struct Integer {
    pub(in crate::openai) min: i64,
    pub(in crate::openai) max: i64,
}

seed!(Integer => i64);

impl Visitor<'_> for Integer {
    type Value = i64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.min == self.max {
            write!(f, "{}", self.min)
        } else {
            write!(f, "an integer from {} to {}", self.min, self.max)
        }
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<i64, E> {
        if (self.min..=self.max).contains(&value) {
            Ok(value)
        } else {
            Err(E::invalid_value(Unexpected::Signed(value), &self))
        }
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<i64, E> {
        let signed = i64::try_from(value);
        let signed =
            signed.map_err(|_too_large| E::invalid_value(Unexpected::Unsigned(value), &self));
        self.visit_i64(signed?)
    }
}

/// True or false.
#[derive(Debug, Clone, Copy)]
pub(in crate::openai) struct Flag;

seed!(Flag => bool);

impl Visitor<'_> for Flag {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("true or false")
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<bool, E> {
        Ok(value)
    }
}

/// Text of a bounded length.
#[derive(Debug, Clone, Copy)]
pub(in crate::openai) struct Text {
    pub(in crate::openai) max: usize,
}

seed!(Text => String);

impl Visitor<'_> for Text {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a string of at most {} bytes", self.max)
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<String, E> {
        if value.len() <= self.max {
            Ok(value.to_owned())
        } else {
            Err(E::invalid_length(value.len(), &self))
        }
    }
}

/// One of some words.
#[derive(Debug, Clone, Copy)]
pub(in crate::openai) struct OneOf(pub(in crate::openai) &'static [&'static str]);

seed!(OneOf => String);

impl Visitor<'_> for OneOf {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "one of {}", self.0.join(", "))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<String, E> {
        if self.0.contains(&value) {
            Ok(value.to_owned())
        } else {
            Err(E::invalid_value(Unexpected::Str(value), &self))
        }
    }
}

/// Stop sequences: one, or a list.
#[derive(Debug, Clone, Copy)]
pub(in crate::openai) struct Stop;

seed!(Stop => Vec<String>);

impl<'de> Visitor<'de> for Stop {
    type Value = Vec<String>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a string, or at most {MAX_STOPS} strings, of at most {MAX_STOP} bytes")
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Vec<String>, E> {
        Ok(vec![Text { max: MAX_STOP }.visit_str(value)?])
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Vec<String>, A::Error> {
        let mut stops = Vec::new();
        while let Some(stop) = seq.next_element_seed(Text { max: MAX_STOP })? {
            stops.push(stop);
            if stops.len() > MAX_STOPS {
                return Err(A::Error::invalid_length(stops.len(), &self));
            }
        }
        Ok(stops)
    }
}

//! The arguments of a call as a model wrote them: each is taken by its name, with its bound.
//!
//! What is wrong is said with the name and the limit, so that a model can put it right.

use std::ops::RangeInclusive;

use serde_json::{Map, Value};

use super::Failure;

/// Arguments that were not taken yet.
#[derive(Debug)]
pub(super) struct Arguments(Map<String, Value>);

impl Arguments {
    /// All arguments of a call.
    pub(super) fn new(value: Value) -> Result<Self, Failure> {
        match value {
            Value::Object(map) => Ok(Self(map)),
            Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::String(_)
            | Value::Array(_) => {
                Err(Failure::Invalid("the arguments must be an object".to_owned()))
            }
        }
    }

    /// An argument under any one of its names. `null` is as good as nothing.
    pub(super) fn value(&mut self, names: &[&'static str]) -> Result<Option<Value>, Failure> {
        let mut found: Option<(&str, Value)> = None;
        for name in names {
            let Some(value) = self.0.remove(*name).filter(|it| !it.is_null()) else { continue };
            if let Some((other, _)) = found {
                return Err(Failure::Invalid(format!(
                    "{other} and {name} mean the same: give one"
                )));
            }
            found = Some((name, value));
        }
        Ok(found.map(|(_, value)| value))
    }

    /// A text of at most `max` bytes.
    pub(super) fn text(
        &mut self,
        names: &[&'static str],
        max: usize,
    ) -> Result<Option<String>, Failure> {
        match self.value(names)? {
            None => Ok(None),
            Some(Value::String(text)) if text.len() <= max => Ok(Some(text)),
            Some(Value::String(_)) => Err(invalid(names, &format!("has at most {max} bytes"))),
            Some(_) => Err(invalid(names, "must be a text")),
        }
    }

    /// A text that must be there, of at most `max` bytes.
    pub(super) fn required(
        &mut self,
        names: &[&'static str],
        max: usize,
    ) -> Result<String, Failure> {
        self.text(names, max)?.ok_or_else(|| invalid(names, "is missing"))
    }

    /// One of a few words.
    pub(super) fn word(
        &mut self,
        names: &[&'static str],
        words: &[&'static str],
    ) -> Result<Option<&'static str>, Failure> {
        let Some(text) = self.text(names, 64)? else { return Ok(None) };
        let known = words.iter().copied().find(|word| *word == text);
        known
            .map(Some)
            .ok_or_else(|| invalid(names, &format!("must be one of {}", words.join(", "))))
    }

    /// A whole number within `bounds`.
    pub(super) fn whole(
        &mut self,
        names: &[&'static str],
        bounds: RangeInclusive<u64>,
    ) -> Result<Option<u64>, Failure> {
        let Some(value) = self.value(names)? else { return Ok(None) };
        let (low, high) = (bounds.start(), bounds.end());
        let number = value.as_u64().filter(|number| bounds.contains(number));
        number
            .map(Some)
            .ok_or_else(|| invalid(names, &format!("must be a whole number from {low} to {high}")))
    }

    /// A fraction from 0 to 1.
    pub(super) fn fraction(&mut self, names: &[&'static str]) -> Result<Option<f64>, Failure> {
        let Some(value) = self.value(names)? else { return Ok(None) };
        let number = value.as_f64().filter(|number| (0.0..=1.0).contains(number));
        number.map(Some).ok_or_else(|| invalid(names, "must be a number from 0 to 1"))
    }

    /// A switch, off where nothing is said.
    pub(super) fn switch(&mut self, names: &[&'static str]) -> Result<bool, Failure> {
        match self.value(names)? {
            None => Ok(false),
            Some(Value::Bool(on)) => Ok(on),
            Some(_) => Err(invalid(names, "must be true or false")),
        }
    }

    /// Refuses what nobody has taken.
    pub(super) fn end(self) -> Result<(), Failure> {
        match self.0.keys().next() {
            None => Ok(()),
            Some(name) => {
                let shown: String = name.chars().take(64).collect();
                Err(Failure::Invalid(format!("{shown} is no argument of this tool")))
            }
        }
    }
}

/// What is wrong with the argument that goes by `names`.
pub(super) fn invalid(names: &[&'static str], what: &str) -> Failure {
    let name = names.first().copied().unwrap_or("an argument");
    Failure::Invalid(format!("{name} {what}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_wrong_is_named_with_its_limit() {
        let check = |value: Value, message: &str| {
            let taken = Arguments::new(value).and_then(|mut it| {
                it.required(&["path", "file_path"], 4)?;
                it.whole(&["limit"], 1..=9)?;
                it.switch(&["all"])?;
                it.word(&["mode"], &["a", "b"])?;
                it.fraction(&["score"])?;
                it.end()
            });
            assert_eq!(taken.err().map_or_else(String::new, |it| it.to_string()), message);
        };
        check(json!({"path": "a", "limit": 9, "all": true, "mode": "b", "score": 0.5}), "");
        check(json!({"file_path": "a", "limit": null}), "");
        check(json!([]), "the arguments must be an object");
        check(json!({}), "path is missing");
        check(json!({"path": "abcde"}), "path has at most 4 bytes");
        check(json!({"path": 1}), "path must be a text");
        check(json!({"path": "a", "file_path": "b"}), "path and file_path mean the same: give one");
        check(json!({"path": "a", "limit": 10}), "limit must be a whole number from 1 to 9");
        check(json!({"path": "a", "limit": -1}), "limit must be a whole number from 1 to 9");
        check(json!({"path": "a", "all": "yes"}), "all must be true or false");
        check(json!({"path": "a", "mode": "c"}), "mode must be one of a, b");
        check(json!({"path": "a", "score": 2}), "score must be a number from 0 to 1");
        check(json!({"path": "a", "other": 1}), "other is no argument of this tool");
    }
}

//! A tenant's text: JSON5, read within bounds, and changed without touching what people wrote
//! around the change. Pure.

mod edit;
mod read;

use serde_json::{Map, Value};

/// Brackets that may be open at once. The parser recurses, and a stack overflow ends the process: its
/// depth is counted where it recurses, for whoever counts in the text can be misled about what is text.
const MAX_DEPTH: usize = 32;

/// Bytes of a text.
pub const MAX_BYTES: usize = records::MAX_OVERLAY;

/// A text that is no JSON5 object of reasonable size.
#[derive(Debug, thiserror::Error)]
pub enum Malformed {
    /// It is too long.
    #[error("raw has more than {MAX_BYTES} bytes")]
    TooLong,
    /// It is not JSON5, is nested too deeply, or has a key twice.
    #[error("raw cannot be read as JSON5: {0}")]
    Syntax(#[source] json5::Error),
    /// It is something else than an object.
    #[error("raw must be an object")]
    NoObject,
}

/// What a text says.
pub fn parse(text: &str) -> Result<Value, Malformed> {
    if text.len() > MAX_BYTES {
        return Err(Malformed::TooLong);
    }
    let read::Root(value) = json5::from_str(text).map_err(Malformed::Syntax)?;
    if value.is_object() { Ok(value) } else { Err(Malformed::NoObject) }
}

/// A text that says `new`, made from one that says `old`: what is not changed stays as it was
/// written, with the comments around it. Where that cannot be done the text is written anew.
pub fn rewrite(text: &str, old: &Value, new: &Value) -> String {
    let (Value::Object(old), Value::Object(members)) = (old, new) else { return anew(new) };
    let patch: Map<String, Value> = crate::merge::diff(old, members);
    match edit::apply(text, &patch) {
        // An edit that went wrong must never be stored, so it is read back.
        Some(edited) if parse(&edited).is_ok_and(|said| said == *new) => edited,
        _ => anew(new),
    }
}

fn anew(value: &Value) -> String {
    format!("{value:#}\n")
}

#[cfg(test)]
mod tests;

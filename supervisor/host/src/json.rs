//! JSON that a worker wrote and a provider will read: checked for shape and passed on as it is.

use serde_json::value::RawValue;

/// The most bytes of one such value: a few hundred tools with their schemas.
const MAX_BYTES: usize = 1 << 20;

/// The deepest nesting; the schemas of real tools stay far below it.
const MAX_DEPTH: usize = 64;

/// JSON that is not passed on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// Too large.
    #[error("has more than {MAX_BYTES} bytes")]
    Large,
    /// Too deep.
    #[error("is nested deeper than {MAX_DEPTH} levels")]
    Deep,
    /// Not JSON.
    #[error("is not JSON")]
    Syntax(#[from] serde_json::Error),
}

/// `bytes` as one JSON value, or `None` where there are none.
pub(crate) fn check(bytes: &[u8]) -> Result<Option<&RawValue>, Error> {
    if bytes.is_empty() {
        return Ok(None);
    }
    if bytes.len() > MAX_BYTES {
        return Err(Error::Large);
    }
    if depth(bytes) > MAX_DEPTH {
        return Err(Error::Deep);
    }
    Ok(Some(serde_json::from_slice(bytes)?))
}

/// The deepest nesting of brackets outside strings.
fn depth(bytes: &[u8]) -> usize {
    let (mut now, mut deepest) = (0_usize, 0);
    let (mut quoted, mut escaped) = (false, false);
    for byte in bytes {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'{' | b'[' if !quoted => {
                now += 1;
                deepest = deepest.max(now);
            }
            b'}' | b']' if !quoted => now = now.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_passed_on() {
        let nested = |levels: usize| "[".repeat(levels) + &"]".repeat(levels);
        let raw = check;
        let check = |text: &str, ok: bool| assert_eq!(raw(text.as_bytes()).is_ok(), ok);
        assert!(raw(b"").unwrap().is_none());
        check("[]", true);
        check(r#"{"a":"]]]]{{{{\"{"}"#, true);
        check("[", false);
        check("[] []", false);
        check("nul", false);
        check("\"\u{1}\"", false);
        check(&nested(MAX_DEPTH), true);
        check(&nested(MAX_DEPTH + 1), false);
        check(&nested(100_000), false);
        check(&format!("\"{}\"", "[".repeat(1000)), true);
        check(&format!("\"{}\"", "a".repeat(MAX_BYTES)), false);
    }
}

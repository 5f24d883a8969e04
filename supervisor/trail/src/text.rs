//! Words of a record. Some come from whoever is refused, so none is long and none steers a terminal.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Bytes of one text of a record, what is said of a cut included: a path with ids and a user agent's
/// id fit, and eight of them, escaped, fit into a line.
pub const MAX_TEXT: usize = 200;

/// Bytes kept for saying how much was cut.
const SAID: usize = 32;

/// A text of a record: bounded, without control characters.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Text(String);

impl Text {
    /// `text`, with `?` for each control character, cut where it is too long; what is cut is told.
    pub fn new(text: &str) -> Self {
        let clean = |c: char| if steers(c) { '?' } else { c };
        if text.len() <= MAX_TEXT {
            let clean: String = text.chars().map(clean).collect();
            return Self(clean);
        }
        let mut kept = String::with_capacity(MAX_TEXT);
        let mut rest = text.chars();
        for c in rest.by_ref() {
            if kept.len() + c.len_utf8() > MAX_TEXT - SAID {
                break;
            }
            kept.push(clean(c));
        }
        let cut = format!("[cut, {} bytes]", text.len());
        kept.push_str(&cut);
        Self(kept)
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn steers(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{2028}' | '\u{2029}')
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Self::new(&text)
    }
}

impl From<Text> for String {
    fn from(text: Text) -> Self {
        text.0
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_short_and_harmless() {
        let check = |text: &str, kept: &str| assert_eq!(Text::new(text).as_str(), kept);
        check("/v1/tenants/acme", "/v1/tenants/acme");
        check("a\nb\u{1b}[2J\u{202e}", "a?b?[2J?");
        let long = Text::new(&"\u{1f600}".repeat(1000));
        assert!(long.as_str().len() <= MAX_TEXT, "{long}");
        assert!(long.as_str().ends_with("[cut, 4000 bytes]"), "{long}");
        let quotes = Text::new(&"\"".repeat(MAX_TEXT));
        assert_eq!(quotes.as_str().len(), MAX_TEXT);
        assert_eq!(Text::new(long.as_str()), long);
    }
}

//! The bytes of a terminal as text: characters that come in pieces are kept until they are whole, and
//! what is no character becomes one that says so.

/// Turns bytes into text, piece by piece.
#[derive(Debug, Default)]
pub(super) struct Decoder {
    /// The beginning of a character: at most three bytes.
    begun: Vec<u8>,
}

impl Decoder {
    /// The beginning of a character that is not whole.
    pub(super) fn begun(&self) -> &[u8] {
        &self.begun
    }

    /// The text that is whole with these bytes.
    pub(super) fn decode(&mut self, bytes: &[u8]) -> String {
        self.begun.extend_from_slice(bytes);
        let all = std::mem::take(&mut self.begun);
        let mut text = String::with_capacity(all.len());
        let mut left = all.as_slice();
        loop {
            let err = match std::str::from_utf8(left) {
                Ok(valid) => {
                    text.push_str(valid);
                    return text;
                }
                Err(err) => err,
            };
            let (valid, rest) = left.split_at_checked(err.valid_up_to()).unwrap_or_default();
            text.push_str(std::str::from_utf8(valid).unwrap_or_default());
            let Some(wrong) = err.error_len() else {
                self.begun = rest.to_vec();
                return text;
            };
            text.push(char::REPLACEMENT_CHARACTER);
            left = rest.get(wrong..).unwrap_or_default();
        }
    }
}

/// How clients count text: in UTF-16 units.
pub(super) fn units(text: &str) -> u64 {
    text.chars().map(|it| if u32::from(it) > 0xFFFF { 2 } else { 1 }).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_character_is_broken() {
        let text = "a\u{e9}\u{20ac}\u{1f99e}\r\n".repeat(3);
        for size in 1..9 {
            let mut decoder = Decoder::default();
            let pieces = text.as_bytes().chunks(size).map(|it| decoder.decode(it));
            assert_eq!(pieces.collect::<String>(), text, "{size}");
        }
    }

    #[test]
    fn what_is_no_character_is_replaced_and_ends() {
        let check = |pieces: &[&[u8]], wanted: &str| {
            let mut decoder = Decoder::default();
            let text: String = pieces.iter().map(|it| decoder.decode(it)).collect();
            assert_eq!(text, wanted, "{pieces:?}");
            assert!(decoder.begun.len() < 4);
        };
        check(&[b"\xff\xfea"], "\u{fffd}\u{fffd}a");
        check(&[b"\xe2\x82", b"a"], "\u{fffd}a");
        check(&[b"\xf0\x9f", b"\xa6\x9e"], "\u{1f99e}");
        check(&[b"\xf0", b"\xf0", b"\xf0\x9f\xa6\x9e"], "\u{fffd}\u{fffd}\u{1f99e}");
    }

    #[test]
    fn clients_count_in_utf_16() {
        for text in ["", "abc", "\u{20ac}", "\u{1f99e}x"] {
            assert_eq!(units(text), u64::try_from(text.encode_utf16().count()).unwrap());
        }
    }
}

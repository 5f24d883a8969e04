//! The output of programs without what only a terminal understands.
//!
//! Works on whatever part of the output has come; a sequence may be cut anywhere. Pure.

/// Bytes of a sequence; one that is longer is none.
const MAX_SEQUENCE: usize = 64;
/// Bytes of a string for the terminal, such as a title or a link.
const MAX_STRING: usize = 4096;

/// Takes escape sequences out of what passes through it.
#[derive(Debug, Default)]
pub(super) struct Strip {
    state: State,
    /// Bytes of the sequence so far.
    length: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum State {
    #[default]
    Text,
    /// A return came: with a line end it is one, alone it is one too.
    Return,
    Escape,
    /// Between ESC and its last byte, such as the choice of a character set.
    Between,
    Control,
    /// Until BEL or ESC \.
    String,
    StringEscape,
}

impl Strip {
    /// What is left of `bytes`. Never longer than they are, but for one held-back return.
    pub(super) fn pass(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(bytes.len() + 1);
        for byte in bytes {
            self.byte(*byte, &mut out);
        }
        out
    }

    fn byte(&mut self, byte: u8, out: &mut Vec<u8>) {
        self.length += 1;
        let has_room = self.length < MAX_SEQUENCE;
        self.state = match (self.state, byte) {
            (State::Return, _) => {
                out.push(b'\n');
                if byte == b'\n' { State::Text } else { self.text(byte, out) }
            }
            (State::Escape, _) => self.escape(byte, out),
            (State::Between, 0x20..=0x2f) if has_room => State::Between,
            (State::Control, 0x20..=0x3f) if has_room => State::Control,
            (State::Between, 0x30..=0x7e)
            | (State::Control, 0x40..=0x7e)
            | (State::String, 0x07)
            | (State::StringEscape, b'\\') => State::Text,
            (State::String, 0x1b) => State::StringEscape,
            (State::String, _) if self.length < MAX_STRING => State::String,
            (State::StringEscape, _) => {
                self.length = 1;
                self.escape(byte, out)
            }
            // Text, or a sequence that is none.
            (State::Text | State::Between | State::Control | State::String, _) => {
                self.text(byte, out)
            }
        };
    }

    /// What comes after ESC.
    fn escape(&mut self, byte: u8, out: &mut Vec<u8>) -> State {
        match byte {
            b'[' => State::Control,
            b']' | b'P' | b'X' | b'^' | b'_' => State::String,
            0x20..=0x2f => State::Between,
            0x30..=0x7e => State::Text,
            _ => self.text(byte, out),
        }
    }

    fn text(&mut self, byte: u8, out: &mut Vec<u8>) -> State {
        match byte {
            0x1b => self.begin(),
            b'\r' => State::Return,
            b'\n' | b'\t' | 0x20..=0x7e | 0x80.. => {
                out.push(byte);
                State::Text
            }
            _ => State::Text,
        }
    }

    fn begin(&mut self) -> State {
        self.length = 0;
        State::Escape
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn stripped(text: &[u8]) -> Vec<u8> {
        Strip::default().pass(text)
    }

    #[test]
    fn sequences_go_and_text_stays() {
        let check = |text: &str, want: &str| {
            assert_eq!(String::from_utf8(stripped(text.as_bytes())).unwrap(), want, "{text:?}");
        };
        check("plain ü\ttext\n", "plain ü\ttext\n");
        check("\x1b[1;31mred\x1b[0m", "red");
        check("\x1b]0;title\x07a\x1b]8;;http://x\x1b\\b", "ab");
        check("\x1b(Ba\x1b=b\x1bMc", "abc");
        check("\x1b[?25l\x1b[2Ka", "a");
        check("1%\r2%\r\nend\r\n", "1%\n2%\nend\n");
        check("a\x08\x07b\x00c", "abc");
        check("\x1b\x1b[1ma", "a");
        check("\x1b[1\x1b[2ma", "a");
        check("a\x1b", "a");
    }

    #[test]
    fn an_endless_sequence_ends() {
        let long = [b"\x1b[".as_slice(), &b"1".repeat(1000)].concat();
        assert!(stripped(&long).len() > 900);
        let long = [b"\x1b]0;".as_slice(), &b"t".repeat(10_000)].concat();
        assert!(stripped(&long).len() > 5000);
    }

    proptest! {
        #[test]
        fn parts_give_what_the_whole_gives(
            bytes in proptest::collection::vec(
                prop_oneof![Just(0x1b), Just(b'['), Just(b']'), Just(b'\r'), Just(b'\n'), any::<u8>()], 0..80),
            at in 0..80usize,
        ) {
            let (first, second) = bytes.split_at(at.min(bytes.len()));
            let mut strip = Strip::default();
            let parts = [strip.pass(first), strip.pass(second)].concat();
            let whole = stripped(&bytes);
            prop_assert!(whole.len() <= bytes.len() && !whole.contains(&0x1b));
            prop_assert_eq!(parts, whole);
        }
    }
}

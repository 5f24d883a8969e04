//! What of a tenant's output an operator's own terminal may get: text, colours, the cursor. What makes
//! a terminal answer, print, copy, rename or remember is left out: whoever writes in the tenant's shell
//! is not the operator. Pure; keeps at most one sequence.

/// Bytes of one control sequence; longer ones are left out.
const MAX_SEQUENCE: usize = 64;

/// What is being read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Text.
    Text,
    /// After an escape.
    Escape,
    /// After an escape and a byte that takes another.
    Intermediate,
    /// A control sequence.
    Sequence,
    /// A string for the terminal itself: left out to its end, however long.
    String,
    /// The same, after an escape.
    StringEscape,
}

/// Takes output apart, piece by piece.
#[derive(Debug)]
pub(super) struct Filter {
    state: State,
    held: Vec<u8>,
    /// Bytes of the character in `held` that have not come.
    missing: usize,
}

impl Default for Filter {
    fn default() -> Self {
        Self { state: State::Text, held: Vec::new(), missing: 0 }
    }
}

impl Filter {
    /// One for output that a terminal shows; what goes elsewhere is passed on as it is.
    pub(super) fn of(terminal: bool) -> Option<Self> {
        terminal.then(Self::default)
    }

    /// What may be shown of these bytes.
    pub(super) fn pass(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut shown = Vec::with_capacity(bytes.len());
        for &byte in bytes {
            self.take(byte, &mut shown);
        }
        shown
    }

    fn take(&mut self, byte: u8, shown: &mut Vec<u8>) {
        match self.state {
            State::Text => self.text(byte, shown),
            State::Escape => self.escape(byte, shown),
            State::Intermediate => self.state = State::Text,
            State::Sequence => self.sequence(byte, shown),
            State::String => match byte {
                0x1b => self.state = State::StringEscape,
                0x07 | 0x18 | 0x1a => self.state = State::Text,
                _ => {}
            },
            State::StringEscape => {
                self.state = if byte == b'\\' { State::Text } else { State::String };
                if byte == 0x1b {
                    self.state = State::StringEscape;
                }
            }
        }
    }

    /// Whole characters pass; half ones, and controls in their two-byte form, do not.
    fn text(&mut self, byte: u8, shown: &mut Vec<u8>) {
        if self.missing > 0 && (0x80..0xc0).contains(&byte) {
            self.held.push(byte);
            self.missing = self.missing.saturating_sub(1);
            if self.missing == 0 {
                let held = std::mem::take(&mut self.held);
                let text = std::str::from_utf8(&held).unwrap_or_default();
                if !text.chars().any(char::is_control) {
                    shown.extend_from_slice(text.as_bytes());
                }
            }
            return;
        }
        (self.missing, self.held) = (0, Vec::new());
        match byte {
            0x1b => self.state = State::Escape,
            // Bell, backspace, tab, line feeds, carriage return; not what asks the terminal who it is.
            0x07..=0x0d | 0x20..=0x7e => shown.push(byte),
            0xc2..=0xdf => self.begin(byte, 1),
            0xe0..=0xef => self.begin(byte, 2),
            0xf0..=0xf4 => self.begin(byte, 3),
            _ => {}
        }
    }

    fn begin(&mut self, byte: u8, missing: usize) {
        self.held.push(byte);
        self.missing = missing;
    }

    fn escape(&mut self, byte: u8, shown: &mut Vec<u8>) {
        self.state = State::Text;
        match byte {
            b'[' => self.state = State::Sequence,
            b']' | b'P' | b'X' | b'^' | b'_' => self.state = State::String,
            0x1b => self.state = State::Escape,
            // Which characters the terminal reads is not for a tenant to say.
            0x20..=0x2f => self.state = State::Intermediate,
            // Save and restore the cursor, keypad modes, index, next line, tab stop, reverse index.
            b'7' | b'8' | b'=' | b'>' | b'D' | b'E' | b'H' | b'M' => {
                shown.extend_from_slice(&[0x1b, byte]);
            }
            _ => {}
        }
    }

    fn sequence(&mut self, byte: u8, shown: &mut Vec<u8>) {
        match byte {
            0x20..=0x3f => {
                if self.held.len() <= MAX_SEQUENCE {
                    self.held.push(byte);
                }
            }
            0x40..=0x7e => {
                let held = std::mem::take(&mut self.held);
                self.state = State::Text;
                if held.len() <= MAX_SEQUENCE && is_harmless(&held, byte) {
                    shown.extend_from_slice(b"\x1b[");
                    shown.extend_from_slice(&held);
                    shown.push(byte);
                }
            }
            0x1b => {
                self.held.clear();
                self.state = State::Escape;
            }
            _ => {
                self.held.clear();
                self.state = State::Text;
            }
        }
    }
}

/// Whether a control sequence moves, erases, colours or scrolls, and nothing else.
fn is_harmless(parameters: &[u8], last: u8) -> bool {
    let (first, rest) = parameters.split_first().map_or((0, &[][..]), |(it, rest)| (*it, rest));
    let plain = |bytes: &[u8]| bytes.iter().all(|it| it.is_ascii_digit() || b";:".contains(it));
    if first == b'?' {
        return plain(rest) && (b"JK".contains(&last) || (b"hl".contains(&last) && is_mode(rest)));
    }
    match last {
        b'h' | b'l' => parameters == b"4",
        b'q' => parameters.strip_suffix(b" ").is_some_and(plain),
        _ => plain(parameters) && b"@ABCDEFGHIJKLMPSTXZ`abdefgmrsu".contains(&last),
    }
}

/// Whether every mode is one of the screen: cursor keys, columns' wrap, the cursor's look, the other
/// screen, pasting in brackets, drawing at once. Not those that make a mouse or a window talk.
fn is_mode(modes: &[u8]) -> bool {
    const MODES: [&[u8]; 11] =
        [b"1", b"5", b"6", b"7", b"12", b"25", b"47", b"1047", b"1048", b"1049", b"2004"];
    modes.split(|it| *it == b';').all(|mode| MODES.contains(&mode) || mode == b"2026")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(output: &[u8], shown: &[u8]) {
        for size in 1..=output.len().max(1) {
            let mut filter = Filter::default();
            let got: Vec<u8> = output.chunks(size).flat_map(|it| filter.pass(it)).collect();
            assert_eq!(got.escape_ascii().to_string(), shown.escape_ascii().to_string(), "{size}");
            assert!(filter.held.len() <= MAX_SEQUENCE + 1);
        }
    }

    #[test]
    fn text_colours_and_the_cursor_pass() {
        for same in [
            "plain\r\n\t\u{8}\u{7}",
            "größe 日本 🦞",
            "\u{1b}[1;31mred\u{1b}[0m",
            "\u{1b}[38:2:1:2:3m",
            "\u{1b}[2J\u{1b}[H\u{1b}[10;20H\u{1b}[K",
            "\u{1b}[?25l\u{1b}[?1049h\u{1b}[?2004h\u{1b}[?1;7l",
            "\u{1b}7\u{1b}8\u{1b}M\u{1b}[4 q\u{1b}[4h",
        ] {
            check(same.as_bytes(), same.as_bytes());
        }
    }

    #[test]
    fn what_makes_a_terminal_answer_or_remember_does_not() {
        for nothing in [
            "\u{5}",                                                        // who are you
            "\u{1b}[c\u{1b}[0c\u{1b}[>c\u{1b}[=c\u{1b}Z",                   // what are you
            "\u{1b}[5n\u{1b}[6n\u{1b}[?6n",                                 // how are you
            "\u{1b}[21t\u{1b}[14t\u{1b}[8;1;1t", // what is your title, your size
            "\u{1b}[x\u{1b}[?1$p\u{1b}[>q\u{1b}[?u", // which modes
            "\u{1b}[5i\u{1b}[?5i",               // print
            "\u{1b}[?1000h\u{1b}[?1003;1006h\u{1b}[?1004h\u{1b}[?25;1000h", // tell of the mouse
            "\u{1b}[>4;2m\u{1b}[<u\u{1b}[!p\u{1b}[20h",
            "\u{1b}]52;c;aGk=\u{7}\u{1b}]52;c;?\u{1b}\\", // the clipboard
            "\u{1b}]0;title\u{7}\u{1b}]8;;http://x\u{1b}\\\u{1b}]11;?\u{7}",
            "\u{1b}P$qm\u{1b}\\\u{1b}P+q544e\u{1b}\\", // settings
            "\u{1b}_Gq\u{1b}\\\u{1b}^x\u{1b}\\\u{1b}Xx\u{1b}\\",
            "\u{1b}%@\u{1b}(0\u{1b} G\u{1b}c\u{1b}#8",
            "\u{9b}\u{85}\u{90}", // controls as two bytes
        ] {
            let text = nothing.replace("\u{9b}c", "");
            check(format!("a{text}b").as_bytes(), b"ab");
        }
        check(b"a\x9b5n\xffb", b"a5nb");
        check(b"a\xc3\x1b[6n\xa4b", b"ab");
        check(b"a\x1b]52;c;x\x18b", b"ab");
        check(b"a\x1b[1\x1b[31mb", b"a\x1b[31mb");
        let long = format!("a\u{1b}[{}mb", "1;".repeat(4000));
        check(&long.as_bytes()[..200], b"a");
        let mut filter = Filter::default();
        assert_eq!(filter.pass(long.as_bytes()), b"ab");
        filter.pass(b"\x1b]52;c;");
        for _ in 0..100 {
            assert!(filter.pass(&[b'x'; 1000]).is_empty() && filter.held.is_empty());
        }
        assert_eq!(filter.pass(b"\x1b\\ok"), b"ok");
    }
}

//! What a program has said: its beginning and its end, with what is between left out visibly.

use std::collections::VecDeque;

use super::strip::Strip;

/// Bytes of the beginning and of the end that are kept: together a little less than 256 KiB.
const HEAD: usize = 64 << 10;
const TAIL: usize = 192 << 10;

/// The output so far, both streams in the order in which they came.
#[derive(Debug, Default)]
pub(super) struct Output {
    strip: Strip,
    /// Bytes that were forgotten before the beginning.
    cleared: u64,
    head: Vec<u8>,
    tail: VecDeque<u8>,
    /// Bytes between the two that are gone.
    dropped: u64,
}

impl Output {
    /// Adds what has come.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        let bytes = self.strip.pass(bytes);
        let room = HEAD.saturating_sub(self.head.len()).min(bytes.len());
        let (to_head, to_tail) = bytes.split_at_checked(room).unwrap_or((&bytes, &[]));
        self.head.extend_from_slice(to_head);
        self.tail.extend(to_tail);
        let over = self.tail.len().saturating_sub(TAIL);
        drop(self.tail.drain(..over));
        self.dropped = self.dropped.saturating_add(u64::try_from(over).unwrap_or(u64::MAX));
    }

    /// Gives back the room that nothing needs any more.
    pub(super) fn shrink(&mut self) {
        self.head.shrink_to_fit();
        self.tail.shrink_to_fit();
    }

    /// Forgets what was said so far.
    pub(super) fn clear(&mut self) {
        self.cleared = self.end();
        self.dropped = 0;
        self.head = Vec::new();
        self.tail = VecDeque::new();
    }

    /// Where the next byte will be.
    pub(super) fn end(&self) -> u64 {
        let kept = u64::try_from(self.head.len() + self.tail.len()).unwrap_or(u64::MAX);
        self.cleared.saturating_add(self.dropped).saturating_add(kept)
    }

    /// All that is kept, at most `max` bytes of it.
    pub(super) fn text(&self, max: usize) -> String {
        let tail: Vec<u8> = self.tail.iter().copied().collect();
        let over = (self.head.len() + tail.len()).saturating_sub(max);
        let at = over.min(tail.len());
        let tail = tail.get(at..).unwrap_or_default();
        let head = self.head.get(..max.min(self.head.len())).unwrap_or_default();
        let gone = self.dropped.saturating_add(u64::try_from(over).unwrap_or(u64::MAX));
        match gone {
            0 => readable(&[head, tail].concat()),
            gone => {
                let (head, tail) = (readable(head), readable(tail));
                format!("{head}\n[... {gone} bytes are left out here ...]\n{tail}")
            }
        }
    }

    /// The last `max` bytes.
    pub(super) fn last(&self, max: usize) -> String {
        self.since(self.end().saturating_sub(u64::try_from(max).unwrap_or(u64::MAX)))
    }

    /// What was said from `mark` on, as far as it is kept.
    pub(super) fn since(&self, mark: u64) -> String {
        let mark = mark.saturating_sub(self.cleared);
        let head = u64::try_from(self.head.len()).unwrap_or(u64::MAX);
        let (from_head, from_tail) = if mark <= head {
            (usize::try_from(mark).unwrap_or(usize::MAX), 0)
        } else {
            let begins = head.saturating_add(self.dropped);
            (usize::MAX, usize::try_from(mark.saturating_sub(begins)).unwrap_or(usize::MAX))
        };
        let mut bytes = self.head.get(from_head..).unwrap_or_default().to_vec();
        bytes.extend(self.tail.iter().skip(from_tail));
        readable(&bytes)
    }
}

/// Bytes as text without control characters; a character that is cut at an end is left out.
fn readable(bytes: &[u8]) -> String {
    let begins = bytes.iter().take(3).take_while(|byte| **byte & 0xc0 == 0x80).count();
    let bytes = bytes.get(begins..).unwrap_or_default();
    let mut chunks = bytes.utf8_chunks().peekable();
    let mut text = String::new();
    while let Some(chunk) = chunks.next() {
        text.extend(chunk.valid().chars().filter(|c| !c.is_control() || matches!(c, '\n' | '\t')));
        if !chunk.invalid().is_empty() && chunks.peek().is_some() {
            text.push(char::REPLACEMENT_CHARACTER);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn beginning_and_end_are_kept() {
        let mut output = Output::default();
        output.push(b"first\n");
        for n in 0..50_000 {
            output.push(format!("line {n}\n").as_bytes());
        }
        output.push(b"last\n");
        let text = output.text(1 << 20);
        assert!(text.starts_with("first\nline 0\n") && text.ends_with("line 49999\nlast\n"));
        assert!(text.contains(" bytes are left out here ...]"));
        assert!(text.len() < HEAD + TAIL + 100);
        assert!(output.text(1000).len() < 1100);
        assert_eq!(output.last(5), "last\n");
    }

    #[test]
    fn marks_give_what_came_since() {
        let mut output = Output::default();
        output.push("aü".as_bytes());
        let mark = output.end();
        output.push(b"b\x1b[0mc");
        assert_eq!(output.since(mark), "bc");
        assert_eq!(output.since(0), "aübc");
        assert_eq!(output.since(mark + 99), "");
        output.clear();
        assert_eq!(output.text(99), "");
        let mark = output.end();
        output.push(b"d");
        assert_eq!(output.since(mark), "d");
    }

    #[test]
    fn what_is_not_text_does_not_break_it() {
        let mut output = Output::default();
        output.push(b"a\xffb\xc3");
        assert_eq!(output.text(99), "a\u{fffd}b");
    }

    #[test]
    fn what_has_ended_takes_no_more_room_than_it_needs() {
        let mut output = Output::default();
        output.push(&b"x".repeat(HEAD + 100_001));
        output.shrink();
        let spare = output.tail.capacity() - output.tail.len();
        assert!(output.head.capacity() == HEAD && spare < 64, "{spare}");
    }

    proptest! {
        #[test]
        fn it_is_bounded(parts in proptest::collection::vec(0..70_000usize, 0..20), max in 0..300_000usize) {
            let mut output = Output::default();
            for part in &parts {
                output.push(&b"x".repeat(*part));
            }
            prop_assert!(output.text(max).len() <= max + 64);
            prop_assert_eq!(usize::try_from(output.end()).unwrap(), parts.iter().sum::<usize>());
            prop_assert!(output.head.len() <= HEAD && output.tail.len() <= TAIL);
        }
    }
}

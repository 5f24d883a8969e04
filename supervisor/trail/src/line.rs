//! Lines of a file, one at a time and within a bound, with whether each has its end.

use std::io::{self, BufRead, Read as _};

/// Bytes of a line at most: seven texts of which every byte is escaped, four digests and a
/// signature are half of it.
pub const MAX_LINE: usize = 8 << 10;

/// One line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Its bytes without the end; of a line that is too long only the first ones.
    pub bytes: Vec<u8>,
    /// Whether it has its end; the last one of a file may lack it.
    pub ended: bool,
    /// Whether it is longer than [`MAX_LINE`].
    pub too_long: bool,
}

/// The lines of a reader.
#[derive(Debug)]
pub struct Lines<R>(R);

impl<R: BufRead> Lines<R> {
    /// The lines of `reader`.
    pub const fn new(reader: R) -> Self {
        Self(reader)
    }

    /// The next line; none at the end.
    ///
    /// # Errors
    /// When the reader fails.
    pub fn next_line(&mut self) -> io::Result<Option<Line>> {
        let mut bytes = Vec::new();
        let most = u64::try_from(MAX_LINE + 1).unwrap_or(u64::MAX);
        self.0.by_ref().take(most).read_until(b'\n', &mut bytes)?;
        if bytes.is_empty() {
            return Ok(None);
        }
        let ended = bytes.pop_if(|last| *last == b'\n').is_some();
        if ended || bytes.len() <= MAX_LINE {
            return Ok(Some(Line { bytes, ended, too_long: false }));
        }
        let ended = self.skip()?;
        Ok(Some(Line { bytes, ended, too_long: true }))
    }

    /// Passes over the rest of a line; whether it has an end.
    fn skip(&mut self) -> io::Result<bool> {
        loop {
            let found = self.0.fill_buf()?;
            let end = found.iter().position(|byte| *byte == b'\n');
            let length = found.len();
            let taken = end.map_or(length, |at| at + 1);
            self.0.consume(taken);
            if end.is_some() || length == 0 {
                return Ok(end.is_some());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_have_ends_and_bounds() {
        let long = "x".repeat(MAX_LINE + 1);
        let just = "y".repeat(MAX_LINE);
        let text = format!("a\n\n{long}\n{just}\nb");
        let mut lines = Lines::new(io::BufReader::with_capacity(7, text.as_bytes()));
        let mut check = |text: &str, ended, too_long| {
            let line = lines.next_line().unwrap().unwrap();
            assert_eq!((line.ended, line.too_long), (ended, too_long));
            assert!(line.bytes.starts_with(text.as_bytes()));
        };
        check("a", true, false);
        check("", true, false);
        check("x", true, true);
        check(&just, true, false);
        check("b", false, false);
        assert_eq!(lines.next_line().unwrap(), None);
    }
}

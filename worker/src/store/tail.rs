//! Lines of a file from its end: what is old and long is never read.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;

/// Bytes of the first read; each further one doubles, so that a short look stays short.
const FIRST_READ: u64 = 8 << 10;
/// Bytes of the largest read.
const MAX_READ: u64 = 256 << 10;

/// Gives a file's lines, last first. Empty lines, and lines longer than the limit, are skipped.
#[derive(Debug)]
pub(crate) struct Tail<'a> {
    file: &'a File,
    /// Where in the file `held` starts.
    start: u64,
    /// Read and not yet given.
    held: Vec<u8>,
    max_line: usize,
    /// The line that ends where `held` ends is too long and its end is already dropped.
    skipping: bool,
    next_read: u64,
}

impl<'a> Tail<'a> {
    /// The lines of the first `len` bytes of `file`.
    pub(crate) fn new(file: &'a File, len: u64, max_line: usize) -> Self {
        let (start, next_read) = (len, FIRST_READ);
        Self { file, start, held: Vec::new(), max_line, skipping: false, next_read }
    }

    /// The lines of all of `file`.
    pub(crate) fn of(file: &'a File, max_line: usize) -> io::Result<Self> {
        Ok(Self::new(file, file.metadata()?.len(), max_line))
    }

    /// The line before the one given last, without its end, or `None` at the file's start.
    pub(crate) fn next_line(&mut self) -> io::Result<Option<Vec<u8>>> {
        loop {
            if let Some(at) = self.held.iter().rposition(|byte| *byte == b'\n') {
                let line = self.held.split_off(at + 1);
                self.held.truncate(at);
                if !self.passed_over(&line) {
                    return Ok(Some(line));
                }
            } else if self.start == 0 {
                let line = std::mem::take(&mut self.held);
                return Ok((!self.passed_over(&line)).then_some(line));
            } else {
                if self.held.len() > self.max_line {
                    self.skipping = true;
                    self.held.clear();
                }
                self.read_before()?;
            }
        }
    }

    /// Whether the line that was just cut off is not to be given.
    fn passed_over(&mut self, line: &[u8]) -> bool {
        std::mem::take(&mut self.skipping) || line.is_empty() || line.len() > self.max_line
    }

    fn read_before(&mut self) -> io::Result<()> {
        let size = self.next_read.min(self.start);
        self.next_read = (self.next_read * 2).min(MAX_READ);
        self.start -= size;
        let mut bytes = vec![0; usize::try_from(size).unwrap_or(usize::MAX)];
        self.file.read_exact_at(&mut bytes, self.start)?;
        bytes.append(&mut self.held);
        self.held = bytes;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(content: &[u8], max_line: usize) {
        let temporary = tempfile::tempdir().unwrap();
        let path = temporary.path().join("x");
        std::fs::write(&path, content).unwrap();
        let file = File::open(&path).unwrap();
        let mut tail = Tail::of(&file, max_line).unwrap();
        let mut found = Vec::new();
        while let Some(line) = tail.next_line().unwrap() {
            found.push(line);
        }
        let wanted: Vec<_> = content
            .split(|byte| *byte == b'\n')
            .rev()
            .filter(|line| !line.is_empty() && line.len() <= max_line)
            .collect();
        assert_eq!(found, wanted);
    }

    #[test]
    fn lines_longer_than_a_read_or_than_the_limit() {
        let mut content = b"first\n".to_vec();
        content.extend(vec![b'a'; 20_000]);
        content.extend(b"\nb\n\n");
        content.extend(vec![b'c'; 90_000]);
        check(&content, 1_000_000);
        check(&content, 30_000);
        content.extend(b"\nlast\n");
        check(&content, 30_000);
        check(&content, 10);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn any_lengths(lines in prop::collection::vec(0usize..20_000, 0..6), whole: bool, max in 1usize..20_000) {
            let mut content = Vec::new();
            for (at, len) in lines.iter().enumerate() {
                content.resize(content.len() + len, u8::try_from(at).unwrap() + b'a');
                content.push(b'\n');
            }
            if !whole {
                content.pop();
            }
            check(&content, max);
        }

        #[test]
        fn any_bytes(content in prop::collection::vec(prop_oneof![Just(b'\n'), any::<u8>()], 0..200), max in 1usize..40) {
            check(&content, max);
        }
    }
}

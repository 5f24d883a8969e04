//! Lines of a file, one at a time and each of bounded length.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};

use ledger::Entry;

use crate::Error;

/// Bytes of a text in an entry: as many as the ledger takes of a name. What is longer is cut, so that
/// no line can be refused for its length.
pub(crate) const MAX_TEXT: usize = ledger::MAX_NAME;

/// Bytes of a line of a day's file. Six texts of at most [`MAX_TEXT`], each byte of which may be
/// escaped as six, and what stands around them.
pub(crate) const MAX_LINE: usize = 32 << 10;

/// Bytes read from a file at once.
const BUFFER: usize = 256 << 10;

/// How a file of lines ends.
#[derive(Debug, Default)]
pub(crate) struct End {
    /// Bytes of all whole lines, their ends included.
    pub(crate) whole: u64,
    /// How many those are.
    pub(crate) lines: u64,
    /// What stands after the last of them.
    pub(crate) torn: Vec<u8>,
}

impl End {
    /// An error where the last line is cut off.
    pub(crate) fn untorn(&self, path: &Path) -> Result<(), Error> {
        if self.torn.is_empty() {
            return Ok(());
        }
        Err(Error::Cut { path: path.to_owned(), line: self.lines.saturating_add(1) })
    }
}

/// A file, read line by line.
#[derive(Debug)]
pub(crate) struct Lines {
    path: PathBuf,
    reader: BufReader<File>,
    buffer: Vec<u8>,
    max: usize,
    end: End,
}

impl Lines {
    /// The lines of the file at `path`, none of which may have more than `max` bytes.
    pub(crate) fn open(path: &Path, max: usize) -> Result<Self, Error> {
        let file = File::open(path).map_err(Error::file("open", path))?;
        let reader = BufReader::with_capacity(BUFFER, file);
        Ok(Self { path: path.to_owned(), reader, buffer: Vec::new(), max, end: End::default() })
    }

    /// The next whole line without its end, if there is one.
    pub(crate) fn next(&mut self) -> Result<Option<&[u8]>, Error> {
        self.buffer.clear();
        let most = u64::try_from(self.max).unwrap_or(u64::MAX).saturating_add(1);
        let read = (&mut self.reader).take(most).read_until(b'\n', &mut self.buffer);
        let read = read.map_err(Error::file("read", &self.path))?;
        if self.buffer.last() == Some(&b'\n') {
            self.end.lines = self.end.lines.saturating_add(1);
            self.end.whole = self.end.whole.saturating_add(u64::try_from(read).unwrap_or(u64::MAX));
            return Ok(self.buffer.split_last().map(|(_end, line)| line));
        }
        if read > self.max {
            let line = self.end.lines.saturating_add(1);
            return Err(Error::Long { path: self.path.clone(), line, max: self.max });
        }
        self.end.torn.clone_from(&self.buffer);
        Ok(None)
    }

    /// The number of the line that was read last.
    pub(crate) const fn number(&self) -> u64 {
        self.end.lines
    }

    /// How the file ends, once no line is left.
    pub(crate) fn end(self) -> End {
        self.end
    }
}

/// Gives every entry of a day's file to `take`, with the bytes of its line, in order.
pub(crate) fn entries(
    path: &Path,
    mut take: impl FnMut(Entry, &[u8]) -> Result<(), Error>,
) -> Result<End, Error> {
    let mut lines = Lines::open(path, MAX_LINE)?;
    let mut number = 0;
    while let Some(line) = lines.next()? {
        number += 1;
        let entry = serde_json::from_slice(line).map_err(|source| Error::Line {
            path: path.to_owned(),
            line: number,
            source,
        })?;
        take(entry, line)?;
    }
    Ok(lines.end())
}

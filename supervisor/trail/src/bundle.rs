//! Some days of a trail in one file that can be verified by itself: the public key, the hash before
//! the first record, a signed head that names the last one, and the lines as they are.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::verify::{Beginning, Report, Verifier};
use crate::{Digest, Error, Files, Head, Lines, PublicKey, Record, is_day_file};

/// The form of bundles.
const FORM: u64 = 1;

/// The first line of a bundle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BundleHead {
    /// The form, 1.
    pub bundle: u64,
    /// The key that signed the head. What counts is the reader's own copy.
    pub public_key: PublicKey,
    /// The number of the first record.
    pub first: u64,
    /// The hash of the line before it.
    pub prev: Digest,
    /// The last record, signed.
    pub head: Head,
}

/// Days of a trail to be taken out of it, both included, for example `2026-11-22`.
#[derive(Debug, Clone, Copy)]
pub struct Bundle<'a> {
    /// The first day.
    pub from: &'a str,
    /// The last day; the bundle goes on to the next signed head.
    pub to: &'a str,
}

impl Bundle<'_> {
    /// Writes the days' records out of `dir` to `out`, and says what the first line is.
    ///
    /// # Errors
    /// When a file cannot be read or written, or there is no record of these days.
    pub fn write(
        &self,
        dir: &Path,
        key: PublicKey,
        out: &mut impl Write,
        out_path: &Path,
    ) -> Result<BundleHead, Error> {
        let newest = Head::read(dir)?.and_then(Result::ok).ok_or(Error::Head)?;
        let files = Files::list(dir)?;
        let mut found = Found { first: None, end: None };
        self.each(&files, &newest, |record, in_days| found.see(record, in_days, &newest))?;
        let (Some(first), head) = (found.first, found.end.unwrap_or(newest)) else {
            return Err(Error::Nothing);
        };
        let (first, prev) = first;
        let top = BundleHead { bundle: FORM, public_key: key, first, prev, head };
        let line = serde_json::to_vec(&top).unwrap_or_default();
        let mut write = |line: &[u8]| {
            out.write_all(line).and_then(|()| out.write_all(b"\n")).map_err(Error::file(out_path))
        };
        write(&line)?;
        for (_, path) in files.iter() {
            let mut lines =
                Lines::new(BufReader::new(File::open(path).map_err(Error::file(path))?));
            while let Some(line) = lines.next_line().map_err(Error::file(path))? {
                let seq = Record::parse(&line.bytes).map(|record| record.seq);
                if seq.is_some_and(|seq| (first..=head.seq).contains(&seq)) {
                    write(&line.bytes)?;
                }
            }
        }
        out.flush().map_err(Error::file(out_path))?;
        Ok(top)
    }

    /// Shows every record up to the head, and whether it is of the days, until told to stop.
    fn each(
        &self,
        files: &Files,
        newest: &Head,
        mut see: impl FnMut(&Record, Days) -> bool,
    ) -> Result<(), Error> {
        for (name, path) in files.iter() {
            let day = is_day_file(name).unwrap_or_default();
            let days = match day {
                day if day < self.from => continue,
                day if day > self.to => Days::After,
                _ => Days::Within,
            };
            let mut lines =
                Lines::new(BufReader::new(File::open(path).map_err(Error::file(path))?));
            while let Some(line) = lines.next_line().map_err(Error::file(path))? {
                let record = Record::parse(&line.bytes).filter(|it| it.seq <= newest.seq);
                if record.is_some_and(|record| !see(&record, days)) {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Verifies a bundle, with `key` or, where none is given, with the one that it brings.
    ///
    /// # Errors
    /// When it cannot be read or is no bundle.
    pub fn verify(path: &Path, key: Option<PublicKey>) -> Result<(BundleHead, Report), Error> {
        let file = File::open(path).map_err(Error::file(path))?;
        let mut reader = BufReader::new(file);
        let mut line = String::new();
        let most = u64::try_from(crate::MAX_LINE).unwrap_or(u64::MAX);
        reader.by_ref().take(most).read_line(&mut line).map_err(Error::file(path))?;
        let line = line.strip_suffix('\n').ok_or(Error::Bundle)?;
        let top: BundleHead = serde_json::from_str(line).map_err(|_wrong| Error::Bundle)?;
        let is_plain = serde_json::to_string(&top).is_ok_and(|plain| plain == line);
        if !is_plain || top.bundle != FORM {
            return Err(Error::Bundle);
        }
        let key = key.unwrap_or(top.public_key);
        let beginning = Beginning::Midst { seq: top.first, prev: top.prev };
        let mut verifier = Verifier::new(key, beginning, Some(top.head));
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
        let name = name.unwrap_or_default();
        verifier.rest_of_file(&name, 1, reader).map_err(Error::file(path))?;
        let mut report = verifier.finish();
        report.unsigned();
        if top.public_key != key || !top.head.is_signed_by(&key) {
            let what = "the bundle's head is not signed by the key";
            report.head_fault(&name, top.head.seq, what);
        }
        Ok((top, report))
    }
}

/// Where a record stands to the days that are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Days {
    Within,
    After,
}

/// What the first pass finds: where to begin, and the signed head to end with.
struct Found {
    first: Option<(u64, Digest)>,
    end: Option<Head>,
}

impl Found {
    /// Whether to go on.
    fn see(&mut self, record: &Record, days: Days, newest: &Head) -> bool {
        if days == Days::Within {
            self.first.get_or_insert((record.seq, record.prev));
            return record.seq < newest.seq;
        }
        // A checkpoint that begins a later file names the last record of the days.
        self.end = record.head;
        self.first.is_some() && self.end.is_none()
    }
}

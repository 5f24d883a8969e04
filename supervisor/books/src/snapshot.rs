//! Snapshots: what each tenant has in a closed day or month, with a digest of the lines behind it.
//!
//! One JSON document whose first line is its head and each further line one tenant's record, so that
//! it can be read without holding it. The digest of a day is the SHA-256 of the tenant's lines that
//! count against the day, each with its line end, in the order of the files; that of a month is the
//! SHA-256 of a line `2026-11-22 DIGEST` for each of its days.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use ledger::Day;
use serde::{Deserialize, Serialize};
use serde_json::Error as Json;
use types::{TenantId, UnixMillis};

use crate::Error;
use crate::lines::Lines;
use crate::sums::{Page, Sums};

/// The version of the form.
const VERSION: u32 = 1;

/// Bytes of a tenant's record: three kinds of names, each with [`crate::sums::MAX_NAMES`] sums.
const MAX_RECORD: usize = 16 << 20;

/// What stands between the head and the records, and after them.
const RECORDS: &str = ",\"tenants\":[";
const END: &[u8] = b"]}";

/// What holds for all records of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Head {
    /// The version of the form.
    pub(crate) v: u32,
    /// The day or month.
    pub(crate) period: String,
    /// When it was closed.
    pub(crate) closed_at: UnixMillis,
    /// The days whose files have lines of this day; of a month, the days that it has.
    pub(crate) files: Vec<Day>,
    /// The largest number of a hold or use that was given out so far.
    pub(crate) last_id: u64,
}

/// What one tenant has in a closed period.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Record {
    /// Who.
    pub tenant: TenantId,
    /// Lines of all kinds.
    pub entries: u64,
    /// The digest of those lines, in hexadecimal.
    pub digest: String,
    /// What they come to.
    pub sums: Sums,
}

impl Head {
    /// The head of a snapshot made now.
    pub(crate) fn new(
        period: String,
        closed_at: UnixMillis,
        files: Vec<Day>,
        last_id: u64,
    ) -> Self {
        Self { v: VERSION, period, closed_at, files, last_id }
    }
}

impl Record {
    /// What `page` comes to.
    pub(crate) fn of((tenant, page): (&TenantId, &Page)) -> Self {
        let (entries, digest, sums) = (page.entries, page.digest(), page.sums.clone());
        Self { tenant: tenant.clone(), entries, digest, sums }
    }
}

/// The bytes of a snapshot.
pub(crate) fn encode(head: &Head, pages: &BTreeMap<TenantId, Page>) -> Result<Vec<u8>, Error> {
    let mut text = serde_json::to_vec(head).map_err(Error::Unwritable)?;
    text.pop();
    text.extend_from_slice(RECORDS.as_bytes());
    let mut comma = "\n";
    for (tenant, page) in pages {
        let record = Record::of((tenant, page));
        text.extend_from_slice(comma.as_bytes());
        serde_json::to_writer(&mut text, &record).map_err(Error::Unwritable)?;
        comma = ",\n";
    }
    text.push(b'\n');
    text.extend_from_slice(END);
    text.push(b'\n');
    Ok(text)
}

/// A snapshot, read record by record.
#[derive(Debug)]
pub(crate) struct Reader {
    path: PathBuf,
    lines: Lines,
    head: Head,
}

impl Reader {
    /// The snapshot at `path`.
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        let mut lines = Lines::open(path, MAX_RECORD)?;
        let damaged = |source| Error::Snapshot { path: path.to_owned(), line: 1, source };
        let head = lines.next()?.and_then(|line| line.strip_suffix(RECORDS.as_bytes()));
        let head = [head.unwrap_or_default(), b"}"].concat();
        let head: Head = serde_json::from_slice(&head).map_err(damaged)?;
        if head.v != VERSION {
            return Err(damaged(serde::de::Error::custom("another version of the form")));
        }
        Ok(Self { path: path.to_owned(), lines, head })
    }

    /// What holds for all records.
    pub(crate) const fn head(&self) -> &Head {
        &self.head
    }

    /// The next record.
    pub(crate) fn next(&mut self) -> Result<Option<Record>, Error> {
        self.line(|_line| true)
    }

    /// The record of `tenant`, if one comes.
    pub(crate) fn find(&mut self, tenant: &TenantId) -> Result<Option<Record>, Error> {
        // Records begin with it, so that the others need not be parsed.
        let start = format!("{{\"tenant\":\"{tenant}\",");
        self.line(|line| line.starts_with(start.as_bytes()))
    }

    fn line(&mut self, wanted: impl Fn(&[u8]) -> bool) -> Result<Option<Record>, Error> {
        loop {
            let line = match self.lines.next()? {
                Some(END) => return Ok(None),
                Some(line) => line.strip_suffix(b",").unwrap_or(line),
                // The end is missing.
                None => b"",
            };
            if line.is_empty() || wanted(line) {
                let record = serde_json::from_slice(line);
                return record.map(Some).map_err(|source| self.damaged(source));
            }
        }
    }

    fn damaged(&self, source: Json) -> Error {
        Error::Snapshot { path: self.path.clone(), line: self.lines.number(), source }
    }
}

#[cfg(test)]
mod tests {
    use ledger::{Entry, Kind};

    use super::*;

    #[test]
    fn a_snapshot_is_read_as_it_was_written() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        let mut pages = BTreeMap::<TenantId, Page>::new();
        for (tenant, cost) in [("a", 1), ("b", 2), ("c", 3)] {
            let mut entry = Entry::new(Kind::Settle, 1, 0, tenant.parse().unwrap());
            entry.amount.cost_micros = cost;
            pages.entry(entry.tenant.clone()).or_default().add(&entry, b"line");
        }
        let head = Head::new("1970-01-01".to_owned(), 5, vec![Day::of(0)], 9);
        let text = encode(&head, &pages).unwrap();
        let whole: serde_json::Value = serde_json::from_slice(&text).unwrap();
        assert_eq!(whole["tenants"][2]["sums"]["total"]["costMicros"], 3);
        std::fs::write(&path, &text).unwrap();
        let mut reader = Reader::open(&path).unwrap();
        assert_eq!(reader.head(), &head);
        let mut costs = Vec::new();
        while let Some(record) = reader.next().unwrap() {
            costs.push((record.tenant.to_string(), record.sums.total.cost_micros));
        }
        assert_eq!(costs, [("a".to_owned(), 1), ("b".to_owned(), 2), ("c".to_owned(), 3)]);
        let find = |tenant: &str| Reader::open(&path)?.find(&tenant.parse().unwrap());
        assert_eq!(find("b").unwrap().unwrap().sums.total.cost_micros, 2);
        assert_eq!(find("d").unwrap(), None);
        // Without its end it is not taken for a shorter one.
        std::fs::write(&path, &text[..text.len() - 4]).unwrap();
        assert!(find("d").unwrap_err().to_string().contains("line 3 of the snapshot"));
    }

    #[test]
    fn an_empty_day_has_a_snapshot_too() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        let head = Head::new("1970-01".to_owned(), 5, Vec::new(), 9);
        let text = encode(&head, &BTreeMap::new()).unwrap();
        std::fs::write(&path, &text).unwrap();
        assert_eq!(Reader::open(&path).unwrap().next().unwrap(), None);
        std::fs::write(&path, String::from_utf8(text).unwrap().replace("\"v\":1", "\"v\":2"))
            .unwrap();
        Reader::open(&path).unwrap_err();
    }
}

//! Records of a directory, read in pages, for people and programs that look at them. Nothing is
//! verified here.

use std::collections::VecDeque;
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use crate::{Error, Lines, Record, is_day_file};

/// The files of the days in a directory, oldest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Files(Vec<(String, PathBuf)>);

/// Which records of a trail are asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    /// Where the page begins.
    pub wanted: Wanted,
    /// Only those of this tenant.
    pub tenant: Option<String>,
    /// How many at most.
    pub limit: usize,
}

/// Where a page begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// After the record of this number.
    After(u64),
    /// With as few records after it as the limit says: the newest.
    Newest,
}

/// Some records, in their order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Page {
    /// The records.
    pub records: Vec<Record>,
    /// After which number the next page begins: that of the last record that was looked at.
    pub next: Option<u64>,
}

impl Files {
    /// The files in `dir`; none where there is no directory.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub fn list(dir: &Path) -> Result<Self, Error> {
        let entries = match std::fs::read_dir(dir) {
            Err(err) if err.kind() == std::io::ErrorKind::NotFound => return Ok(Self(Vec::new())),
            entries => entries.map_err(Error::file(dir))?,
        };
        let mut files = Vec::new();
        for entry in entries {
            let entry = entry.map_err(Error::file(dir))?;
            let name = entry.file_name();
            if let Some(name) = name.to_str().filter(|name| is_day_file(name).is_some()) {
                files.push((name.to_owned(), entry.path()));
            }
        }
        files.sort();
        Ok(Self(files))
    }

    /// Name and path of each, oldest first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (&str, &Path)> {
        self.0.iter().map(|(name, path)| (name.as_str(), path.as_path()))
    }

    /// A page of records. Lines that are none are passed over.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn page(&self, query: &Query) -> Result<Page, Error> {
        match query.wanted {
            Wanted::After(seq) => self.after(seq, query),
            Wanted::Newest => self.newest(query),
        }
    }

    fn after(&self, seq: u64, query: &Query) -> Result<Page, Error> {
        let mut page = Page { records: Vec::new(), next: Some(seq) };
        let begins = |path: &Path| first(path).map(|it| it.is_none_or(|it| it.seq <= seq));
        let mut from = 0;
        for (at, (_, path)) in self.0.iter().enumerate().rev() {
            if begins(path)? {
                from = at;
                break;
            }
        }
        for (_, path) in self.0.iter().skip(from) {
            let mut lines = open(path)?;
            while let Some(line) = lines.next_line().map_err(Error::file(path))? {
                let record = Record::parse(&line.bytes).filter(|record| record.seq > seq);
                let Some(record) = record else { continue };
                page.next = Some(record.seq);
                if query.takes(&record) {
                    page.records.push(record);
                }
                if page.records.len() >= query.limit {
                    return Ok(page);
                }
            }
        }
        Ok(page)
    }

    /// Of the newest file that has any of the tenant, and those after it.
    fn newest(&self, query: &Query) -> Result<Page, Error> {
        let mut found: VecDeque<Record> = VecDeque::new();
        let mut next = None;
        for (_, path) in self.0.iter().rev() {
            let mut older = VecDeque::new();
            let mut lines = open(path)?;
            while let Some(line) = lines.next_line().map_err(Error::file(path))? {
                let Some(record) = Record::parse(&line.bytes) else { continue };
                next = next.max(Some(record.seq));
                if query.takes(&record) {
                    older.push_back(record);
                }
                if older.len() > query.limit {
                    older.pop_front();
                }
            }
            while let Some(record) = older.pop_back().filter(|_| found.len() < query.limit) {
                found.push_front(record);
            }
            if found.len() >= query.limit {
                break;
            }
        }
        Ok(Page { records: found.into(), next })
    }
}

impl Query {
    fn takes(&self, record: &Record) -> bool {
        let tenant = record.tenant.as_ref().map(crate::Text::as_str);
        self.tenant.as_deref().is_none_or(|wanted| tenant == Some(wanted))
    }
}

fn open(path: &Path) -> Result<Lines<BufReader<File>>, Error> {
    Ok(Lines::new(BufReader::new(File::open(path).map_err(Error::file(path))?)))
}

fn first(path: &Path) -> Result<Option<Record>, Error> {
    let line = open(path)?.next_line().map_err(Error::file(path))?;
    Ok(line.and_then(|line| Record::parse(&line.bytes)))
}

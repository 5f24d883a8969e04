//! Logical dumps: every row as a line of text with a checksum at the end, from which a database
//! that cannot be opened is rebuilt. Rows that hang on a lease are left out, for the lease is gone.

use std::fs::{self, File, OpenOptions};
use std::io::{BufRead as _, BufReader, BufWriter, ErrorKind, Read as _, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use ring::digest::{Context, SHA256};

use super::{Rows, file};
use crate::Error;
use crate::engine::{Engine, Stored, encode, revision_row};
use crate::hex;
use crate::store::{Item, MAX_KEY, MAX_VALUE, Rev};

/// Dumps that are kept.
const KEEP: usize = 3;

const NAME: &str = "openclawmu-records-dump 1";
const EXTENSION: &str = "dump";

/// The name of a dump until it is whole.
const NEW: &str = "new";

/// The longest line: key and value in hexadecimal, two numbers, spaces.
const MAX_LINE: usize = 2 * (MAX_KEY + MAX_VALUE) + 64;

/// A directory of dumps, each named by its revision.
#[derive(Debug)]
pub(super) struct Dumps {
    dir: PathBuf,
    newest: Option<Rev>,
    /// Bytes of the newest.
    len: u64,
}

/// Rows of a table, and the revision that they are of.
pub(super) struct Dump {
    pub(super) rev: Rev,
    pub(super) rows: Vec<(Bytes, Bytes)>,
}

impl Dumps {
    pub(super) fn open(dir: PathBuf) -> Result<Self, Error> {
        super::open::make_dir(&dir)?;
        remove_file(&dir.join(NEW))?;
        let mut dumps = Self { dir, newest: None, len: 0 };
        if let Some(&newest) = dumps.revs()?.last() {
            let path = dumps.path(newest);
            dumps.len = fs::metadata(&path).map_err(file("look at", &path))?.len();
            dumps.newest = Some(newest);
        }
        Ok(dumps)
    }

    pub(super) const fn newest_rev(&self) -> Option<Rev> {
        self.newest
    }

    /// Bytes of the newest dump, or none: more than twice those of the rows in it, which it has in hexadecimal.
    pub(super) const fn len(&self) -> u64 {
        self.len
    }

    /// Writes every row of the engine, durably, and removes the oldest dumps.
    pub(super) fn write(&mut self, rev: Rev, engine: &Engine<Rows>) -> Result<(), Error> {
        let new = self.dir.join(NEW);
        let written = self.write_as(&new, rev, engine);
        if written.is_err() {
            // Its room is wanted by others; what cannot be removed now is when the dumps are opened.
            drop(remove_file(&new));
        }
        written
    }

    fn write_as(&mut self, new: &Path, rev: Rev, engine: &Engine<Rows>) -> Result<(), Error> {
        let options =
            OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(new);
        let target = options.map_err(file("write", new))?;
        let target = Lines::new(target).write(rev, engine).map_err(file("write", new));
        let target = target??;
        target.sync_all().map_err(file("sync", new))?;
        let len = target.metadata().map_err(file("look at", new))?.len();
        let path = self.path(rev);
        fs::rename(new, &path).map_err(file("rename", &path))?;
        super::open::sync_dir(&self.dir)?;
        (self.newest, self.len) = (Some(rev), len);
        self.keep(KEEP)
    }

    /// Removes all but the newest dumps.
    pub(super) fn keep(&self, newest: usize) -> Result<(), Error> {
        let revs = self.revs()?;
        for old in revs.iter().rev().skip(newest) {
            let path = self.path(*old);
            fs::remove_file(&path).map_err(file("remove", &path))?;
        }
        super::open::sync_dir(&self.dir)
    }

    /// The newest dump that is whole.
    pub(super) fn read_newest(&self) -> Result<Option<Dump>, Error> {
        for rev in self.revs()?.into_iter().rev() {
            let path = self.path(rev);
            let lines = File::open(&path).map_err(file("open", &path))?;
            if let Some(rows) = read(rev, lines).map_err(file("read", &path))? {
                return Ok(Some(Dump { rev, rows }));
            }
            tracing::error!(path = %path.display(), "a dump of the records is damaged");
        }
        Ok(None)
    }

    fn path(&self, rev: Rev) -> PathBuf {
        self.dir.join(format!("{rev:020}.{EXTENSION}"))
    }

    fn revs(&self) -> Result<Vec<Rev>, Error> {
        let mut revs = Vec::new();
        for entry in fs::read_dir(&self.dir).map_err(file("list", &self.dir))? {
            let path = entry.map_err(file("list", &self.dir))?.path();
            revs.extend(rev_of(&path));
        }
        revs.sort_unstable();
        Ok(revs)
    }
}

fn remove_file(path: &Path) -> Result<(), Error> {
    match fs::remove_file(path) {
        Err(err) if err.kind() != ErrorKind::NotFound => Err(file("remove", path)(err)),
        _ => Ok(()),
    }
}

fn rev_of(path: &Path) -> Option<Rev> {
    let is_dump = path.extension()? == EXTENSION;
    path.file_stem()?.to_str()?.parse().ok().filter(|_| is_dump)
}

/// Lines that are written and hashed.
struct Lines {
    target: BufWriter<File>,
    hash: Context,
}

impl Lines {
    fn new(target: File) -> Self {
        Self { target: BufWriter::new(target), hash: Context::new(&SHA256) }
    }

    fn write(mut self, rev: Rev, engine: &Engine<Rows>) -> std::io::Result<Result<File, Error>> {
        self.line(&format!("{NAME} {rev}"))?;
        let mut after: Option<Bytes> = None;
        loop {
            let page = match engine.page(after.as_deref()) {
                Ok(page) => page,
                Err(err) => return Ok(Err(err)),
            };
            let Some(last) = page.last() else { break };
            after = Some(last.item.key.clone());
            for Stored { item, .. } in page.iter().filter(|stored| stored.lease == 0) {
                let (key, value) = (hex::encode(&item.key), hex::encode(&item.value));
                self.line(&format!("{key} {} {} {value}", item.created, item.modified))?;
            }
        }
        let hash = hex::encode(self.hash.finish().as_ref());
        writeln!(self.target, "sha256 {hash}")?;
        let file = self.target.into_inner().map_err(std::io::IntoInnerError::into_error)?;
        Ok(Ok(file))
    }

    fn line(&mut self, line: &str) -> std::io::Result<()> {
        self.hash.update(line.as_bytes());
        self.hash.update(b"\n");
        writeln!(self.target, "{line}")
    }
}

/// The rows of a dump; none where it is not whole.
fn read(rev: Rev, source: File) -> std::io::Result<Option<Vec<(Bytes, Bytes)>>> {
    let mut lines = BufReader::new(source);
    let mut hash = Context::new(&SHA256);
    let mut rows = Vec::new();
    let longest = u64::try_from(MAX_LINE).unwrap_or(u64::MAX);
    let mut first = true;
    loop {
        let mut line = Vec::new();
        lines.by_ref().take(longest).read_until(b'\n', &mut line)?;
        let text = line.strip_suffix(b"\n").and_then(|text| str::from_utf8(text).ok());
        let Some(text) = text else { return Ok(None) };
        if let Some(digest) = text.strip_prefix("sha256 ") {
            let whole = digest == hex::encode(hash.finish().as_ref()) && !first;
            return Ok(whole.then_some(rows));
        }
        hash.update(&line);
        if first {
            if text != format!("{NAME} {rev}") {
                return Ok(None);
            }
            first = false;
            continue;
        }
        let Some(row) = parse(text) else { return Ok(None) };
        rows.push(row);
    }
}

fn parse(line: &str) -> Option<(Bytes, Bytes)> {
    let mut words = line.split(' ');
    let key = hex::decode(words.next()?)?.into();
    let created = words.next()?.parse().ok()?;
    let modified = words.next()?.parse().ok()?;
    let value = hex::decode(words.next()?)?.into();
    let item = Item { key, value, created, modified };
    words.next().is_none().then(|| encode(&Stored { item, lease: 0 }))
}

impl Dump {
    /// Every row of the table, the one with the revision included. Revisions that were given out
    /// after the dump must not come again, so the next one is far beyond them.
    pub(super) fn into_table(self) -> impl Iterator<Item = (Bytes, Bytes)> {
        self.rows.into_iter().chain([revision_row(self.rev.saturating_add(1 << 32))])
    }
}

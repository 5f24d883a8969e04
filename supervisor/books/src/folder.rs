//! The folder of the books: which files are there, and how one is added that never changes.
//!
//! `2026-11-22.jsonl` has the lines that were written on that day, `2026-11-22.closed.json` and
//! `2026-11.closed.json` are snapshots, and `2026-11-22.torn` is what a crash left of a line.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use ledger::Day;

use crate::{Error, Month};

const LINES: &str = ".jsonl";
const CLOSED: &str = ".closed.json";
const TORN: &str = ".torn";
const UNFINISHED: &str = ".new";

/// Where the books are.
#[derive(Debug, Clone)]
pub(crate) struct Folder(PathBuf);

/// What is in the folder.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    /// Days on which lines were written.
    pub(crate) days: BTreeSet<Day>,
    /// Days with a snapshot.
    pub(crate) closed_days: BTreeSet<Day>,
    /// Months with a snapshot.
    pub(crate) closed_months: BTreeSet<Month>,
}

impl Folder {
    /// The folder at `path`, as it is.
    pub(crate) fn at(path: &Path) -> Self {
        Self(path.to_owned())
    }

    /// Makes the folder if need be, for its owner alone, and keeps other processes out for as long
    /// as the file is held.
    pub(crate) fn own(&self) -> Result<File, Error> {
        let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.0);
        made.map_err(Error::file("make", &self.0))?;
        let path = self.0.join("lock");
        let lock =
            OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&path);
        let lock = lock.map_err(Error::file("open", &path))?;
        match lock.try_lock() {
            Ok(()) => Ok(lock),
            Err(TryLockError::WouldBlock) => Err(Error::Locked { path: self.0.clone() }),
            Err(TryLockError::Error(source)) => Err(Error::File { what: "lock", path, source }),
        }
    }

    /// The lines that were written on `day`.
    pub(crate) fn lines(&self, day: Day) -> PathBuf {
        self.0.join(format!("{day}{LINES}"))
    }

    /// What a crash has left of a line in the file of `day`.
    pub(crate) fn torn(&self, day: Day) -> PathBuf {
        self.0.join(format!("{day}{TORN}"))
    }

    /// The snapshot of a day or month.
    pub(crate) fn snapshot(&self, period: impl std::fmt::Display) -> PathBuf {
        self.0.join(format!("{period}{CLOSED}"))
    }

    /// What there is. Names that are not ours are left alone.
    pub(crate) fn list(&self) -> Result<Listing, Error> {
        let mut found = Listing::default();
        for item in fs::read_dir(&self.0).map_err(Error::file("list", &self.0))? {
            let name = item.map_err(Error::file("list", &self.0))?.file_name();
            let Some(name) = name.to_str() else { continue };
            if let Some(day) = name.strip_suffix(LINES) {
                found.days.extend(day.parse::<Day>().ok());
            } else if let Some(period) = name.strip_suffix(CLOSED) {
                found.closed_days.extend(period.parse::<Day>().ok());
                found.closed_months.extend(period.parse::<Month>().ok());
            }
        }
        Ok(found)
    }

    /// Adds a file that is there as a whole and on the disk, or not at all.
    pub(crate) fn add(&self, path: &Path, content: &[u8]) -> Result<(), Error> {
        let new = path.with_extension(UNFINISHED.trim_start_matches('.'));
        let file =
            OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&new);
        let mut file = file.map_err(Error::file("make", &new))?;
        file.write_all(content).map_err(Error::file("write", &new))?;
        file.sync_all().map_err(Error::file("sync", &new))?;
        fs::rename(&new, path).map_err(Error::file("make", path))?;
        self.sync()
    }

    /// Brings the names of new files to the disk.
    pub(crate) fn sync(&self) -> Result<(), Error> {
        let folder = File::open(&self.0).map_err(Error::file("open", &self.0))?;
        folder.sync_all().map_err(Error::file("sync", &self.0))
    }
}

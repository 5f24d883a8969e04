//! The files, as the one who writes them has them open.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use nix::fcntl::OFlag;
use trail::HEAD_FILE;

use crate::Error;
use crate::key::fail;

/// Where a writer writes.
pub(crate) trait Disk: Send + std::fmt::Debug {
    /// Appends whole lines to the file `name`, durably: all of them or, where it fails, none.
    fn append(&mut self, name: &str, lines: &[u8]) -> io::Result<()>;
    /// Writes the head in its place.
    fn put_head(&mut self, head: &[u8]) -> io::Result<()>;
}

/// The files of a directory.
#[derive(Debug)]
pub(crate) struct Files {
    dir: PathBuf,
    head: File,
    today: Option<Today>,
}

#[derive(Debug)]
struct Today {
    name: String,
    file: File,
    /// Its bytes that are durable.
    length: u64,
    /// Whether something may stand after them.
    torn: bool,
}

impl Files {
    pub(crate) fn open(dir: &Path) -> Result<Self, Error> {
        let path = dir.join(HEAD_FILE);
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false).mode(0o600);
        options.custom_flags(OFlag::O_NOFOLLOW.bits());
        let head = options.open(&path).map_err(fail("open", &path))?;
        Ok(Self { dir: dir.to_owned(), head, today: None })
    }

    fn today(&mut self, name: &str) -> io::Result<&mut Today> {
        if self.today.as_ref().is_none_or(|today| today.name != name) {
            let mut options = OpenOptions::new();
            options.append(true).create(true).mode(0o600).custom_flags(OFlag::O_NOFOLLOW.bits());
            let file = options.open(self.dir.join(name))?;
            File::open(&self.dir)?.sync_all()?;
            let length = file.metadata()?.len();
            self.today = Some(Today { name: name.to_owned(), file, length, torn: false });
        }
        self.today.as_mut().ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

impl Disk for Files {
    fn append(&mut self, name: &str, lines: &[u8]) -> io::Result<()> {
        self.today(name)?.append(lines)
    }

    fn put_head(&mut self, head: &[u8]) -> io::Result<()> {
        self.head.write_all_at(head, 0)
    }
}

impl Today {
    fn append(&mut self, lines: &[u8]) -> io::Result<()> {
        self.mend()?;
        let written = self.file.write_all(lines).and_then(|()| self.file.sync_data());
        if let Err(err) = written {
            self.torn = true;
            // Where this fails too it is tried again before anything else is written.
            self.mend().unwrap_or_default();
            return Err(err);
        }
        self.length += u64::try_from(lines.len()).unwrap_or_default();
        Ok(())
    }

    /// Cuts off what of a failed write is there.
    fn mend(&mut self) -> io::Result<()> {
        if self.torn {
            self.file.set_len(self.length)?;
            self.torn = false;
        }
        Ok(())
    }
}

//! What the worker itself writes, held as it is at one moment: the names and lengths of its files,
//! and as many of them open as there may be.
//!
//! Its files are replaced whole or appended to. One that is open stays what it was when another
//! takes its name; of one that is appended to, what it had is its start. One that is not open is
//! found again by its inode when it was put aside under another name.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::MetadataExt as _;

use super::entry::Time;
use crate::store::{self, Dir, Kind};
use crate::{Error, cron};

/// Files that are held open: half of the descriptors that the worker may have.
const MAX_OPEN: usize = 512;
/// Files whose names are held: more sessions than any tenant keeps.
const MAX_PINNED: usize = 200_000;

/// The worker's own folders, by their paths beneath the root.
#[derive(Debug, Default)]
pub(super) struct Pinned(BTreeMap<Vec<u8>, Folder>);

/// One folder of the worker's own.
#[derive(Debug, Default)]
pub(super) struct Folder {
    pub(super) files: Vec<Pin>,
    /// Where not every folder in it counts, those that do.
    pub(super) folders: Option<Vec<Vec<u8>>>,
}

/// One file.
#[derive(Debug)]
pub(super) struct Pin {
    pub(super) name: String,
    pub(super) size: u64,
    pub(super) inode: u64,
    pub(super) mode: u32,
    pub(super) mtime: Time,
    pub(super) file: Option<File>,
}

impl Pinned {
    /// Looks at everything once. Nothing may be written meanwhile.
    pub(super) fn new(root: &Dir) -> Result<Self, Error> {
        let mut pinned = Self::default();
        let agents = store::agents(root)?;
        let mut folders = vec![String::new(), "agents".to_owned()];
        folders.extend(cron::FOLDERS.iter().map(|&it| it.to_owned()));
        folders.extend(agents.iter().map(|agent| format!("agents/{agent}")));
        folders.extend(agents.iter().map(store::sessions_folder));
        let mut count = 0;
        for path in folders {
            let folder = folder(root, &path, &mut count);
            if let Some(folder) = folder.map_err(Error::io("look at the worker's own files"))? {
                pinned.0.insert(path.into_bytes(), folder);
            }
        }
        if let Some(all) = pinned.0.get_mut(&b"agents"[..]) {
            all.folders = Some(agents.iter().map(|it| it.as_str().as_bytes().to_vec()).collect());
        }
        pinned.open(root).map_err(Error::io("open the worker's own files"))?;
        Ok(pinned)
    }

    /// What was seen of a folder, once.
    pub(super) fn take(&mut self, path: &[u8]) -> Option<Folder> {
        self.0.remove(path)
    }

    /// Opens what may be replaced, and then as many transcripts as there may be open files.
    fn open(&mut self, root: &Dir) -> std::io::Result<()> {
        let mut left = MAX_OPEN;
        for transcripts in [false, true] {
            for (path, folder) in &mut self.0 {
                let path = std::str::from_utf8(path).map_err(std::io::Error::other)?;
                let Some(dir) = open_folder(root, path)? else { continue };
                let wanted = |pin: &&mut Pin| pin.name.contains(".jsonl") == transcripts;
                for pin in folder.files.iter_mut().filter(wanted).take(left) {
                    pin.file = dir.file(&pin.name)?;
                    left -= 1;
                }
            }
        }
        Ok(())
    }
}

fn open_folder(root: &Dir, path: &str) -> std::io::Result<Option<Dir>> {
    if path.is_empty() { root.again().map(Some) } else { root.sub(path) }
}

fn folder(root: &Dir, path: &str, count: &mut usize) -> std::io::Result<Option<Folder>> {
    let Some(dir) = open_folder(root, path)? else { return Ok(None) };
    let mut files = Vec::new();
    for name in dir.names()? {
        let name = name?;
        if !matches!(dir.kind(&name)?, Some(Kind::File { .. })) {
            continue;
        }
        *count += 1;
        if *count > MAX_PINNED {
            return Err(std::io::Error::other("there are too many sessions to be archived"));
        }
        let Some(file) = dir.file(&name)? else { continue };
        let found = file.metadata()?;
        files.push(Pin {
            name,
            size: found.len(),
            inode: found.ino(),
            mode: found.mode() & 0o1777,
            mtime: Time(found.mtime(), u32::try_from(found.mtime_nsec()).unwrap_or(0)),
            file: None,
        });
    }
    Ok(Some(Folder { files, folders: None }))
}

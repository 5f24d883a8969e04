//! The files of a workspace that are an agent's memory: which there are, and whether they changed.

use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;

use crate::Error;
use crate::store::Dir;

/// Files beside the directory.
const FILES: [&str; 3] = ["MEMORY.md", "memory.md", "USER.md"];
/// The directory, whose files end in `.md`.
const FOLDER: &str = "memory";
/// Files that are searched, and bytes of each and of all: about 25,000 pieces.
const MAX_FILES: usize = 2000;
const MAX_BYTES: u64 = 1 << 20;
const MAX_ALL: u64 = 32 << 20;

/// A file as it is now.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Stamp {
    /// Beneath the workspace.
    pub(super) path: String,
    /// Size, time of the last change and inode, in words: what changes when the content does.
    pub(super) state: String,
    /// Bytes.
    pub(super) size: u64,
}

/// Whether the names below a workspace are those of a file that is memory.
pub(crate) fn is_memory(names: &[String]) -> bool {
    match names {
        [name] => FILES.contains(&name.as_str()),
        [folder, name] => folder == FOLDER && is_note(name),
        _ => false,
    }
}

fn is_note(name: &str) -> bool {
    name.strip_suffix(".md").is_some_and(|it| !it.is_empty())
}

/// The files that there are, by path, and whether these are all of them.
pub(super) fn stamps(workspace: &Dir) -> Result<(Vec<Stamp>, bool), Error> {
    let look = || -> std::io::Result<(Vec<Stamp>, bool)> {
        let mut all = Vec::new();
        let mut bytes = 0;
        let mut is_whole = true;
        let mut add = |dir: &Dir, name: &str, path: String| -> std::io::Result<bool> {
            let Some(file) = dir.file(name)? else { return Ok(true) };
            let it = file.metadata()?;
            bytes += it.len();
            if it.len() > MAX_BYTES || bytes > MAX_ALL || all.len() >= MAX_FILES {
                bytes -= it.len();
                return Ok(false);
            }
            let (size, inode) = (it.len(), it.ino());
            let state = format!("{size} {}.{:09} {inode}", it.mtime(), it.mtime_nsec());
            all.push(Stamp { path, state, size });
            Ok(true)
        };
        for name in FILES {
            is_whole &= add(workspace, name, name.to_owned())?;
        }
        if let Some(folder) = workspace.sub(FOLDER)? {
            let names = folder.names()?.filter(|name| name.as_ref().map_or(true, |it| is_note(it)));
            let mut names = names.take(MAX_FILES + 1).collect::<std::io::Result<Vec<_>>>()?;
            names.sort_unstable();
            for name in names {
                is_whole &= add(&folder, &name, format!("{FOLDER}/{name}"))?;
            }
        }
        Ok((all, is_whole))
    };
    look().map_err(Error::io("look at the memory"))
}

/// The text of a file, or nothing where it has gone since.
pub(super) fn text(workspace: &Dir, path: &str) -> Result<String, Error> {
    let read = || -> std::io::Result<String> {
        let opened = match path.split_once('/') {
            None => workspace.file(path)?,
            Some((folder, name)) => match workspace.sub(folder)? {
                Some(folder) => folder.file(name)?,
                None => None,
            },
        };
        let mut bytes = Vec::new();
        if let Some(file) = opened {
            file.take(MAX_BYTES).read_to_end(&mut bytes)?;
        }
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    };
    read().map_err(Error::io("read the memory"))
}

//! The files of an agent's workspace that make its system prompt: listed, read and written.
//!
//! Only these names, only regular files, and never more than [`MAX_FILE`] bytes.

use types::AgentId;

use crate::Error;
use crate::store::{self, Dir, Kind};

/// Bytes of one file. A prompt takes 20,000 characters of it at most.
pub(crate) const MAX_FILE: usize = 256 << 10;

/// The names that may be read and written, and whether a workspace may well be without.
pub(crate) const FILES: [(&str, bool); 9] = [
    ("AGENTS.md", false),
    ("SOUL.md", false),
    ("TOOLS.md", false),
    ("IDENTITY.md", false),
    ("USER.md", false),
    ("HEARTBEAT.md", false),
    ("BOOTSTRAP.md", true),
    ("MEMORY.md", true),
    ("memory.md", true),
];

/// Why a file cannot be read or written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refused {
    /// It is a link, a folder or a pipe.
    #[error("is not a regular file")]
    NotAFile,
    /// It is larger than [`MAX_FILE`].
    #[error("is larger than {} bytes", MAX_FILE)]
    TooLarge,
    /// It is not text.
    #[error("is not UTF-8 text")]
    NotText,
}

/// A file that is there, or is missing, or must not be looked at.
pub(crate) type Looked<T> = Result<Option<T>, Refused>;

/// A file: its bytes and, in milliseconds since the epoch, when it changed last.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Content {
    pub(crate) bytes: Vec<u8>,
    pub(crate) changed: u64,
}

/// Where an agent's workspace is, beneath the tenant's root.
pub(crate) fn workspace_path(agent: &AgentId) -> String {
    format!("agents/{agent}/workspace")
}

/// When the file `name` changed last.
fn changed(dir: &Dir, name: &str) -> Result<Looked<u64>, Error> {
    let kind = dir.kind(name).map_err(Error::io("look at a file"))?;
    Ok(match kind {
        Some(Kind::File { changed, .. }) => Ok(Some(changed)),
        Some(Kind::Directory { .. }) => Err(Refused::NotAFile),
        None if dir.is_taken(name).map_err(Error::io("look at a file"))? => Err(Refused::NotAFile),
        None => Ok(None),
    })
}

/// The file `name`.
pub(crate) fn read_file(dir: &Dir, name: &str) -> Result<Looked<Content>, Error> {
    let changed = match changed(dir, name)? {
        Ok(Some(changed)) => changed,
        Ok(None) => return Ok(Ok(None)),
        Err(refused) => return Ok(Err(refused)),
    };
    let max = u64::try_from(MAX_FILE).unwrap_or(u64::MAX);
    let bytes = dir.read_start(name, max + 1).map_err(Error::io("read a file"))?;
    // Between the two looks it may have gone or grown.
    let Some(bytes) = bytes else { return Ok(Ok(None)) };
    if bytes.len() > MAX_FILE {
        return Ok(Err(Refused::TooLarge));
    }
    Ok(Ok(Some(Content { bytes, changed })))
}

/// Puts `content` in place of a file of the agent's workspace, and gives the time of that.
pub(crate) fn write_file(
    root: &Dir,
    agent: &AgentId,
    name: &str,
    content: &str,
) -> Result<Option<Result<u64, Refused>>, Error> {
    let Some(folder) = store::agent_folder(root, agent)? else { return Ok(None) };
    let workspace = crate::agent::seed_workspace(&folder)?;
    if let Err(refused) = changed(&workspace, name)? {
        return Ok(Some(Err(refused)));
    }
    workspace.replace(name, content.as_bytes()).map_err(Error::io("write a file"))?;
    Ok(Some(changed(&workspace, name)?.map(Option::unwrap_or_default)))
}

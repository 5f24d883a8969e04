//! Transcripts of deleted and reset sessions: put aside under another name for a month, as long
//! as there is room for them.

use types::{AgentId, UnixMillis};

use super::dir::Dir;
use super::sessions::{SessionId, folder};
use super::transcript::timestamp;
use crate::Error;

/// How long a transcript that was put aside is kept, in milliseconds.
const KEPT: u64 = 30 * 24 * 3600 * 1000;
/// Transcripts of one agent that are kept.
const MAX_FILES: usize = 200;
/// Bytes of them; what was put aside must not fill the tenant's disk.
const MAX_BYTES: u64 = 64 << 20;

/// Why a transcript is put aside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Aside {
    /// Its session was deleted.
    Deleted,
    /// Its session was begun anew.
    Reset,
}

impl Aside {
    const fn mark(self) -> &'static str {
        match self {
            Self::Deleted => ".jsonl.deleted.",
            Self::Reset => ".jsonl.reset.",
        }
    }
}

/// Renames transcripts, and removes those whose time has come. Gives the new names beneath the
/// tenant's root, as far as the files are still there.
pub(super) fn put_aside(
    root: &Dir,
    agent: &AgentId,
    sessions: &[SessionId],
    why: Aside,
    now: UnixMillis,
) -> Result<Vec<String>, Error> {
    let put = |dir: &Dir| -> std::io::Result<Vec<String>> {
        let mut aside = Vec::new();
        for session in sessions {
            let name = session.file_name();
            if dir.file(&name)?.is_some() {
                let new = format!("{}{}{}", session.as_str(), why.mark(), stamp(now));
                dir.rename(&name, &new)?;
                aside.push(new);
            }
        }
        let gone = prune(dir, now)?;
        dir.sync()?;
        aside.retain(|name| !gone.contains(name));
        Ok(aside.into_iter().map(|name| format!("{}/{name}", folder(agent))).collect())
    };
    let dir = root.sub(&folder(agent)).map_err(Error::io("open the sessions directory"))?;
    let put = dir.as_ref().map_or_else(|| Ok(Vec::new()), put);
    put.map_err(Error::io("put a transcript aside"))
}

/// Whether the transcript of a session was put aside, and is still kept.
pub(crate) fn was_put_aside(root: &Dir, agent: &AgentId, session: &str) -> Result<bool, Error> {
    let look = |dir: &Dir| -> std::io::Result<bool> {
        for name in dir.names()? {
            let name = name?;
            let rest = name.strip_prefix(session);
            if rest.is_some_and(|rest| stamp_of(rest).is_some()) {
                return Ok(true);
            }
        }
        Ok(false)
    };
    let dir = root.sub(&folder(agent)).map_err(Error::io("open the sessions directory"))?;
    let found = dir.as_ref().map_or(Ok(false), look);
    found.map_err(Error::io("look for a transcript that was put aside"))
}

/// Removes a session's transcript and everything that was put aside, so that a disk that is full
/// has room again.
pub(super) fn make_room(root: &Dir, agent: &AgentId, session: &SessionId) -> Result<(), Error> {
    let make = |dir: &Dir| -> std::io::Result<()> {
        dir.remove(&session.file_name())?;
        for name in dir.names()? {
            let name = name?;
            if stamp_of(&name).is_some() {
                dir.remove(&name)?;
            }
        }
        dir.sync()
    };
    let dir = root.sub(&folder(agent)).map_err(Error::io("open the sessions directory"))?;
    dir.as_ref().map_or(Ok(()), make).map_err(Error::io("remove a transcript"))
}

/// Removes what was put aside more than [`KEPT`] ago, and what is beyond the limits, oldest first.
/// Gives the names of what is gone.
fn prune(dir: &Dir, now: UnixMillis) -> std::io::Result<Vec<String>> {
    let oldest = stamp(now.saturating_sub(KEPT));
    let mut aside = Vec::new();
    for name in dir.names()? {
        let name = name?;
        if let Some(stamp) = stamp_of(&name) {
            let size = dir.file(&name)?.map_or(Ok(0), |file| file.metadata().map(|it| it.len()))?;
            aside.push((stamp.to_owned(), name, size));
        }
    }
    aside.sort_unstable_by(|a, b| b.cmp(a));
    let (mut files, mut bytes) = (0, 0_u64);
    let mut gone = Vec::new();
    for (stamp, name, size) in aside {
        files += 1;
        bytes = bytes.saturating_add(size);
        if stamp < oldest || files > MAX_FILES || bytes > MAX_BYTES {
            dir.remove(&name)?;
            gone.push(name);
        }
    }
    Ok(gone)
}

/// When a file was put aside, if it was.
fn stamp_of(name: &str) -> Option<&str> {
    let at = |why: Aside| name.split_once(why.mark()).map(|(_, stamp)| stamp);
    at(Aside::Deleted).or_else(|| at(Aside::Reset))
}

/// A time as part of a file name; the order of the text is that of the times.
fn stamp(now: UnixMillis) -> String {
    timestamp(now).replace(':', "-")
}

//! Transcripts of deleted sessions: put aside under another name, and removed a month later.

use types::{AgentId, UnixMillis};

use super::dir::Dir;
use super::sessions::{SessionId, folder};
use super::transcript::timestamp;
use crate::Error;

/// How long a transcript that was put aside is kept, in milliseconds.
const KEPT: u64 = 30 * 24 * 3600 * 1000;
const MARK: &str = ".jsonl.deleted.";

/// Renames the transcripts of deleted sessions, and removes those whose time has come.
pub(super) fn put_aside(
    root: &Dir,
    agent: &AgentId,
    sessions: &[SessionId],
    now: UnixMillis,
) -> Result<(), Error> {
    let put = |dir: &Dir| -> std::io::Result<()> {
        for session in sessions {
            let name = session.file_name();
            if dir.file(&name)?.is_some() {
                dir.rename(&name, &format!("{}{MARK}{}", session.as_str(), stamp(now)))?;
            }
        }
        prune(dir, now)?;
        dir.sync()
    };
    let dir = root.sub(&folder(agent)).map_err(Error::io("open the sessions directory"))?;
    dir.as_ref().map_or(Ok(()), put).map_err(Error::io("put a transcript aside"))
}

/// Removes what was put aside more than [`KEPT`] ago.
fn prune(dir: &Dir, now: UnixMillis) -> std::io::Result<()> {
    let oldest = stamp(now.saturating_sub(KEPT));
    for name in dir.names()? {
        let name = name?;
        if name.split_once(MARK).is_some_and(|(_, stamp)| stamp < oldest.as_str()) {
            dir.remove(&name)?;
        }
    }
    Ok(())
}

/// A time as part of a file name; the order of the text is that of the times.
fn stamp(now: UnixMillis) -> String {
    timestamp(now).replace(':', "-")
}

//! Deleting an agent: gone by one rename, then removed for good or kept aside for a while.
//!
//! It takes no room on the disk, so that it helps where that is full.

use types::{AgentId, UnixMillis};

use super::changing;
use crate::Error;
use crate::store::Dir;

/// Deleted agents whose files are kept.
const MAX_ASIDE: usize = 4;
const MARK: &str = ".deleted-";

/// What happens to the files of a deleted agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Removal {
    /// They are removed.
    Files,
    /// They are put aside; of those that were put aside the newest are kept.
    PutAside,
}

/// Deletes an agent. False where there is none.
pub(crate) fn remove(
    root: &Dir,
    id: &AgentId,
    removal: Removal,
    now: UnixMillis,
) -> Result<bool, Error> {
    let _changing = changing();
    let remove = |agents: &Dir| -> std::io::Result<bool> {
        if agents.sub(id.as_str())?.is_none() {
            return Ok(false);
        }
        let aside = format!("{MARK}{now:020}-{id}");
        agents.remove_all(&aside)?;
        agents.rename(id.as_str(), &aside)?;
        agents.sync()?;
        if removal == Removal::Files {
            agents.remove_all(&aside)?;
        }
        prune(agents)?;
        Ok(true)
    };
    let agents = root.sub("agents").map_err(Error::io("open the agents' directory"))?;
    let removed = agents.as_ref().map_or(Ok(false), remove);
    removed.map_err(Error::io("delete an agent"))
}

/// Removes what was put aside, but the newest.
fn prune(agents: &Dir) -> std::io::Result<()> {
    let mut aside = Vec::new();
    for name in agents.names()? {
        let name = name?;
        if name.starts_with(MARK) {
            aside.push(name);
        }
    }
    // The time comes first in a name, so that the order of names is that of times.
    aside.sort_unstable();
    let surplus = aside.len().saturating_sub(MAX_ASIDE);
    aside.iter().take(surplus).try_for_each(|name| agents.remove_all(name))
}

//! The tenant's agents: what an agent is, and how one is found, made, changed and deleted.
//!
//! An agent is a directory `agents/<id>`; what is set for it is in its `agent.json`, which may be
//! missing. `main` is always there. Files are changed whole or not at all, and an agent appears
//! and disappears by one rename.

mod files;
mod identity;
mod removal;

use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use types::{AgentId, UnixMillis};

use crate::Error;
use crate::store::{self, Dir};

pub(crate) use files::{Content, FILES, MAX_FILE, Refused, read_file, workspace_path, write_file};
pub(crate) use removal::{Removal, remove};

/// Agents of one tenant, `main` included: each has files, and lists show all of them.
pub(crate) const MAX_AGENTS: usize = 64;
/// Bytes of an `agent.json`; a picture may be in it.
const MAX_BYTES: u64 = 256 << 10;
const FILE: &str = "agent.json";

/// One agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Agent {
    pub(crate) id: AgentId,
    pub(crate) settings: AgentSettings,
}

/// What is set for an agent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct AgentSettings {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) name: Option<String>,
    /// As a request names it; the tenant's default where there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) model: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) emoji: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) avatar: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) created_at: Option<UnixMillis>,
}

impl Agent {
    /// Where its workspace is, beneath the tenant's root.
    pub(crate) fn workspace(&self) -> String {
        workspace_path(&self.id)
    }

    /// How it is called.
    pub(crate) fn name(&self) -> &str {
        self.settings.name.as_deref().unwrap_or_else(|| self.id.as_str())
    }
}

/// What may come of making an agent.
#[derive(Debug)]
pub(crate) enum Making {
    /// It was made.
    Made(Agent),
    /// There is such an agent already.
    Taken,
    /// There are [`MAX_AGENTS`] already.
    TooMany,
}

/// The agent `id`, if there is one.
pub(crate) fn get(root: &Dir, id: &AgentId) -> Result<Option<Agent>, Error> {
    let found = root.sub(&format!("agents/{id}")).map_err(Error::io("look for the agent"))?;
    match found {
        Some(folder) => Ok(Some(Agent { id: id.clone(), settings: settings(&folder)? })),
        None if *id == AgentId::main() => {
            Ok(Some(Agent { id: id.clone(), settings: AgentSettings::default() }))
        }
        None => Ok(None),
    }
}

/// Every agent: `main` first, then by id.
pub(crate) fn list(root: &Dir) -> Result<Vec<Agent>, Error> {
    let mut ids = store::agents(root)?;
    ids.sort_by_key(|id| *id != AgentId::main());
    let mut agents = Vec::with_capacity(ids.len());
    for id in ids {
        agents.extend(get(root, &id)?);
    }
    Ok(agents)
}

/// Makes an agent with a workspace that holds what `main`'s got, and its identity.
pub(crate) fn create(root: &Dir, agent: Agent) -> Result<Making, Error> {
    let _changing = changing();
    if get(root, &agent.id)?.is_some() {
        return Ok(Making::Taken);
    }
    if store::agents(root)?.len() >= MAX_AGENTS {
        return Ok(Making::TooMany);
    }
    let agents = root.sub_or_create("agents").map_err(Error::io("make the agents' directory"))?;
    let unfinished = format!(".new-{}", agent.id);
    agents.remove_all(&unfinished).map_err(Error::io("remove an unfinished agent"))?;
    if let Err(err) = fill(&agents, &unfinished, &agent) {
        // What is half made only takes room on a disk that may be full.
        agents.remove_all(&unfinished).map_err(Error::io("remove an unfinished agent"))?;
        return Err(err);
    }
    let renamed = agents.rename(&unfinished, agent.id.as_str()).and_then(|()| agents.sync());
    renamed.map_err(Error::io("make an agent"))?;
    Ok(Making::Made(agent))
}

/// Changes what is set for an agent. `None` where there is no such agent.
pub(crate) fn update(
    root: &Dir,
    id: &AgentId,
    change: impl FnOnce(&mut AgentSettings),
) -> Result<Option<Agent>, Error> {
    let _changing = changing();
    let Some(mut agent) = get(root, id)? else { return Ok(None) };
    let before = agent.settings.clone();
    change(&mut agent.settings);
    if agent.settings == before {
        return Ok(Some(agent));
    }
    let Some(folder) = store::agent_folder(root, id)? else { return Ok(None) };
    write(&folder, &agent.settings)?;
    if let Some(workspace) = folder.sub("workspace").map_err(Error::io("open the workspace"))? {
        identity::mirror(&workspace, &before, &agent.settings)?;
    }
    Ok(Some(agent))
}

/// The id that a name stands for, as `OpenClaw` makes it; `None` where nothing of it is left.
pub(crate) fn id_of(name: &str) -> Option<AgentId> {
    let mut id = String::new();
    for c in name.trim().to_lowercase().chars() {
        if c.is_ascii_alphanumeric() || c == '_' {
            id.push(c);
        } else if !id.is_empty() && !id.ends_with('-') {
            id.push('-');
        }
    }
    let id: String = id.trim_start_matches('_').chars().take(AgentId::MAX).collect();
    id.trim_end_matches('-').parse().ok()
}

fn fill(agents: &Dir, name: &str, agent: &Agent) -> Result<(), Error> {
    let folder = agents.sub_or_create(name).map_err(Error::io("make an agent"))?;
    write(&folder, &agent.settings)?;
    let workspace = crate::agent::seed_workspace(&folder)?;
    identity::mirror(&workspace, &AgentSettings::default(), &agent.settings)
}

fn settings(folder: &Dir) -> Result<AgentSettings, Error> {
    let bytes = folder.read_start(FILE, MAX_BYTES).map_err(Error::io("read an agent"))?;
    let Some(bytes) = bytes else { return Ok(AgentSettings::default()) };
    serde_json::from_slice(&bytes).map_err(invalid)
}

fn write(folder: &Dir, settings: &AgentSettings) -> Result<(), Error> {
    let bytes = serde_json::to_vec(settings).map_err(invalid)?;
    folder.replace(FILE, &bytes).map_err(Error::io("write an agent"))
}

fn invalid(source: serde_json::Error) -> Error {
    Error::Invalid { what: "agent.json", source }
}

/// One change of agents at a time: there is one worker per tenant.
fn changing() -> MutexGuard<'static, ()> {
    static CHANGING: Mutex<()> = Mutex::new(());
    CHANGING.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;

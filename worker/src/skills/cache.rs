//! What has been read of skills, so that a turn reads only what has changed since the last one.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, Hash as _, Hasher as _, RandomState};
use std::io::Read as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use proto::worker::Skill;
use types::AgentId;

use super::bins::Bins;
use super::file::{InvalidSkill, MAX_FILE, SkillFile};
use super::scan::{self, Found, Origin, Seen, Stamp};
use crate::Error;
use crate::store::Dir;

/// Files of all agents that are remembered; beyond it everything is read anew.
const MAX_FILES: usize = 4096;

/// Agents whose last look is remembered.
const MAX_AGENTS: usize = 512;

/// What has been read. Clones share it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Cache(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    state: Mutex<State>,
    hasher: RandomState,
    bins: Bins,
}

#[derive(Debug, Default)]
struct State {
    /// By folder.
    files: HashMap<String, (Stamp, Parsed)>,
    /// What an agent had when it was looked at last.
    looks: HashMap<AgentId, u64>,
}

type Parsed = Arc<Result<SkillFile, InvalidSkill>>;

/// What an agent has now.
#[derive(Debug)]
pub(super) struct Look {
    pub(super) found: Vec<Found>,
    /// Whether that differs from the look before, if there was one.
    pub(super) changed: bool,
}

impl Cache {
    /// The programs that skills have been found to have.
    pub(super) fn bins(&self) -> &Bins {
        &self.0.bins
    }

    /// Looks for the skills of `agent`. Blocks.
    pub(super) fn look(
        &self,
        root: &Dir,
        agent: &AgentId,
        platform: &[Skill],
    ) -> Result<Look, Error> {
        let seen = scan::files(root, agent).map_err(Error::io("look for skills"))?;
        let mut hash = self.0.hasher.build_hasher();
        let mut found = Vec::with_capacity(seen.len() + platform.len());
        for one in seen {
            (&one.folder, one.stamp).hash(&mut hash);
            found.push(self.read(one).map_err(Error::io("read a skill"))?);
        }
        for skill in platform.iter().take(scan::MAX_SKILLS) {
            (&skill.name, &skill.text).hash(&mut hash);
            let file = Arc::new(SkillFile::parse(&skill.text));
            let folder = format!("{}/{}", scan::PLATFORM, skill.name);
            found.push(Found { origin: Origin::Platform, folder, file });
        }
        let now = hash.finish();
        let mut state = self.state();
        if state.looks.len() >= MAX_AGENTS {
            state.looks.clear();
        }
        let before = state.looks.insert(agent.clone(), now);
        Ok(Look { found, changed: before.is_some_and(|before| before != now) })
    }

    fn read(&self, seen: Seen) -> std::io::Result<Found> {
        let Seen { origin, folder, stamp, file } = seen;
        let known = self.state().files.get(&folder).filter(|(at, _)| *at == stamp).cloned();
        if let Some((_, file)) = known {
            return Ok(Found { origin, folder, file });
        }
        let mut bytes = Vec::new();
        // One byte more shows that there is more.
        let most = u64::try_from(MAX_FILE).unwrap_or(u64::MAX).saturating_add(1);
        file.take(most).read_to_end(&mut bytes)?;
        let file = Arc::new(SkillFile::parse(&bytes));
        let mut state = self.state();
        if state.files.len() >= MAX_FILES {
            state.files.clear();
        }
        state.files.insert(folder.clone(), (stamp, Arc::clone(&file)));
        Ok(Found { origin, folder, file })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

//! Where skills are looked for: folders of an agent's workspace, of the tenant, and what the
//! platform gives. Bounded, links are never followed, and what is hidden is passed over.

use std::io::{self, Read as _};
use std::sync::Arc;
use std::time::SystemTime;

use types::AgentId;

use super::file::{InvalidSkill, MAX_FILE, SkillFile};
use crate::store::Dir;

/// What a tenant's root is called in paths that are shown.
pub(super) const ROOT: &str = "/tenant";

/// What the platform's skills are called in paths that are shown; they have no file.
pub(super) const PLATFORM: &str = "/platform/skills";

/// The file that makes a folder a skill.
pub(super) const FILE: &str = "SKILL.md";

/// Skills of one agent.
pub(super) const MAX_SKILLS: usize = 256;

/// Levels of folders beneath the first.
const MAX_LEVELS: usize = 6;

/// Folders that are looked into for one agent.
const MAX_FOLDERS: usize = 2048;

/// Names of one folder.
const MAX_NAMES: usize = 1024;

/// Who gives a skill, in the order in which one hides another of the same name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    Workspace,
    Tenant,
    Platform,
}

/// One skill, or a folder that should be one.
#[derive(Debug, Clone)]
pub(super) struct Found {
    pub(super) origin: Origin,
    /// The folder, as it is shown.
    pub(super) folder: String,
    pub(super) file: Arc<Result<SkillFile, InvalidSkill>>,
}

/// A `SKILL.md` that was seen and not yet read.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) origin: Origin,
    pub(super) folder: String,
    pub(super) stamp: Stamp,
    pub(super) file: std::fs::File,
}

/// By what a change of a file is noticed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Stamp {
    modified: Option<SystemTime>,
    bytes: u64,
}

/// Every `SKILL.md` in the tenant's root that `agent` has, in the order of precedence.
pub(super) fn files(root: &Dir, agent: &AgentId) -> io::Result<Vec<Seen>> {
    let mut walk = Walk { seen: Vec::new(), folders: 0 };
    let workspace = format!("agents/{agent}/workspace");
    let places = [
        (Origin::Workspace, format!("{workspace}/skills")),
        (Origin::Workspace, format!("{workspace}/.agents/skills")),
        (Origin::Tenant, "skills".to_owned()),
    ];
    for (origin, path) in places {
        if let Some(dir) = root.sub(&path)? {
            walk.down(&dir, origin, &format!("{ROOT}/{path}"), 0)?;
        }
    }
    Ok(walk.seen)
}

/// The text of the skill in the folder `path` of the tenant's root, as far as a skill may be long.
pub(super) fn text(root: &Dir, path: &str) -> io::Result<Option<String>> {
    let Some(file) = root.sub(path)?.map(|it| it.file(FILE)).transpose()?.flatten() else {
        return Ok(None);
    };
    let mut bytes = Vec::new();
    file.take(u64::try_from(MAX_FILE).unwrap_or(u64::MAX)).read_to_end(&mut bytes)?;
    Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
}

struct Walk {
    seen: Vec<Seen>,
    folders: usize,
}

impl Walk {
    fn down(&mut self, dir: &Dir, origin: Origin, path: &str, level: usize) -> io::Result<()> {
        let mut names = dir.names()?.take(MAX_NAMES).collect::<io::Result<Vec<_>>>()?;
        names.retain(|name| !name.starts_with('.') && name != "node_modules");
        names.sort_unstable();
        for name in names {
            if self.seen.len() >= MAX_SKILLS || self.folders >= MAX_FOLDERS {
                tracing::debug!(
                    skills = self.seen.len(),
                    "skills are left out: there are too many"
                );
                return Ok(());
            }
            let Some(folder) = dir.sub(&name)? else { continue };
            self.folders += 1;
            let path = format!("{path}/{name}");
            match folder.file(FILE)? {
                Some(file) => {
                    let about = file.metadata()?;
                    let stamp = Stamp { modified: about.modified().ok(), bytes: about.len() };
                    self.seen.push(Seen { origin, folder: path, stamp, file });
                }
                None if level + 1 < MAX_LEVELS => self.down(&folder, origin, &path, level + 1)?,
                None => {}
            }
        }
        Ok(())
    }
}

//! The agent's workspace: files that the tenant writes and that become the system prompt.
//!
//! They are data. What is no regular file is passed over, and what is too long is cut visibly.

use std::sync::{Mutex, PoisonError};

use types::AgentId;

use crate::Error;
use crate::store::{self, Dir};

/// Characters of one file that are used.
const MAX_FILE: usize = 20_000;
/// Characters of all files together.
const MAX_ALL: usize = 60_000;
/// Bytes that hold [`MAX_FILE`] characters, whatever they are, and show whether there is more.
const MAX_BYTES: u64 = 4 * 20_000 + 4;

/// The files, in the order in which a model reads them, with what a new workspace gets.
const FILES: [(&str, &str); 7] = [
    ("AGENTS.md", include_str!("templates/AGENTS.md")),
    ("SOUL.md", include_str!("templates/SOUL.md")),
    ("TOOLS.md", include_str!("templates/TOOLS.md")),
    ("IDENTITY.md", include_str!("templates/IDENTITY.md")),
    ("USER.md", include_str!("templates/USER.md")),
    ("MEMORY.md", include_str!("templates/MEMORY.md")),
    ("HEARTBEAT.md", include_str!("templates/HEARTBEAT.md")),
];

/// The files of an agent's workspace as text for a model. A missing workspace is made first.
pub(super) fn read(root: &Dir, agent: &AgentId) -> Result<String, Error> {
    // An agent that was deleted meanwhile must not come back.
    let Some(folder) = store::agent_folder(root, agent)? else { return Ok(String::new()) };
    let workspace = seed_workspace(&folder)?;
    let mut all = String::new();
    let mut left = MAX_ALL;
    for (name, _) in FILES {
        let bytes = workspace.read_start(name, MAX_BYTES);
        let Some(bytes) = bytes.map_err(Error::io("read a workspace file"))? else { continue };
        let text = String::from_utf8_lossy(&bytes);
        let text = text.trim();
        if !text.is_empty() {
            left -= push(&mut all, name, text, left.min(MAX_FILE));
        }
    }
    Ok(all)
}

/// The workspace in an agent's directory, made where it is missing.
pub(crate) fn seed_workspace(folder: &Dir) -> Result<Dir, Error> {
    match folder.sub("workspace").map_err(Error::io("open the workspace"))? {
        Some(workspace) => Ok(workspace),
        None => seed(folder).map_err(Error::io("make the workspace")),
    }
}

/// Adds one file, at most `max` characters of it, and gives how many it took.
fn push(all: &mut String, name: &str, text: &str, max: usize) -> usize {
    let end = text.char_indices().nth(max).map(|(at, _)| at);
    let shown = end.and_then(|end| text.get(..end)).unwrap_or(text);
    all.push_str("\n\n## ");
    all.push_str(name);
    all.push_str("\n\n");
    all.push_str(shown);
    if end.is_some() {
        let mark = format!("\n\n[{name} is cut here, after {max} characters]");
        all.push_str(&mark);
    }
    shown.chars().count()
}

/// Makes a workspace under another name first: one that exists was made completely.
fn seed(folder: &Dir) -> std::io::Result<Dir> {
    const UNFINISHED: &str = "workspace.new";
    /// Two first turns at once would write into, and rename, the same unfinished directory.
    static SEEDING: Mutex<()> = Mutex::new(());
    let _seeding = SEEDING.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(workspace) = folder.sub("workspace")? {
        return Ok(workspace);
    }
    let workspace = folder.sub_or_create(UNFINISHED)?;
    workspace.fill(&FILES)?;
    folder.rename(UNFINISHED, "workspace")?;
    folder.sync()?;
    // Under the name that it has now.
    folder.sub("workspace")?.ok_or_else(|| std::io::ErrorKind::NotADirectory.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_turns_at_once_seed_one_workspace() {
        let temporary = tempfile::tempdir().unwrap();
        let root = Dir::open(temporary.path()).unwrap();
        std::thread::scope(|scope| {
            let turns: Vec<_> =
                (0..8).map(|_| scope.spawn(|| read(&root, &AgentId::main()).unwrap())).collect();
            for turn in turns {
                assert!(turn.join().unwrap().contains("## SOUL.md"));
            }
        });
    }

    #[test]
    fn a_new_workspace_is_seeded_and_an_existing_one_is_left_alone() {
        let temporary = tempfile::tempdir().unwrap();
        let root = Dir::open(temporary.path()).unwrap();
        let seeded = read(&root, &AgentId::main()).unwrap();
        assert!(FILES.iter().all(|(name, _)| seeded.contains(&format!("## {name}"))), "{seeded}");
        let folder = temporary.path().join("agents/main/workspace");
        std::fs::remove_file(folder.join("TOOLS.md")).unwrap();
        std::fs::write(folder.join("SOUL.md"), "Be brief.").unwrap();
        let text = read(&root, &AgentId::main()).unwrap();
        assert!(text.contains("## SOUL.md\n\nBe brief.") && !text.contains("TOOLS.md"), "{text}");
    }

    #[test]
    fn long_files_are_cut_and_links_are_passed_over() {
        let temporary = tempfile::tempdir().unwrap();
        let folder = temporary.path().join("agents/main/workspace");
        std::fs::create_dir_all(&folder).unwrap();
        for (name, _) in FILES {
            std::fs::write(folder.join(name), "ü".repeat(25_000)).unwrap();
        }
        std::fs::remove_file(folder.join("AGENTS.md")).unwrap();
        std::os::unix::fs::symlink("SOUL.md", folder.join("AGENTS.md")).unwrap();
        let text = read(&Dir::open(temporary.path()).unwrap(), &AgentId::main()).unwrap();
        assert_eq!(text.matches('ü').count(), MAX_ALL);
        assert!(text.contains("[SOUL.md is cut here, after 20000 characters]"));
        assert!(text.contains("[USER.md is cut here, after 0 characters]"));
        assert!(!text.contains("AGENTS.md"));
    }
}

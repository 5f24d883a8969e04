//! Agents as files.

use super::*;

fn root() -> (tempfile::TempDir, Dir) {
    let directory = tempfile::tempdir().unwrap();
    let root = Dir::open(directory.path()).unwrap();
    (directory, root)
}

fn agent(id: &str, name: &str) -> Agent {
    let settings = AgentSettings {
        name: Some(name.to_owned()),
        emoji: Some("🦀".to_owned()),
        ..AgentSettings::default()
    };
    Agent { id: id.parse().unwrap(), settings }
}

#[test]
fn names_become_ids() {
    let check = |name: &str, id: Option<&str>| {
        assert_eq!(id_of(name).as_ref().map(AgentId::as_str), id, "{name}");
    };
    check("Ops", Some("ops"));
    check("  My  Agent! ", Some("my-agent"));
    check("../../etc", Some("etc"));
    check("Ünï_x", Some("n-_x"));
    check("__", None);
    check("!!", None);
    check(&"a".repeat(100), Some(&"a".repeat(64)));
}

#[test]
fn an_agent_is_made_changed_and_removed() {
    let (directory, root) = root();
    let id: AgentId = "ops".parse().unwrap();
    assert_eq!(get(&root, &id).unwrap(), None);
    assert!(matches!(create(&root, agent("ops", "Ops")).unwrap(), Making::Made(_)));
    assert!(matches!(create(&root, agent("ops", "Ops")).unwrap(), Making::Taken));
    let identity = directory.path().join("agents/ops/workspace/IDENTITY.md");
    let text = std::fs::read_to_string(&identity).unwrap();
    assert!(text.contains("- Name: Ops\n") && text.contains("- Emoji: 🦀\n"), "{text}");
    let changed = update(&root, &id, |settings| {
        settings.name = Some("Night watch".to_owned());
        settings.emoji = None;
    });
    assert_eq!(changed.unwrap().unwrap().name(), "Night watch");
    let text = std::fs::read_to_string(&identity).unwrap();
    assert!(text.contains("- Name: Night watch\n") && !text.contains("🦀"), "{text}");
    let ids: Vec<AgentId> = list(&root).unwrap().into_iter().map(|agent| agent.id).collect();
    assert_eq!(ids, [AgentId::main(), id.clone()]);
    assert!(remove(&root, &id, Removal::Files, 1).unwrap());
    assert!(!remove(&root, &id, Removal::Files, 2).unwrap());
    assert_eq!(std::fs::read_dir(directory.path().join("agents")).unwrap().count(), 0);
}

#[test]
fn main_is_there_without_a_directory_and_can_be_changed() {
    let (_directory, root) = root();
    let main = AgentId::main();
    assert_eq!(get(&root, &main).unwrap().unwrap().name(), "main");
    let changed = update(&root, &main, |settings| settings.model = Some("mock/demo".to_owned()));
    assert_eq!(changed.unwrap().unwrap().settings.model.as_deref(), Some("mock/demo"));
    assert_eq!(get(&root, &main).unwrap().unwrap().settings.model.as_deref(), Some("mock/demo"));
}

#[test]
fn there_is_a_limit_and_what_was_put_aside_is_bounded() {
    let (directory, root) = root();
    for at in 1..MAX_AGENTS {
        let id = format!("a{at}");
        assert!(matches!(create(&root, agent(&id, &id)).unwrap(), Making::Made(_)));
    }
    assert!(matches!(create(&root, agent("more", "More")).unwrap(), Making::TooMany));
    for at in 1..10 {
        let id = format!("a{at}").parse().unwrap();
        assert!(remove(&root, &id, Removal::PutAside, at).unwrap());
    }
    let names = std::fs::read_dir(directory.path().join("agents")).unwrap();
    let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut aside: Vec<String> = names.filter(|name| name.starts_with('.')).collect();
    aside.sort();
    let wanted = (6..10).map(|at| format!(".deleted-{at:020}-a{at}"));
    assert_eq!(aside, wanted.collect::<Vec<_>>());
}

#[test]
fn a_deleted_agent_does_not_come_back_by_what_ends_late() {
    let (directory, root) = root();
    let id: AgentId = "ops".parse().unwrap();
    create(&root, agent("ops", "Ops")).unwrap();
    remove(&root, &id, Removal::Files, 1).unwrap();
    assert!(store::agent_folder(&root, &id).unwrap().is_none());
    assert_eq!(write_file(&root, &id, "SOUL.md", "x").unwrap(), None);
    assert!(!directory.path().join("agents/ops").exists());
}

#[test]
fn links_and_folders_are_neither_read_nor_written() {
    let (directory, root) = root();
    let main = AgentId::main();
    write_file(&root, &main, "SOUL.md", "calm").unwrap().unwrap().unwrap();
    let workspace = directory.path().join("agents/main/workspace");
    let secret = directory.path().join("secret");
    std::fs::write(&secret, "s").unwrap();
    std::fs::remove_file(workspace.join("USER.md")).unwrap();
    std::os::unix::fs::symlink(&secret, workspace.join("USER.md")).unwrap();
    std::os::unix::fs::symlink(&secret, workspace.join("SOUL.md.tmp")).unwrap();
    std::fs::remove_file(workspace.join("TOOLS.md")).unwrap();
    std::fs::create_dir(workspace.join("TOOLS.md")).unwrap();
    let dir = root.sub("agents/main/workspace").unwrap().unwrap();
    for name in ["USER.md", "TOOLS.md"] {
        assert_eq!(read_file(&dir, name).unwrap(), Err(Refused::NotAFile), "{name}");
        let written = write_file(&root, &main, name, "x").unwrap();
        assert_eq!(written, Some(Err(Refused::NotAFile)), "{name}");
    }
    // A link in the place of the temporary file is not followed either.
    write_file(&root, &main, "SOUL.md", "calmer").unwrap().unwrap().unwrap();
    assert_eq!(std::fs::read_to_string(workspace.join("SOUL.md")).unwrap(), "calmer");
    assert_eq!(std::fs::read_to_string(&secret).unwrap(), "s");
    std::fs::write(workspace.join("SOUL.md"), "x".repeat(MAX_FILE + 1)).unwrap();
    assert_eq!(read_file(&dir, "SOUL.md").unwrap(), Err(Refused::TooLarge));
}

//! Files among hostile neighbours: links, pipes, directories.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;

use super::*;

struct Tree {
    directory: tempfile::TempDir,
    root: Dir,
}

impl Tree {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(directory.path().join("agents/main/workspace")).unwrap();
        std::fs::create_dir_all(directory.path().join("agents/main/sessions")).unwrap();
        std::fs::create_dir_all(directory.path().join("home")).unwrap();
        std::fs::write(directory.path().join("agents/main/sessions/secret"), "s").unwrap();
        let root = Dir::open(directory.path()).unwrap();
        Self { directory, root }
    }

    fn workspace(&self, name: &str) -> std::path::PathBuf {
        self.directory.path().join("agents/main/workspace").join(name)
    }

    fn read(&self, path: &str) -> Result<String, String> {
        let bytes = read(&self.root, &AgentId::main(), &place(path), 100);
        bytes.map(|it| String::from_utf8(it).unwrap()).map_err(|it| it.to_string())
    }

    fn write(&self, path: &str) -> Result<(), String> {
        replace(&self.root, &AgentId::main(), &place(path), b"new").map_err(|it| it.to_string())
    }
}

fn place(path: &str) -> Place {
    Place::parse("path", path).unwrap()
}

#[test]
fn a_file_is_written_with_its_directories_and_keeps_its_mode() {
    let tree = Tree::new();
    tree.write("a/b/c").unwrap();
    assert_eq!(tree.read("a/b/c").unwrap(), "new");
    tree.write("~/x").unwrap();
    assert!(tree.directory.path().join("home/x").exists());
    let script = tree.workspace("run.sh");
    std::fs::write(&script, "old").unwrap();
    std::fs::set_permissions(&script, Permissions::from_mode(0o4750)).unwrap();
    tree.write("run.sh").unwrap();
    let mode = std::fs::metadata(&script).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o750);
    let names = std::fs::read_dir(tree.workspace("a/b")).unwrap();
    assert_eq!(names.count(), 1, "nothing is left beside it");
}

#[test]
fn links_lead_nowhere_and_what_is_no_file_is_not_opened() {
    let tree = Tree::new();
    let link = |target: &str, name: &str| {
        std::os::unix::fs::symlink(target, tree.workspace(name)).unwrap();
    };
    link("../sessions", "out");
    link("../sessions/secret", "leaf");
    link("real", "inside");
    std::fs::write(tree.workspace("real"), "r").unwrap();
    std::fs::create_dir(tree.workspace("folder")).unwrap();
    nix::unistd::mkfifo(&tree.workspace("pipe"), Mode::S_IRWXU).unwrap();
    drop(std::os::unix::net::UnixListener::bind(tree.workspace("socket")).unwrap());
    let check = |path: &str, message: &str| {
        assert_eq!(tree.read(path).unwrap_err(), message);
        let written = tree.write(path).unwrap_err();
        assert!(written.contains(message), "{written}");
    };
    let is_link = "is a link, and links are not followed: name its target";
    check("out/secret", &format!("/workspace/out {is_link}"));
    check("leaf", &format!("/workspace/leaf {is_link}"));
    check("inside", &format!("/workspace/inside {is_link}"));
    check("folder", "/workspace/folder is not a regular file");
    check("pipe", "/workspace/pipe is not a regular file");
    check("socket", "/workspace/socket is not a regular file");
    check("real/x", "/workspace/real is not a directory");
    check(".", "/workspace is not a regular file");
    assert_eq!(tree.read("none").unwrap_err(), "/workspace/none does not exist");
    let secret = tree.directory.path().join("agents/main/sessions/secret");
    assert_eq!(std::fs::read_to_string(secret).unwrap(), "s");
}

#[test]
fn what_is_too_large_is_refused_and_removal_takes_files_only() {
    let tree = Tree::new();
    std::fs::write(tree.workspace("large"), "x".repeat(101)).unwrap();
    assert_eq!(tree.read("large").unwrap_err(), "/workspace/large is larger than 100 bytes");
    let gone = |path: &str| remove(&tree.root, &AgentId::main(), &place(path));
    gone("large").unwrap();
    gone("large").unwrap_err();
    std::fs::create_dir(tree.workspace("folder")).unwrap();
    gone("folder").unwrap_err();
    is_taken(&tree.root, &AgentId::main(), &place("folder")).unwrap_err();
    assert!(!is_taken(&tree.root, &AgentId::main(), &place("none/x")).unwrap());
}

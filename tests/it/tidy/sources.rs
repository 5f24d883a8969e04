//! What every source, manifest, profile and document looks like.

use serde_json::Value;

use super::{files, metadata, read};

#[test]
fn a_source_says_what_it_is_for_and_stays_short() {
    // In two parts, so that this file does not find itself.
    let (ignore, expect) = (concat!("#[", "ignore"), concat!("(unsafe", "_code"));
    for (path, text) in files("", ".rs") {
        assert!(text.starts_with("//! "), "{path} does not say what it is for");
        assert!(text.lines().count() <= 400, "{path} is longer than 400 lines");
        for line in text.lines().filter(|line| line.contains(ignore)) {
            let issue = line.split("issue ").nth(1).unwrap_or_default();
            assert!(
                issue.starts_with(|it: char| it.is_ascii_digit()),
                "{path}: {line}: which issue?"
            );
        }
        let inside = path.starts_with("sandbox-profiles/");
        assert!(inside || !text.contains(expect), "{path}: unsafe code belongs to sandbox");
    }
    let lines = read("ARCHITECTURE.md").lines().count();
    assert!(lines <= 205, "ARCHITECTURE.md has {lines} lines");
}

#[test]
fn a_manifest_inherits_lints_and_versions() {
    for package in metadata().workspace_packages() {
        let (name, text) = (package.name.as_str(), read(&package.manifest_path));
        let inherits = text.contains("[lints]\nworkspace = true");
        assert!(inherits || name == "proto", "{name} does not inherit the lints");
        for section in text.split("\n[").filter(|it| it.contains("dependencies]\n")) {
            for line in section.lines().skip(1).filter(|line| line.contains('=')) {
                assert!(line.contains("workspace = true"), "{name}: {line}");
            }
        }
    }
}

#[test]
fn a_dependency_has_a_reason() {
    let text = read("Cargo.toml");
    let section = text.split("[workspace.dependencies]").nth(1).unwrap();
    let blocks = section.split("\n[").next().unwrap().split("\n\n");
    for block in blocks.filter(|block| !block.contains("# Part of the order")) {
        for line in block.lines().filter(|line| line.contains('=') && !line.contains("path =")) {
            let reason = line.split_once(" # ").unwrap_or_default().1;
            assert!(reason.len() > 8, "no reason: {line}");
        }
    }
}

#[test]
fn a_seccomp_rule_has_a_reason() {
    for (path, text) in files("sandbox-profiles/profiles", ".json") {
        let mut rules = 0;
        let mut todo = vec![serde_json::from_str::<Value>(&text).unwrap()];
        while let Some(value) = todo.pop() {
            if let Some(call) = value.get("syscall") {
                let reason = value["comment"].as_str().unwrap_or_default();
                assert!(reason.len() > 3, "{path}: {call} has no reason");
                rules += 1;
            }
            todo.extend(value.as_array().into_iter().flatten().cloned());
            todo.extend(value.as_object().into_iter().flat_map(|it| it.values()).cloned());
        }
        assert!(rules > 0 || text.contains("\"include"), "{path} has no rule");
    }
}

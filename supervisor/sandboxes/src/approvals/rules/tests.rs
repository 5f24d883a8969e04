//! Which commands a list has.

use types::AgentId;

use super::super::ask::{Bound, Variable};
use super::*;

fn with<T>(argv: &[&str], files: &[(u32, u8)], then: impl FnOnce(&Ask<'_>) -> T) -> T {
    let argv: Vec<String> = argv.iter().map(|&it| it.to_owned()).collect();
    let bound = |&(argument, byte): &(u32, u8)| Bound { argument, sha256: [byte; 32] };
    let files: Vec<Bound> = files.iter().map(bound).collect();
    then(&Ask {
        agent: &AgentId::main(),
        argv: &argv,
        env: &[],
        cwd: "/workspace",
        files: &files,
        session_key: "",
        run_id: "",
        tool_call_id: "",
    })
}

fn held(entry: &Entry, ask: &Ask<'_>) -> bool {
    find(std::iter::once(entry), ask).is_some()
}

fn check(pattern: &str, arguments: Option<&str>, argv: &[&str], listed: bool) {
    let entry = Entry {
        pattern: pattern.to_owned(),
        arg_pattern: arguments.map(str::to_owned),
        ..Entry::default()
    };
    let found = with(argv, &[], |ask| held(&entry, ask));
    assert_eq!(found, listed, "{pattern} {arguments:?} {argv:?}");
}

#[test]
fn a_name_is_for_names_and_a_path_for_paths() {
    check("git", None, &["git", "push"], true);
    check("g?t*", None, &["git-lfs"], true);
    check("git", None, &["gitx"], false);
    check("git", None, &["/usr/bin/git"], false);
    check("git", None, &["./git"], false);
    check("git", None, &[""], false);
    check("*", None, &["/usr/bin/git"], false);
    check("/usr/bin/git", None, &["git"], false);
    check("/usr/bin/git", None, &["/usr/bin/git", "x"], true);
    check("/usr/*/git", None, &["/usr/bin/git"], true);
    check("/usr/*", None, &["/usr/bin/git"], false);
    check("/usr/**", None, &["/usr/bin/git"], true);
    check("/usr/**/git", None, &["/usr/local/bin/git"], true);
    check("/usr/**/git", None, &["/usr/local/bin/got"], false);
    check("/usr/**", None, &["/usr/../workspace/x"], false);
    check("/usr/**", None, &["/usr/./bin/git"], false);
    check("/usr/**", None, &["/usr//bin/git"], false);
}

#[test]
fn what_an_agent_can_write_is_nobodys_program() {
    check("/workspace/x", None, &["/workspace/x"], false);
    check("**", None, &["/home/agent/.local/bin/git"], false);
    check("./x", None, &["./x"], false);
    let entry = with(&["/workspace/x"], &[(0, 7)], |ask| entry(ask, "1".to_owned())).unwrap();
    let is_held = |byte| with(&["/workspace/x"], &[(0, byte)], |ask| held(&entry, ask));
    assert!(is_held(7) && !is_held(8));
    assert!(!with(&["/workspace/x"], &[], |ask| held(&entry, ask)));
}

#[test]
fn a_shell_is_listed_by_its_exact_text_only() {
    check("bash", None, &["bash", "-c", "git push"], false);
    check("git", None, &["bash", "-c", "git push"], false);
    check("/usr/bin/bash", None, &["/usr/bin/bash", "-c", "true"], false);
    check("bash", Some("-c\0git push"), &["bash", "-c", "git push"], true);
    check("bash", Some("-c\0git push"), &["bash", "-c", "git push; rm x"], false);
    check("bash", Some("-c\0git *"), &["bash", "-c", "git push"], false);
    check("bash", Some("-c\0git \\*"), &["bash", "-c", "git *"], true);
    check("bash", Some("**"), &["bash", "-c", "true"], false);
    check("bash", Some("-c\0**"), &["bash", "-c", "true"], false);
    check("*", None, &["bash", "-c", "true"], false);
    check("*", None, &["python3.13", "-c", "1"], false);
    check("env", None, &["env", "git"], false);
    check("timeout", None, &["timeout", "1", "git"], false);
}

#[test]
fn arguments_are_held_word_by_word() {
    check("git", Some("push"), &["git", "push"], true);
    check("git", Some("push"), &["git", "push", "-f"], false);
    check("git", Some("push"), &["git"], false);
    check("git", Some(""), &["git"], true);
    check("git", Some(""), &["git", "push"], false);
    check("git", Some("push\0o*n"), &["git", "push", "origin"], true);
    check("git", Some("push\0*"), &["git", "push", "a", "b"], false);
    check("git", Some("push\0**"), &["git", "push", "a", "b"], true);
    check("git", Some("push\0**"), &["git", "push"], true);
    check("git", Some("push\0**"), &["git", "pull"], false);
    check("git", Some("push -f"), &["git", "push", "-f"], false);
    check("git", Some("a\\"), &["git", "a\\"], false);
}

#[test]
fn a_command_that_brings_variables_is_not_listed() {
    let entry = Entry { pattern: "git".to_owned(), ..Entry::default() };
    with(&["git"], &[], |ask| {
        assert!(held(&entry, ask));
        for secret in [false, true] {
            let env = [Variable { name: "A", value: "b", secret }];
            let ask = Ask { env: &env, ..*ask };
            assert!(!held(&entry, &ask) && super::entry(&ask, "1".to_owned()).is_none());
        }
    });
}

#[test]
fn an_entry_that_was_made_is_for_that_command_and_no_other() {
    let commands: &[&[&str]] = &[
        &["git"],
        &["git", "push"],
        &["git", "push", ""],
        &["git", "*"],
        &["git", "a\\b"],
        &["git", "**"],
        &["git", "push -f"],
        &["git", "push", "-f"],
        &["git", "sha256:x"],
        &["bash", "-c", "echo '*' && git push"],
        &["bash", "-c", "echo"],
        &["/usr/bin/git", "push"],
    ];
    for made in commands {
        let entry = with(made, &[], |ask| entry(ask, "1".to_owned())).unwrap();
        for argv in commands {
            let listed = with(argv, &[], |ask| held(&entry, ask));
            assert_eq!(listed, made == argv, "{entry:?} {argv:?}");
        }
    }
    let none: &[&[&str]] = &[&["git", ""], &["./x"], &["/workspace/x"], &["/usr/../x"], &[""]];
    for argv in none {
        assert!(with(argv, &[], |ask| entry(ask, "1".to_owned())).is_none(), "{argv:?}");
    }
}

#[test]
fn an_entry_holds_to_the_files_that_it_was_made_for() {
    let argv = ["python3", "x.py"];
    let made = with(&argv, &[(1, 7)], |ask| entry(ask, "1".to_owned())).unwrap();
    let is_held = |files: &[(u32, u8)]| with(&argv, files, |ask| held(&made, ask));
    assert!(is_held(&[(1, 7)]));
    assert!(!is_held(&[(1, 8)]) && !is_held(&[]) && !is_held(&[(0, 7)]));
}

#[test]
fn an_entry_without_a_content_is_not_for_a_file_that_is_bound() {
    let check =
        |pattern: &str, arguments: Option<&str>, argv: &[&str], files: &[(u32, u8)], listed| {
            let entry = Entry {
                pattern: pattern.to_owned(),
                arg_pattern: arguments.map(str::to_owned),
                ..Entry::default()
            };
            assert_eq!(with(argv, files, |ask| held(&entry, ask)), listed, "{pattern} {files:?}");
        };
    check("git", None, &["git"], &[(0, 7)], false);
    check("/usr/bin/git", None, &["/usr/bin/git"], &[(0, 7)], false);
    check("bash", Some("-c\0git push"), &["bash", "-c", "git push"], &[(2, 7)], false);
    check("git", Some("add\0*"), &["git", "add", "x"], &[(2, 7)], false);
    // What it says nothing of may be anything, and so a file of any content.
    check("cat", None, &["cat", "x"], &[(1, 7)], true);
    check("git", Some("add\0**"), &["git", "add", "x"], &[(2, 7)], true);
}

#[test]
fn an_entry_that_was_made_is_for_where_it_was_made() {
    with(&["git", "push"], &[], |ask| {
        let made = entry(ask, "1".to_owned()).unwrap();
        assert!(held(&made, ask) && !held(&made, &Ask { cwd: "/workspace/other", ..*ask }));
    });
}

#[test]
fn nothing_is_for_good_that_runs_what_an_agent_can_change() {
    let check = |argv: &[&str], files: &[(u32, u8)], offered: bool| {
        let made = with(argv, files, |ask| entry(ask, "1".to_owned()));
        assert_eq!(made.is_some(), offered, "{argv:?}");
    };
    check(&["python3", "x.py"], &[], false);
    check(&["python3", "x.py"], &[(1, 7)], true);
    check(&["env", "A=./x"], &[], false);
    check(&["bash", "-c", "cd /usr && sh /workspace/run"], &[], false);
    check(&["bash", "-c", "git push"], &[], true);
    check(&["cat", "x.py"], &[], true);
}

#[test]
fn patterns_with_stars_are_short() {
    let broken = |pattern: &str, arguments: Option<&str>| {
        let (pattern, arg_pattern) = (pattern.to_owned(), arguments.map(str::to_owned));
        super::check(&Entry { pattern, arg_pattern, ..Entry::default() }).is_err()
    };
    let long = "a".repeat(MAX_WILD);
    assert!(broken(&format!("{long}*"), None) && broken("git", Some(&format!("x\0{long}*"))));
    assert!(!broken(&format!("{long}a"), Some(&format!("*\0{long}\\*"))));
}

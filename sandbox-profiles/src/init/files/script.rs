//! What a script is, by the words of a command line and by its first line. Nothing is opened here.

/// Programs that execute a file which they are given, by name without a version.
const INTERPRETERS: [&str; 18] = [
    "ash", "bash", "bun", "dash", "deno", "ksh", "lua", "node", "nodejs", "perl", "php", "pypy",
    "python", "rscript", "ruby", "sh", "tclsh", "zsh",
];
/// Programs that execute the program which they are given.
const WRAPPERS: [&str; 8] =
    ["chrt", "env", "ionice", "nice", "nohup", "setsid", "stdbuf", "timeout"];
/// Where nobody in a sandbox can put an interpreter.
const SYSTEM: [&str; 4] = ["/usr/", "/bin/", "/sbin/", "/lib/"];

/// Whether the first bound word of a command line, here number `first`, is the script that it runs.
pub(super) fn is_at(argv: &[String], first: usize) -> bool {
    let mut before = argv.iter().take(first).map(|word| program(word));
    match before.next() {
        Some(name) if is_interpreter(&name) => true,
        Some(name) if WRAPPERS.contains(&name.as_str()) => before.any(|name| is_interpreter(&name)),
        _ => false,
    }
}

/// The interpreter that the kernel would execute for a file of this content; empty where the line
/// names none.
pub(super) fn interpreter(content: &[u8]) -> Option<&[u8]> {
    let line = content.strip_prefix(b"#!")?;
    let blank = |it: &u8| matches!(it, b' ' | b'\t');
    let from = line.iter().position(|it| !blank(it)).unwrap_or(line.len());
    let line = line.get(from..)?;
    let end = line.iter().position(|it| blank(it) || matches!(it, b'\n' | 0));
    line.get(..end.unwrap_or(line.len()))
}

/// Whether only the system can have put a program there.
pub(super) fn is_of_system(path: &[u8]) -> bool {
    let below = SYSTEM.iter().any(|place| path.starts_with(place.as_bytes()));
    below && !path.split(|it| *it == b'/').any(|part| part == b"..")
}

fn is_interpreter(name: &str) -> bool {
    INTERPRETERS.contains(&name)
}

/// The name of a program without directory and version.
fn program(word: &str) -> String {
    let name = word.rsplit('/').next().unwrap_or_default();
    name.trim_end_matches(|it: char| it.is_ascii_digit() || it == '.' || it == '-').to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_are_known_by_the_words_before_them() {
        let check = |line: &str, first: usize, wanted: bool| {
            let argv: Vec<String> = line.split(' ').map(str::to_owned).collect();
            assert_eq!(is_at(&argv, first), wanted, "{line}");
        };
        check("bash x", 1, true);
        check("/usr/bin/python3.11 -u x", 2, true);
        check("env A=b node x", 3, true);
        check("timeout 5 perl5.36 x", 3, true);
        check("gcc x", 1, false);
        check("rm x", 1, false);
        check("git commit -m python x", 4, false);
        check("timeout 5 sed -i s/a/b/ x", 5, false);
    }

    #[test]
    fn interpreters_are_read_as_the_kernel_does() {
        let check = |content: &[u8], wanted: Option<&[u8]>, of_system: bool| {
            assert_eq!(interpreter(content), wanted);
            assert_eq!(wanted.is_some_and(is_of_system), of_system, "{wanted:?}");
        };
        check(b"echo", None, false);
        check(b"#!/bin/sh\n", Some(b"/bin/sh"), true);
        check(b"#! \t/usr/bin/env python3\n", Some(b"/usr/bin/env"), true);
        check(b"#!/workspace/sh -e", Some(b"/workspace/sh"), false);
        check(b"#!/usr/../workspace/sh\n", Some(b"/usr/../workspace/sh"), false);
        check(b"#!sh\n", Some(b"sh"), false);
        check(b"#!/proc/self/fd/3\n", Some(b"/proc/self/fd/3"), false);
        check(b"#!", Some(b""), false);
        check(b"#!\n/bin/sh", Some(b""), false);
    }
}

//! Programs that run what their arguments say, and what a command of one names that is not held to any
//! content. Pure: whether a file is there is not known here, and so what reads as a file is one.

use super::ask::Ask;

/// Programs that run what their arguments or their input say. An entry for one that does not say which
/// arguments would be an entry for everything. There are others: the sandbox is the boundary, and this
/// keeps an entry from meaning much more than whoever wrote it can have meant.
const CARRIERS: [&str; 50] = [
    "ash", "awk", "bash", "busybox", "bwrap", "chroot", "csh", "dash", "deno", "ed", "emacs",
    "env", "ex", "expect", "find", "fish", "flock", "gawk", "gdb", "ionice", "ksh", "lua", "make",
    "mawk", "mksh", "nice", "node", "nodejs", "nohup", "npx", "perl", "php", "python", "rbash",
    "ruby", "script", "sed", "setarch", "setsid", "sh", "ssh", "stdbuf", "strace", "taskset",
    "tclsh", "time", "timeout", "vi", "xargs", "zsh",
];

/// Where agents can write.
const WRITABLE: [&str; 3] = ["/workspace", "/home/agent", "/tmp"];

/// Letters at the end of an option after which an argument is a text that is run, as in `bash -lc` or
/// `perl -e`.
const OF_TEXT: [char; 5] = ['c', 'e', 'E', 'r', 'p'];

/// Long options of the same meaning.
const LONG_OF_TEXT: [&str; 4] = ["--eval", "--command", "--print", "--run"];

/// Characters of what ends a file's name after its dot.
const EXTENSION: std::ops::RangeInclusive<usize> = 1..=5;

/// Whether a program runs what its arguments say, whatever its version.
pub(crate) fn is_carrier(program: &str) -> bool {
    let name = program.rsplit('/').next().unwrap_or(program);
    let name = name.trim_end_matches(|it: char| it.is_ascii_digit() || it == '.' || it == '-');
    CARRIERS.contains(&name)
}

/// Whether the word with this number is a text that a carrier runs: no file, whatever it is called.
pub(crate) fn is_text(argv: &[String], argument: usize) -> bool {
    let carrier = argv.first().is_some_and(|it| is_carrier(it));
    let before = argument.checked_sub(1).and_then(|it| argv.get(it));
    carrier && argument > 1 && before.is_some_and(|it| is_text_option(it))
}

fn is_text_option(word: &str) -> bool {
    if word.starts_with("--") {
        return LONG_OF_TEXT.contains(&word);
    }
    word.strip_prefix('-').is_some_and(|it| it.ends_with(OF_TEXT))
}

/// A name in the command that reads as a file which an agent can write, of an argument that is not
/// bound: it can have another content whenever the command runs.
pub(crate) fn loose<'a>(ask: &Ask<'a>) -> Option<&'a str> {
    let arguments = ask.argv.iter().enumerate().skip(1);
    arguments.filter(|(number, _)| ask.bound(*number).is_none()).find_map(|(_, word)| {
        let ends =
            |it: char| it.is_whitespace() || it.is_control() || "|&;<>()$`\"'={}[],:".contains(it);
        word.split(ends).find(|part| is_file(part))
    })
}

/// Whether a word reads as a file of the workspace, the home or `/tmp`.
fn is_file(word: &str) -> bool {
    if word.starts_with('-') {
        return false;
    }
    if word.starts_with('/') {
        let below = |it: &str| word.strip_prefix(it).is_some_and(|it| it.starts_with('/'));
        return WRITABLE.into_iter().any(below) || word.contains("/../");
    }
    let extension = word.rsplit_once('.').filter(|(name, _)| !name.is_empty());
    let named = extension.is_some_and(|(_, end)| {
        EXTENSION.contains(&end.len())
            && end.bytes().all(|it| it.is_ascii_alphanumeric())
            && end.bytes().any(|it| it.is_ascii_alphabetic())
    });
    word.contains('/') || named
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_reads_as_a_file_of_the_agents() {
        for word in ["x.py", "./x", "a/b", "/workspace/x", "/home/agent/x", "/tmp/x", "../x"] {
            assert!(is_file(word), "{word}");
        }
        for word in ["", "push", "-x.py", "/usr/bin/git", "/etc/hosts", "1.5", "/workspaces", "."] {
            assert!(!is_file(word), "{word}");
        }
    }

    #[test]
    fn which_words_are_texts() {
        let check = |argv: &[&str], argument: usize, text: bool| {
            let argv: Vec<String> = argv.iter().map(|&it| it.to_owned()).collect();
            assert_eq!(is_text(&argv, argument), text, "{argv:?}");
        };
        check(&["bash", "-c", "x"], 2, true);
        check(&["/usr/bin/bash", "-lc", "x"], 2, true);
        check(&["perl", "-we", "x"], 2, true);
        check(&["node", "--eval", "x"], 2, true);
        check(&["python3.13", "x.py"], 1, false);
        check(&["bash", "-x", "y"], 2, false);
        check(&["tar", "-c", "x"], 2, false);
        check(&["-c", "x"], 1, false);
    }
}

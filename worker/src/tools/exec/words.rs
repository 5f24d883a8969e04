//! A command line as words, where it is nothing but words: quotes and backslashes as POSIX has them.
//!
//! Whatever a shell would do more about is left to a shell, inside the sandbox. Pure.

/// Words of one command, as the supervisor takes them.
const MAX_WORDS: usize = 1024;

/// Words that a shell does itself, or that begin what only a shell understands.
const OF_SHELL: [&str; 48] = [
    ".", ":", "alias", "bg", "builtin", "case", "cd", "command", "coproc", "declare", "dirs", "do",
    "done", "elif", "else", "esac", "eval", "exec", "exit", "export", "fc", "fg", "fi", "for",
    "function", "hash", "history", "if", "jobs", "let", "local", "popd", "pushd", "read",
    "readonly", "return", "select", "set", "shift", "shopt", "source", "then", "time", "trap",
    "type", "until", "wait", "while",
];
/// More of them.
const OF_SHELL_TOO: [&str; 6] = ["disown", "typeset", "ulimit", "umask", "unalias", "unset"];

/// What a command line is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Line {
    /// A program and its arguments, at least one word.
    Words(Vec<String>),
    /// Text for a shell.
    Shell,
}

/// Reads a command line.
pub(super) fn split(text: &str) -> Line {
    let words = words(text).filter(|words| words.len() <= MAX_WORDS);
    match words.as_deref() {
        Some([first, ..]) if !first.is_empty() && !is_of_shell(first) => {
            words.map_or(Line::Shell, Line::Words)
        }
        _ => Line::Shell,
    }
}

fn is_of_shell(word: &str) -> bool {
    // `a=b` sets a variable where a program would stand.
    OF_SHELL.contains(&word) || OF_SHELL_TOO.contains(&word) || word.contains('=')
}

/// The words, or nothing where there is more than words.
fn words(text: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    // `Some` from the first character of a word on; an empty pair of quotes is a word.
    let mut word: Option<String> = None;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            ' ' | '\t' => words.extend(word.take()),
            '\'' => quoted(&mut chars, word.get_or_insert_default())?,
            '"' => double_quoted(&mut chars, word.get_or_insert_default())?,
            '\\' => word.get_or_insert_default().push(escaped(chars.next()?)?),
            '#' | '~' if word.is_none() => return None,
            c if is_special(c) => return None,
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    Some(words)
}

/// What means more to a shell than itself, outside of quotes. Line ends and NUL are among it.
fn is_special(c: char) -> bool {
    matches!(
        c,
        '|' | '&'
            | ';'
            | '<'
            | '>'
            | '('
            | ')'
            | '$'
            | '`'
            | '*'
            | '?'
            | '['
            | ']'
            | '{'
            | '}'
            | '!'
            | '^'
    ) || c.is_control()
}

/// An escaped character; an escaped line end joins lines, which is left to a shell.
fn escaped(c: char) -> Option<char> {
    (!c.is_control()).then_some(c)
}

fn quoted(chars: &mut std::str::Chars<'_>, word: &mut String) -> Option<()> {
    loop {
        match chars.next()? {
            '\'' => return Some(()),
            '\0' => return None,
            c => word.push(c),
        }
    }
}

fn double_quoted(chars: &mut std::str::Chars<'_>, word: &mut String) -> Option<()> {
    loop {
        match chars.next()? {
            '"' => return Some(()),
            '$' | '`' | '!' | '\0' => return None,
            '\\' => match chars.next()? {
                c @ ('$' | '`' | '"' | '\\') => word.push(c),
                '\n' | '\0' => return None,
                c => word.extend(['\\', c]),
            },
            c => word.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn plain_commands_are_words_and_everything_else_is_for_a_shell() {
        let check = |text: &str, words: &[&str]| {
            let words: Vec<_> = words.iter().map(|&it| it.to_owned()).collect();
            let want = if words.is_empty() { Line::Shell } else { Line::Words(words) };
            assert_eq!(split(text), want, "{text}");
        };
        check("ls -la  dir", &["ls", "-la", "dir"]);
        check("echo 'a  b' \"c d\"e f\\ g ''", &["echo", "a  b", "c de", "f g", ""]);
        check(r#"printf "\"\\\$\a""#, &["printf", r#""\$\a"#]);
        check("grep 'a|b$' x", &["grep", "a|b$", "x"]);
        check("tool --key=value", &["tool", "--key=value"]);
        check("echo a~b a#b", &["echo", "a~b", "a#b"]);
        check("echo ü", &["echo", "ü"]);
        for text in [
            "",
            "  ",
            "a | b",
            "a;b",
            "a && b",
            "a > f",
            "echo $HOME",
            "echo \"$x\"",
            "echo `x`",
            "ls *.rs",
            "a\nb",
            "X=1 env",
            "cd /x",
            "echo 'open",
            "echo \"open",
            "echo \\",
            "~/run",
            "# no",
            "a {b,c}",
            "[ -f x ]",
            "! a",
            "''",
            "export A",
            "echo \"a\\\nb\"",
            "a\0b",
        ] {
            check(text, &[]);
        }
    }

    proptest! {
        #[test]
        fn quoted_words_come_back(words in proptest::collection::vec("[^'\\x00]{0,8}", 1..8)) {
            let text = words.iter().map(|it| format!("'{it}'")).collect::<Vec<_>>().join(" ");
            match split(&text) {
                Line::Words(split) => prop_assert_eq!(split, words),
                Line::Shell => prop_assert!(words[0].is_empty() || is_of_shell(&words[0])),
            }
        }

        #[test]
        fn any_text_is_read(text in "\\PC{0,40}") {
            if let Line::Words(words) = split(&text) {
                prop_assert!(words.iter().map(String::len).sum::<usize>() <= text.len());
            }
        }
    }
}

//! The environment of programs: built from nothing, with what a command may add by name. Pure.
//!
//! In its sandbox a variable can harm nobody else. But what was approved must be what runs, and a
//! variable that loads code or chooses a program makes something else of the same command line.

mod refused;

use std::collections::BTreeSet;

use crate::Error;
use crate::bounds::{MAX_ENV, MAX_VARIABLES};

use refused::matches;

/// Names and values, in the order in which they were given.
pub(crate) type Variables = Vec<(String, String)>;

/// What else says how an environment is.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Kind {
    /// Whether the program has a terminal.
    pub(crate) terminal: bool,
    /// Whether there is a way out.
    pub(crate) proxy: bool,
    /// Where programs are found, if not where they usually are.
    pub(crate) path: Option<&'static str>,
}

/// What every program has.
const BASE: [(&str, &str); 8] = [
    ("PATH", "/home/agent/.local/bin:/usr/local/bin:/usr/bin:/bin"),
    ("HOME", "/home/agent"),
    ("USER", "agent"),
    ("LOGNAME", "agent"),
    ("LANG", "C.UTF-8"),
    ("SHELL", "/bin/bash"),
    ("TMPDIR", "/tmp"),
    ("OPENCLAW_SHELL", "exec"),
];

/// Where programs find the way out, if there is one.
const PROXY: &str = "http://127.0.0.1:3128";

/// Under which names they look for it.
const PROXIES: [&str; 4] = ["HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"];

/// The kind of a terminal where nobody says another.
const TERM: &str = "xterm-256color";

/// The kind of a terminal for programs that have none.
const NO_TERM: &str = "dumb";

/// Bytes of a name.
const MAX_NAME: usize = 128;

/// Bytes of a value of a terminal's variable.
const MAX_SMALL: usize = 256;

/// Variables that whoever opens a terminal may set. A `*` at the end stands for anything.
const OF_TERMINALS: [&str; 5] = ["LANG", "LC_*", "TERM", "COLORTERM", "TZ"];

/// The environment of a command: the base, its own variables, and its skill's, whose values nobody
/// is shown.
pub(crate) fn command(own: &Variables, skill: Variables, kind: Kind) -> Variables {
    let mut all = base(if kind.terminal { TERM } else { NO_TERM }, kind.proxy);
    if let Some(path) = kind.path {
        set(&mut all, "PATH".to_owned(), path.to_owned());
    }
    for (name, value) in own.iter().cloned().chain(skill) {
        set(&mut all, name, value);
    }
    all
}

/// The environment of a terminal with what whoever opens it sets.
pub(crate) fn terminal(own: &Variables, shell: &str, proxy: bool) -> Variables {
    let mut all = base(TERM, proxy);
    set(&mut all, "SHELL".to_owned(), shell.to_owned());
    for (name, value) in own.iter().cloned() {
        set(&mut all, name, value);
    }
    all
}

/// Whether a command may set these.
pub(crate) fn check(own: &Variables) -> Result<(), Error> {
    bounded(own)?;
    own.iter().try_for_each(|(name, _)| may_set(name))
}

/// Whether a command may set a variable of this name.
pub(crate) fn may_set(name: &str) -> Result<(), Error> {
    if !is_name(name) {
        let rule = format!("a name has 1 to {MAX_NAME} letters, digits or _, no digit first");
        return Err(Error::Invalid(format!("env: {rule}")));
    }
    match refused::harm(name) {
        Some(harm) => Err(Error::Variable { name: name.to_owned(), why: harm.why() }),
        None => Ok(()),
    }
}

/// Whether whoever opens a terminal may set these; `more` are the names that the settings add.
pub(crate) fn check_of_terminal(own: &Variables, more: &[String]) -> Result<(), Error> {
    bounded(own)?;
    for (name, value) in own {
        let harmless = OF_TERMINALS.iter().any(|pattern| matches(pattern, name));
        let allowed = harmless || more.iter().any(|it| it == name);
        if !is_name(name) || !allowed {
            let why = "terminals take LANG, LC_*, TERM, COLORTERM, TZ and tools.terminal.env";
            return Err(Error::Variable { name: shown(name), why });
        }
        if !harmless {
            may_set(name)?;
        }
        // A locale or a terminal's kind that is a path is read as a file.
        if value.len() > MAX_SMALL || (harmless && name != "TZ" && value.contains('/')) {
            return Err(Error::Invalid(format!("env.{name}: at most {MAX_SMALL} bytes, no /")));
        }
    }
    Ok(())
}

fn base(term: &str, proxy: bool) -> Variables {
    let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
    let proxies = PROXIES.iter().filter(|_| proxy).map(|name| (*name, PROXY));
    let all = BASE.into_iter().chain([("TERM", term)]).chain(proxies);
    all.map(owned).collect()
}

fn set(all: &mut Variables, name: String, value: String) {
    match all.iter_mut().find(|(known, _)| *known == name) {
        Some((_, known)) => *known = value,
        None => all.push((name, value)),
    }
}

fn bounded(own: &Variables) -> Result<(), Error> {
    let bytes: usize = own.iter().map(|(name, value)| name.len() + value.len() + 2).sum();
    if own.len() > MAX_VARIABLES || bytes > MAX_ENV {
        let limit = format!("env: at most {MAX_VARIABLES} variables of {MAX_ENV} bytes together");
        return Err(Error::Invalid(limit));
    }
    if own.iter().any(|(_, value)| value.contains('\0')) {
        return Err(Error::Invalid("env: no zero byte".to_owned()));
    }
    // Which of two holds is up to the program: what somebody reads must be what it sees.
    let names: BTreeSet<_> = own.iter().map(|(name, _)| name).collect();
    if names.len() < own.len() {
        return Err(Error::Invalid("env: a name is given once".to_owned()));
    }
    Ok(())
}

fn is_name(name: &str) -> bool {
    let letter = |it: u8| it.is_ascii_alphabetic() || it == b'_';
    name.len() <= MAX_NAME
        && name.bytes().next().is_some_and(letter)
        && name.bytes().all(|it| letter(it) || it.is_ascii_digit())
}

/// A name as it may be repeated to whoever sent it.
fn shown(name: &str) -> String {
    name.chars().filter(|it| !it.is_control()).take(MAX_NAME).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own(name: &str, value: &str) -> Variables {
        vec![(name.to_owned(), value.to_owned())]
    }

    #[test]
    fn what_a_command_may_set() {
        let check = |name: &str, problem: Option<&str>| {
            let found = check(&own(name, "1")).map_err(|err| err.to_string());
            match problem {
                None => assert_eq!(found, Ok(()), "{name}"),
                Some(part) => {
                    assert!(found.as_ref().is_err_and(|it| it.contains(part)), "{found:?}");
                }
            }
        };
        for fine in ["A", "_", "CI", "FOO_BAR2", "MY_PATH", "PATHS", "TZ", "LC_ALL", "TERM", "http"]
        {
            check(fine, None);
        }
        for (name, why) in [
            ("PATH", "chooses programs"),
            ("Path", "chooses programs"),
            ("LD_PRELOAD", "LD_PRELOAD"),
            ("LD_anything", "loads code"),
            ("GIT_SSH_COMMAND", "loads code"),
            ("GIT_CONFIG_COUNT", "loads code"),
            ("GIT_CONFIG", "loads code"),
            ("BASH_ENV", "shells"),
            ("BASH_FUNC_ls", "shells"),
            ("IFS", "shells"),
            ("HOME", "sandbox sets"),
            ("no_proxy", "way out"),
            ("HTTPS_PROXY", "way out"),
            ("OPENCLAWMU_TOKEN", "gateway's own"),
            ("openclaw", "gateway's own"),
            ("", "letters"),
            ("1A", "letters"),
            ("A=B", "letters"),
            ("A\0", "letters"),
            ("Ä", "letters"),
        ] {
            check(name, Some(why));
        }
        check(&"A".repeat(MAX_NAME), None);
        check(&"A".repeat(MAX_NAME + 1), Some("letters"));
    }

    #[test]
    fn variables_are_bounded() {
        let bounded = |count: usize, bytes: usize, fits: bool| {
            let value = "x".repeat(bytes);
            let all: Variables = (0..count).map(|it| (format!("A{it}"), value.clone())).collect();
            assert_eq!(check(&all).is_ok(), fits, "{count} {bytes}");
        };
        bounded(MAX_VARIABLES, 1, true);
        bounded(MAX_VARIABLES + 1, 1, false);
        bounded(1, MAX_ENV - 4, true);
        bounded(1, MAX_ENV - 3, false);
        assert!(check(&own("A", "a\0b")).is_err());
        let twice = [own("A", "1"), own("A", "1")].concat();
        assert_eq!(check(&twice).unwrap_err().to_string(), "env: a name is given once");
        check(&[own("A", "1"), own("a", "1")].concat()).unwrap();
    }

    #[test]
    fn what_whoever_opens_a_terminal_may_set() {
        let more = ["EDITOR".to_owned(), "MY_FLAG".to_owned()];
        let check = |name: &str, value: &str, fine: bool| {
            let found = check_of_terminal(&own(name, value), &more);
            assert_eq!(found.is_ok(), fine, "{name} {found:?}");
        };
        check("LANG", "de_DE.UTF-8", true);
        check("LC_ALL", "C", true);
        check("TERM", "xterm", true);
        check("TZ", "Europe/Zurich", true);
        check("MY_FLAG", "/any", true);
        // What settings allow does not make it harmless.
        check("EDITOR", "vi", false);
        check("LANG", "../../x", false);
        check("TERM", "/workspace/x", false);
        check("LANG", &"x".repeat(MAX_SMALL + 1), false);
        check("OTHER", "1", false);
        check("PATH", "/workspace", false);
        check("LD_PRELOAD", "x", false);
        check("\u{1b}[0m", "1", false);
    }

    #[test]
    fn it_is_built_from_nothing() {
        let of = |all: &Variables, name: &str| {
            let found: Vec<_> = all.iter().filter(|(it, _)| it == name).collect();
            assert!(found.len() < 2, "{name} twice");
            found.first().map(|(_, value)| value.clone())
        };
        let all = command(&own("LANG", "C"), own("KEY", "s"), Kind::default());
        assert_eq!(of(&all, "LANG").unwrap(), "C");
        assert_eq!(of(&all, "KEY").unwrap(), "s");
        assert_eq!(of(&all, "TERM").unwrap(), NO_TERM);
        assert_eq!(of(&all, "HTTP_PROXY"), None);
        assert_eq!(all.len(), BASE.len() + 2);
        let kind = Kind { path: Some("/usr/bin"), ..Kind::default() };
        assert_eq!(
            of(&command(&Variables::new(), Variables::new(), kind), "PATH").unwrap(),
            "/usr/bin"
        );
        let all = terminal(&own("TERM", "vt100"), "/bin/sh", true);
        assert_eq!(of(&all, "TERM").unwrap(), "vt100");
        assert_eq!(of(&all, "SHELL").unwrap(), "/bin/sh");
        assert_eq!(of(&all, "https_proxy").unwrap(), PROXY);
    }
}

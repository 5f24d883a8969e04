//! A command as a worker sends it, parsed into one that is bounded and can be run. Pure; whether it
//! may be run is for others to say.

use std::collections::BTreeSet;

use proto::host::{BoundFile, Size};
use sandbox::program::Bound;
use types::AgentId;

use crate::Error;
use crate::approvals::carriers::is_text;
use crate::bounds::{
    COLUMNS, MAX_ARGV, MAX_CWD, MAX_FILES, MAX_NOTE, MAX_TIMEOUT_S, MAX_WORDS, ROWS,
};
use crate::environment::{self, Variables};

/// Where the agent's workspace is in its sandbox.
pub(crate) const WORKSPACE: &str = "/workspace";

/// Where the tenant's home is.
const HOME: &str = "/home/agent";

/// Characters of a program's name that are shown.
const MAX_SHOWN: usize = 64;

/// One command, to its last byte.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Command {
    pub(crate) agent: AgentId,
    pub(crate) argv: Vec<String>,
    /// What it sets beside the sandbox's own.
    pub(crate) env: Variables,
    /// Absolute, in the workspace or the home.
    pub(crate) cwd: String,
    pub(crate) timeout_s: Option<u32>,
    /// Columns and rows.
    pub(crate) terminal: Option<(u16, u16)>,
    pub(crate) files: Vec<Bound>,
    pub(crate) skill: Option<String>,
    pub(crate) session_key: String,
    pub(crate) run_id: String,
    pub(crate) tool_call_id: String,
}

impl Command {
    /// Parses and bounds what a worker sent.
    pub(crate) fn parse(wire: proto::host::Command) -> Result<Self, Error> {
        let agent = wire.agent.parse().map_err(|err| invalid("agent", err))?;
        argv(&wire.argv)?;
        let env = wire.env.into_iter().map(|it| (it.name, it.value)).collect();
        environment::check(&env)?;
        if wire.timeout_s > MAX_TIMEOUT_S {
            return Err(invalid("timeout_s", format!("at most {MAX_TIMEOUT_S}")));
        }
        note("session_key", &wire.session_key)?;
        note("run_id", &wire.run_id)?;
        note("tool_call_id", &wire.tool_call_id)?;
        note("request_id", &wire.request_id)?;
        if !wire.skill.is_empty() && !settings::is_skill(&wire.skill) {
            return Err(invalid("skill", "not the key of a skill"));
        }
        Ok(Self {
            agent,
            cwd: cwd(&wire.cwd)?,
            terminal: wire.terminal.map(size).transpose()?,
            files: files(&wire.files, &wire.argv)?,
            argv: wire.argv,
            env,
            timeout_s: (wire.timeout_s > 0).then_some(wire.timeout_s),
            skill: (!wire.skill.is_empty()).then_some(wire.skill),
            session_key: wire.session_key,
            run_id: wire.run_id,
            tool_call_id: wire.tool_call_id,
        })
    }

    /// The program's name for the log: of the whole command line only this is shown, as the rest
    /// may hold secrets.
    pub(crate) fn program(&self) -> String {
        let word = self.argv.first().map_or("", String::as_str);
        let name = word.rsplit('/').next().unwrap_or(word);
        let plain = |it: char| if it.is_ascii_graphic() { it } else { '?' };
        name.chars().take(MAX_SHOWN).map(plain).collect()
    }
}

/// A terminal's columns and rows.
pub(crate) fn size(size: Size) -> Result<(u16, u16), Error> {
    let fits = COLUMNS.contains(&size.columns) && ROWS.contains(&size.rows);
    let both = u16::try_from(size.columns).ok().zip(u16::try_from(size.rows).ok());
    both.filter(|_| fits).ok_or_else(|| {
        let (columns, rows) = (COLUMNS.end(), ROWS.end());
        invalid("terminal", format!("from 1 to {columns} columns and 1 to {rows} rows"))
    })
}

fn argv(argv: &[String]) -> Result<(), Error> {
    let bytes: usize = argv.iter().map(|word| word.len() + 1).sum();
    if argv.len() > MAX_WORDS || bytes > MAX_ARGV {
        let limit = format!("at most {MAX_WORDS} words of {MAX_ARGV} bytes together");
        return Err(invalid("argv", limit));
    }
    if argv.first().is_none_or(String::is_empty) {
        return Err(invalid("argv", "the first word names the program"));
    }
    if argv.iter().any(|word| word.contains('\0')) {
        return Err(invalid("argv", "no zero byte"));
    }
    Ok(())
}

/// Where a command runs: what is relative is below the workspace, and nothing leads out.
fn cwd(text: &str) -> Result<String, Error> {
    if text.len() > MAX_CWD || text.contains('\0') {
        return Err(invalid("cwd", format!("at most {MAX_CWD} bytes, no zero byte")));
    }
    let mut path = if text.starts_with('/') { String::new() } else { WORKSPACE.to_owned() };
    for part in text.split('/').filter(|part| !part.is_empty() && *part != ".") {
        if part == ".." {
            return Err(invalid("cwd", "no .."));
        }
        path.push('/');
        path.push_str(part);
    }
    let below =
        |top: &str| path.strip_prefix(top).is_some_and(|it| it.is_empty() || it.starts_with('/'));
    if below(WORKSPACE) || below(HOME) {
        return Ok(path);
    }
    Err(invalid("cwd", format!("below {WORKSPACE} or {HOME}")))
}

/// The files that words name. A word that names none is not bound: it would run as one nevertheless.
fn files(files: &[BoundFile], argv: &[String]) -> Result<Vec<Bound>, Error> {
    if files.len() > MAX_FILES {
        return Err(invalid("files", format!("at most {MAX_FILES}")));
    }
    let bound = |file: &BoundFile| {
        let number = usize::try_from(file.argument).ok();
        let word = number.and_then(|it| Some((it, argv.get(it)?)));
        let sha256 = word.and_then(|word| Some((word, digest(&file.sha256)?)));
        let ((number, word), sha256) =
            sha256.ok_or_else(|| invalid("files", "a word of argv and a SHA-256"))?;
        if number == 0 && !word.contains('/') {
            return Err(invalid("files", "a program without a / is no file"));
        }
        if is_text(argv, number) {
            return Err(invalid("files", "a text that is run is no file"));
        }
        Ok(Bound { argument: file.argument, sha256 })
    };
    let bound = files.iter().map(bound).collect::<Result<Vec<_>, _>>()?;
    let arguments: BTreeSet<_> = bound.iter().map(|it| it.argument).collect();
    if arguments.len() < bound.len() {
        return Err(invalid("files", "a word is bound once"));
    }
    Ok(bound)
}

fn digest(hex: &str) -> Option<[u8; 32]> {
    let mut digest = [0; 32];
    let (pairs, rest) = hex.as_bytes().as_chunks::<2>();
    if pairs.len() != digest.len() || !rest.is_empty() {
        return None;
    }
    for (byte, pair) in digest.iter_mut().zip(pairs) {
        let [high, low] = pair.map(|it| char::from(it).to_digit(16));
        *byte = u8::try_from(high? * 16 + low?).ok()?;
    }
    Some(digest)
}

fn note(field: &str, text: &str) -> Result<(), Error> {
    if text.len() > MAX_NOTE {
        return Err(invalid(field, format!("at most {MAX_NOTE} bytes")));
    }
    Ok(())
}

fn invalid(field: &str, limit: impl std::fmt::Display) -> Error {
    Error::Invalid(format!("{field}: {limit}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wire() -> proto::host::Command {
        proto::host::Command {
            agent: "main".to_owned(),
            argv: vec!["/usr/bin/ls".to_owned(), "-l".to_owned()],
            ..proto::host::Command::default()
        }
    }

    #[test]
    fn what_is_a_command() {
        let check = |change: &dyn Fn(&mut proto::host::Command), problem: Option<&str>| {
            let mut wire = wire();
            change(&mut wire);
            let found = Command::parse(wire).map_err(|err| err.to_string());
            match (found, problem) {
                (Ok(_), None) => {}
                (Err(found), Some(part)) if found.starts_with(part) => {}
                (found, problem) => panic!("{found:?}, expected {problem:?}"),
            }
        };
        check(&|_| {}, None);
        check(&|it| it.agent = "../x".to_owned(), Some("agent: "));
        check(&|it| it.argv.clear(), Some("argv: the first word"));
        check(&|it| it.argv = vec![String::new(), "x".to_owned()], Some("argv: the first word"));
        check(&|it| it.argv.push("a\0b".to_owned()), Some("argv: no zero"));
        check(&|it| it.argv.resize(MAX_WORDS, String::new()), None);
        check(&|it| it.argv.resize(MAX_WORDS + 1, String::new()), Some("argv: at most 1024"));
        check(&|it| it.argv.push("x".repeat(MAX_ARGV)), Some("argv: at most"));
        check(&|it| it.timeout_s = MAX_TIMEOUT_S, None);
        check(&|it| it.timeout_s = MAX_TIMEOUT_S + 1, Some("timeout_s: at most 86400"));
        check(&|it| it.run_id = "x".repeat(MAX_NOTE + 1), Some("run_id: "));
        check(&|it| it.skill = "a/b".to_owned(), Some("skill: "));
        check(&|it| it.terminal = Some(Size { columns: 80, rows: 24 }), None);
        check(&|it| it.terminal = Some(Size { columns: 0, rows: 24 }), Some("terminal: "));
        check(&|it| it.terminal = Some(Size { columns: 80, rows: 70_000 }), Some("terminal: "));
        let file = |argument, sha256: &str| BoundFile { argument, sha256: sha256.to_owned() };
        check(&|it| it.files = vec![file(1, &"aB".repeat(32))], None);
        check(&|it| it.files = vec![file(0, &"ab".repeat(32))], None);
        check(&|it| it.files = vec![file(2, &"ab".repeat(32))], Some("files: "));
        check(
            &|it| it.files = vec![file(1, &"ab".repeat(32)); 2],
            Some("files: a word is bound once"),
        );
        let words = |argv: &[&str]| argv.iter().map(|&it| it.to_owned()).collect::<Vec<_>>();
        for (argv, argument) in [(&["ls"][..], 0), (&["bash", "-c", "x"], 2)] {
            let files = vec![file(argument, &"ab".repeat(32))];
            let change = |it: &mut proto::host::Command| {
                (it.argv, it.files) = (words(argv), files.clone());
            };
            check(&change, Some("files: a "));
        }
        check(&|it| it.files = vec![file(1, &"ab".repeat(31))], Some("files: "));
        check(&|it| it.files = vec![file(1, &"+1".repeat(32))], Some("files: "));
        check(
            &|it| it.files = vec![file(1, &"ab".repeat(32)); MAX_FILES + 1],
            Some("files: at most"),
        );
        let path = proto::host::Variable { name: "PATH".to_owned(), value: String::new() };
        check(&|it| it.env = vec![path.clone()], Some("env.PATH may not be set"));
    }

    #[test]
    fn where_a_command_may_run() {
        let check = |text: &str, wanted: Option<&str>| {
            assert_eq!(cwd(text).ok().as_deref(), wanted, "{text:?}");
        };
        check("", Some("/workspace"));
        check(".", Some("/workspace"));
        check("a//b/./c/", Some("/workspace/a/b/c"));
        check("/workspace/x", Some("/workspace/x"));
        check("/home/agent", Some("/home/agent"));
        check("/home/agent/.local/bin", Some("/home/agent/.local/bin"));
        check("/", None);
        check("/etc", None);
        check("/workspaces", None);
        check("/home/agent/../../etc", None);
        check("../x", None);
        check("a\0b", None);
        check(&"x".repeat(MAX_CWD + 1), None);
    }

    #[test]
    fn of_a_command_line_only_the_program_is_shown() {
        let check = |word: &str, shown: &str| {
            let mut command = Command::parse(wire()).unwrap();
            command.argv = vec![word.to_owned(), "secret".to_owned()];
            assert_eq!(command.program(), shown);
        };
        check("/usr/bin/ls", "ls");
        check("ls", "ls");
        check("a\nb\u{1b}[0m", "a?b?[0m");
        check(&"x".repeat(100), &"x".repeat(MAX_SHOWN));
    }
}

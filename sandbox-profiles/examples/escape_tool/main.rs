//! A hostile tool: run as a command or from a terminal inside a sandbox, it makes every attempt of
//! its list, each in a child of its own, and prints one JSON line per attempt.
//!
//! Its exit code is the number of attempts with another outcome than an accepted one, at most 100;
//! the last line says how many there were, so that a list that broke off is no success. `--list`
//! prints each attempt with its accepted outcomes and attempts nothing. `load NAME` uses something
//! up, `show` tells what it was given, and `race`, `daemon` and `kill` are for a driver that looks
//! from outside (`loads.rs`). Words `KEY=VALUE` tell what really exists outside; `only=PREFIX,..`
//! and `skip=PREFIX,..` choose among the attempts.
#![expect(unsafe_code, reason = "attempts are raw system calls")]

use std::io::{self, Write as _};
use std::process::ExitCode;

use nix::errno::Errno;
use serde_json::{Value, json};

#[path = "../escape/calls.rs"]
mod calls;
mod files;
mod kernel;
mod loads;
mod look;
mod network;
mod processes;
mod resources;
#[path = "../escape/sockets.rs"]
mod sockets;

use calls::{Attempt, Outside};

/// What a child gets before it counts as hung, in seconds.
const PATIENCE: u32 = 20;
/// Exit codes above this mean something else to shells.
const VIOLATIONS_MAX: u8 = 100;

fn main() -> ExitCode {
    look::begin();
    let words: Vec<_> = std::env::args_os().skip(1).collect();
    let words: Vec<_> = words.iter().map(|it| it.to_string_lossy().into_owned()).collect();
    let words: Vec<_> = words.iter().map(String::as_str).collect();
    let done = match words.as_slice() {
        ["--list", ..] => list(),
        ["show", rest @ ..] => say(&look::show(rest)).map(|()| 0),
        ["load", name, rest @ ..] => {
            say(&loads::run(name, &rest.iter().copied().collect())).map(|()| 0)
        }
        rest => make(&rest.iter().copied().collect()),
    };
    match done {
        Ok(code) => ExitCode::from(code),
        Err(err) => {
            drop(say(&json!({"failed": err.to_string()})));
            ExitCode::from(VIOLATIONS_MAX + 1)
        }
    }
}

fn attempts() -> impl Iterator<Item = &'static Attempt> {
    [
        files::ATTEMPTS,
        processes::ATTEMPTS,
        kernel::ATTEMPTS,
        network::ATTEMPTS,
        look::ATTEMPTS,
        resources::ATTEMPTS,
    ]
    .into_iter()
    .flatten()
}

fn list() -> io::Result<u8> {
    let mut out = io::stdout().lock();
    for attempt in attempts() {
        writeln!(out, "{} {}", attempt.name, attempt.accepted)?;
    }
    Ok(0)
}

/// Makes the attempts that were chosen; gives the number of violations.
fn make(outside: &Outside) -> io::Result<u8> {
    let starts = |list: &str, name: &str| {
        list.split(',').any(|prefix| !prefix.is_empty() && name.starts_with(prefix))
    };
    let (only, skip) = (outside.get("only"), outside.get("skip"));
    let chosen = |name: &str| (only.is_empty() || starts(only, name)) && !starts(skip, name);
    let (mut made, mut violations) = (0, 0_u8);
    for attempt in attempts().filter(|it| chosen(it.name)) {
        let outcome = one(attempt, outside);
        let ok = attempt.accepted.split('/').any(|it| it == outcome);
        made += 1;
        violations = violations.saturating_add(u8::from(!ok));
        say(&json!({
            "attempt": attempt.name, "outcome": outcome, "accepted": attempt.accepted, "ok": ok,
        }))?;
    }
    say(&json!({"attempts": made, "violations": violations}))?;
    Ok(violations.min(VIOLATIONS_MAX))
}

/// Makes one attempt in a child, which says by its exit code how it went: an errno, or 0 where
/// nothing refused it.
fn one(attempt: &Attempt, outside: &Outside) -> String {
    // SAFETY: this process has one thread.
    let child = unsafe { libc::fork() };
    if child == 0 {
        // SAFETY: sets a timer of this process.
        unsafe { libc::alarm(PATIENCE) };
        let outcome = (attempt.make)(outside).err().map_or(0, number);
        // SAFETY: ends the child without what the parent registered.
        unsafe { libc::_exit(outcome) };
    }
    let mut status = 0;
    // SAFETY: one live integer.
    let waited = unsafe { libc::waitpid(child, &raw mut status, 0) };
    if child < 0 || waited != child {
        return calls::named(Err(Errno::last()));
    }
    match (libc::WIFEXITED(status), libc::WEXITSTATUS(status)) {
        (true, 0) => calls::named(Ok(())),
        (true, code) => calls::named(Err(Errno::from_raw(code))),
        (false, _) => match libc::WTERMSIG(status) {
            libc::SIGSYS => "SIGSYS".to_owned(),
            libc::SIGKILL => "SIGKILL".to_owned(),
            other => format!("signal {other}"),
        },
    }
}

#[expect(clippy::as_conversions, reason = "there is no other way from an errno to its number")]
const fn number(errno: Errno) -> i32 {
    errno as i32
}

fn say(line: &Value) -> io::Result<()> {
    writeln!(io::stdout(), "{line}")
}

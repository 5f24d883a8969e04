//! The boundary from inside and from outside: what a hostile worker attempts fails, a launch or a
//! worker that leaves out a step is refused, and a battery that lost a layer says so.
//!
//! The hostile worker and the driver that launches it are examples of the sandbox crate; here is
//! only what they must report.

use std::os::unix::fs::chown;
use std::path::Path;
use std::process::Command;

use sandbox::STEPS;
use serde::Deserialize;
use tests::program;

/// Somebody without root.
const ORDINARY: u32 = 54_321;
/// Fewer attempts than this would mean that the list was lost.
const ATTEMPTS_MIN: usize = 200;

/// One line of the driver.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Line {
    Attempt { attempt: String, outcome: String, accepted: Vec<String>, ok: bool },
    Finding { finding: String },
    Refused { refused: String },
}

struct Run {
    verified: bool,
    lines: Vec<Line>,
}

impl Run {
    fn attempts(&self) -> impl Iterator<Item = (&str, bool)> {
        self.lines.iter().filter_map(|line| match line {
            Line::Attempt { attempt, ok, .. } => Some((attempt.as_str(), *ok)),
            Line::Finding { .. } | Line::Refused { .. } => None,
        })
    }

    fn succeeded(&self) -> Vec<&str> {
        self.attempts().filter(|(_, ok)| !ok).map(|(name, _)| name).collect()
    }

    /// What must be empty: attempts with another outcome than an accepted one, and anything that
    /// is no attempt.
    fn complaints(&self) -> Vec<String> {
        let complaint = |line: &Line| match line {
            Line::Attempt { ok: true, .. } => None,
            Line::Attempt { attempt, outcome, accepted, .. } => {
                Some(format!("{attempt}: {outcome}, not {}", accepted.join(" or ")))
            }
            Line::Finding { finding: other } | Line::Refused { refused: other } => {
                Some(other.clone())
            }
        };
        self.lines.iter().filter_map(complaint).collect()
    }

    fn finds(&self, what: &str) -> bool {
        self.lines.iter().any(|it| matches!(it, Line::Finding { finding } if finding == what))
    }
}

/// Runs the driver as whoever runs the test.
fn boundary(words: &[&str]) -> Run {
    boundary_as(None, words)
}

fn boundary_as(uid: Option<u32>, words: &[&str]) -> Run {
    let state = tempfile::Builder::new().prefix("ocmu-").tempdir().unwrap();
    let mut command = match uid {
        None => Command::new(program("boundary")),
        Some(uid) => ordinary(uid, state.path()),
    };
    let output = command.arg(state.path()).arg(program("escape")).args(words).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let read = |line| serde_json::from_str(line).unwrap_or_else(|err| panic!("{line}: {err}"));
    let lines = text.lines().map(read).collect();
    Run { verified: output.status.success(), lines }
}

fn ordinary(uid: u32, state: &Path) -> Command {
    chown(state, Some(uid), Some(uid)).unwrap();
    let mut command = Command::new("setpriv");
    command.args([format!("--reuid={uid}"), format!("--regid={uid}"), "--clear-groups".to_owned()]);
    command.arg(program("boundary"));
    command
}

fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

#[test]
fn every_attempt_fails_while_the_neighbour_is_served() {
    let run = boundary(&["attempts"]);
    assert_eq!(run.complaints(), Vec::<String>::new());
    assert!(run.attempts().count() >= ATTEMPTS_MIN, "{}", run.lines.len());
    assert!(run.verified);
}

#[test]
fn without_root_every_attempt_on_others_fails_as_well() {
    if !is_root() {
        // Then the test above was this one.
        return;
    }
    let run = boundary_as(Some(ORDINARY), &["attempts"]);
    assert_eq!(run.complaints(), Vec::<String>::new());
    assert!(run.attempts().count() >= ATTEMPTS_MIN - 4, "{}", run.lines.len());
    assert!(run.verified);
}

#[test]
fn a_whole_launch_is_verified() {
    assert!(boundary(&["without"]).verified);
    if is_root() {
        assert!(boundary_as(Some(ORDINARY), &["without"]).verified);
    }
}

#[test]
fn a_launch_without_any_one_step_is_refused() {
    for step in STEPS.iter().filter(|step| step.is_for_workers()) {
        let run = boundary(&["without", step.name()]);
        assert!(!run.verified, "nobody misses the step {}", step.name());
        assert!(!run.complaints().is_empty(), "{} without a word", step.name());
    }
}

#[test]
fn a_worker_that_leaves_out_its_own_part_is_refused() {
    for (step, what) in [("seccomp", "seccomp filters"), ("landlock", "landlock")] {
        let run = boundary(&["skip", step]);
        assert!(!run.verified, "nobody misses {step}");
        assert!(run.finds(what), "{step}: {:?}", run.lines);
    }
}

/// The binary cannot be read, so the kernel makes the process undumpable whether it asks or not.
#[test]
fn a_worker_that_stays_dumpable_is_undumpable_all_the_same() {
    assert!(boundary(&["skip", "undumpable"]).verified);
}

/// Attempts that only one layer refuses succeed when a worker leaves that layer out: the battery is
/// not vacuous.
#[test]
fn the_battery_notices_a_missing_layer() {
    let run = boundary(&["attempts", "ns.", "net.", "ipc.", "skip=seccomp"]);
    for name in ["ns.unshare_user", "net.unix_socket", "ipc.pipe"] {
        assert!(run.succeeded().contains(&name), "{name}: {:?}", run.lines);
    }
    let run = boundary(&["attempts", "fs.", "dev.", "skip=landlock"]);
    for name in ["fs.list_root", "fs.list_dev", "dev.without_rule"] {
        assert!(run.succeeded().contains(&name), "{name}: {:?}", run.lines);
    }
}

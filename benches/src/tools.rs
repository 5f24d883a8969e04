//! What a sandboxed command costs from its order to its end, beside the same program started plainly
//! and beside bubblewrap alone; what a terminal holds; what a tool call adds to an agent's turn.

use std::io::{BufRead as _, BufReader, Lines, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use serde::Serialize;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::load::{self, Target};
use crate::provider::{self, WITH_CALL, WITHOUT_CALL};
use crate::stats::Spread;
use crate::system::{REST, System};

/// The second way to make sandboxes, and what the first is compared with.
const BWRAP: &str = "/usr/bin/bwrap";

/// As whom bubblewrap runs alone, where we are root: nobody.
const NOBODY: u32 = 65534;

/// What is run. What the machine does not have is left out.
const PROGRAMS: [&[&str]; 3] = [
    &["/usr/bin/true"],
    &["/usr/bin/bash", "-c", ":"],
    &["/usr/bin/python3", "-I", "-S", "-c", "pass"],
];

/// Rounds that are thrown away.
const WARM_UP: usize = 3;

/// A launcher that was asked for nothing for 20 ms makes a process ahead. It has done so after this
/// long, while nothing is measured.
const PAUSE: Duration = Duration::from_millis(50);

/// Terminals that are open when memory is read. A tenant may have four.
const TERMINALS: [usize; 2] = [1, 4];

/// Everything about tools: each program `rounds` times each way, and as many turns of each kind.
pub async fn measure(rounds: usize) -> Value {
    let commands = commands(rounds);
    let provider = provider::start_calling();
    let system = System::start(provider);
    let tenant = system.tenant("tools");
    let turns = turns(&tenant, rounds).await;
    json!({"commands": commands, "turns": turns, "terminals": terminals(&system, &tenant).await})
}

/// One program, each way.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Program {
    command: String,
    /// Started plainly.
    bare: Spread,
    /// In the sandbox that we make.
    native: Parts,
    native_over_bare: Ratio,
    /// Only where there is bubblewrap.
    bwrap: Option<WithBwrap>,
}

/// What only bubblewrap can run.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct WithBwrap {
    /// Bubblewrap with namespaces of its own and the host's files, and nothing of ours.
    alone: Spread,
    /// In our sandbox that bubblewrap completes.
    sandbox: Parts,
    native_over_alone: Ratio,
    sandbox_over_alone: Ratio,
    sandbox_over_bare: Ratio,
}

/// How long after the order each part of a sandbox's life was done.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Parts {
    /// The launcher has answered: the process is there.
    started: Spread,
    /// It is confined, and init waits for the word to go.
    ready: Spread,
    /// The command has ended and all that it wrote has been read.
    ended: Spread,
    /// Nothing of the sandbox is left.
    reaped: Spread,
}

/// One spread over another.
#[derive(Debug, Serialize)]
struct Ratio {
    p50: f64,
    p99: f64,
}

impl Ratio {
    fn of(over: &Spread, under: &Spread) -> Self {
        Self { p50: over.p50_us / under.p50_us, p99: over.p99_us / under.p99_us }
    }
}

/// What was measured of one program, in nanoseconds, round by round.
#[derive(Debug, Default)]
struct Samples {
    bare: Vec<u64>,
    alone: Vec<u64>,
    native: [Vec<u64>; 4],
    bwrap: [Vec<u64>; 4],
}

/// Every program each way in every round, so that what else the machine does falls on all alike.
fn commands(rounds: usize) -> Vec<Program> {
    let mut native = Launcher::start("native");
    let mut bwrap = Path::new(BWRAP).exists().then(|| Launcher::start("bwrap"));
    let there = PROGRAMS.into_iter().filter(|argv| Path::new(argv[0]).exists());
    let mut found: Vec<(&[&str], Samples)> = there.map(|argv| (argv, Samples::default())).collect();
    for round in 0..WARM_UP + rounds {
        for (argv, samples) in &mut found {
            if round == WARM_UP {
                *samples = Samples::default();
            }
            std::thread::sleep(PAUSE);
            samples.bare.push(time(argv, None));
            if bwrap.is_some() {
                samples.alone.push(alone(argv));
            }
            add(&mut samples.native, native.run(argv));
            std::thread::sleep(PAUSE);
            if let Some(bwrap) = &mut bwrap {
                add(&mut samples.bwrap, bwrap.run(argv));
            }
        }
    }
    found.into_iter().map(|(argv, samples)| Program::of(argv, samples)).collect()
}

fn add(parts: &mut [Vec<u64>; 4], times: [u64; 4]) {
    for (part, time) in parts.iter_mut().zip(times) {
        part.push(time);
    }
}

impl Program {
    fn of(argv: &[&str], samples: Samples) -> Self {
        let bare = Spread::of(samples.bare);
        let native = Parts::of(samples.native);
        let alone = Spread::of(samples.alone);
        let with_bwrap = (alone.count > 0).then(|| {
            let sandbox = Parts::of(samples.bwrap);
            WithBwrap {
                native_over_alone: Ratio::of(&native.reaped, &alone),
                sandbox_over_alone: Ratio::of(&sandbox.reaped, &alone),
                sandbox_over_bare: Ratio::of(&sandbox.reaped, &bare),
                sandbox,
                alone,
            }
        });
        Self {
            command: argv.join(" "),
            native_over_bare: Ratio::of(&native.reaped, &bare),
            bare,
            native,
            bwrap: with_bwrap,
        }
    }
}

impl Parts {
    fn of(samples: [Vec<u64>; 4]) -> Self {
        let [started, ready, ended, reaped] = samples.map(Spread::of);
        Self { started, ready, ended, reaped }
    }
}

/// From the start of a program to its end with all that it wrote, in nanoseconds.
fn time(argv: &[&str], uid: Option<u32>) -> u64 {
    let mut command = Command::new(argv[0]);
    command.args(&argv[1..]).current_dir("/").stdin(Stdio::null());
    if let Some(uid) = uid {
        command.uid(uid).gid(uid);
    }
    let started = Instant::now();
    let output = command.output().unwrap();
    let taken = started.elapsed();
    assert!(output.status.success(), "{argv:?} {}", String::from_utf8_lossy(&output.stderr));
    u64::try_from(taken.as_nanos()).unwrap()
}

/// The same in the least that bubblewrap makes, as an ordinary user.
fn alone(argv: &[&str]) -> u64 {
    let wrapped =
        [BWRAP, "--unshare-all", "--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc"];
    let root = nix::unistd::geteuid().is_root();
    time(&[&wrapped, argv].concat(), root.then_some(NOBODY))
}

/// The real launcher, which a process of its own must split off before it has threads.
#[derive(Debug)]
struct Launcher {
    child: Child,
    commands: Option<ChildStdin>,
    answers: Lines<BufReader<ChildStdout>>,
    _state: TempDir,
}

impl Launcher {
    fn start(backend: &str) -> Self {
        let state = tempfile::tempdir().unwrap();
        let program = std::env::current_exe().unwrap().with_file_name("examples").join("run");
        let mut child = Command::new(&program)
            .arg(state.path())
            .args([&format!("BACKEND={backend}"), "-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|err| panic!("{}: {err}", program.display()));
        let commands = child.stdin.take();
        let answers = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, commands, answers, _state: state }
    }

    /// Runs a command; how long after the order each part was done, in nanoseconds.
    fn run(&mut self, argv: &[&str]) -> [u64; 4] {
        writeln!(self.commands.as_mut().unwrap(), "{}", json!(argv)).unwrap();
        serde_json::from_str(&self.answers.next().unwrap().unwrap()).unwrap()
    }
}

impl Drop for Launcher {
    fn drop(&mut self) {
        self.commands = None;
        self.child.wait().unwrap();
    }
}

/// An agent's turn with one command in it, and without.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Turns {
    without_call: Spread,
    with_call: Spread,
    /// What the call adds to the median: a second question to the model and its place in the
    /// transcript are part of it.
    added_p50_us: f64,
}

async fn turns(tenant: &Target, rounds: usize) -> Turns {
    let body = |text: &str| {
        json!({"model": "openclaw", "messages": [{"role": "user", "content": text}]}).to_string()
    };
    let bodies = [body(WITHOUT_CALL), body(WITH_CALL)];
    let mut found = [Vec::new(), Vec::new()];
    for round in 0..WARM_UP + rounds {
        for (body, found) in bodies.iter().zip(&mut found) {
            let taken = load::once(tenant, body).await;
            if round >= WARM_UP {
                found.push(taken);
            }
        }
    }
    let [without_call, with_call] = found.map(Spread::of);
    let added_p50_us = with_call.p50_us - without_call.p50_us;
    Turns { without_call, with_call, added_p50_us }
}

/// What each open terminal holds, init and shell together, with so many open.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Terminals {
    open: usize,
    /// Mean proportional set size of one.
    pss_kib: f64,
    /// Mean of what the control group of one is charged, where that can be read.
    charged_kib: Option<f64>,
}

async fn terminals(system: &System, tenant: &Target) -> Vec<Terminals> {
    let (mut open, mut found) = (0, Vec::new());
    for count in TERMINALS {
        while open < count {
            load::call(tenant, "terminal.spawn", json!({"cols": 80, "rows": 24})).await;
            open += 1;
        }
        tokio::time::sleep(REST).await;
        let held = system.sandboxes();
        assert_eq!(held.len(), open, "{held:?}");
        let mean = |all: u64| all as f64 / open as f64 / 1024.0;
        let charged: Option<u64> = held.iter().map(|it| it.charged).sum();
        let pss = held.iter().map(|it| it.pss).sum();
        found.push(Terminals { open, pss_kib: mean(pss), charged_kib: charged.map(mean) });
    }
    found
}

//! A tracer that kills a process as it enters a system call, or has its files refuse it.

use std::collections::HashMap;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tests::until;

/// The calls by which something is written, made durable, renamed, or sent to another process.
pub(crate) const CALLS: [&str; 8] =
    ["write", "writev", "sendto", "sendmsg", "pwrite64", "fdatasync", "fsync", "renameat2"];

/// What befalls a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    Killed,
    /// From then on its files refuse this kind of call, with this error.
    Refused(&'static str),
}

/// When one of its threads enters the `nth` of `call`.
#[derive(Debug, Clone)]
pub(crate) struct Step {
    pub(crate) call: &'static str,
    pub(crate) nth: usize,
    pub(crate) fault: Fault,
    /// The files that refuse it.
    pub(crate) files: Vec<String>,
}

/// A process under a tracer; dropped, it goes on without.
pub(crate) struct Tracer {
    child: Child,
    pid: i32,
    dir: tempfile::TempDir,
}

impl Tracer {
    /// Traces the process until that step and after it.
    pub(crate) fn attach(pid: i32, step: Option<&Step>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut strace = Command::new("strace");
        strace.args(["-f", "-y", "-qq", "-s", "0", "-o"]).arg(dir.path().join("calls"));
        strace.args(["-e", "signal=none", "-e"]);
        strace.arg(format!("trace={}", step.map_or_else(|| CALLS.join(","), |it| it.call.into())));
        if let Some(Step { call, nth, fault, files }) = step {
            let what = match fault {
                Fault::Killed => format!("signal=SIGKILL:when={nth}"),
                // With a number that no call has, the filters would end the process.
                Fault::Refused(error) => format!("error={error}:syscall=gettid:when={nth}+"),
            };
            strace.args(["-e", &format!("inject={call}:{what}")]);
            strace.args(files.iter().flat_map(|file| ["-P", file]));
        }
        strace.args(["-p", &pid.to_string()]).stdin(Stdio::null()).stderr(Stdio::null());
        let child = strace.spawn().expect("this test needs strace (apt-get install strace)");
        until("all threads are traced", || {
            let Ok(threads) = std::fs::read_dir(format!("/proc/{pid}/task")) else { return true };
            threads.flatten().all(|thread| {
                let status = std::fs::read_to_string(thread.path().join("status"));
                let status = status.unwrap_or_default();
                status.lines().all(|line| line != "TracerPid:\t0")
            })
        });
        Self { child, pid, dir }
    }

    /// Lets go of the process, and gives what it did: a line for each call, with its thread.
    pub(crate) fn end(mut self) -> Vec<String> {
        self.let_go();
        let calls: PathBuf = self.dir.path().join("calls");
        let calls = std::fs::read_to_string(calls).unwrap_or_default();
        calls.lines().map(str::to_owned).collect()
    }

    fn let_go(&mut self) {
        let tracer = Pid::from_raw(i32::try_from(self.child.id()).unwrap());
        // Of a process that was killed it may wait for a thread that has ended, for ever.
        let signal = if tests::is_alive(self.pid) { Signal::SIGTERM } else { Signal::SIGKILL };
        kill(tracer, signal).unwrap_or_default();
        self.child.wait().unwrap();
    }
}

impl Drop for Tracer {
    fn drop(&mut self) {
        self.let_go();
    }
}

/// The file that a call is about, where it is about one.
pub(crate) fn file_of(line: &str) -> Option<&str> {
    let (_, rest) = line.split_once('(')?;
    let (_, rest) = rest.split_once('<')?;
    let (name, _) = rest.split_once('>')?;
    let is_file = name.starts_with('/') && !name.starts_with("/dev") && !name.starts_with("/proc");
    is_file.then_some(name)
}

/// How often one thread made each call at most.
pub(crate) fn most(lines: &[&String]) -> HashMap<&'static str, usize> {
    let mut counts = HashMap::<(&str, &'static str), usize>::new();
    for line in lines {
        let Some((thread, rest)) = line.split_once(' ') else { continue };
        let called = CALLS.into_iter().find(|call| {
            rest.trim_start().strip_prefix(call).is_some_and(|rest| rest.starts_with('('))
        });
        if let Some(call) = called {
            *counts.entry((thread, call)).or_default() += 1;
        }
    }
    let mut most = HashMap::new();
    for ((_, call), count) in counts {
        let known = most.entry(call).or_default();
        *known = count.max(*known);
    }
    most
}

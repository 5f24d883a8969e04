//! Starts hostile workers through the real launcher, one fresh confined process per attempt, and
//! prints what became of each as one JSON line. It judges by the list that the hostile worker
//! itself prints; it attempts nothing.
//!
//! `boundary STATE_DIR WORKER attempts [PREFIX...] [skip=STEP]` makes the attempts while a
//! neighbour is served, each perhaps by a worker that leaves out one step of its own confinement;
//! `boundary STATE_DIR WORKER without [STEP]` leaves one step of the launch out and prints what
//! `verify` finds; `boundary STATE_DIR WORKER skip [STEP]` has the worker leave out one step of its
//! own confinement; `boundary STATE_DIR WORKER facts` prints the raw facts of a good worker;
//! `boundary STATE_DIR WORKER probes` makes the product's own probes beside a good worker.

use std::error::Error;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use sandbox::{Launcher, Options, STEPS, Side, Step, split};
use serde_json::json;

mod attempts;
mod probes;
mod worker;

type Failure = Box<dyn Error>;

struct Command {
    state: PathBuf,
    worker: PathBuf,
    what: String,
    rest: Vec<String>,
}

fn main() -> ExitCode {
    match run() {
        Ok(code) => code,
        Err(err) => {
            // Where standard output is closed there is nobody to tell.
            drop(say(&json!({"error": err.to_string()})));
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<ExitCode, Failure> {
    let command = command()?;
    let list = attempts::list(&command.worker)?;
    let options = Options {
        state_dir: command.state.clone(),
        worker: command.worker.clone(),
        uid_base: None,
        steps: steps(&command),
    };
    match split(options)? {
        Side::Launcher(code) => Ok(code),
        Side::Supervisor { launcher: socket, uid_base } => {
            sandbox::become_supervisor(uid_base, &command.state)?;
            let launcher = Launcher::new(socket);
            let good = match command.what.as_str() {
                "attempts" => attempts::make(&launcher, &list, &command),
                "without" => worker::judge(&launcher, ""),
                "skip" => worker::judge(&launcher, command.rest.first().map_or("", String::as_str)),
                "facts" => worker::facts(&launcher),
                "probes" => probes::make(&launcher, &command),
                other => Err(format!("{other} is no command").into()),
            }?;
            Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
    }
}

fn command() -> Result<Command, Failure> {
    let mut words = std::env::args().skip(1);
    let mut next = || words.next().ok_or("usage: boundary STATE_DIR WORKER COMMAND [WORD...]");
    let (state, worker, what) = (next()?.into(), next()?.into(), next()?);
    Ok(Command { state, worker, what, rest: words.collect() })
}

/// The steps of production, but for the one that is to be left out. They live as long as the
/// launcher, which is as long as the process.
fn steps(command: &Command) -> &'static [Step] {
    match (command.what.as_str(), command.rest.as_slice()) {
        ("without", [..]) if !command.rest.is_empty() => {
            let left_out = command.rest.join(" ");
            let kept = STEPS.iter().copied().filter(|step| step.name() != left_out);
            Vec::leak(kept.collect())
        }
        _ => STEPS,
    }
}

fn say(line: &serde_json::Value) -> std::io::Result<()> {
    writeln!(std::io::stdout().lock(), "{line}")
}

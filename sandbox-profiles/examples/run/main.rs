//! Runs one command in a sandbox, made by the real launcher, and prints what came of it. It is also
//! the worker that makes the workspace, and the init of the sandbox. It judges nothing.
//!
//! `run STATE_DIR [BACKEND=bwrap] [CLASS=terminal] [NET=egress] [PTY=COLSxROWS] [MEMORY=MIB]
//! [PIDS=N] [CWD=DIR] [COPY=FILE] [BOUND=WORD] [WITHOUT=STEP] [TIMES=N] [PAUSE=MS] [SIGNAL=N]
//! [NAME=VALUE...] COMMAND...`: words with `=` before the command are settings, or variables of its
//! environment. `COPY` puts a file of the host into the workspace, `SIGNAL` is sent when the command
//! first writes. With `TIMES` it prints how long each part of a run took, after a pause where one is
//! wanted. Where the command is `-`, it runs one for each line of standard input, a list in JSON, and
//! answers with a line of JSON: the parts in nanoseconds.

use std::error::Error;
use std::io::Write as _;
use std::process::ExitCode;

use sandbox::{Launcher, Options, STEPS, Side, Step, split};

mod order;
mod sandboxed;
mod worker;

use order::Order;

type Failure = Box<dyn Error>;

fn main() -> ExitCode {
    if sandbox::init::is_asked(std::env::args_os()) {
        return sandbox::init::run(std::env::args_os());
    }
    match run() {
        Ok(code) => code,
        Err(err) => {
            // Where standard error is closed there is nobody to tell.
            drop(writeln!(std::io::stderr(), "run: {err}"));
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<ExitCode, Failure> {
    let words: Vec<String> = std::env::args().collect();
    if words.first().is_some_and(|name| name == "openclawmu-worker") {
        worker::make_workspace()?;
        return Ok(ExitCode::SUCCESS);
    }
    let order = Order::parse(words.into_iter().skip(1))?;
    let options = Options {
        state_dir: order.state.clone(),
        worker: std::env::current_exe()?,
        uid_base: None,
        steps: steps(order.without.as_deref()),
    };
    match split(options)? {
        Side::Launcher(code) => Ok(code),
        Side::Supervisor { launcher: socket, uid_base } => {
            sandbox::become_supervisor(uid_base, &order.state)?;
            let launcher = Launcher::new(socket);
            worker::prepare(&launcher, &order)?;
            if order.by_line() {
                sandboxed::run_lines(&launcher, order)?;
                return Ok(ExitCode::SUCCESS);
            }
            let code = sandboxed::run(&launcher, &order)?;
            Ok(ExitCode::from(code))
        }
    }
}

/// The steps of production, but for the one that is to be left out.
fn steps(without: Option<&str>) -> &'static [Step] {
    let Some(without) = without else { return STEPS };
    Vec::leak(STEPS.iter().copied().filter(|step| step.name() != without).collect())
}

//! The `openclawmu` program: wires the supervisor's crates together, top to bottom, and gives the
//! commands that need them (`serve`, `quickstart`, `doctor`, and those that read the books). Everything
//! else is the command line's, which only talks to the control plane.

mod app;
mod authority;
mod backup;
mod config;
mod doctor;
mod error;
mod log;
mod money;
mod networks;
mod notary;
mod notify;
mod platform;
mod programs;
mod provide;
mod quickstart;
mod reach;
mod secrets;
mod serve;
mod sockets;
mod told;
mod usage;
mod witness;
mod workers;

use std::process::ExitCode;

pub use app::{App, Listeners};
pub use config::Config;
pub use serve::{Serve, serve};

/// Runs the command line to its exit code.
pub fn run() -> ExitCode {
    let cli::Cli { options, command } = cli::parse();
    match command {
        cli::Command::Serve(args) => serve::run(&options, &args),
        cli::Command::Quickstart(args) => quickstart::run(&options, &args),
        cli::Command::Doctor(_) => doctor::run(&options),
        cli::Command::Remote(cli::Remote::Usage(cli::Usage { command: Some(command), .. })) => {
            usage::run(&options, &command)
        }
        cli::Command::Remote(command) => remote(&options, command),
    }
}

/// A request to a running gateway, on a runtime as small as one request.
fn remote(options: &cli::Options, command: cli::Remote) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    match runtime {
        Ok(runtime) => runtime.block_on(cli::run(options, command)),
        Err(err) => serve::finish(Err(serve::Error::Runtime(err))),
    }
}

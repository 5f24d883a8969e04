//! The confined process of one tenant, the init of one of its sandboxes, or a probe of its
//! boundary, as the launcher asks.
//! Confinement comes first; nothing is read before it.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use openclawmu_worker::{app, log};
use types::Chain;

fn main() -> ExitCode {
    if sandbox::init::is_asked(std::env::args_os()) {
        return sandbox::init::run(std::env::args_os());
    }
    if sandbox::probes::is_asked(std::env::args_os()) {
        return sandbox::probes::run(std::env::args_os());
    }
    match confined() {
        Ok(()) => ExitCode::SUCCESS,
        Err(err) => {
            let line = format!("{{\"level\":\"ERROR\",\"message\":\"{}\"}}\n", Chain(&*err));
            // Where even this fails there is nobody left to tell.
            std::io::stderr().write_all(line.as_bytes()).unwrap_or_default();
            ExitCode::FAILURE
        }
    }
}

fn confined() -> Result<(), Box<dyn std::error::Error>> {
    sandbox::memory::settle();
    let confinement = sandbox::confine::worker()?;
    log::start();
    let (serve, host) = sandbox::inherited::sockets()?;
    app::run(PathBuf::from(app::ROOT), confinement, serve, host)?;
    Ok(())
}

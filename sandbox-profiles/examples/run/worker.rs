//! The tenant's worker for as long as it takes to make the agent's workspace, and what is to be in
//! it. It serves nothing.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;

use sandbox::{Launcher, WorkerFds, pairs};

use crate::Failure;
use crate::order::Order;

/// The one tenant of this program.
pub(crate) const TENANT: &str = "acme";
pub(crate) const INDEX: u32 = 1;
const DISK: u64 = 64 << 20;
/// Copied programs are some megabytes.
const FILE_MAX: u64 = 64 << 20;
const WORKSPACE: &str = "/tenant/agents/main/workspace";

/// In the supervisor: has the workspace made and filled.
pub(crate) fn prepare(launcher: &Launcher, order: &Order) -> Result<(), Failure> {
    let tenant = TENANT.parse()?;
    launcher.prepare(&tenant, INDEX, DISK)?;
    let (serve, far_serve) = pairs::pair()?;
    let (_host, far_host) = pairs::pair()?;
    let (_log, far_log) = pairs::log_pipe()?;
    let limits = sandbox::Order {
        tenant,
        index: INDEX,
        memory_max: 256 << 20,
        pids_max: 8,
        cpu_millis: 1000,
        root: sandbox::Root::Live,
    };
    let fds = WorkerFds { serve: far_serve.into(), host: far_host.into(), log: far_log };
    let worker = launcher.launch(&limits, fds)?;
    serve.set_nonblocking(false)?;
    for file in &order.copies {
        let content = std::fs::read(file)?;
        let name = file.file_name().and_then(|name| name.to_str()).ok_or("no name")?;
        (&serve).write_all(format!("{name} {}\n", content.len()).as_bytes())?;
        (&serve).write_all(&content)?;
    }
    serve.shutdown(std::net::Shutdown::Write)?;
    let mut done = String::new();
    (&serve).read_to_string(&mut done)?;
    launcher.kill(worker.id)?;
    if done == "done" { Ok(()) } else { Err("the worker did not make the workspace".into()) }
}

/// In the worker.
pub(crate) fn make_workspace() -> Result<(), Failure> {
    let (serve, _host) = sandbox::inherited::sockets()?;
    serve.set_nonblocking(false)?;
    std::fs::create_dir_all(WORKSPACE)?;
    let mut from = BufReader::new(&serve);
    let mut line = String::new();
    while from.read_line(&mut line)? > 0 {
        let (name, length) = line.trim_end().split_once(' ').ok_or("no length")?;
        let length: u64 = length.parse()?;
        let mut options = std::fs::OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o755);
        let mut file = options.open(format!("{WORKSPACE}/{name}"))?;
        std::io::copy(&mut from.by_ref().take(length.min(FILE_MAX)), &mut file)?;
        line.clear();
    }
    (&serve).write_all(b"done")?;
    Ok(())
}

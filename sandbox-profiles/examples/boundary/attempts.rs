//! The battery: each attempt in a fresh worker of a hostile tenant, with real things outside to
//! reach for, and a neighbour that is served all the while.

use std::net::TcpListener;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::path::Path;

use sandbox::probes::Outside;
use sandbox::{Launcher, Mode, Status};
use serde_json::json;
use types::TenantId;

use crate::worker::{DISK_MIB, MEMORY_MIB, Worker};
use crate::{Command, Failure, say};

/// Indices of the tenants here.
const NEIGHBOUR: u32 = 1;
const HOSTILE: u32 = 2;
/// What only a host with root gives: these are told as lost without it, and not attempted.
const ROOT_ONLY: [&str; 4] =
    ["res.memory_bomb", "res.disk_fill", "res.one_large_file", "res.inode_fill"];
/// What the neighbour keeps.
const SECRET: &str = "neighbours-secret";

/// One line of the hostile worker's list.
pub(crate) struct Attempt {
    name: String,
    accepted: Vec<String>,
}

/// Asks the hostile worker, unconfined, what it can attempt.
#[expect(clippy::disallowed_methods, reason = "the driver stands outside the product")]
pub(crate) fn list(worker: &Path) -> Result<Vec<Attempt>, Failure> {
    let output = std::process::Command::new(worker).arg("--list").output()?;
    let text = String::from_utf8(output.stdout)?;
    let read = |line: &str| {
        let (name, accepted) = line.split_once(' ')?;
        let accepted = accepted.split('/').map(str::to_owned).collect();
        Some(Attempt { name: name.to_owned(), accepted })
    };
    Ok(text.lines().filter_map(read).collect())
}

/// What exists outside for the hostile worker to reach for. Alive until the end, so that no attempt
/// fails for want of a target.
pub(crate) struct Canary {
    _tcp: TcpListener,
    _path: UnixListener,
    _name: UnixListener,
    words: String,
    /// The same for probes.
    pub(crate) outside: Outside,
}

/// Makes all attempts whose name starts with one of the words, or all. True if each was refused and
/// the neighbour noticed nothing.
pub(crate) fn make(
    launcher: &Launcher,
    list: &[Attempt],
    command: &Command,
) -> Result<bool, Failure> {
    let canary = canary(command)?;
    let mode = launcher.host()?.mode;
    let hold = format!("hold secret={SECRET}");
    let mut neighbour = Worker::start(launcher, "neighbour", NEIGHBOUR, &hold)?;
    let ready = neighbour.hear()?;
    if !ready.starts_with("hold ") {
        return Err(ready.into());
    }
    let (told, prefixes): (Vec<_>, Vec<_>) = command.rest.iter().partition(|it| it.contains('='));
    let chosen =
        |name: &str| prefixes.is_empty() || prefixes.iter().any(|it| name.starts_with(*it));
    let words = told.iter().fold(canary.words.clone(), |words, word| format!("{words} {word}"));
    let given = |name: &str| mode == Mode::Root || !ROOT_ONLY.contains(&name);
    let mut good = true;
    for attempt in list.iter().filter(|it| chosen(&it.name) && given(&it.name)) {
        let outcome = one(launcher, attempt, &words)?;
        neighbour.tell("ping")?;
        let ok = attempt.accepted.contains(&outcome) && neighbour.hear()? == "pong";
        good &= ok;
        say(&json!({
            "attempt": attempt.name, "outcome": outcome, "accepted": attempt.accepted, "ok": ok,
        }))?;
    }
    neighbour.kill(launcher)?;
    drop(canary);
    Ok(good)
}

/// An attempt that fills its disk does so in a tenant of its own.
fn one(launcher: &Launcher, attempt: &Attempt, words: &str) -> Result<String, Failure> {
    let tenant = if attempt.name.starts_with("res.") { "filling" } else { "hostile" };
    let index = HOSTILE + u32::from(tenant == "filling");
    let mut worker = Worker::start(launcher, tenant, index, &format!("{} {words}", attempt.name))?;
    let mut said = Vec::new();
    loop {
        let line = worker.hear()?;
        if line.is_empty() {
            break;
        }
        said.push(line);
    }
    let outcome = match worker.end(launcher)?.status {
        Status::Exited(_) => {
            let last = said.last().map_or("", String::as_str);
            let outcome = last.strip_prefix(&format!("{} ", attempt.name));
            outcome.map_or_else(|| said.join(" | "), str::to_owned)
        }
        Status::Signaled(libc::SIGSYS) => "SIGSYS".to_owned(),
        Status::Signaled(libc::SIGKILL) => "SIGKILL".to_owned(),
        Status::Signaled(other) => format!("signal {other}"),
    };
    if tenant == "filling" {
        launcher.erase(&tenant.parse::<TenantId>()?, index)?;
    }
    Ok(outcome)
}

/// In the state directory, which is the working directory and belongs to the supervisor.
pub(crate) fn canary(command: &Command) -> Result<Canary, Failure> {
    let state = command.state.canonicalize().unwrap_or_else(|_| command.state.clone());
    let tcp = TcpListener::bind(("127.0.0.1", 0))?;
    let name = format!("boundary-{}", std::process::id());
    let path = "canary.sock";
    if Path::new(path).exists() {
        std::fs::remove_file(path)?;
    }
    let state = state.display();
    let outside = Outside {
        foreign_file: format!("{state}/tenants/neighbour/secret"),
        foreign_root: format!("{state}/tenants/neighbour"),
        supervisor_file: format!("{state}/keys"),
        socket: format!("{state}/{path}"),
        abstract_name: name.clone(),
        scratch: "/tenant".to_owned(),
        supervisor: std::process::id(),
        foreign: std::process::id(),
        port: tcp.local_addr()?.port(),
    };
    let words = format!(
        "other={} state={state} socket={} abstract={name} port={} supervisor={} \
         memory_mib={MEMORY_MIB} disk_mib={DISK_MIB}",
        outside.foreign_file, outside.socket, outside.port, outside.supervisor,
    );
    let name = SocketAddr::from_abstract_name(&name)?;
    Ok(Canary {
        _tcp: tcp,
        _path: UnixListener::bind(path)?,
        _name: UnixListener::bind_addr(&name)?,
        words,
        outside,
    })
}

//! One worker under the hands of a supervisor that only launches, verifies and kills.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::net::UnixStream;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use sandbox::{
    Exit, Expected, Facts, Launched, Launcher, Order, RawFacts, WorkerFds, pairs, verify,
};
use serde_json::json;
use types::TenantId;

use crate::{Failure, say};

/// What each worker gets: small, so that the attempts to use more of it are short.
pub(crate) const MEMORY_MIB: u64 = 64;
pub(crate) const DISK_MIB: u64 = 32;
const PIDS: u32 = 32;
const CPU_MILLIS: u32 = 1000;
/// The longest that one attempt may take, in milliseconds.
const PATIENCE: u16 = 60_000;

/// A launched worker with the near ends of what it inherited.
pub(crate) struct Worker {
    process: Launched,
    serve: UnixStream,
    _host: UnixStream,
    log: BufReader<std::fs::File>,
    index: u32,
    inodes: [u64; 3],
}

impl Worker {
    /// Launches a worker and gives it its order.
    pub(crate) fn start(
        launcher: &Launcher,
        tenant: &str,
        index: u32,
        order: &str,
    ) -> Result<Self, Failure> {
        let tenant: TenantId = tenant.parse()?;
        launcher.prepare(&tenant, index, DISK_MIB << 20)?;
        let (serve, far_serve) = pairs::pair()?;
        let (host, far_host) = pairs::pair()?;
        let (log, far_log) = pairs::log_pipe()?;
        let inode = |fd: &OwnedFd| nix::sys::stat::fstat(fd).map(|it| it.st_ino);
        let fds = WorkerFds { serve: far_serve.into(), host: far_host.into(), log: far_log };
        let inodes = [inode(&fds.serve)?, inode(&fds.host)?, inode(&fds.log)?];
        let limits = Order {
            tenant,
            index,
            memory_max: MEMORY_MIB << 20,
            pids_max: PIDS,
            cpu_millis: CPU_MILLIS,
            root: sandbox::Root::Live,
        };
        let process = launcher.launch(&limits, fds)?;
        let log = BufReader::new(std::fs::File::from(log));
        let mut worker = Self { process, serve, _host: host, log, index, inodes };
        worker.tell(order)?;
        Ok(worker)
    }

    /// Sends one line.
    pub(crate) fn tell(&mut self, line: &str) -> Result<(), Failure> {
        Ok(self.serve.write_all(format!("{line}\n").as_bytes())?)
    }

    /// The next line of its log; empty at the end.
    pub(crate) fn hear(&mut self) -> Result<String, Failure> {
        if self.log.buffer().is_empty() {
            let mut asked = [PollFd::new(self.log.get_ref().as_fd(), PollFlags::POLLIN)];
            if poll(&mut asked, PollTimeout::from(PATIENCE))? == 0 {
                return Err("the worker says nothing".into());
            }
        }
        let mut line = String::new();
        self.log.read_line(&mut line)?;
        Ok(line.trim_end().to_owned())
    }

    /// Waits for its end, then reaps it.
    pub(crate) fn end(self, launcher: &Launcher) -> Result<Exit, Failure> {
        let mut asked = [PollFd::new(self.process.pidfd.as_fd(), PollFlags::POLLIN)];
        if poll(&mut asked, PollTimeout::from(PATIENCE))? == 0 {
            return Err("the worker does not end".into());
        }
        Ok(launcher.kill(self.process.id)?)
    }

    /// Ends it now.
    pub(crate) fn kill(self, launcher: &Launcher) -> Result<Exit, Failure> {
        Ok(launcher.kill(self.process.id)?)
    }

    /// The launcher's number for it.
    pub(crate) fn number(&self) -> u64 {
        self.process.id
    }

    /// Its process id outside.
    pub(crate) fn pid(&self) -> u32 {
        self.process.pid
    }

    fn facts(&self, launcher: &Launcher) -> Result<RawFacts, Failure> {
        Ok(launcher.facts(self.process.id)?)
    }
}

/// Launches a worker that leaves out `skip` of its own confinement and says what is found. True
/// where it is verified.
pub(crate) fn judge(launcher: &Launcher, skip: &str) -> Result<bool, Failure> {
    let order = if skip.is_empty() { "hold".to_owned() } else { format!("hold skip={skip}") };
    let mut worker = match Worker::start(launcher, "judged", 1, &order) {
        Ok(worker) => worker,
        Err(err) => {
            say(&json!({"refused": err.to_string()}))?;
            return Ok(false);
        }
    };
    let ready = worker.hear()?;
    let words: Vec<&str> = ready.split(' ').collect();
    let ["hold", abi, refused] = words.as_slice() else {
        say(&json!({"refused": ready}))?;
        return Ok(false);
    };
    let facts = Facts::parse(&worker.facts(launcher)?)?;
    let [serve_inode, host_inode, log_inode] = worker.inodes;
    let expected = Expected {
        host: launcher.host()?,
        index: worker.index,
        memory_max: MEMORY_MIB << 20,
        pids_max: PIDS,
        cpu_millis: CPU_MILLIS,
        serve_inode,
        host_inode,
        log_inode,
        landlock_abi: abi.parse()?,
        probes_refused: refused.parse()?,
    };
    let findings = verify(&facts, &expected);
    for it in &findings {
        say(&json!({"finding": it.what, "expected": it.expected, "found": it.found}))?;
    }
    worker.kill(launcher)?;
    Ok(findings.is_empty())
}

/// Prints the raw facts of a good worker and what was expected of it: what the unit tests of
/// `verify` spoil field by field.
pub(crate) fn facts(launcher: &Launcher) -> Result<bool, Failure> {
    let mut worker = Worker::start(launcher, "good", 1, "hold")?;
    let ready = worker.hear()?;
    let (host, inodes) = (launcher.host()?, worker.inodes);
    let raw = worker.facts(launcher)?;
    say(&json!({"ready": ready, "raw": raw, "host": host, "inodes": inodes}))?;
    worker.kill(launcher)?;
    Ok(true)
}

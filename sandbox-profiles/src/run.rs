//! The supervisor's orders to run a command, and what it gets: a sandbox of its own for each, made
//! by the launcher next to the tenant's worker and never entered from it.

use std::os::fd::OwnedFd;

use types::{AgentId, TenantId};

use crate::Error;
use crate::client::Launcher;
use crate::program::{Backend, Class};
use crate::record::{Kind, Request, Run};

/// What one sandbox is for and what it may use. The command itself is in the spec, which the
/// launcher does not read.
#[derive(Debug, Clone)]
pub struct RunOrder {
    /// Whose command.
    pub tenant: TenantId,
    /// The tenant's never reused number; its host ids follow from it.
    pub index: u32,
    /// In whose workspace.
    pub agent: AgentId,
    /// What makes the sandbox.
    pub backend: Backend,
    /// For whom.
    pub class: Class,
    /// Whether there is a way out: the listener of [`Started`].
    pub egress: bool,
    /// Memory in bytes, page cache and `/tmp` included.
    pub memory_max: u64,
    /// Processes and threads, init included.
    pub pids_max: u32,
    /// CPU time in thousandths of one core.
    pub cpu_millis: u32,
}

/// The descriptors that a sandbox is started with: pipes without a name for the first three.
#[derive(Debug)]
pub struct RunFds {
    /// The command's standard input.
    pub stdin: OwnedFd,
    /// The command's standard output.
    pub stdout: OwnedFd,
    /// The command's standard error.
    pub stderr: OwnedFd,
    /// Init's end of [`crate::program::status_pair`].
    pub status: OwnedFd,
    /// What [`crate::program::seal`] made.
    pub spec: OwnedFd,
}

/// A sandbox whose init has been started. It has run nothing yet.
#[derive(Debug)]
pub struct Started {
    /// The launcher's number for it, never reused; what `kill` and `usage` take.
    pub id: u64,
    /// Its process id outside.
    pub pid: u32,
    /// Readable when everything in it has ended.
    pub pidfd: OwnedFd,
    /// Listens on 127.0.0.1:3128 of the sandbox's own network, where the order says so.
    pub listener: Option<OwnedFd>,
}

impl Launcher {
    /// Starts a sandbox, whose init reports on the status pair. The descriptors are closed here in
    /// any case.
    ///
    /// # Errors
    /// [`Error::Step`] names the step of the launch that failed; the step `bwrap` is bubblewrap's
    /// own part.
    pub fn run(&self, order: &RunOrder, fds: RunFds) -> Result<Started, Error> {
        let request = Request {
            index: order.index,
            agent: Some(order.agent.clone()),
            run: Some(Run { backend: order.backend, class: order.class, egress: order.egress }),
            memory_max: order.memory_max,
            pids_max: order.pids_max,
            cpu_millis: order.cpu_millis,
            ..Request::of(Kind::Run, order.tenant.clone())
        };
        let sent = [&fds.stdin, &fds.stdout, &fds.stderr, &fds.status, &fds.spec];
        let answer = self.ask(request, &sent);
        // The far ends must have one holder, or nobody would see the command hang up.
        drop(fds);
        let (reply, received) = answer?;
        let pid = u32::try_from(reply.values[1]).map_err(|_range| Error::Record("pid"))?;
        let mut received = received.into_iter();
        let pidfd = received.next().ok_or(Error::Record("no pidfd"))?;
        let listener = received.next();
        if listener.is_some() != order.egress {
            return Err(Error::Record("listener"));
        }
        Ok(Started { id: reply.values[0], pid, pidfd, listener })
    }
}

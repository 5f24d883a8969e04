//! The supervisor's end of the launcher's socket: calls that look local, one at a time, blocking.
//! It decides nothing: what may be asked, and within which ranges, is the launcher's to judge.

use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, PoisonError};

use types::TenantId;

use crate::record::{DYING, Kind, Reply, Request, Verdict, Which};
use crate::{Error, HostReport, RawFacts, fds};

mod probes;
mod roots;

pub use roots::{Prepared, Root};

/// What one worker may use.
#[derive(Debug, Clone)]
pub struct Order {
    /// Whose worker.
    pub tenant: TenantId,
    /// The tenant's never reused number; its host ids follow from it.
    pub index: u32,
    /// Memory in bytes, page cache included.
    pub memory_max: u64,
    /// Processes and threads.
    pub pids_max: u32,
    /// CPU time in thousandths of one core.
    pub cpu_millis: u32,
    /// Which of the tenant's roots it is shown.
    pub root: Root,
}

/// The descriptors that a worker inherits, see `pairs`.
#[derive(Debug)]
pub struct WorkerFds {
    /// The pair on which the worker serves; its descriptor 0.
    pub serve: OwnedFd,
    /// The pair on which the worker calls host services; its descriptor 3.
    pub host: OwnedFd,
    /// The writing end of the log pipe; its descriptor 2.
    pub log: OwnedFd,
}

/// A worker that has been executed. It is not verified yet.
#[derive(Debug)]
pub struct Launched {
    /// The launcher's number for it, never reused.
    pub id: u64,
    /// Its process id outside.
    pub pid: u32,
    /// Readable when the process has ended.
    pub pidfd: OwnedFd,
}

/// How a worker ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// By itself, with this code.
    Exited(i32),
    /// By this signal.
    Signaled(i32),
}

/// The end of one worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exit {
    /// How it ended.
    pub status: Status,
    /// How often the kernel killed for want of memory; zero where there is no memory cgroup.
    pub oom_kills: u64,
}

/// What one worker uses now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WorkerUsage {
    /// Proportional set size; none where the kernel hides it.
    pub pss_bytes: Option<u64>,
    /// Memory charged to its cgroup; none without a memory cgroup.
    pub memory_current: Option<u64>,
    /// CPU time so far.
    pub cpu_micros: u64,
    /// See [`Exit::oom_kills`].
    pub oom_kills: u64,
}

/// The calling end. Clones share the one socket.
#[derive(Debug, Clone)]
pub struct Launcher(Arc<Mutex<Socket>>);

#[derive(Debug)]
struct Socket {
    fd: OwnedFd,
    number: u64,
}

impl Launcher {
    /// Takes the socket that [`crate::split`] gave to the supervisor.
    pub fn new(socket: OwnedFd) -> Self {
        Self(Arc::new(Mutex::new(Socket { fd: socket, number: 0 })))
    }

    /// The host as the launcher found it at start.
    pub fn host(&self) -> Result<HostReport, Error> {
        let (reply, _) = self.ask(Request::new(Kind::Host), &[])?;
        serde_json::from_slice(&reply.payload).map_err(|err| Error::Gone(err.into()))
    }

    /// Executes a confined worker. The descriptors are closed here in any case.
    pub fn launch(&self, order: &Order, fds: WorkerFds) -> Result<Launched, Error> {
        let request = Request {
            index: order.index,
            memory_max: order.memory_max,
            pids_max: order.pids_max,
            cpu_millis: order.cpu_millis,
            which: Which::from(order.root),
            ..Request::of(Kind::Launch, order.tenant.clone())
        };
        let answer = self.ask(request, &[&fds.serve, &fds.host, &fds.log]);
        // The far ends must have one holder, or nobody would see the worker hang up.
        drop(fds);
        let (reply, mut received) = answer?;
        let pid = u32::try_from(reply.values[1]).map_err(|_range| Error::Record("pid"))?;
        let pidfd = received.pop().ok_or(Error::Record("no pidfd"))?;
        Ok(Launched { id: reply.values[0], pid, pidfd })
    }

    /// What the kernel says of the worker, in the kernel's words.
    pub fn facts(&self, id: u64) -> Result<RawFacts, Error> {
        let (reply, _) = self.ask(Request::about(Kind::Facts, id), &[])?;
        serde_json::from_slice(&reply.payload).map_err(|err| Error::Gone(err.into()))
    }

    /// What the worker uses now.
    pub fn usage(&self, id: u64) -> Result<WorkerUsage, Error> {
        let (reply, _) = self.ask(Request::about(Kind::Usage, id), &[])?;
        let [pss, memory, cpu_micros, oom_kills] = reply.values;
        let known = |value: u64| (value != u64::MAX).then_some(value);
        let (pss_bytes, memory_current) = (known(pss), known(memory));
        Ok(WorkerUsage { pss_bytes, memory_current, cpu_micros, oom_kills })
    }

    /// Ends the worker or sandbox if it lives, reaps it and removes what it was charged to.
    ///
    /// # Errors
    /// [`Error::Dying`] where it is killed and not gone yet: it keeps its number, and is to be
    /// asked for again until it is.
    pub fn kill(&self, id: u64) -> Result<Exit, Error> {
        let (reply, _) = self.ask(Request::about(Kind::Kill, id), &[])?;
        if reply.values == DYING {
            return Err(Error::Dying);
        }
        let [how, number, oom_kills, _] = reply.values;
        let number = i32::try_from(number).map_err(|_range| Error::Record("exit"))?;
        let status = match how {
            0 => Status::Exited(number),
            1 => Status::Signaled(number),
            _ => return Err(Error::Record("exit")),
        };
        Ok(Exit { status, oom_kills })
    }

    pub(crate) fn ask(
        &self,
        mut request: Request,
        send: &[&OwnedFd],
    ) -> Result<(Reply, Vec<OwnedFd>), Error> {
        let mut socket = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        socket.number = socket.number.wrapping_add(1);
        request.number = socket.number;
        fds::send(&socket.fd, &request.encode(), send).map_err(Error::Gone)?;
        let (bytes, received) =
            fds::receive(&socket.fd, Reply::MAX, Reply::DESCRIPTORS).map_err(Error::Gone)?;
        let reply = Reply::decode(&bytes)?;
        if reply.number != request.number {
            return Err(Error::Record("a reply to another request"));
        }
        match reply.verdict {
            Verdict::Done => Ok((reply, received)),
            Verdict::Step => Err(Error::Step { step: reply.text(), errno: reply.errno }),
            Verdict::Failed => Err(Error::Failed {
                what: reply.text(),
                source: std::io::Error::from_raw_os_error(reply.errno),
            }),
            Verdict::Refused => Err(Error::Refused { reason: reply.text() }),
            Verdict::NoWorkspace => Err(Error::NoWorkspace),
        }
    }
}

//! What each request does, and what is refused before anything is done.

use std::collections::BTreeMap;
use std::os::fd::{AsRawFd as _, OwnedFd};

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::socket::{SockType, UnixAddr, getsockname, getsockopt, sockopt};
use nix::sys::stat::{SFlag, fstat};
use types::TenantId;

use super::complain;
use super::resources::Resources;
use super::spare::{self, Spare};
use super::workers::{self, Worker};
use crate::cgroup::Limits;
use crate::record::{Kind, Reply, Request, Verdict};
use crate::{Error, facts};

/// Processes kept ready: a launch takes one and finishes it. Each is half a megabyte of kernel
/// memory, and a burst of more launches than this waits for its processes to be made.
const SPARES: usize = 4;
/// More workers than this on one machine are refused; memory ends long before.
const MAX_WORKERS: usize = 16_384;
/// What a failed spare costs before the next attempt: none is made until a launch asks.
const MAX_SPARE_FAILURES: u32 = 3;

/// The launcher's state.
pub(super) struct Desk {
    resources: Resources,
    workers: BTreeMap<u64, Worker>,
    spares: Vec<Spare>,
    spare_failures: u32,
    last_id: u64,
}

type Answer = (Reply, Option<OwnedFd>);

impl Desk {
    pub(super) fn new(resources: Resources) -> Self {
        Self {
            resources,
            workers: BTreeMap::new(),
            spares: Vec::new(),
            spare_failures: 0,
            last_id: 0,
        }
    }

    pub(super) fn wants_spare(&self) -> bool {
        self.spares.len() < SPARES && self.spare_failures < MAX_SPARE_FAILURES
    }

    /// Makes one spare process, if one is wanted.
    pub(super) fn make_spare(&mut self) {
        if !self.wants_spare() {
            return;
        }
        let id = self.next_id();
        match spare::make(&self.resources, id) {
            Ok(spare) => self.spares.push(spare),
            Err(err) => {
                self.spare_failures += 1;
                complain(&format!("no spare process: {}", types::Chain(&err)));
            }
        }
    }

    /// Does what is asked.
    pub(super) fn answer(&mut self, request: &Request, received: Vec<OwnedFd>) -> Answer {
        match self.try_answer(request, received) {
            Ok(answer) => answer,
            Err(Error::Step { step, errno }) => (Reply::other(Verdict::Step, errno, &step), None),
            Err(Error::Failed { what, source }) => {
                let errno = source.raw_os_error().unwrap_or(libc::EIO);
                (Reply::other(Verdict::Failed, errno, &what), None)
            }
            Err(Error::Refused { reason }) => (Reply::other(Verdict::Refused, 0, &reason), None),
            Err(other) => {
                let text = format!("do that: {}", types::Chain(&other));
                (Reply::other(Verdict::Failed, libc::EIO, &text), None)
            }
        }
    }

    fn try_answer(&mut self, request: &Request, received: Vec<OwnedFd>) -> Result<Answer, Error> {
        if received.len() != request.kind.descriptors() {
            return Err(refused("not the right number of descriptors"));
        }
        let reply = match (request.kind, request.tenant.clone()) {
            (Kind::Launch, Some(tenant)) => return self.launch(request, tenant, received),
            (Kind::Host, _) => Reply::payload(json(&self.resources.report)?),
            (Kind::Prepare, Some(tenant)) => {
                let owner = self.resources.disks.owner(request.index)?;
                let disk = self.resources.disks.prepare(&tenant, owner, request.disk_max)?;
                Reply::done([disk.number(), 0, 0, 0])
            }
            (Kind::Erase, Some(tenant)) => {
                if self.workers.values().any(|worker| worker.tenant == tenant) {
                    return Err(refused("the tenant's worker is not reaped"));
                }
                self.resources.disks.erase(&tenant)?;
                Reply::done([0; 4])
            }
            (Kind::Facts, _) => {
                let worker = self.worker(request.worker)?;
                if worker.has_ended() {
                    return Err(refused("the worker has ended"));
                }
                let mut facts = facts::collect(worker.pid())?;
                worker.describe_limits(&self.resources.cgroups, &mut facts);
                Reply::payload(json(&facts)?)
            }
            (Kind::Usage, _) => {
                Reply::done(self.worker(request.worker)?.usage(&self.resources.cgroups))
            }
            (Kind::Kill, _) => self.kill(request.worker)?,
            (Kind::Launch | Kind::Prepare | Kind::Erase, None) => {
                return Err(refused("no tenant"));
            }
        };
        Ok((reply, None))
    }

    fn launch(
        &mut self,
        request: &Request,
        tenant: TenantId,
        received: Vec<OwnedFd>,
    ) -> Result<Answer, Error> {
        if self.workers.len() >= MAX_WORKERS {
            return Err(refused("there are too many workers"));
        }
        let fds: [OwnedFd; 3] =
            received.try_into().map_err(|_fds| refused("not three descriptors"))?;
        check_descriptors(&fds)?;
        let owner = self.resources.disks.owner(request.index)?;
        let root = self.resources.disks.root(&tenant, owner)?;
        self.spare_failures = 0;
        let spare = if let Some(spare) = self.spares.pop() {
            spare
        } else {
            let id = self.next_id();
            spare::make(&self.resources, id)?
        };
        let limits = Limits {
            memory_max: request.memory_max,
            pids_max: request.pids_max,
            cpu_millis: request.cpu_millis,
        };
        let order = spare::Order { tenant: &tenant, owner, root, limits, fds };
        let (id, child, leaf) = spare.finish(&self.resources, &order)?;
        let worker = Worker { tenant, child, leaf };
        let handle = worker.handle()?;
        let pid = u64::from(worker.pid());
        self.workers.insert(id, worker);
        Ok((Reply::done([id, pid, 0, 0]), Some(handle)))
    }

    fn kill(&mut self, id: u64) -> Result<Reply, Error> {
        let exit = self.worker(id)?.end(&self.resources.cgroups)?;
        self.workers.remove(&id);
        Ok(Reply::done(exit))
    }

    /// Ends every worker and every spare; answers nothing.
    pub(super) fn kill_all(&mut self) {
        for worker in self.workers.values() {
            worker.kill();
        }
        for (id, worker) in std::mem::take(&mut self.workers) {
            if let Err(err) = worker.end(&self.resources.cgroups) {
                complain(&format!("worker {id} did not end: {}", types::Chain(&err)));
            }
        }
        for spare in self.spares.drain(..) {
            workers::discard(&self.resources.cgroups, spare.dismiss());
        }
    }

    /// Leaves nothing behind: no process, no mount, no cgroup.
    pub(super) fn close(mut self) {
        self.kill_all();
        self.resources.disks.unmount_all();
        self.resources.cgroups.close();
    }

    fn worker(&self, id: u64) -> Result<&Worker, Error> {
        self.workers.get(&id).ok_or_else(|| refused("there is no such worker"))
    }

    fn next_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }
}

/// Two stream sockets and the writing end of a pipe; never a directory or a file.
fn check_descriptors([serve, host, log]: &[OwnedFd; 3]) -> Result<(), Error> {
    let kind = |fd: &OwnedFd| {
        fstat(fd).map(|stat| SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT)
    };
    let is_pair = |fd: &OwnedFd| {
        kind(fd) == Ok(SFlag::S_IFSOCK)
            && getsockopt(fd, sockopt::SockType) == Ok(SockType::Stream)
            && getsockname::<UnixAddr>(fd.as_raw_fd())
                .is_ok_and(|address| address.path().is_none() && address.as_abstract().is_none())
    };
    let written = fcntl(log, FcntlArg::F_GETFL)
        .is_ok_and(|flags| OFlag::from_bits_truncate(flags) & OFlag::O_ACCMODE == OFlag::O_WRONLY);
    if is_pair(serve) && is_pair(host) && kind(log) == Ok(SFlag::S_IFIFO) && written {
        Ok(())
    } else {
        Err(refused("a descriptor is not of its kind"))
    }
}

fn json(value: &impl serde::Serialize) -> Result<Vec<u8>, Error> {
    let bytes = serde_json::to_vec(value).map_err(|err| Error::Io(err.into()))?;
    if bytes.len() > Reply::MAX_PAYLOAD {
        return Err(refused("the answer is too large for a record"));
    }
    Ok(bytes)
}

fn refused(reason: &str) -> Error {
    Error::Refused { reason: reason.to_owned() }
}

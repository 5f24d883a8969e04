//! What each request does, and what is refused before anything is done.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;

use types::TenantId;

use super::idmap::IdMaps;
use super::resources::Resources;
use super::spare::{self, Finished, Order, Spare};
use super::workers::{Dying, Worker};
use super::{descriptors, probe, roots, trial};
use crate::cgroup::Limits;
use crate::disk::{Disks, Owner, Root, name_of};
use crate::mode::Mode;
use crate::process::complain;
use crate::record::{DYING, Kind, Reply, Request, Verdict, Which};
use crate::steps::{Found, What};
use crate::sys::mounts;
use crate::{Backend, Error, facts};

/// Processes kept ready: a launch takes one and finishes it. Each is half a megabyte of kernel
/// memory, and a burst of more launches than this waits for its processes to be made.
const SPARES: usize = 4;
/// The same for sandboxes, once one was asked for.
const SANDBOX_SPARES: usize = 2;
/// More workers than this on one machine are refused; memory ends long before.
const MAX_WORKERS: usize = 16_384;
/// Nor more sandboxes than this, of all tenants and counted apart: the supervisor's own bounds are
/// far below.
const MAX_SANDBOXES: usize = 4096;
/// The number of the process by which bubblewrap is tried out.
const TRIAL: u64 = 1;
/// What a failed spare costs before the next attempt: none is made until a launch asks.
const MAX_SPARE_FAILURES: u32 = 3;

/// The launcher's state.
pub(super) struct Desk {
    resources: Resources,
    workers: BTreeMap<u64, Worker>,
    dying: Dying,
    spares: Vec<Spare>,
    spare_failures: u32,
    /// Whether a sandbox was ever asked for.
    runs: bool,
    id_maps: IdMaps,
    last_id: u64,
}

type Answer = (Reply, Vec<OwnedFd>);

impl Desk {
    pub(super) fn new(mut resources: Resources) -> Self {
        // Under the launcher's own filter, as every sandbox later.
        let mut dying = Dying::default();
        resources.report.bwrap = trial::version(&resources, TRIAL, &mut dying);
        Self {
            resources,
            workers: BTreeMap::new(),
            dying,
            spares: Vec::new(),
            spare_failures: 0,
            runs: false,
            id_maps: IdMaps::default(),
            last_id: TRIAL,
        }
    }

    pub(super) fn wants_spare(&self) -> bool {
        self.wanted_spare().is_some()
    }

    fn wanted_spare(&self) -> Option<What> {
        let sandbox = What::Sandbox(Backend::Native);
        let wanted =
            [(What::Worker, SPARES), (sandbox, if self.runs { SANDBOX_SPARES } else { 0 })];
        let has = |what: What| self.spares.iter().filter(|spare| spare.what == what).count();
        let lacking = wanted.into_iter().find(|(what, count)| has(*what) < *count);
        let possible = self.spare_failures < MAX_SPARE_FAILURES && !self.dying.is_full();
        lacking.filter(|_| possible).map(|(what, _)| what)
    }

    /// Makes one spare process, if one is wanted.
    pub(super) fn make_spare(&mut self) {
        let Some(what) = self.wanted_spare() else { return };
        let id = self.next_id();
        match spare::make(&self.resources, id, what) {
            Ok(spare) => self.spares.push(spare),
            Err(err) => {
                self.spare_failures += 1;
                complain(&format!("no spare process: {}", types::Chain(&err)));
            }
        }
    }

    /// A spare, or a process made now.
    fn take_spare(&mut self, what: What) -> Result<Spare, Error> {
        self.spare_failures = 0;
        if let Some(index) = self.spares.iter().position(|spare| spare.what == what) {
            return Ok(self.spares.swap_remove(index));
        }
        let id = self.next_id();
        spare::make(&self.resources, id, what)
    }

    /// Does what is asked.
    pub(super) fn answer(&mut self, request: &Request, received: Vec<OwnedFd>) -> Answer {
        match self.try_answer(request, received) {
            Ok(answer) => answer,
            Err(Error::Step { step, errno }) => {
                (Reply::other(Verdict::Step, errno, &step), Vec::new())
            }
            Err(Error::Failed { what, source }) => {
                let errno = source.raw_os_error().unwrap_or(libc::EIO);
                (Reply::other(Verdict::Failed, errno, &what), Vec::new())
            }
            Err(Error::Refused { reason }) => {
                (Reply::other(Verdict::Refused, 0, &reason), Vec::new())
            }
            Err(Error::NoWorkspace) => {
                (Reply::other(Verdict::NoWorkspace, libc::ENOENT, ""), Vec::new())
            }
            Err(other) => {
                let text = format!("do that: {}", types::Chain(&other));
                (Reply::other(Verdict::Failed, libc::EIO, &text), Vec::new())
            }
        }
    }

    fn try_answer(&mut self, request: &Request, received: Vec<OwnedFd>) -> Result<Answer, Error> {
        if received.len() != request.kind.descriptors() {
            return Err(Error::refused("not the right number of descriptors"));
        }
        let reply = match (request.kind, request.tenant.clone()) {
            (Kind::Launch, Some(tenant)) => return self.launch(request, &tenant, received),
            (Kind::Host, _) => Reply::payload(json(&self.resources.report)?),
            (
                Kind::Prepare
                | Kind::Erase
                | Kind::Swap
                | Kind::Revert
                | Kind::Settle
                | Kind::Discard,
                Some(tenant),
            ) => roots::answer(&self.resources.disks, &self.workers, request, &tenant)?,
            (Kind::Facts, _) => {
                let worker = self.worker(request.worker)?;
                if worker.has_ended() {
                    return Err(Error::refused("the worker has ended"));
                }
                let mut facts = facts::collect(worker.pid())?;
                worker.describe_limits(&self.resources.cgroups, &mut facts);
                Reply::payload(json(&facts)?)
            }
            (Kind::Usage, _) => {
                Reply::done(self.worker(request.worker)?.usage(&self.resources.cgroups))
            }
            (Kind::Kill, _) => self.kill(request.worker)?,
            (Kind::Probe, _) => self.probe(request, received)?,
            (Kind::Run, Some(tenant)) => return self.run(request, &tenant, received),
            (_, None) => return Err(Error::refused("no tenant")),
        };
        Ok((reply, Vec::new()))
    }

    fn launch(
        &mut self,
        request: &Request,
        tenant: &TenantId,
        received: Vec<OwnedFd>,
    ) -> Result<Answer, Error> {
        self.admit(What::Worker)?;
        let [serve, host, log]: [OwnedFd; 3] =
            received.try_into().map_err(|_fds| Error::refused("not three descriptors"))?;
        if !descriptors::are_of_a_worker(&serve, &host, &log) {
            return Err(Error::refused("a descriptor is not of its kind"));
        }
        let owner = self.resources.disks.owner(request.index)?;
        let root = self.resources.disks.root(tenant, request.which, owner)?;
        let mounts = self.mounts(std::slice::from_ref(&root), None)?;
        let order = Order {
            tenant: &name_of(tenant, request.which),
            sandbox: None,
            ids: (owner.uid, owner.gid),
            limits: limits(request),
            found: found(&[root]),
            inherited: vec![serve, log, host],
            mounts,
            within: spare::DEADLINE,
        };
        let finished =
            self.take_spare(What::Worker)?.finish(&self.resources, &order, &mut self.dying)?;
        self.take_in(What::Worker, tenant.clone(), finished, request)
    }

    /// Whether one more of the kind may be started.
    fn admit(&self, what: What) -> Result<(), Error> {
        let (max, many) = match what {
            What::Worker => (MAX_WORKERS, "there are too many workers"),
            What::Sandbox(_) => (MAX_SANDBOXES, "there are too many sandboxes"),
        };
        let is_sandbox = |what: What| what != What::Worker;
        let same = |it: &&Worker| is_sandbox(it.what) == is_sandbox(what);
        if self.workers.values().filter(same).count() >= max {
            return Err(Error::refused(many));
        }
        if self.dying.is_full() {
            return Err(Error::refused("too many killed processes do not end"));
        }
        Ok(())
    }

    fn run(
        &mut self,
        request: &Request,
        tenant: &TenantId,
        received: Vec<OwnedFd>,
    ) -> Result<Answer, Error> {
        let (Some(run), Some(agent)) = (request.run, &request.agent) else {
            return Err(Error::refused("no agent"));
        };
        let what = What::Sandbox(run.backend);
        if run.backend == Backend::Bwrap && self.resources.report.bwrap.is_none() {
            return Err(Error::refused("bubblewrap does not work on this host"));
        }
        self.admit(what)?;
        if !descriptors::are_of_a_sandbox(&received) {
            return Err(Error::refused("a descriptor is not of its kind"));
        }
        let owner = self.resources.disks.owner(request.index)?;
        let root = self.resources.disks.root(tenant, Which::Live, owner)?;
        self.resources.disks.have_room(&root)?;
        let folders = Disks::folders(&self.resources.proc, &root, agent.as_str(), owner)?;
        let mounts = self.mounts(&folders, self.resources.tool_uids.then_some(owner))?;
        let uid = if self.resources.tool_uids { owner.tools } else { owner.uid };
        if self.resources.mode == Mode::Root {
            descriptors::give(&received, uid).map_err(|errno| spare::step("pipes", errno))?;
        }
        let order = Order {
            tenant: tenant.as_str(),
            sandbox: Some((agent.as_str(), run)),
            ids: (uid, owner.gid),
            limits: limits(request),
            found: found(&folders),
            inherited: received,
            mounts,
            within: spare::DEADLINE,
        };
        self.runs = true;
        let finished = self.take_spare(what)?.finish(&self.resources, &order, &mut self.dying)?;
        self.take_in(what, tenant.clone(), finished, request)
    }

    /// Detached mounts of the tenant's directories, shown as the tools' where there is an owner to
    /// take them from. Without root the process makes its mounts itself.
    fn mounts(&mut self, roots: &[Root], shown: Option<Owner>) -> Result<Vec<OwnedFd>, Error> {
        if self.resources.mode == Mode::Rootless {
            return Ok(Vec::new());
        }
        let mut trees = Vec::new();
        for root in roots {
            let tree =
                mounts::clone_tree(&root.fd).map_err(|errno| spare::step("tenant mount", errno))?;
            if let Some(owner) = shown {
                let namespace = self.id_maps.of(&self.resources.proc, owner)?;
                mounts::show_as(&tree, namespace)
                    .map_err(|errno| spare::step("ids of the tenant mount", errno))?;
            }
            trees.push(tree);
        }
        Ok(trees)
    }

    fn take_in(
        &mut self,
        what: What,
        tenant: TenantId,
        done: Finished,
        request: &Request,
    ) -> Result<Answer, Error> {
        let (child, leaf) = (done.child, done.leaf);
        let (which, pids_max) = (request.which, request.pids_max);
        let worker = Worker { what, tenant, which, child, leaf, pids_max, killed: false };
        let handle = match worker.handle() {
            Ok(handle) => handle,
            Err(err) => {
                self.dying.discard(&self.resources.cgroups, (worker.child, worker.leaf));
                return Err(err);
            }
        };
        let pid = u64::from(worker.pid());
        self.workers.insert(done.id, worker);
        let sent = [handle].into_iter().chain(done.listener).collect();
        Ok((Reply::done([done.id, pid, 0, 0]), sent))
    }

    fn probe(&mut self, request: &Request, received: Vec<OwnedFd>) -> Result<Reply, Error> {
        let chosen = crate::probes::Chosen::from_number(request.index);
        let (Some(chosen), Ok([outside])) = (chosen, <[OwnedFd; 1]>::try_from(received)) else {
            return Err(Error::refused("no probe"));
        };
        if !descriptors::is_sealed(&outside) {
            return Err(Error::refused("a descriptor is not of its kind"));
        }
        let worker = self.worker(request.worker)?;
        if worker.what != What::Worker || worker.has_ended() {
            return Err(Error::refused("there is no running worker to probe from"));
        }
        probe::make(&self.resources, worker, chosen, &outside).map(Reply::done)
    }

    fn kill(&mut self, id: u64) -> Result<Reply, Error> {
        let worker = self.workers.get_mut(&id).ok_or_else(no_such)?;
        let Some(exit) = worker.end(&self.resources.cgroups)? else {
            return Ok(Reply::done(DYING));
        };
        self.workers.remove(&id);
        Ok(Reply::done(exit))
    }

    /// Reaps what was discarded and is gone meanwhile.
    pub(super) fn sweep(&mut self) {
        self.dying.sweep(&self.resources.cgroups);
    }

    /// Ends every worker and every spare; answers nothing.
    pub(super) fn kill_all(&mut self) {
        for worker in self.workers.values_mut() {
            worker.kill(&self.resources.cgroups);
        }
        for worker in std::mem::take(&mut self.workers).into_values() {
            self.dying.take(worker);
        }
        for spare in self.spares.drain(..) {
            self.dying.discard(&self.resources.cgroups, spare.dismiss());
        }
    }

    /// Leaves nothing behind: no process, no mount, no cgroup.
    pub(super) fn close(mut self) {
        self.kill_all();
        self.dying.wait(&self.resources.cgroups);
        self.resources.disks.unmount_all();
        self.resources.cgroups.close();
    }

    fn worker(&self, id: u64) -> Result<&Worker, Error> {
        self.workers.get(&id).ok_or_else(no_such)
    }

    fn next_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }
}

fn limits(request: &Request) -> Limits {
    Limits {
        memory_max: request.memory_max,
        pids_max: request.pids_max,
        cpu_millis: request.cpu_millis,
    }
}

fn found(roots: &[Root]) -> Vec<Found> {
    roots.iter().map(|root| Found { device: root.device, inode: root.inode }).collect()
}

fn json(value: &impl serde::Serialize) -> Result<Vec<u8>, Error> {
    let bytes = serde_json::to_vec(value).map_err(|err| Error::Io(err.into()))?;
    if bytes.len() > Reply::MAX_PAYLOAD {
        return Err(Error::refused("the answer is too large for a record"));
    }
    Ok(bytes)
}

fn no_such() -> Error {
    Error::refused("there is no such worker")
}

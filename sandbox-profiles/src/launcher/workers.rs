//! A worker or a sandbox that runs, as the launcher holds it: what it uses, and how it is ended. It
//! stays unreaped until somebody asks for its end, so that its number means nobody else.

use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use types::TenantId;

use crate::cgroup::{Cgroups, Leaf};
use crate::process::complain;
use crate::record::Which;
use crate::steps::What;
use crate::sys::{self, Child, End};
use crate::{Error, RawFacts, facts, fds};

/// A killed process is gone at once, unless the kernel waits for a disk on its behalf. The launcher
/// waits this long and no longer, for everybody else waits for the launcher.
const PATIENCE: Duration = Duration::from_millis(200);
/// How long the launcher waits for all of them when it ends itself.
const LAST_PATIENCE: Duration = Duration::from_secs(10);
/// With more processes than this that were killed and do not end, none is started any more.
const MAX_DYING: usize = 256;
/// Microseconds of CPU time that one tick of `/proc/<pid>/stat` is.
const TICK_MICROS: u64 = 10_000;

/// One running worker, or one running sandbox by its first process.
#[derive(Debug)]
pub(super) struct Worker {
    pub(super) what: What,
    pub(super) tenant: TenantId,
    /// Which of the tenant's roots it is on.
    pub(super) which: Which,
    pub(super) child: Child,
    pub(super) leaf: Leaf,
    /// How many processes and threads it may have.
    pub(super) pids_max: u32,
    /// Whether it was killed already.
    pub(super) killed: bool,
}

impl Worker {
    pub(super) fn pid(&self) -> u32 {
        self.child.pid.as_raw().cast_unsigned()
    }

    /// A copy of the descriptor that means the process.
    pub(super) fn handle(&self) -> Result<OwnedFd, Error> {
        self.child.pidfd.try_clone().map_err(Error::Io)
    }

    /// Proportional set size, charged memory, CPU time and kills for want of memory; the largest
    /// number where the first two are not known.
    pub(super) fn usage(&self, cgroups: &Cgroups) -> [u64; 4] {
        let pss = facts::pss(self.pid()).unwrap_or(u64::MAX);
        let memory = cgroups.memory_current(&self.leaf).unwrap_or(u64::MAX);
        let cpu = cgroups.cpu_micros(&self.leaf).or_else(|| cpu_of(self.pid())).unwrap_or(0);
        [pss, memory, cpu, cgroups.oom_kills(&self.leaf)]
    }

    /// What the leaf's own files say.
    pub(super) fn describe_limits(&self, cgroups: &Cgroups, facts: &mut RawFacts) {
        cgroups.describe(&self.leaf, facts);
    }

    /// Whether there is only its end left to ask for.
    pub(super) fn has_ended(&self) -> bool {
        fds::readable(&self.child.pidfd, Duration::ZERO) == Ok(true)
    }

    /// Sends the signal that nothing survives.
    pub(super) fn kill(&mut self, cgroups: &Cgroups) {
        self.killed = true;
        kill(cgroups, &self.child, &self.leaf);
    }

    /// Ends and reaps the process and removes its leaf: how it ended (0 by itself, 1 by a signal),
    /// the code or signal, and kills for want of memory. None where it is killed and not gone yet;
    /// only the first who asks waits for that, and not for long.
    pub(super) fn end(&mut self, cgroups: &Cgroups) -> Result<Option<[u64; 4]>, Error> {
        let mut within = Duration::ZERO;
        if !self.killed && !self.has_ended() {
            self.kill(cgroups);
            within = PATIENCE;
        }
        let Some(end) = reap(&self.child, within)? else { return Ok(None) };
        let oom_kills = cgroups.oom_kills(&self.leaf);
        remove(cgroups, &self.leaf);
        let (how, number) = match end {
            End::Exited(code) => (0, code),
            End::Signaled(signal) => (1, signal),
        };
        Ok(Some([how, u64::from(number.cast_unsigned()), oom_kills, 0]))
    }
}

/// What nobody will ask about: it was killed, and is reaped when it is gone.
#[derive(Debug, Default)]
pub(super) struct Dying(Vec<(Child, Leaf)>);

impl Dying {
    /// Whether there are so many that no more processes should be started.
    pub(super) fn is_full(&self) -> bool {
        self.0.len() >= MAX_DYING
    }

    /// Ends a process that has not become what it was made for, with its leaf.
    pub(super) fn discard(&mut self, cgroups: &Cgroups, (child, leaf): (Child, Leaf)) {
        kill(cgroups, &child, &leaf);
        if !is_gone(cgroups, &child, &leaf, PATIENCE) {
            self.0.push((child, leaf));
        }
    }

    /// Takes a worker or sandbox whose supervisor is gone.
    pub(super) fn take(&mut self, worker: Worker) {
        self.0.push((worker.child, worker.leaf));
    }

    /// Reaps those that are gone meanwhile.
    pub(super) fn sweep(&mut self, cgroups: &Cgroups) {
        self.0.retain(|(child, leaf)| !is_gone(cgroups, child, leaf, Duration::ZERO));
    }

    /// Waits for all of them, once, and says which stay.
    pub(super) fn wait(self, cgroups: &Cgroups) {
        let deadline = Instant::now() + LAST_PATIENCE;
        for (child, leaf) in &self.0 {
            if !is_gone(cgroups, child, leaf, deadline.saturating_duration_since(Instant::now())) {
                complain(&format!("process {} was killed and does not end", child.pid));
            }
        }
    }
}

/// Kills the process, and whatever is in its leaf; what is left of it may use the processor that it
/// needs to end.
fn kill(cgroups: &Cgroups, child: &Child, leaf: &Leaf) {
    if let Err(err) = sys::kill(&child.pidfd, libc::SIGKILL) {
        complain(&format!("process {} cannot be killed: {err}", child.pid));
    }
    cgroups.kill(leaf);
}

/// Reaps the process if it is gone within that time, and removes its leaf.
fn is_gone(cgroups: &Cgroups, child: &Child, leaf: &Leaf, within: Duration) -> bool {
    match reap(child, within) {
        Ok(None) => return false,
        Ok(Some(_)) => {}
        Err(err) => complain(&format!("process {} is lost: {}", child.pid, types::Chain(&err))),
    }
    remove(cgroups, leaf);
    true
}

fn reap(child: &Child, within: Duration) -> Result<Option<End>, Error> {
    let failed = |source: nix::Error| Error::Failed {
        what: "reap the process".to_owned(),
        source: source.into(),
    };
    if fds::readable(&child.pidfd, within).map_err(failed)? {
        sys::reap(&child.pidfd).map(Some).map_err(failed)
    } else {
        Ok(None)
    }
}

fn remove(cgroups: &Cgroups, leaf: &Leaf) {
    if !cgroups.remove(leaf) {
        complain("a cgroup stays, for something is still in it");
    }
}

/// User and system time of a process and of those that it has reaped, where no cgroup counts it: of
/// a sandbox that is init and the commands that have ended.
fn cpu_of(pid: u32) -> Option<u64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The program's name may hold anything, so the fields are counted from its end.
    let fields = text.rsplit_once(')')?.1.split_ascii_whitespace().skip(11);
    let ticks = fields.take(4).map(|field| field.parse::<u64>().ok());
    ticks.sum::<Option<u64>>()?.checked_mul(TICK_MICROS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cgroup::{Group, Limits};
    use crate::sys::Side;

    /// A process that waits until it is killed, in no cgroup.
    fn child() -> Child {
        match sys::clone3(0).unwrap() {
            Side::Child => loop {
                nix::unistd::pause();
            },
            Side::Parent(child) => child,
        }
    }

    #[test]
    fn a_killed_process_keeps_its_number_until_it_is_gone() {
        let cgroups = Cgroups::none("a test");
        let leaf = cgroups.create(7, Group::Programs).unwrap();
        let limits = Limits { memory_max: 1, pids_max: 1, cpu_millis: 10 };
        cgroups.limit(&leaf, &limits).unwrap();
        let tenant = "acme".parse().unwrap();
        let mut worker = Worker {
            what: What::Worker,
            tenant,
            which: Which::Live,
            child: child(),
            leaf,
            pids_max: 1,
            killed: true,
        };
        // As if it had been killed and the kernel still waited for a disk.
        let begin = Instant::now();
        assert_eq!(worker.end(&cgroups).unwrap(), None);
        assert!(begin.elapsed() < PATIENCE, "asked again, one does not wait");
        worker.kill(&cgroups);
        assert!(fds::readable(&worker.child.pidfd, LAST_PATIENCE).unwrap());
        let nine = u64::try_from(libc::SIGKILL).unwrap();
        assert_eq!(worker.end(&cgroups).unwrap(), Some([1, nine, 0, 0]));
    }

    #[test]
    fn what_is_discarded_is_gone_at_once_or_swept_later() {
        let cgroups = Cgroups::none("a test");
        let leaf = || cgroups.create(7, Group::Programs).unwrap();
        let mut dying = Dying::default();
        dying.discard(&cgroups, (child(), leaf()));
        assert!(dying.0.is_empty());
        let alive = Worker {
            what: What::Worker,
            tenant: "acme".parse().unwrap(),
            which: Which::Live,
            child: child(),
            leaf: leaf(),
            pids_max: 1,
            killed: true,
        };
        let handle = alive.handle().unwrap();
        dying.take(alive);
        dying.sweep(&cgroups);
        assert_eq!(dying.0.len(), 1);
        sys::kill(&handle, libc::SIGKILL).unwrap();
        assert!(fds::readable(&handle, LAST_PATIENCE).unwrap());
        dying.sweep(&cgroups);
        assert!(dying.0.is_empty());
    }
}

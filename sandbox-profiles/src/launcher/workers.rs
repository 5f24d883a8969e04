//! A worker that runs, as the launcher holds it: what it uses, and how it is ended. It stays
//! unreaped until somebody asks for its end, so that its number means nobody else.

use std::os::fd::OwnedFd;
use std::time::Duration;

use types::TenantId;

use super::complain;
use crate::cgroup::{Cgroups, Leaf};
use crate::sys::{self, Child, End};
use crate::{Error, RawFacts, facts, fds};

/// A killed process is gone at once, unless the kernel waits for a disk on its behalf.
const DEADLINE: Duration = Duration::from_secs(10);
/// Microseconds of CPU time that one tick of `/proc/<pid>/stat` is.
const TICK_MICROS: u64 = 10_000;

/// One running worker.
#[derive(Debug)]
pub(super) struct Worker {
    pub(super) tenant: TenantId,
    pub(super) child: Child,
    pub(super) leaf: Leaf,
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
    pub(super) fn kill(&self) {
        if let Err(err) = sys::kill(&self.child.pidfd, libc::SIGKILL) {
            complain(&format!("process {} cannot be killed: {err}", self.child.pid));
        }
    }

    /// Ends and reaps the process and removes its leaf: how it ended (0 by itself, 1 by a signal),
    /// the code or signal, and kills for want of memory.
    pub(super) fn end(&self, cgroups: &Cgroups) -> Result<[u64; 4], Error> {
        let end = put_down(&self.child)?;
        let oom_kills = cgroups.oom_kills(&self.leaf);
        remove(cgroups, &self.leaf);
        let (how, number) = match end {
            End::Exited(code) => (0, code),
            End::Signaled(signal) => (1, signal),
        };
        Ok([how, u64::from(number.cast_unsigned()), oom_kills, 0])
    }
}

/// Ends a process that has not become a worker, with its leaf.
pub(super) fn discard(cgroups: &Cgroups, (child, leaf): (Child, Leaf)) {
    if let Err(err) = put_down(&child) {
        complain(&format!("process {} stays: {}", child.pid, types::Chain(&err)));
    }
    remove(cgroups, &leaf);
}

fn put_down(child: &Child) -> Result<End, Error> {
    let failed = |source: nix::Error| Error::Failed {
        what: "end the process".to_owned(),
        source: source.into(),
    };
    sys::kill(&child.pidfd, libc::SIGKILL).map_err(failed)?;
    if !fds::readable(&child.pidfd, DEADLINE).map_err(failed)? {
        return Err(failed(nix::Error::ETIMEDOUT));
    }
    sys::reap(&child.pidfd).map_err(failed)
}

fn remove(cgroups: &Cgroups, leaf: &Leaf) {
    if !cgroups.remove(leaf) {
        complain("a cgroup stays, for something is still in it");
    }
}

/// User and system time of a process, where no cgroup counts it.
fn cpu_of(pid: u32) -> Option<u64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The program's name may hold anything, so the fields are counted from its end.
    let mut fields = text.rsplit_once(')')?.1.split_ascii_whitespace().skip(11);
    let ticks = |field: Option<&str>| field?.parse::<u64>().ok();
    let total = ticks(fields.next())?.checked_add(ticks(fields.next())?)?;
    total.checked_mul(TICK_MICROS)
}

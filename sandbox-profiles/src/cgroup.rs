//! Limits on memory, processes and CPU, and the sure kill: one leaf per worker and per sandbox, nested
//! under the launcher's own place in each hierarchy. It never limits anything outside its own subtree.
//!
//! Leaves of workers are in `openclawmu-PID`, those of sandboxes in `openclawmu-PID-programs` beside it,
//! whose low weight counts for all programs together, against the workers as against the gateway.

use std::os::fd::OwnedFd;

use nix::errno::Errno;
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::{Mode, mkdirat};
use nix::unistd::{UnlinkatFlags, unlinkat};
use serde::{Deserialize, Serialize};

use crate::RawFacts;

mod files;
mod pace;
mod place;
mod setup;
mod weight;

pub(crate) use pace::{Pace, is_possible as pace_is_possible};
use place::{Controller, Place};
pub(crate) use setup::foresee;

/// The kernel's CPU period, in microseconds; a quota is counted in it.
const CPU_PERIOD_MICROS: u64 = 100_000;
/// A leaf is busy for a moment after its last process was reaped.
const REMOVE_ATTEMPTS: u32 = 50;
/// How long one moment is.
const REMOVE_PAUSE: std::time::Duration = std::time::Duration::from_millis(1);

/// Where limits are set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Layout {
    /// One hierarchy with all controllers.
    V2,
    /// Controllers in hierarchies of version 1, and a leaf of version 2 for the kill.
    Hybrid,
    /// Nowhere: there is no cgroup that the launcher may write to.
    None,
}

/// One hierarchy in which every worker has a leaf.
#[derive(Debug)]
struct Hierarchy {
    place: Place,
    /// The launcher's own cgroup.
    parent: OwnedFd,
    /// The directory of workers' leaves.
    workers: OwnedFd,
    /// The directory of sandboxes' leaves.
    programs: OwnedFd,
}

impl Hierarchy {
    /// The directory that the leaf is in.
    fn of(&self, leaf: &Leaf) -> &OwnedFd {
        match leaf.group {
            Group::Workers => &self.workers,
            Group::Programs => &self.programs,
        }
    }
}

/// The launcher's subtrees in every hierarchy that it uses.
#[derive(Debug)]
pub(crate) struct Cgroups {
    layout: Layout,
    hierarchies: Vec<Hierarchy>,
    /// Why there is nothing, where there is nothing.
    reason: Option<String>,
}

/// What has leaves, and shares out the CPU among them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Group {
    Workers,
    /// They use what the gateway and workers leave of the cores.
    Programs,
}

impl Group {
    const ALL: [Self; 2] = [Self::Workers, Self::Programs];
}

/// The cgroup of one worker or sandbox. It holds no descriptor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Leaf {
    name: String,
    group: Group,
}

/// The limits of one leaf.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) memory_max: u64,
    pub(crate) pids_max: u32,
    pub(crate) cpu_millis: u32,
}

impl Cgroups {
    /// Makes this launcher's subtrees and removes those of launchers that are dead.
    pub(crate) fn open() -> Self {
        setup::open()
    }

    /// None at all, as where nothing may be written.
    #[cfg(test)]
    pub(crate) fn none(reason: &str) -> Self {
        setup::nothing(reason.to_owned())
    }

    pub(crate) fn layout(&self) -> Layout {
        self.layout
    }

    pub(crate) fn reason(&self) -> Option<&str> {
        self.reason.as_deref()
    }

    /// Makes the leaf of process `id`, without limits yet.
    pub(crate) fn create(&self, id: u64, group: Group) -> nix::Result<Leaf> {
        let leaf = Leaf { name: format!("t-{id}"), group };
        for hierarchy in &self.hierarchies {
            let base = hierarchy.of(&leaf);
            let made = mkdirat(base, leaf.name.as_str(), Mode::from_bits_truncate(0o755));
            if let Err(err) = made {
                self.remove(&leaf);
                return Err(err);
            }
        }
        Ok(leaf)
    }

    /// What a process writes `0` to in order to move itself into the leaf.
    pub(crate) fn entries(&self, leaf: &Leaf) -> nix::Result<Vec<OwnedFd>> {
        let open =
            |hierarchy: &Hierarchy| files::writer(hierarchy.of(leaf), &leaf.name, "cgroup.procs");
        self.hierarchies.iter().map(open).collect()
    }

    /// Sets the limits of a leaf; swap counts as memory, so there is none.
    pub(crate) fn limit(&self, leaf: &Leaf, limits: &Limits) -> nix::Result<()> {
        for hierarchy in &self.hierarchies {
            let base = hierarchy.of(leaf);
            let write = |file: &str, value: &str| files::write(base, &leaf.name, file, value);
            let optional = |file: &str, value: &str| optional(write(file, value));
            let place = &hierarchy.place;
            let memory = limits.memory_max.to_string();
            let quota = u64::from(limits.cpu_millis) * CPU_PERIOD_MICROS / 1000;
            if place.has(Controller::Memory) && place.v2 {
                write("memory.max", &memory)?;
                optional("memory.swap.max", "0")?;
                write("memory.oom.group", "1")?;
            } else if place.has(Controller::Memory) {
                write("memory.limit_in_bytes", &memory)?;
                optional("memory.memsw.limit_in_bytes", &memory)?;
            }
            if place.has(Controller::Pids) {
                write("pids.max", &limits.pids_max.to_string())?;
            }
            if place.has(Controller::Cpu) && place.v2 {
                write("cpu.max", &format!("{quota} {CPU_PERIOD_MICROS}"))?;
            } else if place.has(Controller::Cpu) {
                write("cpu.cfs_period_us", &CPU_PERIOD_MICROS.to_string())?;
                write("cpu.cfs_quota_us", &quota.to_string())?;
            }
        }
        Ok(())
    }

    /// Fills in what the leaf's own files say of its limits.
    pub(crate) fn describe(&self, leaf: &Leaf, facts: &mut RawFacts) {
        for hierarchy in &self.hierarchies {
            let (place, base) = (&hierarchy.place, hierarchy.of(leaf));
            let read = |file: &str| files::read(base, &leaf.name, file).unwrap_or_default();
            let line = |file: &str| read(file).trim().to_owned();
            facts.leaf.clone_from(&leaf.name);
            if place.has(Controller::Memory) {
                facts.memory_max =
                    line(if place.v2 { "memory.max" } else { "memory.limit_in_bytes" });
            }
            if place.has(Controller::Pids) {
                facts.pids_max = line("pids.max");
            }
            if place.has(Controller::Cpu) && place.v2 {
                facts.cpu_max = line("cpu.max");
            } else if place.has(Controller::Cpu) {
                let (quota, period) = (line("cpu.cfs_quota_us"), line("cpu.cfs_period_us"));
                let quota = if quota == "-1" { "max" } else { &quota };
                facts.cpu_max = format!("{quota} {period}");
            }
        }
    }

    /// Memory charged to the leaf, in bytes.
    pub(crate) fn memory_current(&self, leaf: &Leaf) -> Option<u64> {
        let hierarchy = self.hierarchies.iter().find(|it| it.place.has(Controller::Memory))?;
        let file = if hierarchy.place.v2 { "memory.current" } else { "memory.usage_in_bytes" };
        files::read(hierarchy.of(leaf), &leaf.name, file).ok()?.trim().parse().ok()
    }

    /// CPU time of the leaf in microseconds; only version 2 tells it everywhere.
    pub(crate) fn cpu_micros(&self, leaf: &Leaf) -> Option<u64> {
        let hierarchy = self.hierarchies.iter().find(|it| it.place.v2)?;
        files::field(&files::read(hierarchy.of(leaf), &leaf.name, "cpu.stat").ok()?, "usage_usec")
    }

    /// How often the kernel killed in the leaf for want of memory.
    pub(crate) fn oom_kills(&self, leaf: &Leaf) -> u64 {
        let kills = || {
            let hierarchy = self.hierarchies.iter().find(|it| it.place.has(Controller::Memory))?;
            let file = if hierarchy.place.v2 { "memory.events" } else { "memory.oom_control" };
            files::field(&files::read(hierarchy.of(leaf), &leaf.name, file).ok()?, "oom_kill")
        };
        kills().unwrap_or(0)
    }

    /// Kills whatever is in the leaf and lifts its limit on CPU, so that it ends soon. Where there
    /// is no such file, or the leaf is gone, this does nothing.
    pub(crate) fn kill(&self, leaf: &Leaf) {
        for hierarchy in &self.hierarchies {
            let (place, base) = (&hierarchy.place, hierarchy.of(leaf));
            let write =
                |file: &str, value: &str| files::write(base, &leaf.name, file, value).is_ok();
            let _killed = place.v2 && write("cgroup.kill", "1");
            let _lifted = place.has(Controller::Cpu)
                && if place.v2 {
                    write("cpu.max", &format!("max {CPU_PERIOD_MICROS}"))
                } else {
                    write("cpu.cfs_quota_us", "-1")
                };
        }
    }

    /// Kills whatever is left in the leaf and removes it. Says whether it is gone.
    pub(crate) fn remove(&self, leaf: &Leaf) -> bool {
        let gone =
            |hierarchy: &Hierarchy| remove(hierarchy.of(leaf), &leaf.name, hierarchy.place.v2);
        // Not `all`: every hierarchy is to be tried.
        self.hierarchies.iter().filter(|hierarchy| !gone(hierarchy)).count() == 0
    }

    /// Removes the whole subtrees at the end; every worker must be gone.
    pub(crate) fn close(self) {
        for hierarchy in &self.hierarchies {
            setup::clear(&hierarchy.parent, nix::unistd::getpid(), hierarchy.place.v2);
        }
    }
}

/// Removes one cgroup without children, waiting for the moment that the kernel needs.
fn remove(parent: &OwnedFd, name: &str, v2: bool) -> bool {
    // Without the file it is gone already or the kernel is older than 5.14: the removal tells.
    let killed = !v2 || files::write(parent, name, "cgroup.kill", "1").is_ok();
    for _ in 0..REMOVE_ATTEMPTS {
        match unlinkat(parent, name, UnlinkatFlags::RemoveDir) {
            Ok(()) | Err(Errno::ENOENT) => return true,
            Err(Errno::EBUSY) if killed => pause(),
            Err(_) => return false,
        }
    }
    false
}

/// Nothing is wrong where the kernel does not have the file.
fn optional(written: nix::Result<()>) -> nix::Result<()> {
    if written == Err(Errno::ENOENT) { Ok(()) } else { written }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the launcher has no runtime to block, and nothing tells when a cgroup is free"
)]
fn pause() {
    std::thread::sleep(REMOVE_PAUSE);
}

fn directory(parent: &OwnedFd, name: &str) -> nix::Result<OwnedFd> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    openat(parent, name, flags, Mode::empty())
}

//! Compares what the kernel says of a worker with what was ordered. Nothing is routed to a worker
//! with a finding.
//!
//! It reads nothing itself and forgives nothing: what a host cannot give is expected by what the
//! host report says, not skipped here.

use std::fmt::Display;

use crate::facts::{Capabilities, NAMESPACES};
use crate::{Facts, HostReport, Mode};

mod files;
mod limits;

/// The one id that exists inside a worker, for uid and gid.
const INSIDE: u32 = 1000;
/// The fixed inodes of the machine's first namespaces.
const INITIAL: std::ops::RangeInclusive<u64> = 4_026_531_832..=4_026_531_839;
/// Files of a tenant are its worker's alone.
const UMASK: u32 = 0o077;
/// A worker under a filter, as `status` writes it.
const FILTERED: u32 = 2;
/// The filters that it starts with, and its own.
const FILTERS: u32 = crate::steps::SECCOMP_FILTERS_BEFORE_EXEC + 1;

/// What a worker was ordered to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expected {
    /// The host it runs on: mode, namespaces outside, worker binary.
    pub host: HostReport,
    /// The tenant's number, from which its host ids follow.
    pub index: u32,
    /// Memory in bytes.
    pub memory_max: u64,
    /// Processes and threads.
    pub pids_max: u32,
    /// CPU time in thousandths of a core.
    pub cpu_millis: u32,
    /// The inode of its descriptor 0.
    pub serve_inode: u64,
    /// The inode of its descriptor 3.
    pub host_inode: u64,
    /// The inode of its descriptor 2.
    pub log_inode: u64,
    /// The Landlock ABI that the worker reports. Its own word: it can only add a finding.
    pub landlock_abi: u32,
    /// Whether the worker reports all its probes as refused.
    pub probes_refused: bool,
}

impl Expected {
    /// The worker's uid and gid outside.
    fn id(&self) -> u32 {
        self.host.worker_uid(self.index)
    }
}

/// One difference between what is and what was ordered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What differs, a stable word.
    pub what: &'static str,
    /// What was ordered.
    pub expected: String,
    /// What the kernel says.
    pub found: String,
}

/// Every difference; empty means verified.
pub fn verify(facts: &Facts, expected: &Expected) -> Vec<Finding> {
    let mut report = Report(Vec::new());
    identity(&mut report, facts, expected);
    privilege(&mut report, facts);
    namespaces(&mut report, facts, expected);
    files::check(&mut report, facts, expected);
    limits::check(&mut report, facts, expected);
    report.same("landlock", expected.host.landlock_abi, expected.landlock_abi);
    report.holds("landlock probes", expected.probes_refused, "all refused", "one succeeded");
    report.0
}

/// Findings as they are found.
struct Report(Vec<Finding>);

impl Report {
    fn add(&mut self, what: &'static str, expected: impl Display, found: impl Display) {
        let (expected, found) = (expected.to_string(), found.to_string());
        self.0.push(Finding { what, expected, found });
    }

    fn holds(
        &mut self,
        what: &'static str,
        holds: bool,
        expected: impl Display,
        found: impl Display,
    ) {
        if !holds {
            self.add(what, expected, found);
        }
    }

    fn same<T: PartialEq + Display + Copy>(&mut self, what: &'static str, expected: T, found: T) {
        self.holds(what, expected == found, expected, found);
    }

    fn list<T: PartialEq + Display>(&mut self, what: &'static str, expected: &[T], found: &[T]) {
        self.holds(what, expected == found, words(expected), words(found));
    }
}

fn words<T: Display>(all: &[T]) -> String {
    all.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

fn identity(report: &mut Report, facts: &Facts, expected: &Expected) {
    let id = expected.id();
    let map = [format!("{INSIDE} {id} 1")];
    report.list("uid", &[id; 4], &facts.uids);
    report.list("gid", &[id; 4], &facts.gids);
    report.list("uid map", &map, &facts.uid_map);
    report.list("gid map", &map, &facts.gid_map);
    match expected.host.mode {
        Mode::Root => report.list("groups", &[], &facts.groups),
        // The groups of whoever started the gateway cannot be left, and can do nothing here.
        Mode::Rootless => report.same("setgroups", "deny", facts.setgroups.as_str()),
    }
    report.list("pid", &[facts.pid, 1], &facts.namespace_pids);
    report.list("session", &[facts.pid, 1], &facts.session);
    report.same("umask", UMASK, facts.umask);
    report.holds(
        "threads",
        facts.threads >= 1 && facts.threads <= expected.pids_max,
        format_args!("1 to {}", expected.pids_max),
        facts.threads,
    );
    report.same("tracer", 0, facts.tracer);
    report.same("dumpable", false, facts.dumpable);
    report.same("core dumping", 0, facts.core_dumping);
}

fn privilege(report: &mut Report, facts: &Facts) {
    report.same("no_new_privs", true, facts.no_new_privs);
    report.same("seccomp mode", FILTERED, facts.seccomp_mode);
    report.same("seccomp filters", FILTERS, facts.seccomp_filters);
    let Capabilities { inheritable, permitted, effective, bounding, ambient } = facts.capabilities;
    for (what, set) in [
        ("inheritable capabilities", inheritable),
        ("permitted capabilities", permitted),
        ("effective capabilities", effective),
        ("bounding capabilities", bounding),
        ("ambient capabilities", ambient),
    ] {
        report.holds(what, set == 0, "none", format_args!("{set:016x}"));
    }
}

/// Each namespace is the worker's own. As root all belong to the namespace of the machine, so that
/// no power inside the worker's user namespace reaches them.
fn namespaces(report: &mut Report, facts: &Facts, expected: &Expected) {
    const WHATS: [[&str; 2]; 7] = [
        ["user namespace", "user namespace owner"],
        ["mnt namespace", "mnt namespace owner"],
        ["pid namespace", "pid namespace owner"],
        ["net namespace", "net namespace owner"],
        ["ipc namespace", "ipc namespace owner"],
        ["uts namespace", "uts namespace owner"],
        ["cgroup namespace", "cgroup namespace owner"],
    ];
    let outside = |name: &str| expected.host.namespaces.get(name).copied();
    let own = facts.namespaces.get("user").map(|it| it.inode);
    for (name, [what, what_owner]) in NAMESPACES.into_iter().zip(WHATS) {
        let Some(found) = facts.namespaces.get(name) else {
            report.add(what, "its own", "unknown");
            continue;
        };
        let foreign = outside(name).is_some_and(|it| it != found.inode);
        let is_own = foreign && !INITIAL.contains(&found.inode);
        report.holds(what, is_own, "its own", format_args!("{}, shared", found.inode));
        let owner = match (expected.host.mode, name) {
            (Mode::Root, _) | (Mode::Rootless, "user") => outside("user"),
            (Mode::Rootless, _) => own,
        };
        report.same(what_owner, owner.unwrap_or(0), found.owner);
    }
}

#[cfg(test)]
mod tests;

//! What a worker may use: resource limits, cgroup, and a network that reaches nobody.

use std::collections::BTreeSet;

use super::{Expected, Report};
use crate::facts::{Descriptor, Listing, Resource};
use crate::{CgroupLayout, Facts};

/// Resource limits that are the same for every worker, by the kernel's name for them.
const FIXED: [(&str, &str, u64); 6] = [
    ("core dump limit", "Max core file size", 0),
    ("open files limit", "Max open files", 1024),
    ("locked memory limit", "Max locked memory", 0),
    ("message queue limit", "Max msgqueue size", 0),
    ("nice limit", "Max nice priority", 0),
    ("real-time limit", "Max realtime priority", 0),
];
/// Controllers that bound a worker, as `/proc/<pid>/cgroup` of version 1 names them.
const CONTROLLERS: [&str; 3] = ["memory", "pids", "cpu"];

pub(super) fn check(report: &mut Report, facts: &Facts, expected: &Expected) {
    for (what, name, value) in FIXED {
        let found = facts.limits.get(name);
        let within = |it: &Resource| it.soft == it.hard && it.hard.is_some_and(|it| it <= value);
        report.holds(
            what,
            found.is_some_and(within),
            format_args!("at most {value}"),
            described(found),
        );
    }
    for (what, name) in [("process limit", "Max processes"), ("file size limit", "Max file size")] {
        let found = facts.limits.get(name);
        let bounded = found.is_some_and(|it| it.soft.is_some() && it.hard == it.soft);
        report.holds(what, bounded, "one bound", described(found));
    }
    report.holds("oom score", facts.oom_score_adj >= 0, "0 or more", facts.oom_score_adj);
    cgroup(report, facts, expected);
    report.list("network interfaces", &["lo"], &words(&facts.interfaces));
    sockets(report, facts, expected);
}

/// Its network namespace has no socket but the ends of pairs that it holds itself, some of them
/// twice: an inherited socket is of another namespace and is not counted there.
fn sockets(report: &mut Report, facts: &Facts, expected: &Expected) {
    let inherited = [expected.serve_inode, expected.host_inode];
    let sockets = facts.descriptors.iter().filter(|it| it.kind() == "socket");
    let own: BTreeSet<u64> =
        sockets.filter_map(Descriptor::inode).filter(|inode| !inherited.contains(inode)).collect();
    let own = u64::try_from(own.len()).unwrap_or(u64::MAX);
    for (protocol, in_use) in &facts.sockets {
        let wanted = if protocol == "sockets" { own } else { 0 };
        let found = format_args!("{protocol} {in_use}");
        // Without the list nobody can say whose the pair of the runtime is; only that it is one.
        let hidden = facts.listing == Listing::Hidden && protocol == "sockets" && *in_use <= 2;
        let right = hidden || *in_use == wanted;
        report.holds("sockets", right, format_args!("{protocol} {wanted}"), found);
    }
    report.holds("sockets", facts.sockets.contains_key("sockets"), "a count", "none");
}

fn words(all: &[String]) -> Vec<&str> {
    all.iter().map(String::as_str).collect()
}

fn described(found: Option<&Resource>) -> String {
    let number = |it: Option<u64>| it.map_or_else(|| "unlimited".to_owned(), |it| it.to_string());
    found.map_or_else(
        || "unknown".to_owned(),
        |it| format!("{} {}", number(it.soft), number(it.hard)),
    )
}

fn cgroup(report: &mut Report, facts: &Facts, expected: &Expected) {
    if expected.host.cgroup == CgroupLayout::None {
        return;
    }
    for controller in CONTROLLERS {
        let path = cgroup_of(facts, controller);
        let leaf = path.and_then(|it| it.rsplit('/').next());
        let right = !facts.leaf.is_empty() && leaf == Some(facts.leaf.as_str());
        report.holds(
            "cgroup",
            right,
            format_args!("{controller} {}", facts.leaf),
            path.unwrap_or("none"),
        );
    }
    let (cpu, pids) = (u64::from(expected.cpu_millis), u64::from(expected.pids_max));
    for (what, wanted, found) in [
        ("memory limit", expected.memory_max, facts.memory_max),
        ("pids limit", pids, facts.pids_max),
        ("cpu limit", cpu, facts.cpu_millis),
    ] {
        let given = found.map_or_else(|| "unlimited".to_owned(), |it| it.to_string());
        report.holds(what, found == Some(wanted), wanted, given);
    }
}

/// The process's path for a controller: version 1 names it, version 2 has one path for all.
fn cgroup_of<'a>(facts: &'a Facts, controller: &str) -> Option<&'a str> {
    let named = facts.cgroups.iter().find(|(names, _)| names.split(',').any(|it| it == controller));
    named.map(|(_, path)| path).or_else(|| facts.cgroups.get("")).map(String::as_str)
}

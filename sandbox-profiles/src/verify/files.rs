//! What a worker can name or already holds: mounts, descriptors, root, working directory, binary.

use super::{Expected, Report};
use crate::facts::{Descriptor, Listing, Mount};
use crate::{Facts, Mode, RawFacts};

/// Where the tenant's directory is.
const TENANT: &str = "/tenant";
/// Everything that is mounted, and the options it must have.
const MOUNTS: [(&str, &[&str]); 7] = [
    ("/", &["ro", "nosuid", "nodev", "noexec"]),
    (TENANT, &["rw", "nosuid", "nodev", "noexec"]),
    ("/dev/null", &["nosuid", "noexec"]),
    ("/dev/zero", &["nosuid", "noexec"]),
    ("/dev/full", &["nosuid", "noexec"]),
    ("/dev/random", &["nosuid", "noexec"]),
    ("/dev/urandom", &["nosuid", "noexec"]),
];

pub(super) fn check(report: &mut Report, facts: &Facts, expected: &Expected) {
    mounts(report, facts);
    descriptors(report, facts, expected);
    report.same("root directory", "/", facts.root.as_str());
    report.same("working directory", "/", facts.cwd.as_str());
    let owner = facts.tenant_owner.map(|[uid, _]| uid);
    report.holds(
        "tenant directory",
        owner == Some(expected.id()),
        format_args!("of uid {}", expected.id()),
        owner.map_or_else(|| "absent".to_owned(), |uid| format!("of uid {uid}")),
    );
    report.holds(
        "binary",
        facts.executable.starts_with("/memfd:")
            && Some(facts.executable_inode) == expected.host.worker_inode,
        format_args!("the sealed copy {}", expected.host.worker_inode.unwrap_or(0)),
        format_args!("{} {}", facts.executable, facts.executable_inode),
    );
}

fn mounts(report: &mut Report, facts: &Facts) {
    for (point, options) in MOUNTS {
        let found: Vec<&Mount> = facts.mounts.iter().filter(|it| it.point == point).collect();
        match found.as_slice() {
            [mount] => one_mount(report, mount, options),
            _ => report.add("mounts", format_args!("{point} once"), found.len()),
        }
    }
    for mount in &facts.mounts {
        let known = MOUNTS.iter().any(|(point, _)| *point == mount.point);
        report.holds("mounts", known, "no other", &mount.point);
    }
}

fn one_mount(report: &mut Report, mount: &Mount, options: &[&str]) {
    let given = |option: &&str| mount.options.iter().any(|it| it == option);
    report.holds(
        "mount options",
        options.iter().all(given),
        format_args!("{} {}", mount.point, options.join(",")),
        mount.options.join(","),
    );
    report.list("mount propagation", &[], &mount.propagation);
    match mount.point.strip_prefix("/dev") {
        // A node is mounted alone: the mount's root is the node and not a directory above it.
        Some(name) => report.holds("mount root", mount.root.ends_with(name), name, &mount.root),
        None if mount.point == "/" => report.same("root file system", "tmpfs", mount.kind.as_str()),
        None => {}
    }
}

fn descriptors(report: &mut Report, facts: &Facts, expected: &Expected) {
    match (facts.listing, expected.host.mode) {
        (Listing::Complete, _) => {}
        // Without root nobody can look; the worker's own check is all there is, and the host report
        // names the loss.
        (Listing::Hidden, Mode::Rootless) => return,
        (Listing::Cut, _) => report.add("descriptors", RawFacts::DESCRIPTORS_MAX, "more"),
        (Listing::Hidden, Mode::Root) => report.add("descriptors", "a list", "nothing"),
    }
    for (fd, kind, inode) in [
        (0, "socket", Some(expected.serve_inode)),
        (1, "null", None),
        (2, "pipe", Some(expected.log_inode)),
        (3, "socket", Some(expected.host_inode)),
    ] {
        let found = facts.descriptors.iter().find(|it| it.fd == fd);
        let right =
            |it: &Descriptor| it.kind() == kind && inode.is_none_or(|i| it.inode() == Some(i));
        report.holds(
            "descriptor",
            found.is_some_and(right),
            format_args!("{fd} is {kind} {}", inode.unwrap_or(0)),
            found.map_or_else(|| "closed".to_owned(), described),
        );
    }
    for descriptor in facts.descriptors.iter().filter(|it| it.fd > 3) {
        let own = is_own(descriptor, facts);
        report.holds("descriptor", own, "none that it did not make", described(descriptor));
    }
}

/// Whether the worker can have made the descriptor itself: the runtime's, a file opened through one
/// of its own mounts, or one end of a pair.
fn is_own(descriptor: &Descriptor, facts: &Facts) -> bool {
    match descriptor.kind() {
        // A socket is counted against its network namespace in `limits`.
        "eventpoll" | "eventfd" | "socket" => true,
        "file" | "directory" | "null" | "device" => {
            facts.mounts.iter().any(|it| it.id == descriptor.mount)
        }
        _ => false,
    }
}

fn described(descriptor: &Descriptor) -> String {
    let Descriptor { fd, .. } = descriptor;
    format!("{fd} is {} {}", descriptor.kind(), descriptor.inode().unwrap_or(0))
}

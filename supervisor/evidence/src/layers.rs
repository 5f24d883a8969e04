//! From the differences that were found to the layers of the boundary: each by its name, with what
//! was declared and what there is. It is a function of what else is in a report, so that whoever checks
//! one can make the layers again.

use control_api::{Boundary, Finding, Namespaces};

use crate::report::{Declared, Host, Layer, Standing};

/// What layers are made of.
struct Seen<'a> {
    boundary: &'a Boundary,
    declared: &'a Declared,
    host: &'a Host,
}

/// What was declared, and what there is.
type Sides = (String, String);

/// One layer: which findings are about it, which of them mean that it is not there at all, and how it
/// looks where there are none.
struct Row {
    name: &'static str,
    findings: &'static [&'static str],
    absent: &'static [&'static str],
    whole: fn(&Seen<'_>) -> Sides,
}

const ROWS: [Row; 18] = [
    Row {
        name: "user namespace",
        findings: &["user namespace", "user namespace owner"],
        absent: &["user namespace"],
        whole: |it| own(it, |of| of.user),
    },
    Row {
        name: "mnt namespace",
        findings: &["mnt namespace", "mnt namespace owner"],
        absent: &["mnt namespace"],
        whole: |it| own(it, |of| of.mnt),
    },
    Row {
        name: "pid namespace",
        findings: &["pid namespace", "pid namespace owner", "pid", "session"],
        absent: &["pid namespace"],
        whole: |it| own(it, |of| of.pid),
    },
    Row {
        name: "net namespace",
        findings: &["net namespace", "net namespace owner"],
        absent: &["net namespace"],
        whole: |it| own(it, |of| of.net),
    },
    Row {
        name: "ipc namespace",
        findings: &["ipc namespace", "ipc namespace owner"],
        absent: &["ipc namespace"],
        whole: |it| own(it, |of| of.ipc),
    },
    Row {
        name: "uts namespace",
        findings: &["uts namespace", "uts namespace owner"],
        absent: &["uts namespace"],
        whole: |it| own(it, |of| of.uts),
    },
    Row {
        name: "cgroup namespace",
        findings: &["cgroup namespace", "cgroup namespace owner"],
        absent: &["cgroup namespace"],
        whole: |it| own(it, |of| of.cgroup),
    },
    Row {
        name: "ids",
        findings: &["uid", "gid", "uid map", "gid map", "groups", "setgroups"],
        absent: &["uid map", "gid map"],
        whole: ids,
    },
    Row {
        name: "capabilities",
        findings: &[
            "inheritable capabilities",
            "permitted capabilities",
            "effective capabilities",
            "bounding capabilities",
            "ambient capabilities",
        ],
        absent: &["permitted capabilities", "effective capabilities", "bounding capabilities"],
        whole: |it| ("none in any set".to_owned(), sets(it.boundary)),
    },
    Row {
        name: "no_new_privs",
        findings: &["no_new_privs"],
        absent: &["no_new_privs"],
        whole: |it| ("true".to_owned(), it.boundary.no_new_privs.to_string()),
    },
    Row {
        name: "seccomp",
        findings: &["seccomp mode", "seccomp filters"],
        absent: &["seccomp mode", "seccomp filters"],
        whole: seccomp,
    },
    Row {
        name: "landlock",
        findings: &["landlock", "landlock probes"],
        absent: &["landlock"],
        whole: |it| {
            (format!("ABI {}", it.host.landlock_abi), format!("ABI {}", it.boundary.landlock.abi))
        },
    },
    Row {
        name: "tracing",
        findings: &["tracer", "dumpable", "core dumping"],
        absent: &["dumpable"],
        whole: |_| ("not dumpable, traced by nobody".to_owned(), "no difference".to_owned()),
    },
    Row {
        name: "mounts",
        findings: &[
            "mounts",
            "mount options",
            "mount propagation",
            "mount root",
            "root file system",
            "root directory",
            "working directory",
            "tenant directory",
        ],
        absent: &["root file system"],
        whole: |it| ("the tenant's directory and five devices".to_owned(), mounts(it.boundary)),
    },
    Row {
        name: "descriptors",
        findings: &["descriptors", "descriptor"],
        absent: &[],
        whole: |it| ("two pairs, a log, and its own".to_owned(), descriptors(it.boundary)),
    },
    Row {
        name: "network",
        findings: &["network interfaces", "sockets"],
        absent: &[],
        whole: |it| ("lo, down; no socket".to_owned(), network(it.boundary)),
    },
    Row {
        name: "limits",
        findings: &[
            "core dump limit",
            "open files limit",
            "locked memory limit",
            "message queue limit",
            "nice limit",
            "real-time limit",
            "process limit",
            "file size limit",
            "oom score",
            "umask",
            "threads",
            "cgroup",
            "memory limit",
            "pids limit",
            "cpu limit",
        ],
        absent: &["cgroup", "process limit", "file size limit"],
        whole: limits,
    },
    Row {
        name: "binary",
        findings: &["binary"],
        absent: &["binary"],
        whole: |it| {
            (digest(it.declared.binary_digest.as_ref()), digest(it.boundary.binary_digest.as_ref()))
        },
    },
];

/// What a finding is counted to that belongs to no row: never forgotten, and never good.
const OTHER: &str = "other";

/// Every layer of the boundary, in a fixed order.
pub fn layers(boundary: &Boundary, declared: &Declared, host: &Host) -> Vec<Layer> {
    let seen = Seen { boundary, declared, host };
    let mut layers: Vec<Layer> = ROWS.iter().map(|row| layer(row, &seen)).collect();
    let known =
        |finding: &&Finding| ROWS.iter().any(|row| row.findings.contains(&finding.what.as_str()));
    let others: Vec<&Finding> = boundary.findings.iter().filter(|it| !known(it)).collect();
    if !others.is_empty() {
        layers.push(differing(OTHER, Standing::Differs, &others));
    }
    layers
}

fn layer(row: &Row, seen: &Seen<'_>) -> Layer {
    let own = |finding: &&Finding| row.findings.contains(&finding.what.as_str());
    let findings: Vec<&Finding> = seen.boundary.findings.iter().filter(own).collect();
    if findings.is_empty() {
        let (expected, found) = (row.whole)(seen);
        return Layer { name: row.name.to_owned(), standing: Standing::Ok, expected, found };
    }
    let absent = findings.iter().any(|finding| row.absent.contains(&finding.what.as_str()));
    let standing = if absent { Standing::Missing } else { Standing::Differs };
    differing(row.name, standing, &findings)
}

fn differing(name: &str, standing: Standing, findings: &[&Finding]) -> Layer {
    let all = |side: fn(&Finding) -> &String| {
        let sides = findings.iter().map(|finding| format!("{}: {}", finding.what, side(finding)));
        sides.collect::<Vec<_>>().join("; ")
    };
    let (expected, found) = (all(|it| &it.expected), all(|it| &it.found));
    Layer { name: name.to_owned(), standing, expected, found }
}

fn own(seen: &Seen<'_>, of: fn(&Namespaces) -> u64) -> Sides {
    let it = seen.boundary;
    let (found, outside) = (of(&it.namespaces), of(&it.supervisor_namespaces));
    (format!("its own, not {outside}"), found.to_string())
}

fn sets(boundary: &Boundary) -> String {
    let it = &boundary.capabilities;
    [&it.effective, &it.permitted, &it.bounding, &it.inheritable, &it.ambient]
        .map(String::as_str)
        .join(" ")
}

fn mounts(boundary: &Boundary) -> String {
    let points: Vec<_> = boundary.mounts.iter().map(|mount| mount.target.as_str()).collect();
    points.join(" ")
}

fn descriptors(boundary: &Boundary) -> String {
    let each = boundary.descriptors.iter().map(|it| format!("{} {}", it.fd, it.kind));
    each.collect::<Vec<_>>().join(", ")
}

fn network(boundary: &Boundary) -> String {
    let sockets = match boundary.listening_sockets.as_slice() {
        [] => "none".to_owned(),
        some => some.join(", "),
    };
    format!("{}; sockets: {sockets}", boundary.network_interfaces.join(" "))
}

fn ids(seen: &Seen<'_>) -> Sides {
    let found = format!("uid map {}, gid map {}", seen.boundary.uid_map, seen.boundary.gid_map);
    ("one id inside, which means one id outside".to_owned(), found)
}

fn seccomp(seen: &Seen<'_>) -> Sides {
    let it = &seen.boundary.seccomp;
    let declared = digest(seen.declared.profiles.get(&it.profile));
    (
        format!("mode 2, the launcher's filter and profile {}, sha256 {declared}", it.profile),
        format!("mode {}, {} filters, sha256 {}", it.mode, it.filters, it.digest),
    )
}

fn limits(seen: &Seen<'_>) -> Sides {
    let number = |n: Option<u64>| n.map_or_else(|| "unlimited".to_owned(), |n| n.to_string());
    let sentence = |memory, pids, cpu| {
        let (memory, pids, cpu) = (number(memory), number(pids), number(cpu));
        format!("memory {memory}, processes {pids}, CPU {cpu}/1000 of a core")
    };
    let (declared, it) = (seen.declared, &seen.boundary.cgroup);
    let (pids, cpu) = (u64::from(declared.pids_max), u64::from(declared.cpu_millis));
    (
        sentence(Some(declared.memory_max), Some(pids), Some(cpu)),
        sentence(it.memory_max, it.pids_max, it.cpu_max),
    )
}

fn digest(of: Option<&String>) -> String {
    of.cloned().unwrap_or_else(|| "unknown".to_owned())
}

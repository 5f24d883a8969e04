//! `tenants inspect` for people: the boundary in some ten lines, and what differs from the order.

use control_api::{Boundary, Namespaces};

use super::size;
use crate::output::{Output, View};

impl View for Boundary {
    fn show(&self, output: &mut Output) {
        let verified = if self.verified { "yes" } else { "NO" };
        output.pairs(&[
            ("worker", worker(self)),
            ("verified", verified.to_owned()),
            ("filters", filters(self)),
            ("privileges", privileges(self)),
            ("namespaces", namespaces(&self.namespaces)),
            ("supervisor's", namespaces(&self.supervisor_namespaces)),
            ("network", network(self)),
            ("files", files(self)),
            ("descriptors", list(self.descriptors.iter().map(|d| format!("{} {}", d.fd, d.kind)))),
            ("limits", limits(self)),
        ]);
        for finding in &self.findings {
            let (what, expected, found) = (&finding.what, &finding.expected, &finding.found);
            output.line(&format!("differs: {what} should be {expected} and is {found}"));
        }
        for weaker in &self.degraded {
            output.line(&format!("weaker here: {weaker}"));
        }
    }
}

fn worker(of: &Boundary) -> String {
    let memory = of.pss_bytes.map_or_else(|| "unknown memory".to_owned(), size);
    let binary = of.binary_digest.as_ref();
    let binary =
        binary.map_or_else(|| "NOT the sealed program".to_owned(), |sum| format!("sha256 {sum}"));
    format!("{}, process {}, {} mode, {memory}, {binary}", of.tenant, of.pid, of.mode)
}

fn filters(of: &Boundary) -> String {
    let seccomp = &of.seccomp;
    let landlock = match of.landlock.abi {
        0 => "no Landlock in this kernel".to_owned(),
        abi => format!("Landlock ABI {abi}"),
    };
    let (mode, profile, digest) = (seccomp.mode, &seccomp.profile, &seccomp.digest);
    format!("seccomp mode {mode}, profile {profile}, sha256 {digest}; {landlock}")
}

fn privileges(of: &Boundary) -> String {
    let sets = &of.capabilities;
    let none = [&sets.effective, &sets.permitted, &sets.bounding, &sets.inheritable, &sets.ambient]
        .iter()
        .all(|set| set.bytes().all(|digit| digit == b'0'));
    let capabilities = if none { "no capability in any set" } else { "HAS CAPABILITIES" };
    let gain = if of.no_new_privs { "none can be gained" } else { "MORE CAN BE GAINED" };
    format!("{capabilities}; {gain}; uid map {}", of.uid_map)
}

fn namespaces(of: &Namespaces) -> String {
    format!(
        "user {} mnt {} pid {} net {} ipc {} uts {} cgroup {}",
        of.user, of.mnt, of.pid, of.net, of.ipc, of.uts, of.cgroup
    )
}

fn network(of: &Boundary) -> String {
    let interfaces = list(of.network_interfaces.iter().cloned());
    let sockets = list(of.listening_sockets.iter().cloned());
    format!("interfaces: {interfaces}; listens on: {sockets}")
}

/// Mounts with the options that bound what can be done there; device nodes by name alone.
fn files(of: &Boundary) -> String {
    let bounding = |option: &&str| matches!(*option, "ro" | "rw" | "nosuid" | "nodev" | "noexec");
    list(of.mounts.iter().map(|mount| {
        if mount.target.starts_with("/dev/") {
            return mount.target.clone();
        }
        let options: Vec<_> = mount.options.split(',').filter(bounding).collect();
        format!("{} ({})", mount.target, options.join(","))
    }))
}

fn limits(of: &Boundary) -> String {
    let cgroup = &of.cgroup;
    let number = |n: Option<u64>| n.map_or_else(|| "unlimited".to_owned(), |n| n.to_string());
    let memory = cgroup.memory_max.map_or_else(|| "unlimited".to_owned(), size);
    let (pids, cpu) = (number(cgroup.pids_max), number(cgroup.cpu_max));
    let path = cgroup.path.as_deref().unwrap_or("no cgroup");
    format!("memory {memory}, processes {pids}, CPU {cpu}/1000 of a core; {path}")
}

fn list(items: impl Iterator<Item = String>) -> String {
    let items: Vec<_> = items.collect();
    if items.is_empty() { "none".to_owned() } else { items.join(", ") }
}

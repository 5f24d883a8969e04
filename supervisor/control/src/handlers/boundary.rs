//! From what the kernel says of a worker to what an auditor reads. Nothing is judged here.

use std::collections::BTreeMap;

use control_api::{
    Boundary, Capabilities, Cgroup, Descriptor, Finding, Landlock, Mount, Namespaces, Resource,
    Seccomp,
};
use sandbox::{Facts, HostReport, Profile};
use tenants::Inspection;
use types::TenantId;

use super::views;

pub(super) fn of(tenant: &TenantId, inspection: &Inspection, host: &HostReport) -> Boundary {
    let facts = &inspection.facts;
    let inode = |of: &sandbox::facts::Namespace| of.inode;
    let own = facts.namespaces.iter().map(|(name, of)| (name.as_str(), inode(of))).collect();
    let supervisors = host.namespaces.iter().map(|(name, inode)| (name.as_str(), *inode)).collect();
    Boundary {
        tenant: tenant.clone(),
        verified: inspection.findings.is_empty(),
        findings: inspection.findings.iter().map(finding).collect(),
        mode: views::mode(host.mode).to_owned(),
        degraded: views::degraded(host),
        pid: facts.pid,
        seccomp: Seccomp {
            mode: facts.seccomp_mode,
            filters: facts.seccomp_filters,
            profile: Profile::Worker.name().to_owned(),
            digest: Profile::Worker.digest().to_owned(),
        },
        no_new_privs: facts.no_new_privs,
        capabilities: capabilities(&facts.capabilities),
        namespaces: namespaces(&own),
        supervisor_namespaces: namespaces(&supervisors),
        uid_map: facts.uid_map.join(", "),
        gid_map: facts.gid_map.join(", "),
        network_interfaces: facts.interfaces.clone(),
        listening_sockets: sockets(facts),
        mounts: facts.mounts.iter().map(mount).collect(),
        descriptors: facts.descriptors.iter().map(descriptor).collect(),
        cgroup: cgroup(facts),
        rlimits: rlimits(facts),
        landlock: Landlock { abi: inspection.landlock_abi },
        binary_digest: digest(facts, host),
        pss_bytes: inspection.usage.pss_bytes,
    }
}

pub(super) fn finding(finding: &sandbox::Finding) -> Finding {
    Finding {
        what: finding.what.to_owned(),
        expected: finding.expected.clone(),
        found: finding.found.clone(),
    }
}

fn capabilities(sets: &sandbox::facts::Capabilities) -> Capabilities {
    let hex = |set: u64| format!("{set:016x}");
    Capabilities {
        effective: hex(sets.effective),
        permitted: hex(sets.permitted),
        bounding: hex(sets.bounding),
        inheritable: hex(sets.inheritable),
        ambient: hex(sets.ambient),
    }
}

/// Inodes by name; 0, which no namespace has, stands for one that was not read.
fn namespaces(inodes: &BTreeMap<&str, u64>) -> Namespaces {
    let inode = |name: &str| inodes.get(name).copied().unwrap_or_default();
    Namespaces {
        user: inode("user"),
        mnt: inode("mnt"),
        pid: inode("pid"),
        net: inode("net"),
        ipc: inode("ipc"),
        uts: inode("uts"),
        cgroup: inode("cgroup"),
    }
}

/// The kernel's name for the count of all sockets, which includes the ends of pairs that the worker
/// holds itself. Those cannot listen, and one more than those is a finding.
const ALL_SOCKETS: &str = "sockets";

/// Where a worker's network namespace has no socket of a protocol in use, none listens.
fn sockets(facts: &Facts) -> Vec<String> {
    let counts = facts.sockets.iter().filter(|(protocol, _)| *protocol != ALL_SOCKETS);
    let in_use = counts.filter(|(_, count)| **count > 0);
    in_use.map(|(protocol, count)| format!("{protocol} {count}")).collect()
}

fn mount(mount: &sandbox::facts::Mount) -> Mount {
    Mount {
        target: mount.point.clone(),
        fs_type: mount.kind.clone(),
        options: mount.options.join(","),
    }
}

fn descriptor(descriptor: &sandbox::facts::Descriptor) -> Descriptor {
    Descriptor { fd: descriptor.fd, kind: descriptor.kind().to_owned() }
}

fn cgroup(facts: &Facts) -> Cgroup {
    Cgroup {
        path: Some(facts.leaf.clone()).filter(|path| !path.is_empty()),
        memory_max: facts.memory_max,
        pids_max: facts.pids_max,
        cpu_max: facts.cpu_millis,
    }
}

fn rlimits(facts: &Facts) -> Vec<Resource> {
    let text = |limit: Option<u64>| limit.map_or_else(|| "unlimited".to_owned(), |n| n.to_string());
    let resource = |(name, limit): (&String, &sandbox::facts::Resource)| Resource {
        name: name.clone(),
        soft: text(limit.soft),
        hard: text(limit.hard),
    };
    facts.limits.iter().map(resource).collect()
}

/// The digest of the sealed copy, where the process really executes that copy.
fn digest(facts: &Facts, host: &HostReport) -> Option<String> {
    let sealed = host.worker_inode == Some(facts.executable_inode);
    host.worker_digest.clone().filter(|_| sealed)
}

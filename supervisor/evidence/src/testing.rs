//! A good report, for tests to spoil.

use control_api::{
    Boundary, Capabilities, Cgroup, Descriptor, Finding, Landlock, Mount, Namespaces, Seccomp,
};

use crate::key::Key;
use crate::layers::layers;
use crate::report::{
    AuditHead, Declared, Depth, Held, Host, Lost, Probe, Report, SCHEMA, Versions,
};

const DIGEST: &str = "4af1b182ec75c77ee408c5b256d10076909cd20f26abeb7df56d674ea39eb011";

pub(crate) fn boundary() -> Boundary {
    let none = || "0000000000000000".to_owned();
    let inodes = |from| Namespaces {
        user: from,
        mnt: from + 1,
        pid: from + 2,
        net: from + 3,
        ipc: from + 4,
        uts: from + 5,
        cgroup: from + 6,
    };
    Boundary {
        tenant: "acme".parse().unwrap(),
        verified: true,
        findings: Vec::new(),
        mode: "root".to_owned(),
        degraded: Vec::new(),
        pid: 77,
        seccomp: Seccomp {
            mode: 2,
            filters: 2,
            profile: "worker".to_owned(),
            digest: DIGEST.to_owned(),
        },
        no_new_privs: true,
        capabilities: Capabilities {
            effective: none(),
            permitted: none(),
            bounding: none(),
            inheritable: none(),
            ambient: none(),
        },
        namespaces: inodes(4_026_532_000),
        supervisor_namespaces: inodes(4_026_531_832),
        uid_map: "1000 3000004 1".to_owned(),
        gid_map: "1000 3000004 1".to_owned(),
        network_interfaces: vec!["lo".to_owned()],
        listening_sockets: Vec::new(),
        mounts: vec![Mount {
            target: "/tenant".to_owned(),
            fs_type: "ext4".to_owned(),
            options: "rw,nosuid".to_owned(),
        }],
        descriptors: vec![Descriptor { fd: 0, kind: "socket".to_owned() }],
        cgroup: Cgroup {
            path: Some("t-1".to_owned()),
            memory_max: Some(1 << 28),
            pids_max: Some(64),
            cpu_max: Some(1000),
        },
        rlimits: Vec::new(),
        landlock: Landlock { abi: 7 },
        binary_digest: Some(DIGEST.to_owned()),
        pss_bytes: Some(1),
    }
}

pub(crate) fn probe(name: &str, depth: Depth) -> Probe {
    Probe {
        name: name.to_owned(),
        attempt: format!("attempt {name}"),
        depth,
        expected: vec!["SIGSYS".to_owned(), "EPERM".to_owned()],
        outcome: "EPERM".to_owned(),
        held: Held::Refused,
    }
}

pub(crate) fn report(key: &Key) -> Report {
    let probes = (0..12).flat_map(|n| {
        [Depth::Whole, Depth::Beneath].map(|depth| probe(&format!("probe-{n}"), depth))
    });
    let boundary = boundary();
    let host = Host {
        mode: "root".to_owned(),
        cgroup: "v2".to_owned(),
        landlock_abi: 7,
        user_namespaces: true,
    };
    let declared = Declared {
        profiles: [("worker".to_owned(), DIGEST.to_owned())].into(),
        binary_digest: Some(DIGEST.to_owned()),
        memory_max: 1 << 28,
        pids_max: 64,
        cpu_millis: 1000,
    };
    Report {
        schema: SCHEMA,
        at: 1_790_000_000_000.into(),
        installation: key.public().installation(),
        tenant: boundary.tenant.clone(),
        verified: true,
        versions: Versions {
            gateway: "0.1.0".to_owned(),
            worker: "0.1.0".to_owned(),
            kernel: "6.18.44".to_owned(),
            bwrap: None,
        },
        not_given: vec![Lost {
            guarantee: "disk-limit".to_owned(),
            reason: "<no> 'loop' & \"device\"".to_owned(),
        }],
        layers: layers(&boundary, &declared, &host),
        host,
        declared,
        probes: probes.collect(),
        boundary,
        ledger_digest: Some(DIGEST.to_owned()),
        audit_head: Some(AuditHead { seq: 9, hash: DIGEST.to_owned() }),
    }
}

/// The same with one difference found, told honestly.
pub(crate) fn with_finding(key: &Key, what: &str) -> Report {
    let mut report = report(key);
    report.boundary.findings.push(Finding {
        what: what.to_owned(),
        expected: "its own".to_owned(),
        found: "shared".to_owned(),
    });
    report.boundary.verified = false;
    report.verified = false;
    report.layers = layers(&report.boundary, &report.declared, &report.host);
    report
}

//! Facts of a real worker, taken by the launcher and then spoiled in one place at a time: each
//! spoiling must be found, and under its own name.

use std::collections::BTreeSet;

use serde::Deserialize;

use super::*;
use crate::RawFacts;
use crate::facts::{Descriptor, Listing};

const ROOT: &str = include_str!("root.json");
const ROOTLESS: &str = include_str!("rootless.json");

/// What `examples/boundary facts` prints.
#[derive(Deserialize)]
struct Taken {
    host: HostReport,
    inodes: [u64; 3],
    raw: RawFacts,
}

fn taken(text: &str) -> (RawFacts, Expected) {
    let Taken { host, inodes: [serve_inode, host_inode, log_inode], raw } =
        serde_json::from_str(text).unwrap();
    let landlock_abi = host.landlock_abi;
    let expected = Expected {
        host,
        index: 1,
        memory_max: 64 << 20,
        pids_max: 32,
        cpu_millis: 1000,
        serve_inode,
        host_inode,
        log_inode,
        landlock_abi,
        probes_refused: true,
    };
    (raw, expected)
}

fn found(raw: &RawFacts, expected: &Expected) -> BTreeSet<&'static str> {
    verify(&Facts::parse(raw).unwrap(), expected).into_iter().map(|it| it.what).collect()
}

/// Spoils the facts of a good worker and gives the names of what is found.
fn spoiled(text: &str, spoil: impl Fn(&mut RawFacts)) -> BTreeSet<&'static str> {
    let (mut raw, expected) = taken(text);
    let good = raw.clone();
    spoil(&mut raw);
    assert_ne!(raw, good, "nothing was spoiled");
    found(&raw, &expected)
}

fn check(what: &'static str, spoil: impl Fn(&mut RawFacts)) {
    let found = spoiled(ROOT, spoil);
    assert!(found.contains(what), "{what}: {found:?}");
}

/// Replaces the value of one line of `status`.
fn status(raw: &mut RawFacts, name: &str, value: &str) {
    let line = |line: &str| match line.split_once(':') {
        Some((key, _)) if key == name => format!("{name}:\t{value}\n"),
        _ => format!("{line}\n"),
    };
    raw.status = raw.status.lines().map(line).collect();
}

fn limit(raw: &mut RawFacts, name: &str, value: &str) {
    let line = |line: &str| match line.strip_prefix(name) {
        Some(_) => format!("{name:26}{value:21}{value:21}unit\n"),
        None => format!("{line}\n"),
    };
    raw.limits = raw.limits.lines().map(line).collect();
}

fn descriptor(fd: u32, link: &str, mode: u32, mount: u64) -> Descriptor {
    Descriptor { fd, link: link.to_owned(), mode, device: [0, 0], mount }
}

#[test]
fn a_good_worker_is_verified() {
    for text in [ROOT, ROOTLESS] {
        let (raw, expected) = taken(text);
        assert_eq!(found(&raw, &expected), BTreeSet::new());
    }
}

#[test]
fn every_line_of_status_counts() {
    for (what, name, value) in [
        ("uid", "Uid", "0\t0\t0\t0"),
        ("uid", "Uid", "3000004\t0\t3000004\t3000004"),
        ("gid", "Gid", "3000004\t3000004\t0\t3000004"),
        ("groups", "Groups", "0 27 "),
        ("pid", "NSpid", "1234"),
        ("pid", "NSpid", "1234\t2"),
        ("pid", "NSpid", "1234\t7\t1"),
        ("session", "NSsid", "1\t0"),
        ("umask", "Umask", "0022"),
        ("threads", "Threads", "33"),
        ("threads", "Threads", "0"),
        ("tracer", "TracerPid", "1"),
        ("core dumping", "CoreDumping", "1"),
        ("no_new_privs", "NoNewPrivs", "0"),
        ("seccomp mode", "Seccomp", "0"),
        ("seccomp filters", "Seccomp_filters", "1"),
        ("seccomp filters", "Seccomp_filters", "3"),
        ("inheritable capabilities", "CapInh", "0000000000000001"),
        ("permitted capabilities", "CapPrm", "0000000000200000"),
        ("effective capabilities", "CapEff", "0000000000200000"),
        ("bounding capabilities", "CapBnd", "000001ffffffffff"),
        ("ambient capabilities", "CapAmb", "0000000000000400"),
    ] {
        check(what, |raw| status(raw, name, value));
    }
    check("dumpable", |raw| raw.owner = 3_000_004);
}

#[test]
fn every_namespace_and_map_counts() {
    let (_, expected) = taken(ROOT);
    let names = [
        ("user", "user namespace", "user namespace owner"),
        ("mnt", "mnt namespace", "mnt namespace owner"),
        ("pid", "pid namespace", "pid namespace owner"),
        ("net", "net namespace", "net namespace owner"),
        ("ipc", "ipc namespace", "ipc namespace owner"),
        ("uts", "uts namespace", "uts namespace owner"),
        ("cgroup", "cgroup namespace", "cgroup namespace owner"),
    ];
    for (name, what, what_owner) in names {
        let outside = expected.host.namespaces[name];
        check(what, |raw| raw.namespaces.get_mut(name).unwrap().inode = outside);
        check(what, |raw| raw.namespaces.get_mut(name).unwrap().inode = 4_026_531_834);
        check(what, |raw| raw.namespaces.retain(|it, _| it != name));
        let own = |raw: &RawFacts| raw.namespaces["user"].inode;
        check(what_owner, |raw| raw.namespaces.get_mut(name).unwrap().owner = own(raw));
        check(what_owner, |raw| raw.namespaces.get_mut(name).unwrap().owner = 0);
    }
    for map in ["0 3000004 1", "1000 0 1", "1000 3000004 2", "1000 3000004 1\n0 0 1", ""] {
        check("uid map", |raw| map.clone_into(&mut raw.uid_map));
        check("gid map", |raw| map.clone_into(&mut raw.gid_map));
    }
}

#[test]
fn every_mount_counts() {
    let replace = |from: &'static str, to: &'static str| {
        move |raw: &mut RawFacts| raw.mountinfo = raw.mountinfo.replace(from, to)
    };
    check("mount options", replace("/ / ro,", "/ / rw,"));
    for option in ["nosuid,", "nodev,", "noexec,"] {
        check("mount options", replace(option, ""));
    }
    check("mount options", replace("/tenant rw,", "/tenant ro,"));
    check(
        "mount propagation",
        replace(
            "/tenant rw,nosuid,nodev,noexec,relatime",
            "/tenant rw,nosuid,nodev,noexec,relatime shared:1",
        ),
    );
    check("mount propagation", replace("relatime - tmpfs", "relatime master:7 - tmpfs"));
    check("mount root", replace("/null /dev/null", "/kmsg /dev/null"));
    check("root file system", replace("- tmpfs", "- ext4"));
    check("mounts", replace("/dev/full", "/proc"));
    check("mounts", replace("/tenant", "/tenants"));
    for line in [
        "99 67 0:99 / /proc rw - proc proc rw\n",
        "99 67 0:99 / /tenant rw,nosuid,nodev,noexec - tmpfs none rw\n",
        "99 67 0:99 / /sys ro - sysfs none rw\n",
    ] {
        check("mounts", |raw| raw.mountinfo.push_str(line));
    }
    check("root directory", |raw| "/old".clone_into(&mut raw.places[0]));
    check("working directory", |raw| "/tenant".clone_into(&mut raw.places[1]));
    check("tenant directory", |raw| raw.tenant_owner = Some([3_000_006, 3_000_006]));
    check("tenant directory", |raw| raw.tenant_owner = None);
    check("binary", |raw| raw.executable_inode += 1);
    check("binary", |raw| "/tenant/worker".clone_into(&mut raw.executable));
}

#[test]
fn every_descriptor_counts() {
    for fd in 0..4 {
        let other = |raw: &mut RawFacts| "socket:[7]".clone_into(&mut raw.descriptors[fd].link);
        check("descriptor", other);
        check("descriptor", |raw| drop(raw.descriptors.remove(fd)));
    }
    check("descriptor", |raw| raw.descriptors[1].device = [1, 5]);
    for (link, mode) in [
        ("/", libc::S_IFDIR),
        ("/etc/shadow", libc::S_IFREG),
        ("/dev/vda", libc::S_IFBLK),
        ("pipe:[5]", libc::S_IFIFO),
        ("anon_inode:[pidfd]", 0),
        ("anon_inode:bpf-prog", 0),
        ("anon_inode:[io_uring]", 0),
        ("/memfd:x (deleted)", libc::S_IFREG),
        ("mnt:[4026531832]", libc::S_IFREG),
    ] {
        check("descriptor", |raw| raw.descriptors.push(descriptor(4, link, mode, 1)));
    }
    check("sockets", |raw| raw.descriptors.push(descriptor(4, "socket:[5]", libc::S_IFSOCK, 10)));
    check("descriptors", |raw| raw.listing = Listing::Cut);
    check("descriptors", |raw| raw.listing = Listing::Hidden);
}

/// What a runtime opens and what a worker reads of its own tenant is no finding.
#[test]
fn a_running_worker_stays_verified() {
    let found = spoiled(ROOT, |raw| {
        let tenant = raw.mountinfo.lines().find(|line| line.contains(" /tenant ")).unwrap();
        let mount = tenant.split(' ').next().unwrap().parse().unwrap();
        raw.descriptors.extend([
            descriptor(4, "anon_inode:[eventpoll]", 0, 16),
            descriptor(5, "anon_inode:[eventfd]", 0, 16),
            descriptor(6, "socket:[90]", libc::S_IFSOCK, 10),
            descriptor(7, "socket:[91]", libc::S_IFSOCK, 10),
            descriptor(9, "socket:[91]", libc::S_IFSOCK, 10),
            descriptor(10, &raw.descriptors[0].link, libc::S_IFSOCK, 10),
            descriptor(8, "/tenant/agents/main/sessions/x.jsonl", libc::S_IFREG, mount),
        ]);
        raw.sockstat = raw.sockstat.replace("sockets: used 0", "sockets: used 2");
        status(raw, "Threads", "3");
    });
    assert_eq!(found, BTreeSet::new());
}

#[test]
fn every_limit_counts() {
    for (what, name, value) in [
        ("core dump limit", "Max core file size", "unlimited"),
        ("open files limit", "Max open files", "4096"),
        ("locked memory limit", "Max locked memory", "65536"),
        ("message queue limit", "Max msgqueue size", "819200"),
        ("nice limit", "Max nice priority", "20"),
        ("real-time limit", "Max realtime priority", "1"),
        ("process limit", "Max processes", "unlimited"),
        ("file size limit", "Max file size", "unlimited"),
    ] {
        check(what, |raw| limit(raw, name, value));
    }
    check("oom score", |raw| "-1000\n".clone_into(&mut raw.oom_score_adj));
    for controller in ["memory", "pids", "cpu"] {
        check("cgroup", |raw| {
            let spoil = |line: &str| {
                let named = line.contains(&format!(":{controller}:"));
                if named { format!("4:{controller}:/\n") } else { format!("{line}\n") }
            };
            raw.cgroup = raw.cgroup.lines().map(spoil).collect();
        });
    }
    check("cgroup", |raw| raw.leaf.clear());
    check("cgroup", |raw| raw.leaf = "t-2".to_owned());
    for wrong in ["", "max", "1"] {
        check("memory limit", |raw| wrong.clone_into(&mut raw.memory_max));
        check("pids limit", |raw| wrong.clone_into(&mut raw.pids_max));
    }
    for wrong in ["", "max 100000", "200000 100000"] {
        check("cpu limit", |raw| wrong.clone_into(&mut raw.cpu_max));
    }
}

#[test]
fn every_way_to_a_network_counts() {
    check("network interfaces", |raw| raw.net_dev.push_str("  eth0: 0 0 0 0\n"));
    check("sockets", |raw| raw.sockstat = raw.sockstat.replace("TCP: inuse 0", "TCP: inuse 1"));
    check("sockets", |raw| raw.sockstat = raw.sockstat.replace("used 0", "used 1"));
    check("sockets", |raw| raw.sockstat.clear());
}

#[test]
fn the_workers_own_word_can_only_add() {
    let (raw, expected) = taken(ROOT);
    let without = Expected { landlock_abi: 0, ..expected.clone() };
    assert_eq!(found(&raw, &without), BTreeSet::from(["landlock"]));
    let unproved = Expected { probes_refused: false, ..expected };
    assert_eq!(found(&raw, &unproved), BTreeSet::from(["landlock probes"]));
}

/// Without root other things are expected, not fewer of those that can be had.
#[test]
fn without_root_the_rest_still_counts() {
    let check = |what, spoil: &dyn Fn(&mut RawFacts)| {
        let found = spoiled(ROOTLESS, spoil);
        assert!(found.contains(what), "{what}: {found:?}");
    };
    check("uid", &|raw| status(raw, "Uid", "0\t0\t0\t0"));
    check("setgroups", &|raw| "allow".clone_into(&mut raw.setgroups));
    check("net namespace", &|raw| raw.namespaces.get_mut("net").unwrap().inode = 4_026_531_833);
    check("net namespace owner", &|raw| raw.namespaces.get_mut("net").unwrap().owner = 5);
    check("seccomp filters", &|raw| status(raw, "Seccomp_filters", "0"));
    check("effective capabilities", &|raw| status(raw, "CapEff", "0000000000200000"));
    check("mounts", &|raw| raw.mountinfo.push_str("9 6 0:9 / /proc rw - proc proc rw\n"));
    check("descriptors", &|raw| raw.listing = Listing::Cut);
}

//! Collecting from a process that is at hand, and refusing texts that the kernel does not write.

use super::*;
use crate::Error;

fn own() -> RawFacts {
    collect(std::process::id()).unwrap()
}

#[test]
fn a_process_tells_the_truth_about_itself() {
    let facts = Facts::parse(&own()).unwrap();
    let uid = nix::unistd::getuid().as_raw();
    assert_eq!(facts.pid, std::process::id());
    assert_eq!(facts.uids[0], uid);
    assert!(facts.threads >= 1);
    assert!(facts.mounts.iter().any(|it| it.point == "/"));
    assert_eq!(facts.namespaces.len(), NAMESPACES.len());
    assert!(facts.limits.contains_key("Max open files"));
    assert!(facts.sockets.contains_key("sockets"));
    assert_eq!(facts.listing, Listing::Complete);
    assert!(facts.descriptors.iter().any(|it| it.fd == 0));
    assert!(pss(facts.pid).unwrap() > 4096);
}

#[test]
fn what_crosses_is_what_was_collected() {
    let raw = own();
    let text = serde_json::to_vec(&raw).unwrap();
    assert_eq!(serde_json::from_slice::<RawFacts>(&text).unwrap(), raw);
}

#[test]
fn a_descriptor_is_known_by_kind_and_inode() {
    let (near, _far) = crate::pairs::pair().unwrap();
    let inode = nix::sys::stat::fstat(&near).unwrap().st_ino;
    let raw = own();
    let found = raw.descriptors.iter().find(|it| it.inode() == Some(inode)).unwrap();
    assert_eq!(found.kind(), "socket");
}

#[test]
fn a_process_that_is_gone_is_an_error() {
    let failed = collect(u32::MAX).unwrap_err();
    assert!(matches!(failed, Error::Facts { what: ".", .. }), "{failed}");
}

#[test]
fn a_text_in_another_form_is_refused() {
    type Spoil = (&'static str, fn(&mut RawFacts));
    let spoils: [Spoil; 12] = [
        ("NSpid", |raw| raw.status = raw.status.replace("NSpid", "NSpit")),
        ("Uid", |raw| raw.status = raw.status.replace("Uid:\t", "Uid:\t7\t")),
        ("Seccomp", |raw| raw.status.push_str("Seccomp:\t2\n")),
        ("CapBnd", |raw| raw.status = raw.status.replace("CapBnd:\t", "CapBnd:\tz")),
        ("mountinfo", |raw| raw.mountinfo.push_str("1 2 3\n")),
        ("limits", |raw| raw.limits.push_str("Max\n")),
        ("cgroup", |raw| raw.cgroup.push_str("x:memory:/\n")),
        ("oom_score_adj", |raw| raw.oom_score_adj.clear()),
        ("net/dev", |raw| raw.net_dev.push_str("lo 0 0\n")),
        ("net/sockstat", |raw| raw.sockstat.push_str("TCP\n")),
        ("memory_max", |raw| raw.memory_max.push_str("lots")),
        ("cpu_max", |raw| raw.cpu_max.push_str("100000 0")),
    ];
    for (part, spoil) in spoils {
        let mut raw = own();
        spoil(&mut raw);
        let failed = Facts::parse(&raw).unwrap_err();
        assert!(matches!(failed, Error::Malformed { what } if what == part), "{part}: {failed}");
    }
}

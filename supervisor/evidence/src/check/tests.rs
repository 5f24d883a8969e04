//! A good report has no complaint; one that is spoiled in one place has, and one that hides it has
//! one more.

use super::*;
use crate::key::Key;
use crate::report::Report;
use crate::testing::{report, with_finding};

fn check_spoiled(what: &str, spoil: impl Fn(&mut Report)) {
    let mut spoiled = report(&Key::random().unwrap());
    spoil(&mut spoiled);
    let found = check(&spoiled);
    assert!(found.iter().any(|it| it.what.contains(what)), "{what}: {found:?}");
    // It says that it is verified, and is not.
    assert!(found.iter().any(|it| it.what == "verdict of the report"), "{what}: {found:?}");
}

#[test]
fn a_good_report_is_good() {
    assert_eq!(check(&report(&Key::random().unwrap())), Vec::new());
}

#[test]
fn every_layer_that_is_missing_is_named() {
    let key = Key::random().unwrap();
    for (finding, named) in [
        ("net namespace", "layer net namespace: missing"),
        ("user namespace owner", "layer user namespace: differs"),
        ("no_new_privs", "layer no_new_privs: missing"),
        ("seccomp filters", "layer seccomp: missing"),
        ("landlock", "layer landlock: missing"),
        ("bounding capabilities", "layer capabilities: missing"),
        ("mount options", "layer mounts: differs"),
        ("descriptor", "layer descriptors: differs"),
        ("sockets", "layer network: differs"),
        ("cgroup", "layer limits: missing"),
        ("binary", "layer binary: missing"),
        ("something new", "layer other: differs"),
    ] {
        let honest = with_finding(&key, finding);
        let found = check(&honest);
        assert_eq!(found.len(), 1, "{finding}: {found:?}");
        assert_eq!(found[0].what, named);
        let lying = Report { verified: true, ..honest };
        assert!(check(&lying).iter().any(|it| it.what == "verdict of the report"));
    }
}

#[test]
fn what_contradicts_itself_is_seen() {
    check_spoiled("no_new_privs", |it| it.boundary.no_new_privs = false);
    check_spoiled("net namespace", |it| {
        it.boundary.namespaces.net = it.boundary.supervisor_namespaces.net;
    });
    check_spoiled("capabilities", |it| it.boundary.capabilities.bounding.replace_range(..1, "1"));
    check_spoiled("seccomp mode", |it| it.boundary.seccomp.mode = 0);
    check_spoiled("seccomp filters", |it| it.boundary.seccomp.filters = 1);
    check_spoiled("seccomp digest", |it| it.boundary.seccomp.digest.clear());
    check_spoiled("seccomp digest", |it| it.declared.profiles.clear());
    check_spoiled("landlock", |it| it.boundary.landlock.abi = 0);
    check_spoiled("binary", |it| it.boundary.binary_digest = None);
    check_spoiled("network interfaces", |it| it.boundary.network_interfaces.push("eth0".into()));
    check_spoiled("sockets", |it| it.boundary.listening_sockets.push("TCP 1".into()));
    check_spoiled("memory limit", |it| it.boundary.cgroup.memory_max = None);
    check_spoiled("cpu limit", |it| it.declared.cpu_millis = 7);
    check_spoiled("tenant", |it| it.tenant = "globex".parse().unwrap());
    check_spoiled("version", |it| it.versions.worker.clear());
    check_spoiled("mode", |it| it.host.mode = "rootless".to_owned());
    check_spoiled("list of layers", |it| drop(it.layers.remove(3)));
    check_spoiled("list of layers", |it| it.layers[0].found.clear());
    check_spoiled("verdict on the boundary", |it| it.boundary.verified = false);
}

#[test]
fn every_probe_counts() {
    let with = |outcome: &'static str, held: Held| {
        move |it: &mut Report| {
            it.probes[4].outcome = outcome.to_owned();
            it.probes[4].held = held;
        }
    };
    check_spoiled("probe probe-2", with("ALLOWED", Held::Allowed));
    check_spoiled("probe probe-2", with("ALLOWED", Held::Refused));
    check_spoiled("probe probe-2", with("ENOENT", Held::Otherwise));
    check_spoiled("probe probe-2", with("NOT MADE: setns", Held::NotMade));
    check_spoiled("probe probe-2", with("EPERM", Held::NotGiven));
    check_spoiled("probe probe-2", |it| {
        it.probes[4].outcome = "ALLOWED".to_owned();
        it.probes[4].expected = vec!["ALLOWED".to_owned()];
    });
    check_spoiled("probes", |it| it.probes.clear());
    check_spoiled("probes", |it| it.probes.truncate(2 * (MIN_PROBES - 1)));
    check_spoiled("probes", |it| it.probes.push(it.probes[0].clone()));
}

#[test]
fn only_landlocks_own_probe_may_be_lost_with_it() {
    let mut without = report(&Key::random().unwrap());
    without.host.landlock_abi = 0;
    without.boundary.landlock.abi = 0;
    without.layers = layers(&without.boundary, &without.declared, &without.host);
    without.probes[0].name = Probe::BY_LANDLOCK.to_owned();
    without.probes[0].outcome = "ALLOWED".to_owned();
    without.probes[0].held = Held::NotGiven;
    assert_eq!(check(&without), Vec::new());
    without.probes[0].name = "another".to_owned();
    assert_ne!(check(&without), Vec::new());
}

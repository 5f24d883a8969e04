//! What the gateway's own processes keep for themselves, as the kernel says it.

use std::fs;

use tests::Gateway;

/// A line of `/proc/PID/status`.
fn status(pid: i32, field: &str) -> String {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(field)).unwrap();
    line.trim_start_matches(':').trim().to_owned()
}

fn capabilities(pid: i32, set: &str) -> u64 {
    u64::from_str_radix(&status(pid, set), 16).unwrap()
}

/// `CHOWN`, `DAC_OVERRIDE`, `FOWNER`, `KILL`, `SETGID`, `SETUID`, `SETPCAP`, `NET_ADMIN`, `PTRACE`,
/// `SYS_ADMIN` and `SYS_RESOURCE`: what the packaged unit gives.
const LAUNCHER: [u32; 11] = [0, 1, 3, 5, 6, 7, 8, 12, 19, 21, 24];

#[test]
fn the_launcher_keeps_what_it_needs_and_the_supervisor_nothing() {
    let gateway = Gateway::start();
    gateway.tenant("acme");
    let most = LAUNCHER.iter().fold(0, |mask, it| mask | 1_u64 << it);
    for set in ["CapBnd", "CapPrm", "CapEff"] {
        assert_eq!(capabilities(gateway.pid(), set) & !most, 0, "{set}");
        assert_eq!(capabilities(gateway.supervisor_pid(), set), 0, "{set}");
    }
    assert_eq!(capabilities(gateway.pid(), "CapInh"), 0);
}

#[test]
fn two_gateways_on_one_machine_share_no_id() {
    let gateways = [Gateway::start(), Gateway::start()];
    let ids = gateways.each_ref().map(|gateway| {
        gateway.tenant("acme");
        let supervisor: u32 = status(gateway.supervisor_pid(), "Uid")
            .split_whitespace()
            .next()
            .unwrap()
            .parse()
            .unwrap();
        let map =
            gateway.json(&["tenants", "inspect", "acme"])["uidMap"].as_str().unwrap().to_owned();
        let worker: u32 = map.split_whitespace().nth(1).unwrap().parse().unwrap();
        assert!((supervisor..supervisor + 1_000_000).contains(&worker), "{supervisor} {worker}");
        supervisor
    });
    assert!(ids[0].abs_diff(ids[1]) >= 1_000_000, "{ids:?}");
}

#[test]
fn a_gateway_keeps_its_ids_over_a_restart() {
    let mut gateway = Gateway::start();
    let before = status(gateway.supervisor_pid(), "Uid");
    assert_eq!(gateway.stop(), Some(0));
    gateway.restart();
    assert_eq!(status(gateway.supervisor_pid(), "Uid"), before);
}

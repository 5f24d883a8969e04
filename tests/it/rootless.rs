//! The gateway of an ordinary user: it serves, it says what is lost without root, and it refuses
//! to start where that was said to be needed.

use std::os::unix::fs::{MetadataExt as _, chown};
use std::process::{Command, Output};

use serde_json::{Value, json};
use tests::{Builder, Gateway, Provider, Tenant, is_alive, program, until};

/// Somebody without root.
const ORDINARY: u32 = 54_321;

/// What nobody but root can give, whatever the host.
const LOST: [&str; 4] = ["distinct-uids", "namespace-owner", "descriptors-seen", "disk-limit"];

fn children(pid: i32) -> Vec<i32> {
    let mut all = Vec::new();
    for thread in std::fs::read_dir(format!("/proc/{pid}/task")).unwrap() {
        let list = std::fs::read_to_string(thread.unwrap().path().join("children")).unwrap();
        for child in list.split_whitespace().map(|it| it.parse().unwrap()) {
            all.push(child);
            all.extend(children(child));
        }
    }
    all
}

/// A gateway without root. What it says about that at its start is part of the test.
fn start(builder: Builder) -> Gateway {
    let gateway = builder.uid(ORDINARY).start();
    gateway.announce("guarantee not given");
    gateway
}

fn owner(path: &std::path::Path) -> u32 {
    std::fs::symlink_metadata(path).unwrap().uid()
}

async fn converse(gateway: &Gateway, tenant: &Tenant) {
    let client = gateway.client(tenant).header("x-openclaw-session-key", "main");
    assert_eq!(
        client.chat("openclaw", "of an ordinary user").await.answer(),
        "of an ordinary user"
    );
    let (text, events) = client.stream("mock", "streamed too").await.rest().await;
    assert_eq!((text.as_str(), events.last().unwrap().as_str()), ("streamed too", "[DONE]"));
}

fn check_boundary(gateway: &Gateway, tenant: &Tenant) {
    let seen = gateway.json(&["tenants", "inspect", &tenant.id]);
    assert_eq!(seen["verified"], true, "{seen}");
    assert_eq!(seen["findings"], json!([]));
    assert_eq!(seen["mode"], "rootless");
    let degraded = seen["degraded"].to_string();
    assert!(LOST.iter().all(|name| degraded.contains(name)), "{degraded}");
    // What is kept is kept whole.
    assert_eq!(seen["seccomp"]["mode"], 2);
    assert_eq!(seen["noNewPrivs"], true);
    for set in ["effective", "permitted", "bounding", "inheritable", "ambient"] {
        assert_eq!(seen["capabilities"][set], "0000000000000000", "{set}");
    }
    for name in ["user", "mnt", "pid", "net", "ipc", "uts", "cgroup"] {
        assert!(seen["namespaces"][name].is_u64(), "{name}: {seen}");
        assert_ne!(seen["namespaces"][name], seen["supervisorNamespaces"][name], "{name}");
    }
    assert_eq!(seen["networkInterfaces"], json!(["lo"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ordinary_users_gateway_serves_and_leaves_nothing_behind() {
    let provider = Provider::start().await;
    let mut gateway = start(Builder::default().config(provider.config()));
    let tenants = [gateway.tenant("acme"), gateway.tenant("globex")];
    for tenant in &tenants {
        converse(&gateway, tenant).await;
        check_boundary(&gateway, tenant);
        assert_eq!(owner(&gateway.root(tenant)), ORDINARY);
    }
    let workers = [0, 1].map(|n| gateway.worker_pid(&tenants[n]));
    assert_ne!(workers[0], workers[1]);
    let mut all = children(gateway.pid());
    all.push(gateway.pid());
    assert!(workers.iter().all(|worker| all.contains(worker)), "{workers:?} not in {all:?}");
    assert_eq!(owner(format!("/proc/{}", gateway.supervisor_pid()).as_ref()), ORDINARY);
    assert_eq!(gateway.stop(), Some(0));
    until("everything is gone", || !all.iter().any(|&pid| is_alive(pid)));
    gateway.restart();
    let history = json!({"jsonrpc": "2.0", "id": 1, "method": "chat.history",
        "params": {"sessionKey": "main"}});
    let history = gateway.client(&tenants[0]).post("/rpc", &history).await.text();
    assert!(history.contains("of an ordinary user"), "{history}");
}

#[tokio::test(flavor = "multi_thread")]
async fn doctor_names_each_loss_with_its_reason_and_remedy() {
    let gateway = start(Builder::default());
    let doctor = gateway.json(&["doctor"]);
    let checks = doctor["checks"].as_array().unwrap();
    let check = |name: &str| -> &Value {
        checks.iter().find(|check| check["name"] == name).unwrap_or_else(|| panic!("{name}"))
    };
    assert_eq!(
        (&check("mode")["status"], &check("mode")["detail"]),
        (&json!("warn"), &json!("rootless"))
    );
    for name in LOST {
        let lost = check(name);
        assert_eq!(lost["status"], "warn", "{lost}");
        for told in ["detail", "remedy"] {
            assert!(!lost[told].as_str().unwrap().is_empty(), "{lost}");
        }
    }
    // With it no worker could start, and this file would test nothing.
    assert!(checks.iter().all(|check| check["name"] != "user-namespaces"), "{doctor}");
}

/// Starts a gateway that is expected not to come up, as root or not.
fn refused_start(config: &str, uid: Option<u32>) -> Output {
    let state = tempfile::tempdir().unwrap();
    let file = state.path().join("openclawmu.json5");
    std::fs::write(&file, config).unwrap();
    let mut command = Command::new("timeout");
    command.arg("10");
    if let Some(uid) = uid {
        chown(state.path(), Some(uid), Some(uid)).unwrap();
        chown(&file, Some(uid), Some(uid)).unwrap();
        let ids = [format!("--reuid={uid}"), format!("--regid={uid}")];
        command.arg("setpriv").args(ids).arg("--clear-groups");
    }
    command.arg(program("openclawmu"));
    command.args(["serve", "--listen", "127.0.0.1:0", "--control-listen", "127.0.0.1:0"]);
    command.arg("--state-dir").arg(state.path()).output().unwrap()
}

fn check_refused(config: &str, uid: Option<u32>, named: &[&str]) {
    let output = refused_start(config, uid);
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    // 124 is the end of the wait.
    assert!(!matches!(output.status.code(), None | Some(0 | 124)), "{config}: {output:?}");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "", "{config}: it listened");
    assert!(named.iter().all(|name| told.contains(name)), "{config}: {told}");
}

#[test]
fn what_is_required_and_missing_ends_the_start_and_is_named() {
    for names in [&["distinct-uids"][..], &["disk-limit", "distinct-uids"]] {
        check_refused(&json!({"require": names}).to_string(), Some(ORDINARY), names);
    }
}

#[test]
fn a_guarantee_that_does_not_exist_ends_the_start() {
    // With a mistake in its name it would be a promise that nobody keeps.
    check_refused("{ require: ['distinct-uid'] }", None, &["distinct-uid"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_required_and_given_starts() {
    let gateway = Builder::default().config("{ require: ['distinct-uids', 'disk-limit'] }").start();
    gateway.client(&gateway.tenant("acme")).chat("demo", "hi").await.answer();
}

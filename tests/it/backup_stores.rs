//! Stores that fail and tenants that do not run: a folder on a full disk, a proxy in the environment, a
//! service that stands still, a suspended tenant. What cannot be stored leaves nothing, and whoever
//! waits for a store keeps nobody else waiting.

use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::json;
use tests::weed::Weed;
use tests::{Gateway, Tenant, until};

use crate::backup::{House, said, say};
use crate::backup_s3::fill;

/// A small file system, until it is dropped.
struct Small(tempfile::TempDir);

impl Small {
    fn of(size: &str) -> Self {
        let at = tempfile::tempdir().unwrap();
        let options = format!("size={size},mode=755");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(at.path());
        assert!(mount.status().unwrap().success());
        Self(at)
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("-l").arg(self.0.path()).status());
    }
}

fn files(root: &Path) -> Vec<String> {
    let found = Command::new("find").arg(root).args(["-mindepth", "1"]).output().unwrap();
    String::from_utf8(found.stdout).unwrap().lines().map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_under_the_folder_leaves_nothing_of_a_backup() {
    let small = Small::of("4m");
    let path = small.0.path().join("backups");
    let config = json!({"backup": {"store": {"kind": "folder", "path": path.to_str().unwrap()}}})
        .to_string();
    let gateway = tests::Builder::default().config(config).start();
    let acme = gateway.tenant_with("acme", &["--disk-max", "512M"]);
    say(&gateway, &acme, "hello").await;
    let first = gateway.json(&["backup", "create", "acme"])["id"].as_str().unwrap().to_owned();
    let before = files(&path);
    fill(&gateway, &acme, 2, 4 << 20).await;
    gateway.announce("control request failed");
    for _ in 0..2 {
        let refused = gateway.cli(&["backup", "create", "acme"]);
        let told = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert_eq!(refused.status.code(), Some(1), "{told}");
        assert!(told.contains("full"), "{told}");
        assert_eq!(files(&path), before);
    }
    say(&gateway, &acme, "goes on").await;
    gateway.json(&["backup", "verify", &first]);
    let listed = gateway.json(&["backup", "list", "acme"]);
    assert_eq!(listed["backups"].as_array().unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_suspended_tenant_is_backed_up_and_stays_suspended() {
    let house = House::start();
    let gateway = &house.gateway;
    let acme = gateway.tenant("acme");
    say(gateway, &acme, "before").await;
    gateway.json(&["tenants", "suspend", "acme"]);
    let backup = house.create("acme");
    let shown = gateway.json(&["tenants", "show", "acme"]);
    assert_eq!(
        (&shown["state"], &shown["workerPid"]),
        (&json!("suspended"), &json!(null)),
        "{shown}"
    );
    assert!(gateway.cli(&["tenants", "inspect", "acme"]).status.code() != Some(0));
    gateway.json(&["backup", "verify", &backup]);
    gateway.json(&["backup", "restore", &backup, "--force"]);
    gateway.json(&["tenants", "resume", "acme"]);
    assert!(said(gateway, &acme).await.contains("before"));
    say(gateway, &acme, "after").await;
    // Resumed in the middle: whoever speaks waits for the end, and is answered.
    gateway.json(&["tenants", "suspend", "acme"]);
    std::thread::scope(|scope| {
        let backup = scope.spawn(|| house.create("acme"));
        gateway.json(&["tenants", "resume", "acme"]);
        backup.join().unwrap();
    });
    assert!(said(gateway, &acme).await.contains("after"));
}

/// Listens, answers nobody, and counts who came.
fn silent() -> (std::net::SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (address, count) = (listener.local_addr().unwrap(), Arc::new(AtomicUsize::new(0)));
    let counted = Arc::clone(&count);
    std::thread::spawn(move || {
        let mut held = Vec::new();
        while let Ok((socket, _)) = listener.accept() {
            counted.fetch_add(1, Ordering::SeqCst);
            held.push(socket);
        }
    });
    (address, count)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_of_the_environment_is_not_asked() {
    let weed = Weed::start();
    let (proxy, asked) = silent();
    let names =
        ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];
    let set = names.map(|name| format!("export {name}=http://{proxy}\n")).concat();
    let program = tests::program("openclawmu");
    let script = format!("#!/bin/sh\n{set}exec '{}' \"$@\"\n", program.display());
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("with-proxies");
    std::fs::write(&path, script).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    let config = json!({"backup": {"store": weed.store()}}).to_string();
    let gateway = tests::Builder::default().program(path, &[]).config(config).start();
    let acme = gateway.tenant("acme");
    say(&gateway, &acme, "hello").await;
    let made = gateway.json(&["backup", "create", "acme"]);
    gateway.json(&["backup", "verify", made["id"].as_str().unwrap()]);
    assert_eq!(asked.load(Ordering::SeqCst), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_stands_still_keeps_no_tenant_waiting() {
    let (address, asked) = silent();
    let printed = json!({"command": ["printf", "x"]});
    let store = json!({"kind": "s3", "endpoint": format!("http://{address}"), "bucket": "backups", "pathStyle": true, "accessKeyId": printed, "secretAccessKey": printed});
    let mut gateway =
        tests::Builder::default().config(json!({"backup": {"store": store}}).to_string()).start();
    let (acme, other): (Tenant, Tenant) = (gateway.tenant("acme"), gateway.tenant("other"));
    say(&gateway, &acme, "hello").await;
    let ends =
        ["the deadline passed before all work had ended", "ended after the trail was closed"];
    let failures = ["control request failed", "what is left in the store", "left over"];
    for text in failures.into_iter().chain(ends) {
        gateway.announce(text);
    }
    let waiting = asking(&gateway);
    until("the service is asked", || asked.load(Ordering::SeqCst) > 0);
    say(&gateway, &acme, "goes on").await;
    say(&gateway, &other, "goes on").await;
    // Nobody waits for it at the end either.
    let begun = std::time::Instant::now();
    gateway.stop();
    assert!(begun.elapsed() < std::time::Duration::from_secs(30));
    waiting.join().unwrap();
}

/// Somebody who asks for a backup and waits.
fn asking(gateway: &Gateway) -> std::thread::JoinHandle<()> {
    let mut asks = Command::new(tests::program("openclawmu"));
    asks.arg("--state-dir").arg(gateway.state_dir()).args(["backup", "create", "acme"]);
    std::thread::spawn(move || drop(asks.output().unwrap()))
}

#[test]
fn a_folder_that_others_may_read_is_refused() {
    let house = House::start();
    let at = house.store.path().join("backups");
    let metadata = std::fs::metadata(&at).unwrap();
    assert_eq!((metadata.mode() & 0o777, metadata.uid() > 0), (0o700, true));
    std::fs::set_permissions(&at, std::fs::Permissions::from_mode(0o755)).unwrap();
    let House { gateway, store } = house;
    let config = std::fs::read_to_string(gateway.state_dir().join("openclawmu.json5")).unwrap();
    drop(gateway);
    let state = tempfile::tempdir().unwrap();
    std::fs::write(state.path().join("openclawmu.json5"), config).unwrap();
    let mut refused = Command::new(tests::program("openclawmu"));
    refused.args(["serve", "--listen", "127.0.0.1:0", "--control-listen", "127.0.0.1:0"]);
    let refused = refused.arg("--state-dir").arg(state.path()).output().unwrap();
    assert!(!refused.status.success());
    let told = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(told.contains("closed to everybody else"), "{told}");
    drop(store);
}

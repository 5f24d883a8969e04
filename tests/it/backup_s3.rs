//! Backups in a bucket of a real S3 service: in parts, seen and opened from outside, and what becomes of
//! them when the service refuses, is not there, or goes away in the middle.

use std::os::unix::fs::MetadataExt as _;

use serde_json::json;
use tests::weed::{BUCKET, GATEWAY, Weed};
use tests::{Gateway, Tenant};

use crate::backup::{opened, rpc, said, say};

fn gateway(store: &serde_json::Value) -> Gateway {
    tests::Builder::default().config(json!({"backup": {"store": store}}).to_string()).start()
}

/// Writes what cannot be compressed into a tenant's workspace.
pub(crate) async fn fill(gateway: &Gateway, tenant: &Tenant, files: usize, bytes: usize) {
    say(gateway, tenant, "hello").await;
    let worker = gateway.worker_pid(tenant);
    let root = format!("/proc/{worker}/root/tenant/agents/main/workspace");
    let owner = std::fs::metadata(&root).unwrap();
    let mut seed = 88_172_645_463_325_252_u64;
    for file in 0..files {
        let mut noise = Vec::with_capacity(bytes);
        while noise.len() < bytes {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            noise.extend_from_slice(&seed.to_le_bytes());
        }
        let path = format!("{root}/noise-{file}");
        std::fs::write(&path, &noise).unwrap();
        std::os::unix::fs::chown(&path, Some(owner.uid()), Some(owner.gid())).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_goes_to_a_bucket_in_parts_and_comes_back() {
    let weed = Weed::start();
    let gateway = gateway(&weed.store());
    let acme = gateway.tenant_with("acme", &["--disk-max", "512M"]);
    fill(&gateway, &acme, 6, 5 << 20).await;
    say(&gateway, &acme, "before the backup").await;
    let made = gateway.json(&["backup", "create", "acme"]);
    let backup = made["id"].as_str().unwrap();
    // Left by somebody who was killed.
    weed.owner("begin", &[&format!("here/{}/data", backup.replacen('.', "/", 1))]).unwrap();
    let objects = weed.owner("list", &[]).unwrap();
    let name = format!("here/{}", backup.replacen('.', "/", 1));
    assert_eq!(objects[format!("{name}/data")], made["size"]);
    assert!(objects[format!("{name}/data")].as_u64().unwrap() > 24 << 20, "{objects}");
    assert_eq!(objects.as_object().unwrap().len(), 2, "{objects}");

    let out = tempfile::tempdir().unwrap();
    let at = |name: &str| out.path().join(name);
    for object in ["data", "manifest"] {
        let file = at(object);
        weed.owner("get", &[&format!("{name}/{object}"), file.to_str().unwrap()]).unwrap();
    }
    let key = at("key");
    gateway.json(&["backup", "key", "export", "acme", "--out", key.to_str().unwrap()]);
    opened(&(at("data"), at("manifest")), &key, out.path());

    say(&gateway, &acme, "after the backup").await;
    gateway.json(&["backup", "restore", backup, "--force"]);
    let text = said(&gateway, &acme).await;
    assert!(text.contains("before the backup") && !text.contains("after the backup"));
    gateway.json(&["backup", "verify", backup]);
    // Who says what the operator has said is not refused for it.
    let client = gateway.client(&acme);
    let said_so = json!({"bucket": BUCKET, "prefix": "here"});
    let listed = rpc(&client, "tenants.backups.list", said_so).await;
    assert_eq!(listed["result"]["backups"][0]["key"], backup);
    gateway.json(&["backup", "prune", "--backup", backup, "--yes"]);
    assert_eq!(weed.owner("list", &[]).unwrap(), json!({}));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_refuses_or_lacks_the_bucket_is_told_of_and_nothing_stays() {
    let weed = Weed::start();
    for (store, wanted) in [
        (weed.store_with(BUCKET, "wrong-secret-of-the-tests"), "credentials"),
        (weed.store_with("nowhere", GATEWAY.1), "store"),
    ] {
        let gateway = gateway(&store);
        let acme = gateway.tenant("acme");
        say(&gateway, &acme, "hello").await;
        gateway.announce("control request failed");
        gateway.announce("what is left in the store is not removed");
        let output = gateway.cli(&["backup", "create", "acme"]);
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{told}");
        assert!(told.contains(wanted), "{told}");
        assert!(!told.contains("secret"), "{told}");
        say(&gateway, &acme, "goes on").await;
    }
    assert_eq!(weed.owner("list", &[]).unwrap(), json!({}));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_goes_away_in_the_middle_leaves_the_tenant_and_the_backups_as_they_were() {
    let mut weed = Weed::start();
    let mut gateway = gateway(&weed.store());
    let acme = gateway.tenant_with("acme", &["--disk-max", "512M"]);
    fill(&gateway, &acme, 6, 5 << 20).await;
    let first = gateway.json(&["backup", "create", "acme"])["id"].as_str().unwrap().to_owned();
    for text in ["control request failed", "left over", "what is left in the store"] {
        gateway.announce(text);
    }
    std::thread::scope(|scope| {
        let cut = scope.spawn(|| gateway.cli(&["backup", "create", "acme"]));
        tests::until("the first bytes are on their way", || {
            let socket = gateway.state_dir().join("run/control.sock");
            let shown = std::process::Command::new("curl")
                .args(["-s", "--unix-socket", socket.to_str().unwrap()])
                .arg("http://x/v1/tenants/acme/backup-progress")
                .output()
                .unwrap();
            let shown: serde_json::Value = serde_json::from_slice(&shown.stdout).unwrap();
            shown["bytes"].as_u64().unwrap() > 1 << 20
        });
        weed.kill();
        assert_eq!(cut.join().unwrap().status.code(), Some(1));
    });
    let refused = gateway.cli(&["backup", "restore", &first, "--force"]);
    assert_eq!(refused.status.code(), Some(1));
    say(&gateway, &acme, "still there").await;
    weed.restart();
    // It answers before it has found all that it keeps.
    tests::until("the backup can be read again", || {
        gateway.cli(&["backup", "verify", &first]).status.success()
    });
    let listed = gateway.json(&["backup", "list", "acme"]);
    assert_eq!(listed["backups"].as_array().unwrap().len(), 1);
    // The next start removes what could not be removed while nobody answered.
    gateway.stop();
    gateway.restart();
    tests::until("no upload is left", || weed.owner("uploads", &[]) == Ok(json!([])));
    assert_eq!(weed.owner("list", &[]).unwrap().as_object().unwrap().len(), 2);
}

//! The supervisor's disk is full: nothing is acknowledged that is not kept, nothing is
//! lost that was, and all goes on when there is room.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use http::StatusCode;
use serde_json::json;
use tests::{Client, Gateway, Provider, Tenant, until};

use super::seen::{Seen, announce_kills, hook_token, settled};

/// A disk of its own under the records, until it is dropped.
struct Disk(PathBuf);

impl Disk {
    /// Moves the records of a gateway that does not run onto it.
    fn under(gateway: &Gateway) -> Self {
        let records = gateway.state_dir().join("records");
        let owner = std::fs::metadata(&records).unwrap();
        let options = format!("size=24m,mode=700,uid={},gid={}", owner.uid(), owner.gid());
        let kept = tempfile::tempdir().unwrap();
        let copy = |from: &Path, to: &Path| {
            let copied = Command::new("cp").arg("-a").arg(from.join(".")).arg(to).status();
            assert!(copied.unwrap().success());
        };
        copy(&records, kept.path());
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(&records);
        assert!(mount.status().unwrap().success());
        let disk = Self(records);
        copy(kept.path(), &disk.0);
        disk
    }

    fn fill(&self) {
        let full = std::fs::write(self.0.join("filler"), vec![0; 32 << 20]).unwrap_err();
        assert_eq!(full.kind(), std::io::ErrorKind::StorageFull);
    }

    fn free(&self) {
        std::fs::remove_file(self.0.join("filler")).unwrap();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("-l").arg(&self.0).status());
    }
}

async fn ring(hooks: &Client, name: &str) -> StatusCode {
    let hooks = hooks.clone().header("idempotency-key", name);
    hooks.post("/hooks/agent", &json!({"message": name})).await.status
}

async fn check(gateway: &Gateway, tenant: &Tenant, taken: &[String]) {
    settled(gateway, tenant).await;
    let main = Seen::of(gateway, tenant, "main").await;
    for name in taken {
        assert_eq!(main.count("assistant", &format!("[Hook]\n\n{name}")), 1, "{name}: {main:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_refuses_and_loses_nothing() {
    let provider = Provider::start().await;
    let mut gateway = Gateway::with_provider(&provider);
    announce_kills(&gateway);
    for text in ["the records", "database", "deliveries cannot", "a timer", "control request"] {
        gateway.announce(text);
    }
    let tenant = gateway.tenant("acme");
    let hooks = Client::new(gateway.address(), Some(hook_token(&gateway, &tenant)));
    gateway.stop();
    let disk = Disk::under(&gateway);
    gateway.restart();
    let mut taken = vec!["before".to_owned()];
    assert_eq!(ring(&hooks, "before").await, StatusCode::OK);
    settled(&gateway, &tenant).await;

    disk.fill();
    // What is left of the last page still takes a few.
    let mut n = 0;
    let refused = loop {
        let name = format!("full-{n}");
        match ring(&hooks, &name).await {
            StatusCode::OK | StatusCode::ACCEPTED => taken.push(name),
            status => break status,
        }
        n += 1;
        assert!(n < 2000, "never full");
    };
    assert_eq!(refused, StatusCode::SERVICE_UNAVAILABLE);
    disk.free();
    // Without a restart, the same event that was refused is taken now.
    let name = format!("full-{n}");
    let started = std::time::Instant::now();
    while ring(&hooks, &name).await != StatusCode::OK {
        assert!(started.elapsed() < std::time::Duration::from_secs(30), "it stays closed");
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    taken.push(name);
    check(&gateway, &tenant, &taken).await;
    tokio::task::block_in_place(|| gateway.kill_supervisor_and_restart());
    until("the gateway answers", || gateway.cli(&["tenants", "list"]).status.success());
    check(&gateway, &tenant, &taken).await;
    gateway.stop();
    drop(disk);
}

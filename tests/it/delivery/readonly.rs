//! The file system of the state turns read-only under a running gateway, as one does in which the kernel
//! has found an error: every write is refused, nothing acknowledged is lost, and once it is repaired
//! and the gateway started again all goes on.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use http::StatusCode;
use jiff::Timestamp;
use serde_json::{Value, json};
use tests::{Client, Gateway, Provider, Tenant, until};

use super::seen::{Seen, announce_kills, hook_token, rpc, settled};
use super::{choose, held};

/// Bytes of the disk: the state of a small gateway with room.
const SIZE: u64 = 512 << 20;

/// Seconds until the job is due that the disk comes before: a busy machine needs some of them.
const DUE: u64 = 8;

fn run(program: &str, args: &[&str]) {
    let output = Command::new(program).args(args).output().unwrap();
    // e2fsck says 1 where it has repaired something.
    let is_fine =
        output.status.success() || (program == "e2fsck" && output.status.code() == Some(1));
    assert!(is_fine, "{program} {args:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// A disk of its own under the whole state, until it is dropped.
struct Disk {
    at: PathBuf,
    dir: tempfile::TempDir,
}

impl Disk {
    /// Moves the state of a gateway that does not run onto it.
    fn under(gateway: &Gateway) -> Self {
        let (at, dir) = (gateway.state_dir().to_owned(), tempfile::tempdir().unwrap());
        let disk = Self { at, dir };
        std::fs::File::create(disk.image()).unwrap().set_len(SIZE).unwrap();
        run("mkfs.ext4", &["-q", "-F", &disk.image()]);
        let owner = std::fs::metadata(&disk.at).unwrap();
        let kept = disk.dir.path().join("kept");
        run("cp", &["-a", text(&disk.at), text(&kept)]);
        disk.mount();
        run("cp", &["-a", text(&kept.join(".")), text(&disk.at)]);
        std::os::unix::fs::chown(&disk.at, Some(owner.uid()), Some(owner.gid())).unwrap();
        // What the gateway has made durable was so before.
        run("sync", &["-f", text(&disk.at)]);
        disk
    }

    fn image(&self) -> String {
        text(&self.dir.path().join("image")).to_owned()
    }

    fn mount(&self) {
        run("mount", &["-o", "loop,errors=remount-ro", &self.image(), text(&self.at)]);
    }

    /// Tells the kernel of an error in it: from now on nothing can be written.
    fn fail(&self) {
        let found = Command::new("findmnt").args(["-no", "SOURCE", text(&self.at)]).output();
        let source = String::from_utf8(found.unwrap().stdout).unwrap();
        let device = source.trim().strip_prefix("/dev/").unwrap();
        let trigger = format!("/sys/fs/ext4/{device}/trigger_fs_error");
        std::fs::write(trigger, "a test").unwrap();
        let file = self.at.join("new");
        until("it is read-only", || {
            std::fs::write(&file, "")
                .is_err_and(|err| err.kind() == std::io::ErrorKind::ReadOnlyFilesystem)
        });
    }

    fn repair(&self) {
        until("nothing on it is in use", || {
            let umount = Command::new("umount").arg(&self.at).output();
            umount.unwrap().status.success()
        });
        run("e2fsck", &["-fy", &self.image()]);
        self.mount();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("-l").arg(&self.at).status());
    }
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

async fn ring(hooks: &Client, name: &str, body: &Value) -> (StatusCode, Value) {
    let reply = hooks.clone().header("idempotency-key", name).post("/hooks/agent", body).await;
    (reply.status, reply.json())
}

async fn is_refused(gateway: &Gateway, tenant: &Tenant, method: &str, params: Value) {
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
    let reply = gateway.client(tenant).post("/rpc", &body).await;
    let reply = reply.json();
    assert!(reply["result"].is_null() && !reply["error"].is_null(), "{method}: {reply}");
}

/// A job that rings so many seconds from now.
fn job(name: &str, seconds: u64) -> Value {
    let at = Timestamp::now().checked_add(Duration::from_secs(seconds)).unwrap();
    json!({
        "name": name, "schedule": {"kind": "at", "at": at.to_string()},
        "sessionTarget": "isolated", "wakeMode": "now",
        "payload": {"kind": "agentTurn", "message": name},
    })
}

/// Each of them is about what could not be written.
fn announce(gateway: &Gateway) {
    for text in [
        "ead-only file system",
        "the audit trail cannot be written",
        "the database is closed",
        "a timer could not be rung",
        "audit records were lost",
        "were not signed when the gateway ended",
        "holds of an earlier run are settled in full",
        "a torn last line is cut off",
    ] {
        gateway.announce(text);
    }
}

async fn refuses_every_method(gateway: &Gateway, tenant: &Tenant) {
    let params = json!({"sessionKey": "main", "message": "refused", "idempotencyKey": "refused"});
    is_refused(gateway, tenant, "chat.send", params).await;
    is_refused(gateway, tenant, "cron.add", job("refused", 1)).await;
    let params = json!({"key": "agent:main:held", "model": "test/mock"});
    is_refused(gateway, tenant, "sessions.patch", params).await;
    let plain = gateway.client(tenant).chat("openclaw", "refused").await;
    assert!(plain.status.is_server_error(), "{} {}", plain.status, plain.text());
    for args in [["tenants", "create", "refused"], ["tenants", "suspend", "acme"]] {
        assert!(!gateway.cli(&args).status.success(), "{args:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_only_disk_refuses_every_write_and_loses_nothing() {
    let provider = Provider::start().await;
    let mut gateway = Gateway::with_provider(&provider);
    announce_kills(&gateway);
    announce(&gateway);
    let tenant = gateway.tenant("acme");
    let hooks = Client::new(gateway.address(), Some(hook_token(&gateway, &tenant)));
    choose(&gateway, &tenant, "agent:main:held", "test/bill").await;
    gateway.stop();
    let disk = Disk::under(&gateway);
    gateway.restart();
    let before = ring(&hooks, "before", &json!({"message": "before"})).await;
    assert_eq!(before.0, StatusCode::OK, "{}", before.1);
    settled(&gateway, &tenant).await;
    let message = held("the end");
    let send =
        json!({"sessionKey": "agent:main:held", "message": message, "idempotencyKey": "held"});
    rpc(&gateway, &tenant, "chat.send", send).await;
    until("the model has begun", || provider.waiting() == 1);
    let added = Instant::now();
    rpc(&gateway, &tenant, "cron.add", job("due", DUE)).await;

    disk.fail();
    let asked = provider.requests();
    for n in 0..3 {
        let (status, reply) =
            ring(&hooks, &format!("refused-{n}"), &json!({"message": format!("refused {n}")}))
                .await;
        assert!(status.is_server_error(), "{status} {reply}");
    }
    refuses_every_method(&gateway, &tenant).await;
    // Its answer cannot be written either, and the job's time passes.
    provider.go_on(1);
    until("the job's time has passed", || added.elapsed() > Duration::from_secs(DUE + 2));
    assert_eq!(provider.requests(), asked, "nothing begins that cannot be written down");
    gateway.stop();
    disk.repair();
    gateway.restart();

    until("it is asked again", || provider.waiting() == 2);
    provider.go_on(1);
    let main = Seen::until(&gateway, &tenant, "main", 2).await;
    assert_eq!(main.count("assistant", "[Hook]\n\nbefore"), 1, "{main:?}");
    assert_eq!(main.count("assistant", "[due]\n\ndue"), 1, "{main:?}");
    let seen = Seen::until(&gateway, &tenant, "agent:main:held", 2).await;
    let counts = (seen.count("user", &message), seen.count("assistant", "so: the end"));
    assert_eq!((counts, seen.messages.len()), ((1, 1), 2), "{seen:?}");
    settled(&gateway, &tenant).await;
    let main = Seen::of(&gateway, &tenant, "main").await;
    assert_eq!(main.messages.len(), 2, "what was refused does not come: {main:?}");
    let again = ring(&hooks, "refused-0", &json!({"message": "refused 0"})).await;
    assert_eq!(again.0, StatusCode::OK, "{}", again.1);
    let main = Seen::until(&gateway, &tenant, "main", 3).await;
    assert_eq!(main.count("assistant", "[Hook]\n\nrefused 0"), 1, "{main:?}");
    gateway.stop();
    drop(disk);
}

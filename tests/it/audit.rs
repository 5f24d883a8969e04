//! The audit trail of a real gateway: every act of authority is in it with who and outcome, no secret
//! is, a flood of refusals is a few records, whatever is changed is found, and what cannot be recorded
//! is not done.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use http::{Method, StatusCode};
use serde_json::{Value, json};
use tests::ws::Connect;
use tests::{Client, Gateway, Tenant, until};

const ALL: &[&str] = &["operator.admin", "operator.read", "operator.write"];

/// Every record, in its order.
fn records(gateway: &Gateway) -> Vec<Value> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(gateway.state_dir().join("audit"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|it| it == "jsonl"))
        .collect();
    files.sort();
    let text: String = files.iter().map(|file| std::fs::read_to_string(file).unwrap()).collect();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The end of each act of this name: who, in which tenant, how.
fn ends(records: &[Value], act: &str) -> Vec<(Value, Value, Value)> {
    let ends = records.iter().filter(|it| it["act"] == act && it["phase"] == "outcome");
    ends.map(|it| (it["who"]["kind"].clone(), it["tenant"].clone(), it["outcome"].clone()))
        .collect()
}

fn key(gateway: &Gateway, role: &str) -> String {
    let made = gateway.json(&["keys", "create", "--label", role, "--role", role]);
    made["key"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn acts_are_recorded_with_who_and_outcome_and_without_secrets() {
    let mut gateway = Gateway::start();
    let acme = gateway.tenant("acme");
    let keys = [key(&gateway, "operator"), key(&gateway, "auditor")];
    let [operator, auditor] = keys.clone().map(|key| Client::new(gateway.control(), Some(key)));
    let made = operator.post("/v1/tenants", &json!({"id": "globex"})).await;
    let refused = auditor.post("/v1/tenants", &json!({"id": "nobody"})).await.status;
    assert_eq!(refused, StatusCode::FORBIDDEN);
    let limits = json!({"limits": {"requestsPerMinute": 77}});
    let changed = operator.send(Method::PATCH, "/v1/tenants/globex", limits.to_string()).await;
    assert_eq!(changed.status, StatusCode::OK, "{}", changed.text());
    assert_eq!(
        operator.post("/v1/tenants", &json!({"id": "globex"})).await.status,
        StatusCode::CONFLICT
    );
    let mut ws = Connect::new(gateway.address(), &acme.token, ALL).open().await;
    let raw = "{messages: {queue: {cap: 9}}} // canary-config";
    ws.ok("config.set", json!({"raw": raw})).await;
    let secret = json!({"skillKey": "weather", "apiKey": "canary-key"});
    ws.ok("skills.update", secret).await;
    ws.call("config.set", json!({"raw": "{nonsense: 1}"})).await.unwrap_err();
    ws.close().await;
    let rpc = json!({"jsonrpc": "2.0", "id": 1, "method": "tenants.rotate", "params": {}});
    let rotated = gateway.client(&acme).post("/rpc", &rpc).await.json();
    let token = rotated["result"]["token"].as_str().unwrap().to_owned();
    gateway.json(&["tenants", "suspend", "globex"]);
    let suspended = Tenant {
        id: "globex".to_owned(),
        token: made.json()["token"].as_str().unwrap().to_owned(),
    };
    let suspended = gateway.client(&suspended).chat("demo", "hi").await.status;
    assert!(matches!(suspended, StatusCode::FORBIDDEN | StatusCode::UNAUTHORIZED), "{suspended}");

    let page = auditor.get("/v1/audit?tenant=globex&limit=1000").await.json();
    assert!(
        page["records"].as_array().unwrap().iter().all(|it| it["tenant"] == "globex"),
        "{page}"
    );
    let tail = gateway.cli(&["audit", "tail", "--tenant", "globex"]);
    assert!(String::from_utf8_lossy(&tail.stdout).contains("suspendTenant"), "{tail:?}");
    let checkpoint = auditor.get("/v1/audit/checkpoint").await.json();
    let verified = gateway.json(&["audit", "verify"]);
    assert_eq!(verified["whole"], true, "{verified}");
    gateway.stop();

    let records = records(&gateway);
    each_act_is_there(&records);
    let text = records.iter().map(Value::to_string).collect::<String>();
    for secret in [&*acme.token, &*token, &*keys[0], &*keys[1], "canary-config", "canary-key"] {
        assert!(!text.contains(secret), "{secret}");
    }
    verify_offline(&gateway, &checkpoint);
}

/// Who did what, how it ended, and what it changed.
fn each_act_is_there(records: &[Value]) {
    let check = |act: &str, who: &str, tenant: Value, outcome: &str| {
        let wanted = (json!(who), tenant, json!(outcome));
        assert!(ends(records, act).contains(&wanted), "{act}: {:?}", ends(records, act));
    };
    check("createTenant", "localUser", json!("acme"), "done");
    check("createKey", "localUser", Value::Null, "done");
    check("createTenant", "operatorKey", json!("globex"), "done");
    check("createTenant", "operatorKey", Value::Null, "refused");
    check("createTenant", "operatorKey", Value::Null, "failed");
    check("updateTenant", "operatorKey", json!("globex"), "done");
    check("suspendTenant", "localUser", json!("globex"), "done");
    check("config.set", "tenantToken", json!("acme"), "done");
    check("config.set", "tenantToken", json!("acme"), "failed");
    check("skills.update", "tenantToken", json!("acme"), "done");
    check("tenants.rotate", "tenantToken", json!("acme"), "done");
    check("/v1/chat/completions", "tenantToken", json!("globex"), "refused");
    check("gateway.start", "gateway", Value::Null, "done");
    check("gateway.stop", "gateway", Value::Null, "done");
    for act in ["updateTenant", "config.set", "suspendTenant"] {
        let changed = |it: &&Value| it["act"] == act && it["outcome"] == "done";
        let record = records.iter().find(changed).unwrap();
        assert!(record["after"].is_string() && record["before"] != record["after"], "{record}");
    }
    // Each intent is before its outcome, and no act under way is left.
    for (at, record) in records.iter().enumerate().filter(|(_, it)| it["phase"] == "intent") {
        let ends = |it: &Value| it["id"] == record["id"] && it["phase"] == "outcome";
        assert!(records.iter().skip(at).any(ends), "{record}");
    }
}

/// With nothing but files and key: what is whole, a part of it, and what was changed.
fn verify_offline(gateway: &Gateway, checkpoint: &Value) {
    let elsewhere = tempfile::tempdir().unwrap();
    let path = |name: &str| elsewhere.path().join(name);
    let key = gateway.json(&["audit", "key"])["publicKey"].as_str().unwrap().to_owned();
    std::fs::write(path("key"), key).unwrap();
    std::fs::write(path("checkpoint"), checkpoint.to_string()).unwrap();
    let copied = Command::new("cp")
        .arg("-a")
        .arg(gateway.state_dir().join("audit"))
        .arg(path("trail"))
        .status();
    assert!(copied.unwrap().success());
    let verify = |more: &[&str]| {
        let (trail, key) = (path("trail"), path("key"));
        let args = ["audit", "verify", "--public-key", key.to_str().unwrap()];
        let of = if more.contains(&"--bundle") {
            vec![]
        } else {
            vec!["--dir", trail.to_str().unwrap()]
        };
        let args: Vec<_> = args.into_iter().chain(of).chain(more.iter().copied()).collect();
        let output = gateway.cli(&args);
        (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let known = path("checkpoint");
    assert_eq!(verify(&["--head", known.to_str().unwrap()]).0, Some(0));
    let out = path("bundle");
    let out = out.to_str().unwrap();
    gateway.json(&["audit", "export", "--from", "2020-01-01", "--to", "2999-12-31", "--out", out]);
    assert_eq!(verify(&["--bundle", out]).0, Some(0));
    let flip = |file: &Path, at: usize| {
        let mut bytes = std::fs::read(file).unwrap();
        let at = bytes.len() / 2 + at;
        bytes[at] ^= 1;
        std::fs::write(file, bytes).unwrap();
    };
    flip(Path::new(out), 0);
    assert_eq!(verify(&["--bundle", out]).0, Some(1));
    let file = std::fs::read_dir(path("trail")).unwrap().map(|it| it.unwrap().path());
    let file = file.filter(|it| it.extension().is_some_and(|it| it == "jsonl")).max().unwrap();
    flip(&file, 0);
    let (code, text) = verify(&["--json"]);
    assert_eq!(code, Some(1), "{text}");
    let told: Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
    let half = std::fs::read(&file).unwrap();
    let line = half[..half.len() / 2].split(|&byte| byte == b'\n').count();
    assert_eq!(told["faults"][0]["line"], line, "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_refusals_is_a_few_records_and_ordinary_requests_are_none() {
    let mut gateway = Gateway::start();
    let acme = gateway.tenant("acme");
    let wrong = Client::new(gateway.address(), Some("tk_acme_wrong".to_owned()));
    for _ in 0..500 {
        let status = wrong.get("/v1/models").await.status;
        assert!(matches!(status, StatusCode::UNAUTHORIZED | StatusCode::TOO_MANY_REQUESTS));
    }
    for _ in 0..20 {
        gateway.client(&acme).chat("demo", "hi").await.answer();
    }
    gateway.stop();
    let records = records(&gateway);
    let refused: Vec<_> = records.iter().filter(|it| it["act"] == "authenticate").collect();
    assert!((1..=6).contains(&refused.len()), "{refused:?}");
    let counted: u64 = refused.iter().map(|it| it["count"].as_u64().unwrap_or(1)).sum();
    assert_eq!(counted, 500, "{refused:?}");
    assert!(records.iter().all(|it| it["act"] != "/v1/chat/completions"), "{records:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn acts_under_way_when_the_supervisor_is_killed_are_told() {
    let mut gateway = Gateway::start();
    gateway.announce("were not signed");
    for name in ["one", "two", "three"] {
        gateway.tenant(name);
    }
    gateway.kill_supervisor_and_restart();
    gateway.tenant("four");
    let verified = gateway.json(&["audit", "verify"]);
    assert_eq!(verified["whole"], true, "{verified}");
    gateway.stop();
    assert_eq!(ends(&records(&gateway), "createTenant").len(), 4);
}

/// A small disk under the trail, until it is dropped.
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// Moves the trail of a gateway that does not run onto it.
    fn under(gateway: &Gateway) -> Self {
        let trail = gateway.state_dir().join("audit");
        let owner = std::fs::metadata(&trail).unwrap();
        let (uid, gid) = (owner.uid(), owner.gid());
        let options = format!("size=256k,mode=700,uid={uid},gid={gid}");
        let kept = tempfile::tempdir().unwrap();
        let copy = |from: &Path, to: &Path| {
            let from = from.join(".");
            let copied = Command::new("cp").arg("-a").arg(from).arg(to).status();
            assert!(copied.unwrap().success());
        };
        copy(&trail, kept.path());
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(&trail);
        assert!(mount.status().unwrap().success());
        let disk = Self(trail);
        copy(kept.path(), &disk.0);
        disk
    }

    fn fill(&self) {
        let filler = self.0.join("filler");
        let full = std::fs::write(&filler, vec![0; 1 << 20]).unwrap_err();
        assert_eq!(full.kind(), std::io::ErrorKind::StorageFull);
    }

    fn free(&self) {
        std::fs::remove_file(self.0.join("filler")).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("-l").arg(&self.0).status());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_recorded_is_refused_until_there_is_room() {
    let mut gateway = Gateway::start();
    for text in ["audit trail can", "control request failed"] {
        gateway.announce(text);
    }
    let acme = gateway.tenant("acme");
    let operator = key(&gateway, "operator");
    gateway.stop();
    let disk = SmallDisk::under(&gateway);
    gateway.restart();
    let operator = Client::new(gateway.control(), Some(operator));
    disk.fill();
    // What is left of the last page still takes a few records.
    let create = async |name: &str| operator.post("/v1/tenants", &json!({"id": name})).await;
    let mut made = 0;
    let refused = loop {
        let reply = create(&format!("t{made}")).await;
        if reply.status != StatusCode::CREATED {
            break reply;
        }
        made += 1;
        assert!(made < 50);
    };
    assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE, "{}", refused.text());
    assert!(refused.text().contains("the disk is full"), "{}", refused.text());
    let shown = operator.get(&format!("/v1/tenants/t{made}")).await.status;
    assert_eq!(shown, StatusCode::NOT_FOUND);
    let mut ws = Connect::new(gateway.address(), &acme.token, ALL).open().await;
    let refused = ws.call("config.set", json!({"raw": "{}"})).await.unwrap_err();
    assert_eq!(refused["code"], "UNAVAILABLE", "{refused}");
    // A key that reads every backup of a tenant is handed out with a record of it, or not at all.
    let key = disk.0.join("../key.json");
    let export = ["backup", "key", "export", "acme", "--out", key.to_str().unwrap()];
    assert_eq!(gateway.cli(&export).status.code(), Some(1));
    assert!(!key.exists());
    // Whoever changes nothing is served as ever.
    ws.ok("config.get", json!({})).await;
    gateway.client(&acme).chat("demo", "hi").await.answer();
    ws.close().await;
    disk.free();
    until("acts are taken again", || gateway.cli(&["tenants", "create", "later"]).status.success());
    assert!(gateway.cli(&export).status.success() && key.exists());
    gateway.stop();
    let verified = gateway.cli(&["audit", "verify", "--json"]);
    assert!(verified.status.success(), "{verified:?}");
    let gap = records(&gateway).into_iter().find(|it| it["act"] == "audit.gap").unwrap();
    assert!(gap["count"].as_u64().unwrap() >= 2, "{gap}");
}

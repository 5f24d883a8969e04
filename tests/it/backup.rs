//! Backups in a folder, through the running gateway: made and restored with every file, mode and time,
//! opened by hand with another program, nobody else's, and refused where anything in them was changed.

use std::collections::BTreeMap;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use tests::{Client, Gateway, Tenant, weed};

/// A folder through which the gateway reaches one of its own.
pub(crate) fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    folder
}

/// A gateway whose backups lie in a folder.
pub(crate) struct House {
    pub(crate) gateway: Gateway,
    pub(crate) store: tempfile::TempDir,
}

impl House {
    pub(crate) fn start() -> Self {
        Self::with("")
    }

    /// With more in its configuration of backups.
    pub(crate) fn with(more: &str) -> Self {
        let store = folder();
        let path = store.path().join("backups");
        let config = format!(
            "{{ backup: {{ store: {{ kind: 'folder', path: '{}' }} {more} }} }}",
            path.display()
        );
        let gateway = tests::Builder::default().config(config).start();
        Self { gateway, store }
    }

    /// The two objects of a backup: sealed bytes and manifest.
    pub(crate) fn objects(&self, backup: &str) -> (PathBuf, PathBuf) {
        let (tenant, folder) = backup.split_once('.').unwrap();
        let at = self.store.path().join("backups").join(tenant).join(folder);
        (at.join("data"), at.join("manifest"))
    }

    pub(crate) fn create(&self, tenant: &str) -> String {
        let made = self.gateway.json(&["backup", "create", tenant]);
        made["id"].as_str().unwrap().to_owned()
    }
}

pub(crate) async fn rpc(client: &Client, method: &str, params: Value) -> Value {
    let body = json!({"jsonrpc": "2.0", "id": 7, "method": method, "params": params});
    client.post("/rpc", &body).await.json()
}

pub(crate) async fn say(gateway: &Gateway, tenant: &Tenant, text: &str) {
    let messages = json!([{"role": "user", "content": text}]);
    let body = json!({"model": "openclaw", "messages": messages});
    let reply = gateway.client(tenant).post("/v1/chat/completions", &body).await;
    assert_eq!(reply.status, 200);
}

/// What is said in every conversation of a tenant, as one text.
pub(crate) async fn said(gateway: &Gateway, tenant: &Tenant) -> String {
    let listed = rpc(&gateway.client(tenant), "sessions.list", json!({})).await;
    let mut all = String::new();
    for session in listed["result"]["sessions"].as_array().unwrap_or(&Vec::new()) {
        let params = json!({"sessionKey": session["key"]});
        all.push_str(&rpc(&gateway.client(tenant), "chat.history", params).await.to_string());
    }
    all
}

/// Every file beneath a tenant's root: mode, time to the nanosecond and content. Where disks are images they are looked at
/// through the worker, which has them mounted.
fn tree(gateway: &Gateway, tenant: &Tenant) -> BTreeMap<PathBuf, (u32, i64, Vec<u8>)> {
    let worker = gateway.worker_pid(tenant);
    let root = PathBuf::from(format!("/proc/{worker}/root/tenant"));
    let mut found = BTreeMap::new();
    walk(&root, &root, &mut found);
    found
}

fn walk(root: &Path, at: &Path, found: &mut BTreeMap<PathBuf, (u32, i64, Vec<u8>)>) {
    for entry in std::fs::read_dir(at).unwrap() {
        let path = entry.unwrap().path();
        let stat = path.symlink_metadata().unwrap();
        let name = path.strip_prefix(root).unwrap().to_owned();
        if stat.is_dir() {
            found.insert(name, (stat.mode(), 0, Vec::new()));
            walk(root, &path, found);
        } else if stat.is_file() {
            let content = std::fs::read(&path).unwrap();
            let time = stat.mtime() * 1_000_000_000 + stat.mtime_nsec();
            found.insert(name, (stat.mode(), time, content));
        }
    }
}

/// What of a tree nobody writes to while it is looked at.
fn lasting(tree: BTreeMap<PathBuf, (u32, i64, Vec<u8>)>) -> BTreeMap<PathBuf, (u32, i64, Vec<u8>)> {
    let is_lasting = |path: &PathBuf| path.starts_with("agents");
    tree.into_iter().filter(|(path, _)| is_lasting(path)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_restored_is_what_was_there_and_opens_by_hand() {
    let house = House::start();
    let gateway = &house.gateway;
    let acme = gateway.tenant("acme");
    say(gateway, &acme, "before the backup").await;
    let set = json!({"raw": "{cron: {enabled: false}}"});
    assert!(rpc(&gateway.client(&acme), "config.set", set).await["error"].is_null());
    let secret = json!({"skillKey": "weather", "apiKey": "hunter2-of-acme"});
    assert!(rpc(&gateway.client(&acme), "skills.update", secret).await["error"].is_null());
    let before = lasting(tree(gateway, &acme));
    assert!(before.len() > 3, "{:?}", before.keys());
    let backup = house.create("acme");

    say(gateway, &acme, "after the backup").await;
    let token =
        gateway.json(&["tokens", "create", "acme", "--label", "later", "--scope", "operator.read"]);
    let later = Tenant { id: "acme".into(), token: token["token"].as_str().unwrap().into() };
    let refused = gateway.cli(&["backup", "restore", &backup]);
    assert_eq!(refused.status.code(), Some(1));
    let restored = gateway.json(&["backup", "restore", &backup, "--force"]);
    assert_eq!((&restored["tokens"], &restored["token"]), (&json!("unchanged"), &Value::Null));
    let text = said(gateway, &acme).await;
    assert!(text.contains("before the backup") && !text.contains("after the backup"), "{text}");
    let after = lasting(tree(gateway, &acme));
    assert_eq!(before.keys().collect::<Vec<_>>(), after.keys().collect::<Vec<_>>());
    for (path, found) in &after {
        assert!(found == &before[path], "{}", path.display());
    }
    let config = rpc(&gateway.client(&acme), "config.get", json!({})).await;
    assert!(config["result"]["raw"].as_str().unwrap().contains("enabled: false"));
    // A token of after the backup still holds: what a tenant may do is not taken from a backup.
    assert!(rpc(&gateway.client(&later), "sessions.list", json!({})).await["error"].is_null());

    assert_eq!(gateway.json(&["backup", "verify", &backup])["verified"], true);
    let trail = gateway.cli(&["audit", "tail", "--lines", "50", "--json"]);
    let trail = String::from_utf8_lossy(&trail.stdout).into_owned();
    for act in ["createBackup", "restoreBackup", "verifyBackup", "backup.drill"] {
        assert!(trail.contains(act), "{act}");
    }

    let out = tempfile::tempdir().unwrap();
    let key = out.path().join("key.json");
    gateway.json(&["backup", "key", "export", "acme", "--out", key.to_str().unwrap()]);
    assert_eq!(std::fs::metadata(&key).unwrap().mode() & 0o777, 0o600);
    opened(&house.objects(&backup), &key, out.path());
    let records = std::fs::read_to_string(out.path().join("records.jsonl")).unwrap();
    assert!(records.contains("hunter2-of-acme") && records.contains(r#""table":"token""#));
    assert!(!records.contains(&acme.token));
    let list = "zstd -dc archive.tar.zst | tar -tf - && zstd -dc archive.tar.zst | tar -xOf - --wildcards '*.jsonl'";
    let listed = Command::new("sh").args(["-c", list]).current_dir(out.path()).output().unwrap();
    assert!(listed.status.success(), "{}", String::from_utf8_lossy(&listed.stderr));
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    assert!(listed.contains("before the backup") && !listed.contains("hunter2-of-acme"));
    // What tar makes of it is the tenant as it was.
    let extracted = out.path().join("extracted");
    std::fs::create_dir(&extracted).unwrap();
    let extract = "zstd -dc archive.tar.zst | tar -xpf - -C extracted";
    let done = Command::new("sh").args(["-c", extract]).current_dir(out.path()).status().unwrap();
    assert!(done.success());
    let mut found = BTreeMap::new();
    walk(&extracted, &extracted, &mut found);
    assert!(lasting(found) == before);
    let sealed = std::fs::read(house.objects(&backup).0).unwrap();
    for clear in [&b"before the backup"[..], b"hunter2", b"operator.read"] {
        assert!(!sealed.windows(clear.len()).any(|it| it == clear));
    }
}

/// Opens a backup by the documented form alone.
pub(crate) fn opened((data, manifest): &(PathBuf, PathBuf), key: &Path, out: &Path) {
    let args = [data, manifest, key, out].map(|it| it.to_str().unwrap());
    let done = weed::script("open.py", &args);
    assert!(done.unwrap()["chunks"].as_u64().unwrap() > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_becomes_another_tenant_here_and_the_same_one_elsewhere() {
    let house = House::start();
    let gateway = &house.gateway;
    let acme = gateway.tenant_with("acme", &["--requests-per-minute", "77"]);
    say(gateway, &acme, "a word of acme").await;
    let backup = house.create("acme");
    let restored = gateway.json(&["backup", "restore", &backup, "--as", "staging"]);
    assert_eq!((&restored["made"], &restored["tokens"]), (&json!(true), &json!("new")));
    let token = restored["token"].as_str().unwrap().to_owned();
    let staging = Tenant { id: "staging".into(), token };
    assert!(said(gateway, &staging).await.contains("a word of acme"));
    let shown = gateway.json(&["tenants", "show", "staging"]);
    assert_eq!(shown["limits"]["requestsPerMinute"], 77);
    // The token of one opens nothing of the other.
    let tokens = gateway.json(&["tokens", "list", "staging"]);
    assert_eq!(tokens["tokens"].as_array().unwrap().len(), 1);

    let out = tempfile::tempdir().unwrap();
    let key = out.path().join("key.json");
    let key = key.to_str().unwrap();
    gateway.json(&["backup", "key", "export", "acme", "--out", key]);
    let elsewhere = House::start();
    let (from, to) = (house.objects(&backup), elsewhere.objects(&backup));
    let root = elsewhere.store.path().join("backups");
    let owner = std::fs::metadata(&root).unwrap();
    for path in [to.0.parent().unwrap().parent().unwrap(), to.0.parent().unwrap()] {
        std::fs::create_dir(path).unwrap();
        std::os::unix::fs::chown(path, Some(owner.uid()), Some(owner.gid())).unwrap();
    }
    for (from, to) in [(from.0, to.0), (from.1, to.1)] {
        std::fs::copy(from, &to).unwrap();
        std::os::unix::fs::chown(&to, Some(owner.uid()), Some(owner.gid())).unwrap();
    }
    let other = &elsewhere.gateway;
    assert_eq!(other.cli(&["backup", "restore", &backup]).status.code(), Some(2));
    let restored = other.json(&["backup", "restore", &backup, "--key-file", key]);
    assert_eq!(restored["tokens"], "restored");
    // Its clients go on with the tokens that they have.
    assert!(said(other, &acme).await.contains("a word of acme"));
    say(other, &acme, "and on").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_is_nobody_elses_by_no_parameter_of_any_method_or_route() {
    let house = House::start();
    let gateway = &house.gateway;
    let (acme, evil) = (gateway.tenant("acme"), gateway.tenant("evil"));
    say(gateway, &acme, "a word of acme").await;
    say(gateway, &evil, "a word of evil").await;
    let backup = house.create("acme");
    let client = gateway.client(&evil);
    let code =
        |reply: &Value| reply["error"]["data"]["code"].as_str().unwrap_or_default().to_owned();
    for params in [
        json!({"key": backup}),
        json!({"key": backup, "tenantId": "evil"}),
        json!({"key": backup, "tenantId": "acme"}),
        json!({"key": format!("evil/../{backup}")}),
        json!({"key": backup.replace("acme", "evil")}),
        json!({"key": backup, "prefix": "here"}),
        json!({"key": backup, "bucket": "backups", "endpoint": "http://127.0.0.1:1"}),
        json!({"key": backup, "createIfMissing": true}),
        json!({"key": ""}),
        json!({}),
    ] {
        let reply = rpc(&client, "tenants.restore", params.clone()).await;
        assert!(reply["error"].is_object(), "{params}: {reply}");
    }
    for method in ["tenants.backup", "tenants.backups.list"] {
        for field in ["bucket", "endpoint", "region", "prefix"] {
            let mut params = json!({});
            params[field] = json!("elsewhere");
            let reply = rpc(&client, method, params).await;
            let told = reply["error"]["message"].as_str().unwrap();
            assert!(told.contains(field) && told.contains("operator"), "{told} {}", code(&reply));
        }
    }
    let listed = rpc(&client, "tenants.backups.list", json!({})).await;
    assert_eq!(listed["result"]["backups"], json!([]));
    by_no_route(gateway, &backup);
    // Somebody who can write to the store gives evil the backup of acme under evil's name.
    let theirs = house.create("evil");
    let (from, to) = (house.objects(&backup), house.objects(&theirs));
    std::fs::copy(&from.0, &to.0).unwrap();
    assert!(rpc(&client, "tenants.restore", json!({"key": theirs})).await["error"].is_object());
    std::fs::copy(&from.1, &to.1).unwrap();
    assert!(rpc(&client, "tenants.restore", json!({"key": theirs})).await["error"].is_object());
    let text = said(gateway, &evil).await;
    assert!(text.contains("a word of evil") && !text.contains("a word of acme"), "{text}");
}

/// The operators' routes: a path names one tenant, and the backup is its own.
fn by_no_route(gateway: &Gateway, backup: &str) {
    let (_, folder) = backup.split_once('.').unwrap();
    let local = |path: &str, act: &str| {
        let socket = gateway.state_dir().join("run/control.sock");
        let url = format!("http://x/v1/tenants/{path}");
        let output = Command::new("curl")
            .args(["-s", "-X", act, "-o", "/dev/null", "-w", "%{http_code}", "--path-as-is"])
            .args(["-d", if path.ends_with("restore") { r#"{"force":true}"# } else { "{}" }])
            .args(["--unix-socket", socket.to_str().unwrap(), &url])
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    for path in [
        format!("evil/backups/{backup}/restore"),
        format!("evil/backups/evil.{folder}/restore"),
        format!("evil/backups/..%2f{backup}/restore"),
        format!("evil/backups/{backup}/verify"),
    ] {
        assert_eq!(local(&path, "POST"), "404", "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_backs_itself_up_and_restores_itself_as_its_admin_alone() {
    let house = House::start();
    let gateway = &house.gateway;
    let acme = gateway.tenant("acme");
    say(gateway, &acme, "before").await;
    let client = gateway.client(&acme);
    let made = rpc(&client, "tenants.backup", json!({})).await;
    let key = made["result"]["key"].as_str().unwrap();
    assert_eq!(made["result"]["tenantId"], "acme");
    let listed = rpc(&client, "tenants.backups.list", json!({})).await;
    assert_eq!(listed["result"]["backups"][0]["key"], key);
    say(gateway, &acme, "lost").await;
    let args = [
        "tokens",
        "create",
        "acme",
        "--label",
        "r",
        "--scope",
        "operator.read",
        "--scope",
        "operator.write",
    ];
    let token = gateway.json(&args)["token"].as_str().unwrap().to_owned();
    let reader = gateway.client(&Tenant { id: "acme".into(), token });
    for (method, params) in
        [("tenants.backup", json!({})), ("tenants.restore", json!({"key": key}))]
    {
        assert!(rpc(&reader, method, params).await["error"].is_object(), "{method}");
    }
    let restored = rpc(&client, "tenants.restore", json!({"key": key})).await;
    assert_eq!(restored["result"]["sourceKey"], key, "{restored}");
    let text = said(gateway, &acme).await;
    assert!(text.contains("before") && !text.contains("lost"));
    // Six an hour: two are spent.
    for _ in 0..4 {
        assert!(rpc(&client, "tenants.backup", json!({})).await["error"].is_null());
    }
    let refused = rpc(&client, "tenants.backup", json!({})).await;
    assert!(refused["error"]["message"].as_str().unwrap().contains("too many"), "{refused}");
}

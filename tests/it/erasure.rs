//! The end of a tenant seen from outside: nothing of what it wrote is left anywhere below the state
//! directory, a signed certificate says so, and an end that is interrupted is finished by the next start.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use tests::ws::Connect;
use tests::{Gateway, Tenant, program};

const ALL: [&str; 3] = ["operator.admin", "operator.approvals", "operator.pairing"];

/// What each canary is planted in.
const PLACES: [&str; 10] = [
    "message", "file", "memory", "settings", "secret", "title", "job", "hook", "approval", "token",
];

fn canary(place: &str) -> String {
    format!("canary-{place}-71c9e2")
}

async fn plant(gateway: &Gateway, tenant: &Tenant) {
    let mut ws = Connect::new(gateway.address(), &tenant.token, &ALL).open().await;
    gateway.client(tenant).chat("openclaw", &canary("message")).await.answer();
    for (name, place) in [("USER.md", "file"), ("MEMORY.md", "memory")] {
        let file = json!({"agentId": "main", "name": name, "content": canary(place)});
        ws.ok("agents.files.set", file).await;
    }
    let raw = format!("{{messages: {{queue: {{cap: 9}}}}}} // {}", canary("settings"));
    ws.ok("config.set", json!({"raw": raw})).await;
    ws.ok("skills.update", json!({"skillKey": "weather", "apiKey": canary("secret")})).await;
    let sent = json!({"sessionKey": "main", "message": "hello", "idempotencyKey": "one"});
    ws.ok("chat.send", sent).await;
    ws.next_event("chat").await;
    ws.ok("sessions.patch", json!({"key": "main", "label": canary("title")})).await;
    let job = json!({
        "name": canary("job"), "schedule": {"kind": "every", "everyMs": 86_400_000},
        "sessionTarget": "isolated", "wakeMode": "now",
        "payload": {"kind": "agentTurn", "message": canary("job")},
    });
    ws.ok("cron.add", job).await;
    let entry = json!({"pattern": format!("/usr/bin/{}", canary("approval"))});
    let file = json!({"version": 1, "agents": {"main": {"allowlist": [entry]}}});
    ws.ok("exec.approvals.set", json!({"file": file})).await;
    ws.close().await;
    let token = ["tokens", "create", &tenant.id, "--label", &canary("token"), "--scope", "hooks"];
    let token = gateway.json(&token)["token"].as_str().unwrap().to_owned();
    let hooks = tests::Client::new(gateway.address(), Some(token));
    let hook = json!({"message": canary("hook"), "name": "Canary"});
    let reply = hooks.post("/hooks/agent", &hook).await;
    assert!(reply.status.is_success(), "{}", reply.text());
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

/// The places whose canary is found in a file below `dir` or in a file's name, in clear or in
/// hexadecimal digits, with the file.
fn found(dir: &Path) -> Vec<(String, String)> {
    let words: Vec<_> = PLACES
        .iter()
        .flat_map(|place| [(*place, canary(place)), (*place, hex(canary(place).as_bytes()))])
        .collect();
    let place_of = |text: &str| {
        words.iter().find(|(_, word)| text.contains(word)).map(|(place, _)| (*place).to_owned())
    };
    let mut command = Command::new("grep");
    // Disks of tenants are large and mostly holes, which grep does not read.
    command.args(["-r", "-a", "-o", "-F", "--devices=skip"]);
    for (_, word) in &words {
        command.args(["-e", word]);
    }
    let inside = command.arg(dir).output().unwrap();
    let names = Command::new("find").arg(dir).output().unwrap();
    assert!(names.status.success());
    let text = [inside.stdout, names.stdout].concat();
    let mut found = Vec::new();
    for line in String::from_utf8_lossy(&text).lines() {
        found.extend(place_of(line).map(|place| (place, line.to_owned())));
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_a_tenant_wrote_is_left_and_a_certificate_says_so() {
    let mut gateway = Gateway::start();
    let (acme, other) = (gateway.tenant("acme"), gateway.tenant("other"));
    plant(&gateway, &acme).await;
    gateway.client(&other).chat("openclaw", "hello").await.answer();
    // Stopped, it writes dumps; started, it goes on with them.
    assert_eq!(gateway.stop(), Some(0));
    gateway.restart();
    gateway.client(&acme).chat("openclaw", "again").await.answer();
    let before = found(gateway.state_dir());
    for place in ["message", "file", "memory", "settings", "title", "job", "approval", "token"] {
        assert!(before.iter().any(|(found, _)| found == place), "{place} is planted: {before:?}");
    }
    let file = tempfile::tempdir().unwrap();
    let path = file.path().join("certificate.json");
    let path = path.to_str().unwrap();
    let deleted = gateway.json(&["tenants", "delete", "acme", "--yes", "--certificate", path]);
    assert_eq!(found(gateway.state_dir()), []);
    let verified = gateway.json(&["erasure", "verify", path]);
    let erasure = &verified["erasure"];
    assert_eq!((&erasure["tenant"], &erasure["files"]), (&json!("acme"), &json!(true)));
    assert_eq!(erasure["destroyedKey"].as_str().unwrap().len(), 64);
    assert_eq!(erasure["records"]["tokens"], 2);
    for kind in ["settings", "secrets", "approvals"] {
        assert!(erasure["records"][kind].as_u64().unwrap() > 0, "{erasure}");
    }
    let text = std::fs::read_to_string(path).unwrap();
    assert_eq!(deleted["certificate"], json!(text));
    std::fs::write(path, text.replace("\"files\":true", "\"files\":false")).unwrap();
    let forged = gateway.cli(&["erasure", "verify", path]);
    assert_eq!(forged.status.code(), Some(1));
    recorded(&gateway, &text);

    assert_eq!(gateway.cli(&["tenants", "show", "acme"]).status.code(), Some(4));
    assert_eq!(gateway.stop(), Some(0));
    assert_eq!(found(gateway.state_dir()), []);
    gateway.restart();
    assert_eq!(gateway.client(&other).chat("demo", "still here").await.status, 200);
    let anew = gateway.tenant("acme");
    gateway.client(&anew).chat("openclaw", "who are you").await.answer();
}

/// The audit trail holds the digest of the certificate, which is kept.
fn recorded(gateway: &Gateway, text: &str) {
    let digest = ring::digest::digest(&ring::digest::SHA256, text.as_bytes());
    let digest = hex(digest.as_ref());
    let trail = gateway.cli(&["audit", "tail", "--lines", "50", "--json"]).stdout;
    let trail = String::from_utf8(trail).unwrap();
    assert!(trail.contains("tenant.erased") && trail.contains(&digest), "{digest}: {trail}");
    let kept = std::fs::read_dir(gateway.state_dir().join("erasures")).unwrap();
    let kept: Vec<_> =
        kept.map(|it| std::fs::read_to_string(it.unwrap().path()).unwrap()).collect();
    assert_eq!(kept, [text]);
}

/// How long after the command was given the supervisor is killed, at most; in debug builds a deletion
/// takes about half of it.
const LONGEST: Duration = Duration::from_millis(180);

/// How often it is killed.
const KILLS: u32 = 12;

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_that_is_killed_is_finished_or_never_began() {
    let mut gateway = Gateway::start();
    gateway.announce("were not signed when the gateway ended");
    gateway.announce("an intent of an earlier run");
    let (mut gone, mut whole) = (0, 0);
    for n in 0..KILLS {
        let tenant = gateway.tenant(&format!("t{n}"));
        gateway.client(&tenant).chat("openclaw", "remember").await.answer();
        let mut delete = Command::new(program("openclawmu"))
            .arg("--state-dir")
            .arg(gateway.state_dir())
            .args(["tenants", "delete", &tenant.id, "--yes"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(LONGEST * n / KILLS);
        gateway.kill_supervisor_and_restart();
        // Whether it was told or not is not the question.
        let _told = delete.wait().unwrap();
        let listed = gateway.json(&["tenants", "list"]).to_string();
        let shown = gateway.cli(&["tenants", "show", &tenant.id]);
        if shown.status.success() {
            whole += 1;
            assert!(listed.contains(&format!("\"{}\"", tenant.id)));
            let history = json!({"jsonrpc": "2.0", "id": 1, "method": "chat.history",
                "params": {"sessionKey": "main"}});
            gateway.client(&tenant).chat("openclaw", "and more").await.answer();
            let history: Value = gateway.client(&tenant).post("/rpc", &history).await.json();
            assert!(history["error"].is_null(), "{history}");
            gateway.json(&["tenants", "delete", &tenant.id, "--yes"]);
        } else {
            gone += 1;
            assert_eq!(shown.status.code(), Some(4));
            assert!(!listed.contains(&format!("\"{}\"", tenant.id)));
        }
        assert!(!gateway.root(&tenant).exists(), "its files are gone");
        let kept = gateway.state_dir().join("erasures");
        let kept: Vec<_> = std::fs::read_dir(kept).unwrap().map(|it| it.unwrap().path()).collect();
        assert_eq!(kept.len(), usize::try_from(n + 1).unwrap(), "one certificate each: {kept:?}");
        // The name is free, and the old tenant's token is nobody's.
        gateway.tenant(&tenant.id);
        assert_eq!(gateway.client(&tenant).chat("demo", "hi").await.status, 401);
    }
    assert!(gone > 0, "{whole} of {KILLS} had not begun");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_goes_on_when_the_launcher_dies_with_it() {
    let mut gateway = Gateway::start();
    gateway.announce("worker not reaped");
    let tenant = gateway.tenant("acme");
    gateway.client(&tenant).chat("openclaw", "remember").await.answer();
    let mut delete = Command::new(program("openclawmu"))
        .arg("--state-dir")
        .arg(gateway.state_dir())
        .args(["tenants", "delete", "acme", "--yes"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    tests::until("it is marked", || {
        gateway.cli(&["tenants", "show", "acme"]).status.code() != Some(0)
    });
    gateway.kill_launcher_and_restart();
    let _killed = kill(Pid::from_raw(i32::try_from(delete.id()).unwrap()), Signal::SIGKILL);
    delete.wait().unwrap();
    assert!(!gateway.root(&tenant).exists());
    assert_eq!(gateway.cli(&["tenants", "show", "acme"]).status.code(), Some(4));
}

//! The official command line against the gateway with a tenant's token, unmodified. Each command
//! is a process of its own; every method of the table by the official library is `libraries.rs`'s.

use serde_json::{Value, json};
use tests::ws::{Connect, Device};
use tests::{Gateway, Official, Provider};

const READ: &[&str] = &["operator.read"];

/// A gateway with a tenant, and its user's machine.
async fn check(commands: impl FnOnce(&Official) + Send + 'static) {
    let provider = Provider::start().await;
    let gateway = Gateway::with_provider(&provider);
    let user = Official::new(&gateway, &gateway.tenant("acme"));
    tokio::task::spawn_blocking(move || commands(&user)).await.unwrap();
}

fn says(user: &Official, args: &[&str], part: &str) {
    let text = user.text(args);
    assert!(text.contains(part), "{args:?}: {part:?} is not in {text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn it_looks_around() {
    check(|user| {
        says(user, &["health"], "Agents: main (default)");
        says(user, &["status"], "reachable");
        says(user, &["gateway", "probe"], "Reachable: yes");
        says(user, &["models", "list"], "test/mock");
        says(user, &["skills", "list"], "kill");
        says(user, &["channels", "status"], "Gateway reachable");
        says(user, &["nodes", "status"], "Known: 0");
        says(user, &["nodes", "pending"], "No pending");
        says(user, &["logs", "--limit", "5"], "Log file");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_keeps_a_list_of_what_may_run() {
    check(|user| {
        let get = ["approvals", "get", "--gateway", "--json"];
        let none = user.json(&get);
        assert_eq!((&none["exists"], &none["file"]["version"]), (&json!(false), &json!(1)));
        user.text(&["approvals", "allowlist", "add", "/usr/bin/uptime", "--gateway"]);
        let some = user.json(&get);
        let pattern = &some["file"]["agents"]["*"]["allowlist"][0]["pattern"];
        assert_eq!(pattern, "/usr/bin/uptime", "{some}");
        says(user, &["approvals", "get", "--gateway"], "/usr/bin/uptime");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_asks_an_agent() {
    check(|user| {
        let ask = ["agent", "--agent", "main", "--message", "hello there", "--json"];
        let answer = user.json(&ask);
        assert_eq!(answer["status"], "ok", "{answer}");
        assert_eq!(answer["result"]["payloads"][0]["text"], "hello there");
        says(user, &["logs", "--limit", "50"], "turn answered");
        let url = ["--url", user.url(), "--token", user.token(), "--json"];
        let call = |method: &str| {
            user.json(&[&["gateway", "call", method, "--params", "{}"][..], &url].concat())
        };
        assert_eq!(call("sessions.list")["count"], 1);
        assert_eq!(call("health")["ok"], true);
        let presence = user.json(&["system", "presence"]);
        assert_eq!(presence[0]["host"], "cli", "{presence}");
        says(user, &["system", "heartbeat", "last"], "null");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_keeps_a_job() {
    check(|user| {
        let add = ["cron", "add", "--name", "nightly", "--cron", "0 3 * * *", "--tz", "UTC"];
        let more = ["--session", "isolated", "--message", "report", "--no-deliver", "--json"];
        let job = user.json(&[&add[..], &more].concat());
        let job = if job["job"].is_object() { &job["job"] } else { &job };
        let id = job["id"].as_str().unwrap_or_else(|| panic!("{job}"));
        says(user, &["cron", "list"], "nightly");
        user.text(&["cron", "run", id]);
        let runs = user.json(&["cron", "runs", "--id", id]);
        assert!(runs["entries"].is_array(), "{runs}");
        user.text(&["cron", "rm", id]);
        says(user, &["cron", "list"], "No automations");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_admits_a_device() {
    let gateway = Gateway::start();
    let tenant = gateway.tenant("acme");
    let made =
        gateway.json(&["tokens", "create", "acme", "--label", "n", "--scope", "operator.read"]);
    let narrow = made["token"].as_str().unwrap().to_owned();
    let device = Device::of(7);
    Connect::new(gateway.address(), &narrow, READ).device(&device).refused().await;
    let user = Official::new(&gateway, &tenant);
    let id = device.id().to_owned();
    tokio::task::spawn_blocking(move || {
        let listed = user.json(&["devices", "list", "--json"]);
        let asked: &Value = &listed["pending"][0];
        assert_eq!(asked["deviceId"], *id, "{listed}");
        user.text(&["devices", "approve", asked["requestId"].as_str().unwrap()]);
        let listed = user.json(&["devices", "list", "--json"]);
        assert_eq!(listed["paired"][0]["deviceId"], *id, "{listed}");
    })
    .await
    .unwrap();
    Connect::new(gateway.address(), &narrow, READ).device(&device).open().await.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_admits_a_node() {
    let gateway = Gateway::start();
    let tenant = gateway.tenant("acme");
    let device = Device::of(8);
    let node = Connect::node(gateway.address(), &tenant.token, &["system.which"]).device(&device);
    let held = node.open().await;
    let user = Official::new(&gateway, &tenant);
    tokio::task::spawn_blocking(move || {
        let pending = user.json(&["nodes", "pending", "--json"]);
        let asked: &Value = &pending[0];
        assert_eq!(asked["nodeId"], *device.id(), "{pending}");
        user.text(&["nodes", "approve", asked["requestId"].as_str().unwrap()]);
        let status = user.json(&["nodes", "status", "--json"]);
        assert_eq!(status["nodes"][0]["nodeId"], *device.id(), "{status}");
        assert_eq!(status["nodes"][0]["paired"], true, "{status}");
        says(&user, &["nodes", "pending"], "No pending");
    })
    .await
    .unwrap();
    drop(held);
}

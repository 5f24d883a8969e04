//! What a connected client notices of its worker's sleep, restart and crash, and of the gateway's.

use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use tests::ws::{Connect, Device, Ws};
use tests::{Gateway, Provider, Tenant};

const ALL: &[&str] = &["operator.admin", "operator.read", "operator.write", "operator.pairing"];

/// How long an event may take; a worker starts in a tenth of a second, on a busy machine in many.
const PATIENCE: Duration = Duration::from_mins(1);

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_outlives_its_workers_sleep() {
    let gateway = Gateway::start();
    let tenant = gateway.tenant_with("sleepy", &["--idle-seconds", "1"]);
    let mut ws = connect(&gateway, &tenant).await;
    for (key, text) in [("one", "good night"), ("two", "good morning")] {
        send(&mut ws, key, text).await;
        let end = end(&mut ws, key).await;
        assert_eq!(end["state"], "final", "{end}");
        assert!(end["message"].to_string().contains(text), "{end}");
        tests::until("the worker sleeps", || {
            gateway.json(&["tenants", "show", "sleepy"])["state"] == "stopped"
        });
    }
    assert_eq!(texts(&mut ws).await.len(), 4);
    ws.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_outlives_its_workers_restart_in_the_middle_of_a_run() {
    let provider = Provider::start().await;
    let gateway = Gateway::with_provider(&provider);
    let restart = |tenant: &Tenant| {
        gateway.json(&["tenants", "restart", &tenant.id, "--deadline-seconds", "1"]);
    };
    gateway.announce("drain");
    interrupted(&gateway, restart).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_outlives_its_workers_crash_in_the_middle_of_a_run() {
    let provider = Provider::start().await;
    let gateway = Gateway::with_provider(&provider);
    gateway.announce("worker crashed");
    let crash = |tenant: &Tenant| {
        kill(Pid::from_raw(gateway.worker_pid(tenant)), Signal::SIGKILL).unwrap();
    };
    interrupted(&gateway, crash).await;
}

/// A run that never ends by itself is cut off by `interrupt`, and goes on.
async fn interrupted(gateway: &Gateway, interrupt: impl FnOnce(&Tenant)) {
    let (tenant, other) = (gateway.tenant("acme"), gateway.tenant("other"));
    let mut ws = connect(gateway, &tenant).await;
    let mut spared = connect(gateway, &other).await;
    model(&mut ws, "test/slow").await;
    model(&mut spared, "test/slow").await;
    send(&mut ws, "cut", "without end").await;
    send(&mut spared, "goes-on", "without end").await;
    chat(&mut ws, "cut", |it| it["state"] == "delta").await;
    chat(&mut spared, "goes-on", |it| it["state"] == "delta").await;
    tokio::task::block_in_place(|| interrupt(&tenant));

    // The next worker goes on with it, and the client hears of no end.
    chat(&mut ws, "cut", |it| it["seq"] == 1).await;
    chat(&mut ws, "cut", |it| it["state"] == "delta").await;
    ws.ok("chat.abort", json!({"sessionKey": "main"})).await;
    assert_eq!(end(&mut ws, "cut").await["state"], "aborted");
    model(&mut ws, "test/mock").await;
    send(&mut ws, "next", "is anybody there").await;
    let next = end(&mut ws, "next").await;
    assert_eq!(next["message"]["content"][0]["text"], "is anybody there", "{next}");
    // The message is there once, and asking for the run again does not begin it anew.
    let again = send(&mut ws, "cut", "without end").await;
    assert_eq!(again["status"], "timeout", "{again}");
    let said = texts(&mut ws).await;
    assert_eq!(said.iter().filter(|text| *text == "without end").count(), 1, "{said:?}");

    chat(&mut spared, "goes-on", |it| it["state"] == "delta").await;
    let stopped = spared.ok("chat.abort", json!({"sessionKey": "main"})).await;
    assert_eq!(stopped["runIds"], json!(["goes-on"]));
    assert_eq!(end(&mut spared, "goes-on").await["state"], "aborted");
    ws.close().await;
    spared.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_is_back_after_the_gateways_crash_and_nothing_is_lost() {
    let mut gateway = Gateway::start();
    let tenant = gateway.tenant("acme");
    let device = Device::of(7);
    let connect = Connect::new(gateway.address(), &tenant.token, ALL).device(&device);
    let mut ws = connect.open().await;
    let token = ws.hello()["auth"]["deviceToken"].as_str().unwrap().to_owned();
    let words: Vec<_> = (0..5).map(|n| format!("message number {n}")).collect();
    for word in &words {
        // A message is acknowledged when it is stored, not when it is answered.
        assert_eq!(send(&mut ws, word, word).await["runId"], *word);
    }
    for word in &words {
        assert_eq!(end(&mut ws, word).await["state"], "final");
    }
    tokio::task::block_in_place(|| gateway.kill_supervisor_and_restart());
    assert_eq!(ws.closed().await.code, 1006);

    let connect = Connect::new(gateway.address(), "", ALL).device(&device);
    let mut ws = connect.with("/auth", json!({"deviceToken": token})).open().await;
    assert_eq!(ws.hello()["auth"]["method"], "device-token");
    let said = texts(&mut ws).await;
    for word in &words {
        assert_eq!(said.iter().filter(|text| *text == word).count(), 1, "{said:?}");
        let again = send(&mut ws, word, word).await;
        assert_eq!((&again["runId"], &again["status"]), (&json!(word), &json!("ok")), "{again}");
    }
    assert_eq!(texts(&mut ws).await, said, "nothing ran twice");
    send(&mut ws, "new", "and on it goes").await;
    assert_eq!(end(&mut ws, "new").await["state"], "final");
    assert_eq!(texts(&mut ws).await.len(), said.len() + 2);
    ws.close().await;
}

async fn connect(gateway: &Gateway, tenant: &Tenant) -> Ws {
    Connect::new(gateway.address(), &tenant.token, ALL).open().await
}

async fn send(ws: &mut Ws, key: &str, text: &str) -> Value {
    let params = json!({"sessionKey": "main", "message": text, "idempotencyKey": key});
    ws.ok("chat.send", params).await
}

async fn model(ws: &mut Ws, model: &str) {
    ws.ok("sessions.patch", json!({"key": "main", "model": model})).await;
}

/// How the run ended.
async fn end(ws: &mut Ws, run: &str) -> Value {
    let ends = ["final", "error", "aborted"];
    chat(ws, run, |it| it["state"].as_str().is_some_and(|state| ends.contains(&state))).await
}

/// The next event of the run that is as `wanted`.
async fn chat(ws: &mut Ws, run: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    let search = async {
        loop {
            let event = ws.next_event("chat").await;
            if event["runId"] == run && wanted(&event) {
                return event;
            }
        }
    };
    let found = tokio::time::timeout(PATIENCE, search).await;
    found.unwrap_or_else(|_| panic!("in vain: an event of {run}"))
}

/// What was said in the conversation.
async fn texts(ws: &mut Ws) -> Vec<String> {
    let history = ws.ok("chat.history", json!({"sessionKey": "main", "limit": 200})).await;
    let messages = history["messages"].as_array().unwrap().iter();
    let text = |message: &Value| {
        let content = &message["content"];
        content.as_str().or_else(|| content[0]["text"].as_str()).unwrap_or_default().to_owned()
    };
    messages.map(text).collect()
}

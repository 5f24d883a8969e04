//! A tenant driven to each of its limits through its own requests: it is told, it recovers, and
//! its neighbour is answered all the time.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use http::{Method, StatusCode};
use serde_json::{Value, json};
use tests::{Client, Gateway, Provider, Tenant};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

const MIB: usize = 1 << 20;

/// What a neighbour waits for an answer at most, whatever the other tenants do.
const PATIENCE: Duration = Duration::from_secs(2);

/// How long a tenant may take to be well again.
const RECOVERY: Duration = Duration::from_secs(20);

const TIGHT: [&str; 6] = ["--memory-max", "64M", "--pids-max", "16", "--disk-max", "16M"];

/// A tenant that asks one question after the other, plain ones and turns, and insists on an answer.
struct Neighbour {
    stop: CancellationToken,
    asking: tokio::task::JoinHandle<u32>,
}

impl Neighbour {
    async fn start(gateway: &Gateway) -> Self {
        let client = gateway.client(&gateway.tenant("neighbour"));
        client.chat("openclaw", "the worker is awake").await.answer();
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        let asking = tokio::spawn(async move {
            let mut answers = 0;
            while !stopped.is_cancelled() {
                for model in ["demo", "openclaw"] {
                    let begun = Instant::now();
                    client.chat(model, "a question").await.answer();
                    let took = begun.elapsed();
                    assert!(took < PATIENCE, "{model}: {took:?} after {answers} answers");
                    answers += 1;
                }
            }
            answers
        });
        Self { stop, asking }
    }

    async fn finish(self) {
        self.stop.cancel();
        assert!(self.asking.await.unwrap() > 1, "the neighbour was not there");
    }
}

async fn rpc(client: &Client, method: &str, params: Value) -> Value {
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
    client.post("/rpc", &body).await.json()
}

/// Asks until the tenant is answered again; what it hears before is a refusal that says so.
async fn recovers(client: &Client) {
    let begun = Instant::now();
    loop {
        let reply = client.chat("demo", "well again").await;
        if reply.status == StatusCode::OK {
            return;
        }
        assert_eq!(reply.status, StatusCode::SERVICE_UNAVAILABLE, "{}", reply.text());
        assert!(begun.elapsed() < RECOVERY, "{}", reply.text());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Sends `count` conversations of `bytes` at once, each with a short last question, and counts the
/// statuses.
async fn volley(client: &Client, model: &str, count: usize, bytes: usize) -> BTreeMap<u16, usize> {
    let mut sending = JoinSet::new();
    let said = |role: &str, text: &str| json!({"role": role, "content": text});
    let long = "x".repeat(bytes);
    let messages = [said("user", &long), said("assistant", "I see."), said("user", "And?")];
    let body = json!({"model": model, "messages": messages});
    let body = bytes::Bytes::from(body.to_string());
    for n in 0..count {
        let client = client.clone().header("x-openclaw-session-key", &format!("volley-{n}"));
        let body = body.clone();
        sending.spawn(async move {
            client.send(Method::POST, "/v1/chat/completions", body).await.status.as_u16()
        });
    }
    let mut statuses = BTreeMap::new();
    while let Some(status) = sending.join_next().await {
        *statuses.entry(status.unwrap()).or_default() += 1;
    }
    statuses
}

/// Fills the tenant's disk with one conversation each for large and ever smaller messages, and
/// gives the session keys of the turns that were answered.
async fn fill(client: &Client) -> Vec<(String, usize)> {
    let mut stored = Vec::new();
    for bytes in [700_000, 100_000, 10_000, 1_000, 1] {
        loop {
            let key = format!("{bytes}-{}", stored.len());
            let client = client.clone().header("x-openclaw-session-key", &key);
            let reply = client.chat("openclaw", &"x".repeat(bytes)).await;
            if reply.status != StatusCode::OK {
                assert_eq!(reply.status, StatusCode::INSUFFICIENT_STORAGE, "{}", reply.text());
                assert_eq!(reply.json()["error"]["code"], "disk_full");
                break;
            }
            stored.push((key, bytes));
            assert!(stored.len() < 300, "16 MiB are never full");
        }
    }
    stored
}

/// Everything that was answered can be read: in the history, which shortens long texts, and in the
/// transcripts.
async fn check_conversations(gateway: &Gateway, tenant: &Tenant, stored: &[(String, usize)]) {
    let client = &gateway.client(tenant);
    let sessions = gateway.root(tenant).join("agents/main/sessions");
    let list = rpc(client, "sessions.list", json!({"limit": 1000})).await;
    let listed = list["result"]["sessions"].as_array().expect("sessions");
    for (key, bytes) in stored {
        let name = format!("agent:main:{key}");
        assert!(listed.iter().any(|it| it["key"] == name), "{name}");
        let history = rpc(client, "chat.history", json!({"sessionKey": key})).await;
        let messages = history["result"]["messages"].as_array().expect("messages");
        assert_eq!(messages.len(), 2, "{key}");
        let row = listed.iter().find(|it| it["key"] == name).expect("a row");
        let file = sessions.join(format!("{}.jsonl", row["sessionId"].as_str().expect("an id")));
        let transcript = std::fs::read_to_string(file).expect("a transcript");
        let text = format!("\"{}\"", "x".repeat(*bytes));
        assert_eq!(transcript.matches(&text).count(), 2, "{key}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_whose_disk_is_full_is_told_and_loses_nothing() {
    let provider = Provider::start().await;
    let gateway = Gateway::with_provider(&provider);
    gateway.announce("storage failed");
    let neighbour = Neighbour::start(&gateway).await;
    let tenant = gateway.tenant_with("victim", &TIGHT);
    let client = gateway.client(&tenant);
    let stored = fill(&client).await;
    assert!(stored.len() > 5, "{}", stored.len());
    check_conversations(&gateway, &tenant, &stored).await;
    // The next worker starts on the full disk.
    gateway.json(&["tenants", "restart", "victim"]);
    check_conversations(&gateway, &tenant, &stored).await;
    assert_eq!(client.chat("openclaw", "x").await.status, StatusCode::INSUFFICIENT_STORAGE);
    assert_eq!(client.chat("mock", "stores nothing").await.answer(), "stores nothing");
    assert_eq!(client.get("/v1/models").await.status, StatusCode::OK);
    let preview = rpc(&client, "sessions.preview", json!({"keys": [stored[0].0]})).await;
    assert_eq!(preview["result"]["previews"][0]["status"], "ok");
    let deleted = rpc(&client, "sessions.delete", json!({"key": stored[0].0})).await;
    let told = deleted["error"]["data"]["code"] == "RESOURCE_EXHAUSTED";
    assert!(told || deleted["result"]["deleted"] == true, "{deleted}");
    neighbour.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_whose_memory_is_short_is_told_and_recovers() {
    let gateway = Gateway::start();
    gateway.announce("worker crashed");
    let neighbour = Neighbour::start(&gateway).await;
    let tenant = gateway.tenant_with("victim", &TIGHT);
    let client = gateway.client(&tenant);
    assert_eq!(volley(&client, "demo", 1, 8 * MIB).await, BTreeMap::from([(200, 1)]));
    let before = gateway.worker_pid(&tenant);
    for (count, bytes) in [(16, 8 * MIB), (8, 19 * MIB)] {
        let statuses = volley(&client, "demo", count, bytes).await;
        assert!(statuses.contains_key(&503), "{statuses:?}");
        assert!(statuses.keys().all(|status| [200, 503].contains(status)), "{statuses:?}");
        recovers(&client).await;
    }
    assert_ne!(gateway.worker_pid(&tenant), before);
    let killed = gateway.log().iter().any(|line| line.contains("oom_kills: 1"));
    assert!(killed, "its memory was not short");
    neighbour.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_with_fewer_threads_than_it_wants_is_answered_all_the_same() {
    let gateway = Gateway::start();
    let neighbour = Neighbour::start(&gateway).await;
    // Its one thread and three of the four that file work may take.
    let tenant = gateway.tenant_with("victim", &["--pids-max", "4", "--cpu-max", "0.5"]);
    let client = gateway.client(&tenant);
    for model in ["openclaw", "demo"] {
        assert_eq!(volley(&client, model, 100, 1000).await, BTreeMap::from([(200, 100)]));
    }
    neighbour.finish().await;
}

//! Heartbeats over the gateway: they come by themselves, clients hear of them and see nothing of
//! them in the conversation, and what a session is told reaches its next turn.

use serde_json::{Value, json};
use tests::ws::Connect;
use tests::{Gateway, Provider};

const ALL: &[&str] = &["operator.admin", "operator.read", "operator.write"];

/// What the model was asked last: the texts after the system prompt.
fn asked(provider: &Provider) -> Vec<String> {
    let body = provider.bodies().pop().unwrap();
    let messages = body["messages"].as_array().unwrap().iter().skip(1);
    messages.map(|message| message["content"].to_string()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn heartbeats_come_by_themselves_and_leave_the_conversation_alone() {
    let provider = Provider::start().await;
    let gateway = Gateway::with_provider(&provider);
    let tenant = gateway.tenant("acme");
    let mut ws = Connect::new(gateway.address(), &tenant.token, ALL).open().await;
    // The shortest time between two; the model says what it is asked.
    let settings = json!({"every": "10s", "prompt": "HEARTBEAT_OK"});
    let raw = json!({"agents": {"defaults": {"heartbeat": settings}}}).to_string();
    let hash = ws.ok("config.get", json!({})).await["hash"].take();
    ws.ok("config.patch", json!({"raw": raw, "baseHash": hash})).await;
    let beat = ws.next_event("heartbeat").await;
    assert_eq!(beat["status"], "ok-token", "{beat}");
    assert!(asked(&provider).concat().contains("HEARTBEAT_OK"));
    let main = json!({"sessionKey": "main"});
    let history = ws.ok("chat.history", main.clone()).await;
    assert_eq!(history["messages"], json!([]), "{history}");

    // The next heartbeat is ten seconds away.
    let wake = json!({"mode": "next-heartbeat", "text": "the parcel is here"});
    assert_eq!(ws.ok("wake", wake).await, json!({"ok": true}));
    let client = gateway.client(&tenant).header("x-openclaw-session-key", "main");
    assert_eq!(client.chat("openclaw", "hello").await.answer(), "hello");
    let texts = asked(&provider);
    let told: Vec<_> = texts.iter().filter(|it| it.contains("the parcel is here")).collect();
    assert_eq!(told.len(), 1, "{texts:?}");
    assert_eq!(texts.last().unwrap(), "\"hello\"");
    let history = ws.ok("chat.history", main).await;
    let shown: Vec<&Value> = history["messages"].as_array().unwrap().iter().collect();
    assert_eq!(shown.len(), 2, "{history}");
    assert!(shown.iter().all(|message| message["content"][0]["text"] == "hello"), "{history}");
    let rows = ws.ok("sessions.list", json!({"includeDerivedTitles": true})).await;
    assert_eq!(rows["sessions"][0]["derivedTitle"], "hello", "{rows}");
    ws.close().await;
}

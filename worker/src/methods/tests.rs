//! Every method, called as the supervisor calls it.

use serde_json::json;

use crate::testing::{Harness, finished, started, text};

async fn with_sessions() -> Harness {
    let mut harness = Harness::new().await;
    for (key, prompt) in [("main", "hello"), ("Ops", "a much longer prompt than the preview")] {
        let body = json!({"model": "openclaw", "messages": [{"role": "user", "content": prompt}]});
        harness.ask(key, &body, vec![vec![started(), text("yes"), finished("stop")]]).await;
    }
    harness
}

#[tokio::test]
async fn health_answers_from_inside() {
    let harness = Harness::new().await;
    let health = harness.call("health", &json!({})).await.unwrap();
    assert_eq!((&health["ok"], &health["runs"]), (&json!(true), &json!(0)));
    assert_eq!(health["version"], env!("CARGO_PKG_VERSION"));
}

#[tokio::test]
async fn sessions_are_listed_previewed_read_and_deleted() {
    let harness = with_sessions().await;
    let list = harness.call("sessions.list", &json!({"agentId": "main"})).await.unwrap();
    assert_eq!(list["count"], 2);
    assert_eq!(list["sessions"][0]["key"], "agent:main:main");
    assert_eq!(list["sessions"][0]["totalTokens"], 10);
    let limited = harness.call("sessions.list", &json!({"limit": 1})).await.unwrap();
    assert_eq!(limited["count"], 1);

    let params = json!({"keys": ["agent:main:ops", "none"], "maxChars": 20});
    let previews = harness.call("sessions.preview", &params).await.unwrap()["previews"].take();
    assert_eq!(previews[0]["items"][0], json!({"role": "user", "text": "a much longer prompt"}));
    assert_eq!(previews[0]["items"][1]["text"], "yes");
    assert_eq!(previews[1], json!({"key": "none", "status": "missing", "items": []}));

    let params = json!({"sessionKey": "ops", "limit": 1});
    let history = harness.call("chat.history", &params).await.unwrap();
    assert_eq!(history["messages"].as_array().unwrap().len(), 1);
    assert_eq!(history["messages"][0]["role"], "assistant");

    for deleted in [true, false] {
        let reply = harness.call("sessions.delete", &json!({"key": "ops"})).await.unwrap();
        assert_eq!(reply["deleted"], deleted);
    }
    let gone = harness.call("chat.history", &json!({"sessionKey": "ops"})).await.unwrap();
    assert_eq!((&gone["messages"], gone.get("sessionId")), (&json!([]), None));
}

#[tokio::test]
async fn wrong_parameters_are_named() {
    let harness = Harness::new().await;
    let check = async |method: &str, params: serde_json::Value, wanted: &str| {
        let told = harness.call(method, &params).await.unwrap_err();
        assert!(told.starts_with("INVALID_REQUEST") && told.contains(wanted), "{told}");
    };
    check("sessions.list", json!({"limit": 0}), "limit must be 1 or more").await;
    check("sessions.list", json!({"nope": 1}), "unknown field").await;
    check("sessions.preview", json!({"keys": []}), "keys must be 1 to 64").await;
    check("chat.history", json!({"sessionKey": "agent:../x:y"}), "session key").await;
    check("chat.none", json!({}), "unknown method").await;
}

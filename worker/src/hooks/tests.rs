//! Hooks as the supervisor passes them on.

use proto::worker::{Route, ServeRequest};
use serde_json::{Value, json};

use crate::testing::{Harness, batch, finished, read, started, text};

async fn post(harness: &Harness, name: &str, key: &str, body: &Value) -> (u32, Value) {
    let request = ServeRequest {
        route: Route::Hook.into(),
        model: name.to_owned(),
        body: body.to_string().into(),
        idempotency_key: key.to_owned(),
        ..ServeRequest::default()
    };
    let answer = read(harness.serve(request).await.unwrap()).await;
    (answer.head.status, answer.json())
}

async fn answers(harness: &mut Harness, answer: &str) -> String {
    let call = harness.calls.recv().await.unwrap();
    let asked = format!("{:?}", call.request.messages);
    let reply = call.open();
    reply.send(Ok(batch(vec![started(), text(answer), finished("stop")]))).await.unwrap();
    asked
}

#[tokio::test]
async fn wake_tells_the_main_session() {
    let mut harness = Harness::new().await;
    let later = json!({"text": "later", "mode": "next-heartbeat"});
    let queued = json!({"ok": true, "mode": "next-heartbeat", "eventOutcome": "queued"});
    assert_eq!(post(&harness, "wake", "", &later).await, (200, queued));
    assert_eq!(post(&harness, "wake", "", &later).await.1["eventOutcome"], "coalesced");
    let (status, reply) = post(&harness, "wake", "", &json!({"text": "now"})).await;
    assert_eq!((status, &reply["mode"]), (200, &json!("now")));
    let asked = answers(&mut harness, "yes").await;
    assert!(asked.contains("later") && asked.contains("now"), "{asked}");
    let (status, reply) = post(&harness, "wake", "", &json!({})).await;
    assert_eq!((status, reply), (400, json!({"ok": false, "error": "text required"})));
}

#[tokio::test]
async fn agent_takes_a_turn_once_for_each_key() {
    let mut harness = Harness::new().await;
    let body = json!({"message": "mail came", "name": "Mail"});
    let (status, reply) = post(&harness, "agent", "k1", &body).await;
    assert_eq!(status, 200);
    assert!(answers(&mut harness, "noted").await.contains("mail came"));
    let keys = harness.root.join("cron/hook-keys.json");
    while !std::fs::read_to_string(&keys).unwrap().contains("\"taken\":true") {
        harness.call("health", &json!({})).await.unwrap();
    }
    // Over the worker's sleep too.
    let again = Harness::on(harness.root.clone()).await;
    assert_eq!(post(&again, "agent", "k1", &body).await, (200, reply));
    let mut waits = body.clone();
    waits["waitForCompletion"] = json!(true);
    waits["idempotencyKey"] = json!("k2");
    let request = harness.serve(ServeRequest {
        route: Route::Hook.into(),
        model: "agent".to_owned(),
        body: waits.to_string().into(),
        ..ServeRequest::default()
    });
    let (answer, _asked) =
        tokio::join!(async { read(request.await.unwrap()).await }, answers(&mut harness, "noted"));
    let completion = &answer.json()["completion"];
    assert_eq!((&completion["status"], &completion["text"]), (&json!("ok"), &json!("noted")));
}

#[tokio::test]
async fn a_key_whose_run_was_refused_or_lost_begins_one() {
    let mut harness = Harness::new().await;
    harness.configure(&json!({"messages": {"queue": {"cap": 1, "drop": "new"}}})).await;
    let body = |text: &str| json!({"message": text, "sessionMode": "persistent"});
    assert_eq!(post(&harness, "agent", "k1", &body("one")).await.0, 200);
    let first = harness.calls.recv().await.unwrap();
    let (status, again) = post(&harness, "agent", "k1", &body("one")).await;
    assert_eq!(status, 200, "a run that goes on is not begun again");
    let (_, second) = post(&harness, "agent", "k2", &body("two")).await;
    assert_ne!(second["runId"], again["runId"]);
    let (status, refused) = post(&harness, "agent", "k3", &body("three")).await;
    assert_eq!((status, &refused["ok"]), (503, &json!(false)));
    let reply = first.open();
    reply.send(Ok(batch(vec![started(), text("1"), finished("stop")]))).await.unwrap();
    drop(reply);
    assert!(answers(&mut harness, "2").await.contains("two"));
    assert_eq!(post(&harness, "agent", "k3", &body("three")).await.0, 200);
    assert!(answers(&mut harness, "3").await.contains("three"));

    assert_eq!(post(&harness, "agent", "k4", &body("four")).await.0, 200);
    let _under_way = harness.calls.recv().await.unwrap();
    // What is on disk at this moment is all that a killed process leaves.
    let directory = tempfile::tempdir().unwrap();
    std::fs::create_dir(directory.path().join("cron")).unwrap();
    let file = "cron/hook-keys.json";
    std::fs::copy(harness.root.join(file), directory.path().join(file)).unwrap();
    let mut next = Harness::on(directory.path().to_owned()).await;
    assert_eq!(post(&next, "agent", "k4", &body("four")).await.0, 200);
    assert!(answers(&mut next, "4").await.contains("four"));
}

#[tokio::test]
async fn a_hook_says_how_much_the_model_thinks() {
    let mut harness = Harness::new().await;
    let mappings = json!([{"match": {"path": "deep"}, "messageTemplate": "x", "thinking": "high"},
        {"match": {"path": "odd"}, "messageTemplate": "x", "thinking": "odd"}]);
    harness.configure(&json!({"hooks": {"mappings": mappings}})).await;
    let low = json!({"message": "m", "thinking": "low"});
    for (name, body, wanted) in [("deep", json!({}), "high"), ("agent", low, "low")] {
        assert_eq!(post(&harness, name, "", &body).await.0, 200);
        let call = harness.calls.recv().await.unwrap();
        assert_eq!(call.request.params.unwrap().reasoning_effort.as_deref(), Some(wanted));
    }
    let (status, refused) = post(&harness, "odd", "", &json!({})).await;
    assert!(status == 400 && refused["error"].as_str().unwrap().contains("thinking must be"));
}

#[tokio::test]
async fn a_mapping_makes_a_message_of_the_body() {
    let mut harness = Harness::new().await;
    let mappings = json!([
        {"match": {"path": "github", "source": "ci"}, "action": "wake", "textTemplate": "{{a.b[0]}}"},
        {"match": {"path": "github"}, "messageTemplate": "from {{path}}: {{title}}", "sessionKey": "hook:gh"},
        {"match": {"path": "code"}, "messageTemplate": "x", "transform": {"module": "x.js"}},
    ]);
    harness.configure(&json!({"hooks": {"mappings": mappings}})).await;
    let body = json!({"title": "a bug"});
    assert_eq!(post(&harness, "github", "", &body).await.0, 200);
    assert!(answers(&mut harness, "ok").await.contains("from github: a bug"));
    let body = json!({"source": "ci", "a": {"b": ["red"]}});
    assert_eq!(post(&harness, "github", "", &body).await.1["eventOutcome"], "queued");
    assert!(answers(&mut harness, "ok").await.contains("red"));
    assert_eq!(post(&harness, "code", "", &json!({})).await.0, 400);
    assert_eq!(post(&harness, "other", "", &json!({})).await.0, 404);
    let status = harness.call("hooks.status", &json!({})).await.unwrap();
    assert_eq!(
        status["mappings"][1],
        json!({"id": "mapping-2", "path": "github", "action": "agent"})
    );
}

#[tokio::test]
async fn what_a_hook_may_not_is_refused() {
    let harness = Harness::new().await;
    for (name, body, wanted) in [
        ("agent", json!({}), "message required"),
        ("agent", json!({"message": "m", "sessionKey": "main"}), "allowRequestSessionKey"),
        ("agent", json!({"message": "m", "agentId": "none"}), "there is no agent none"),
        ("agent", json!({"message": "m", "agentId": "../x"}), "agentId"),
        ("agent", json!({"message": "m", "other": 1}), "unknown field"),
        ("agent", json!({"message": "m".repeat(70_000)}), "message has at most"),
        ("wake", json!({"text": "t", "mode": "soon"}), "unknown variant"),
        ("wake", json!([]), "invalid"),
    ] {
        let (status, reply) = post(&harness, name, "", &body).await;
        let why = reply["error"].as_str().unwrap().to_owned();
        assert!(status == 400 && why.contains(wanted), "{status} {why}");
    }
    harness.configure(&json!({"hooks": {"enabled": false}})).await;
    assert_eq!(post(&harness, "wake", "", &json!({"text": "t"})).await.0, 404);
}

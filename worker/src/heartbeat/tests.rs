//! Heartbeats and wakes through the worker's own interface.

mod waiting;

use serde_json::{Value, json};

use crate::testing::{Harness, NOW, batch, finished, started, text};

fn every(every: &str) -> Value {
    json!({"agents": {"defaults": {"heartbeat": {"every": every}}}})
}

async fn with_heartbeats() -> Harness {
    let harness = Harness::new().await;
    harness.configure(&every("1m")).await;
    while harness.alarms.last() != Some(NOW + 60_000) {
        harness.call("health", &json!({})).await.unwrap();
    }
    harness
}

async fn answers(harness: &mut Harness, answer: &str) -> String {
    let call = harness.calls.recv().await.unwrap();
    let asked = format!("{:?}", call.request.messages);
    let reply = call.open();
    reply.send(Ok(batch(vec![started(), text(answer), finished("stop")]))).await.unwrap();
    asked
}

#[tokio::test]
async fn a_heartbeat_takes_place_and_an_acknowledgement_is_dropped() {
    let mut harness = with_heartbeats().await;
    let mut events = harness.events().await;
    assert_eq!(harness.call("last-heartbeat", &json!({})).await.unwrap(), Value::Null);
    for (answer, status) in [("HEARTBEAT_OK", "ok-token"), ("the oven is on", "sent")] {
        harness.wake(60_000).await;
        let asked = answers(&mut harness, answer).await;
        assert!(asked.contains("This is a heartbeat"), "{asked}");
        let beat = events.next("heartbeat", |_| true).await;
        assert_eq!(beat["status"], status, "{beat}");
    }
    let mut last = Value::Null;
    while last["status"] != "sent" {
        last = harness.call("last-heartbeat", &json!({})).await.unwrap();
    }
    assert_eq!(last["preview"], "the oven is on");
    assert_eq!(harness.alarms.last(), Some(NOW + 180_000));
}

#[tokio::test]
async fn heartbeats_are_switched_off_for_good() {
    let harness = with_heartbeats().await;
    let set = harness.call("set-heartbeats", &json!({"enabled": false})).await.unwrap();
    assert_eq!(set, json!({"ok": true, "enabled": false}));
    assert_eq!(harness.alarms.last(), Some(0));
    let mut again = Harness::on(harness.root.clone()).await;
    again.configure(&every("1m")).await;
    again.wake(600_000).await;
    assert!(again.calls.try_recv().is_err());
    again.call("set-heartbeats", &json!({"enabled": true})).await.unwrap();
    assert_eq!(again.alarms.last(), Some(NOW + 660_000));
}

#[tokio::test]
async fn a_file_that_asks_for_nothing_costs_nothing() {
    let mut harness = with_heartbeats().await;
    let mut events = harness.events().await;
    let workspace = harness.root.join(crate::agents::workspace_path(&types::AgentId::main()));
    std::fs::create_dir_all(&workspace).unwrap();
    std::fs::write(workspace.join("HEARTBEAT.md"), "# Heartbeat\n\n- [ ]\n").unwrap();
    harness.wake(60_000).await;
    let beat = events.next("heartbeat", |_| true).await;
    assert_eq!(
        (&beat["status"], &beat["reason"]),
        (&json!("skipped"), &json!("empty-heartbeat-file"))
    );
    assert!(harness.calls.try_recv().is_err());
    // What waits is told all the same.
    let later = json!({"mode": "next-heartbeat", "text": "it rains"});
    assert_eq!(harness.call("wake", &later).await.unwrap(), json!({"ok": true}));
    harness.wake(60_000).await;
    assert!(answers(&mut harness, "HEARTBEAT_OK").await.contains("it rains"));
    assert_eq!(events.next("heartbeat", |_| true).await["status"], "ok-token");
    harness.wake(60_000).await;
    assert_eq!(events.next("heartbeat", |_| true).await["status"], "skipped");
}

#[tokio::test]
async fn quiet_hours_are_quiet() {
    let harness = Harness::new().await;
    let hours = json!({"start": "00:00", "end": "01:00", "timezone": "UTC"});
    let settings = json!({"every": "1m", "activeHours": hours});
    harness.configure(&json!({"agents": {"defaults": {"heartbeat": settings}}})).await;
    let mut events = harness.events().await;
    harness.call("set-heartbeats", &json!({"enabled": true})).await.unwrap();
    harness.wake(60_000).await;
    let beat = events.next("heartbeat", |_| true).await;
    assert_eq!(beat["reason"], "quiet-hours");
}

#[tokio::test]
async fn a_wake_tells_the_main_session_at_once() {
    let mut harness = Harness::new().await;
    let now = json!({"mode": "now", "text": "the door bell", "extra": 1});
    assert_eq!(harness.call("wake", &now).await.unwrap(), json!({"ok": true}));
    assert!(answers(&mut harness, "coming").await.contains("the door bell"));
    for (params, wanted) in [
        (json!({"mode": "now", "text": " "}), "text must have"),
        (json!({"mode": "later", "text": "x"}), "invalid wake params"),
        (json!({"mode": "now", "text": "x", "agentId": "none"}), "no agent none"),
    ] {
        let told = harness.call("wake", &params).await.unwrap_err();
        assert!(told.contains(wanted), "{told}");
    }
}

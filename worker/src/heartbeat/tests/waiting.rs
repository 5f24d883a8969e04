//! What sessions are told between turns, and how little of heartbeats is seen of a conversation.

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::testing::{Happenings, Harness, batch, finished, started, text};

fn body(prompt: &str) -> Value {
    json!({"model": "openclaw", "messages": [{"role": "user", "content": prompt}]})
}

/// What the model is asked when the user says `prompt`, but for the system prompt.
async fn asks(harness: &mut Harness, key: &str, prompt: &str) -> Vec<String> {
    let answer = vec![vec![started(), text("yes"), finished("stop")]];
    let (_, request) = harness.ask(key, &body(prompt), answer).await;
    let texts = request.messages.iter().skip(1);
    texts.map(|message| format!("{:?}", message.parts)).collect()
}

fn times(asked: &[String], text: &str) -> usize {
    asked.iter().filter(|one| one.contains(text)).count()
}

async fn later(harness: &Harness, session: &str, text: &str) {
    let wake = json!({"mode": "next-heartbeat", "text": text, "sessionKey": session});
    assert_eq!(harness.call("wake", &wake).await.unwrap(), json!({"ok": true}));
}

fn file(harness: &Harness) -> PathBuf {
    harness.root.join("cron/heartbeat.json")
}

fn stored(harness: &Harness) -> Value {
    serde_json::from_slice(&std::fs::read(file(harness)).unwrap()).unwrap()
}

fn entry(harness: &Harness, key: &str) -> Value {
    let path = harness.root.join("agents/main/sessions/sessions.json");
    let all: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    all[key].clone()
}

#[tokio::test]
async fn a_sessions_next_turn_tells_what_waits_for_it_once() {
    let mut harness = Harness::new().await;
    later(&harness, "main", "it rains").await;
    later(&harness, "other", "it snows").await;
    let asked = asks(&mut harness, "other", "hello").await;
    assert!(asked[0].contains("has not written") && asked[0].contains("it snows"), "{asked:?}");
    assert!(asked[1].contains("hello") && asked.len() == 2, "{asked:?}");
    let asked = asks(&mut harness, "other", "again").await;
    assert_eq!((times(&asked, "it snows"), times(&asked, "it rains")), (1, 0), "{asked:?}");
    let asked = asks(&mut harness, "main", "hello").await;
    assert_eq!((times(&asked, "it snows"), times(&asked, "it rains")), (0, 1), "{asked:?}");
    assert_eq!(stored(&harness).get("events"), None);
    let history = harness.call("chat.history", &json!({"sessionKey": "other"})).await.unwrap();
    assert_eq!(history["messages"].as_array().unwrap().len(), 4, "{history}");
    assert_eq!(history["messages"][0]["content"][0]["text"], "hello");
    assert_eq!(entry(&harness, "agent:main:other")["derivedTitle"], "hello");
}

#[tokio::test]
async fn what_waits_outlives_the_process_and_is_not_told_again_after_a_crash() {
    let first = Harness::new().await;
    later(&first, "main", "it rains").await;
    let before = std::fs::read(file(&first)).unwrap();
    let mut harness = Harness::on(first.root.clone()).await;
    assert_eq!(times(&asks(&mut harness, "main", "one").await, "it rains"), 1);
    // The process ended before it had forgotten what it had told.
    std::fs::write(file(&harness), before).unwrap();
    let mut harness = Harness::on(first.root.clone()).await;
    assert_eq!(times(&asks(&mut harness, "main", "two").await, "it rains"), 1);
    assert_eq!(stored(&harness).get("events"), None);
    // A file of a version whose events had no ids.
    let event = json!({"ts": 1, "sessionKey": "agent:main:main", "text": "the old bell"});
    std::fs::write(file(&harness), json!({"events": [event]}).to_string()).unwrap();
    let now = json!({"mode": "now", "text": "the new bell"});
    harness.call("wake", &now).await.unwrap();
    let asked = format!("{:?}", harness.calls.recv().await.unwrap().request.messages);
    assert!(asked.contains("the old bell") && asked.contains("the new bell"), "{asked}");
}

#[tokio::test]
async fn what_a_turn_could_not_tell_goes_on_waiting() {
    let first = Harness::new().await;
    later(&first, "main", "it rains").await;
    let refused = first.refused("main", &body(&"\u{1}".repeat(200_000))).await;
    assert_eq!(refused.head.status, 422);
    // The model may have been asked already, so another one is asked from here on.
    let mut harness = Harness::on(first.root.clone()).await;
    assert_eq!(times(&asks(&mut harness, "main", "hello").await, "it rains"), 1);
    // One turn tells so much; the rest comes with the next.
    for letter in ["a", "b"] {
        later(&harness, "main", &letter.repeat(crate::cron::MAX_TEXT)).await;
    }
    let (a, b) = ("a".repeat(100), "b".repeat(100));
    let asked = asks(&mut harness, "main", "so").await;
    assert_eq!((times(&asked, &a), times(&asked, &b)), (1, 0));
    let asked = asks(&mut harness, "main", "so").await;
    assert_eq!((times(&asked, &a), times(&asked, &b)), (1, 1));
}

#[tokio::test]
async fn wakes_that_come_together_are_told_once_each() {
    let mut harness = Harness::new().await;
    let (reply, batches) = harness.open("main", &body("wait")).await;
    let mut events = harness.events().await;
    for door in ["front door", "back door"] {
        let wake = json!({"mode": "now", "text": door});
        assert_eq!(harness.call("wake", &wake).await.unwrap(), json!({"ok": true}));
    }
    // Nobody has written them, so they do not show as what waits.
    let history = harness.call("chat.history", &json!({"sessionKey": "main"})).await.unwrap();
    assert_eq!(history["pendingInputs"]["total"], 0);
    batches.send(Ok(batch(vec![started(), text("1"), finished("stop")]))).await.unwrap();
    drop(batches);
    crate::testing::read(reply).await;
    let call = harness.calls.recv().await.unwrap();
    let asked = format!("{:?}", call.request.messages);
    assert!(asked.contains("front door") && asked.contains("back door"), "{asked}");
    call.open().send(Ok(batch(vec![started(), text("2"), finished("stop")]))).await.unwrap();
    for _ in 0..2 {
        events.next("sessions.changed", |it| it["reason"] == "agent.input.settled").await;
    }
    // The second found nothing left to tell and asked no model.
    assert!(harness.calls.try_recv().is_err());
}

/// A worker with a heartbeat each half hour, whose sessions end after an hour without the user.
async fn idle_after_an_hour() -> (Harness, Happenings) {
    let harness = Harness::new().await;
    let events = harness.events().await;
    let reset = json!({"reset": {"mode": "idle", "idleMinutes": 60}});
    let beats = json!({"defaults": {"heartbeat": {"every": "30m"}}});
    harness.configure(&json!({"session": reset, "agents": beats})).await;
    while harness.alarms.last().is_none() {
        harness.call("health", &json!({})).await.unwrap();
    }
    (harness, events)
}

async fn beat((harness, events): &mut (Harness, Happenings), answer: &str) {
    harness.wake(1_800_000).await;
    let call = harness.calls.recv().await.unwrap();
    call.open().send(Ok(batch(vec![started(), text(answer), finished("stop")]))).await.unwrap();
    events.next("heartbeat", |_| true).await;
}

async fn shown(harness: &Harness) -> Vec<String> {
    let history = harness.call("chat.history", &json!({"sessionKey": "main"})).await.unwrap();
    let messages = history["messages"].as_array().unwrap().iter();
    messages.map(|one| one["content"][0]["text"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn heartbeats_are_no_part_of_the_conversation() {
    let mut both = idle_after_an_hour().await;
    beat(&mut both, "All is well. HEARTBEAT_OK").await;
    assert!(shown(&both.0).await.is_empty());
    let row = entry(&both.0, "agent:main:main");
    assert_eq!((&row["derivedTitle"], row.get("lastMessagePreview")), (&json!(""), None));
    assert_eq!(row.get("lastInteractionAt"), None);
    asks(&mut both.0, "main", "hello").await;
    let row = entry(&both.0, "agent:main:main");
    assert_eq!(
        (&row["derivedTitle"], &row["lastMessagePreview"]),
        (&json!("hello"), &json!("yes"))
    );
    beat(&mut both, "the oven is on").await;
    beat(&mut both, "HEARTBEAT_OK").await;
    let after = entry(&both.0, "agent:main:main");
    for name in ["derivedTitle", "lastMessagePreview", "lastInteractionAt"] {
        assert_eq!(after[name], row[name], "{name}");
    }
    // An alert is put before the user; here it is said twice, as an answer and as a delivery.
    let shown = shown(&both.0).await;
    assert_eq!(shown[..2], ["hello", "yes"]);
    assert!(shown[2..].iter().all(|one| one.contains("the oven is on")), "{shown:?}");
    // Those who follow the session live see as little, of wakes too.
    let (harness, events) = &mut both;
    let wake = json!({"mode": "now", "text": "the door bell"});
    harness.call("wake", &wake).await.unwrap();
    let call = harness.calls.recv().await.unwrap();
    call.open()
        .send(Ok(batch(vec![started(), text("HEARTBEAT_OK"), finished("stop")])))
        .await
        .unwrap();
    asks(harness, "main", "how are you").await;
    let next = events.next("session.message", |_| true).await;
    assert_eq!(next["message"]["content"][0]["text"], "how are you");
}

#[tokio::test]
async fn heartbeats_neither_keep_a_session_nor_begin_one_anew() {
    let mut both = idle_after_an_hour().await;
    asks(&mut both.0, "main", "hello").await;
    let session = entry(&both.0, "agent:main:main")["sessionId"].clone();
    for _ in 0..3 {
        beat(&mut both, "HEARTBEAT_OK").await;
    }
    assert_eq!(entry(&both.0, "agent:main:main")["sessionId"], session);
    assert_eq!(asks(&mut both.0, "main", "good morning").await.len(), 1);
    assert_ne!(entry(&both.0, "agent:main:main")["sessionId"], session);
    assert_eq!(asks(&mut both.0, "main", "and again").await.len(), 3);
}

#[tokio::test]
async fn the_hour_of_a_session_that_nobody_wrote_in_counts_from_its_beginning() {
    let mut both = idle_after_an_hour().await;
    let session =
        |both: &(Harness, Happenings)| entry(&both.0, "agent:main:main")["sessionId"].clone();
    for _ in 0..3 {
        beat(&mut both, "HEARTBEAT_OK").await;
    }
    let begun_by_heartbeats = session(&both);
    asks(&mut both.0, "main", "hello").await;
    assert_ne!(session(&both), begun_by_heartbeats);
    both.0.clock.advance(5_400_000);
    both.0.call("sessions.reset", &json!({"key": "main"})).await.unwrap();
    let begun_by_hand = session(&both);
    asks(&mut both.0, "main", "good morning").await;
    assert_eq!(session(&both), begun_by_hand);
}

#[tokio::test]
async fn an_event_of_a_job_waits_for_the_next_turn_where_the_job_says_so() {
    let (mut harness, mut events) = idle_after_an_hour().await;
    harness.call("agents.create", &json!({"name": "helper", "workspace": "x"})).await.unwrap();
    let job = json!({
        "name": "tea", "agentId": "helper", "sessionTarget": "main", "wakeMode": "next-heartbeat",
        "schedule": {"kind": "at", "at": "2026-11-22T12:00:01Z"},
        "payload": {"kind": "systemEvent", "text": "tea is ready"},
    });
    harness.call("cron.add", &job).await.unwrap();
    harness.wake(1000).await;
    let end = events.next("cron", |event| event["action"] == "finished").await;
    assert_eq!(end["status"], "ok");
    let mut asked = body("hello");
    asked["model"] = json!("openclaw/helper");
    let answer = vec![vec![started(), text("yes"), finished("stop")]];
    let (_, request) = harness.ask("main", &asked, answer).await;
    assert!(format!("{:?}", request.messages).contains("tea is ready"));
}

#[tokio::test]
async fn a_job_is_no_person_but_what_its_own_session_is_about() {
    let (mut harness, mut events) = idle_after_an_hour().await;
    let mut check = async |target: &str, key: &str, title: &str| {
        let job = json!({
            "name": "news", "sessionTarget": target, "wakeMode": "now",
            "schedule": {"kind": "every", "everyMs": 86_400_000},
            "payload": {"kind": "agentTurn", "message": "the news"},
        });
        let job = harness.call("cron.add", &job).await.unwrap();
        harness.call("cron.run", &json!({"id": job["id"]})).await.unwrap();
        let call = harness.calls.recv().await.unwrap();
        call.open().send(Ok(batch(vec![started(), text("none"), finished("stop")]))).await.unwrap();
        let end = events.next("cron", |event| event["action"] == "finished").await;
        let session = end["sessionKey"].as_str().unwrap();
        assert!(session.starts_with(key), "{end}");
        let row = entry(&harness, session);
        assert_eq!(row["derivedTitle"], title, "{row}");
        assert_eq!(row.get("lastInteractionAt").is_none(), title.is_empty(), "{row}");
        let history = harness.call("chat.history", &json!({"sessionKey": session})).await.unwrap();
        assert_eq!(history["messages"][0]["content"][0]["text"], "the news");
    };
    check("session:agent:main:desk", "agent:main:desk", "").await;
    check("isolated", "agent:main:cron:", "the news").await;
}

#[tokio::test]
async fn a_turn_that_is_told_something_has_the_tools_of_who_said_it() {
    let mut harness = Harness::new().await;
    let key = crate::agent::SessionKey::parse("main").unwrap();
    let some = crate::tools::Allowed::of(["read", "write"]);
    crate::heartbeat::queue(&harness.core, &key, "it rains", Some(&some)).await.unwrap();
    let tools = |asked: &proto::host::LlmRequest| {
        let tools = asked.params.as_ref().unwrap().tools.clone();
        String::from_utf8_lossy(&tools).matches("\"function\":").count()
    };
    for (said, count) in [("one", 2), ("two", crate::tools::rows().count())] {
        let sent = harness.send("main", &body(said));
        let model = async {
            let call = harness.calls.recv().await.unwrap();
            let asked = call.request.clone();
            call.open()
                .send(Ok(batch(vec![started(), text("1"), finished("stop")])))
                .await
                .unwrap();
            asked
        };
        let (_, asked) = tokio::join!(async { crate::testing::read(sent.await).await }, model);
        assert_eq!(tools(&asked), count, "{said}");
        assert!(format!("{:?}", asked.messages).contains("it rains"));
    }
}

//! Messages that come while a run of their session goes on.

use super::*;

#[tokio::test]
async fn messages_wait_and_are_collected_or_interrupt() {
    let settings = json!({"messages": {"queue": {"mode": "collect", "debounceMs": 1}}});
    let mut watched = Watched::new(settings).await;
    watched.send("r1", "one").await;
    let (batches, _) = watched.model().await;
    watched.send("r2", "two").await;
    watched.send("r3", "three").await;
    batches.send(Ok(batch(vec![started(), text("1"), finished("stop")]))).await.unwrap();
    drop(batches);
    let request = watched.answer("2 and 3").await;
    assert_eq!(said(&request).last().unwrap().1, "two\n\nthree");
    assert_eq!(watched.ended("r2").await["state"], "final");
    assert_eq!(watched.ended("r3").await["state"], "final");

    watched.send("r4", "four").await;
    let (batches, _) = watched.model().await;
    let params = json!({"sessionKey": "main", "message": "five", "idempotencyKey": "r5",
        "queueMode": "interrupt"});
    watched.harness.call("chat.send", &params).await.unwrap();
    batches.closed().await;
    let request = watched.answer("5").await;
    assert_eq!(said(&request).last().unwrap().1, "five");
    assert_eq!(watched.ended("r5").await["message"]["content"][0]["text"], "5");
}

#[tokio::test]
async fn a_queue_is_bounded() {
    let check = async |policy: &str, survivor: &str, wanted: &str| {
        let settings = json!({"messages": {"queue": {"cap": 1, "drop": policy}}});
        let mut watched = Watched::new(settings).await;
        watched.send("r1", "one").await;
        let (batches, _) = watched.model().await;
        watched.send("r2", "two").await;
        let params = json!({"sessionKey": "main", "message": "three", "idempotencyKey": "r3"});
        let third = watched.harness.call("chat.send", &params).await;
        assert_eq!(third.is_err(), policy == "new", "{third:?}");
        batches.send(Ok(batch(vec![started(), text("1"), finished("stop")]))).await.unwrap();
        drop(batches);
        let request = watched.answer("ok").await;
        let last = said(&request).pop().unwrap().1;
        assert!(last.contains(wanted), "{policy}: {last}");
        watched.ended(survivor).await;
    };
    check("new", "r2", "two").await;
    check("old", "r3", "three").await;
    check("summarize", "r3", "- two\n").await;
}

#[tokio::test]
async fn the_mode_of_a_session_holds_whoever_starts_a_run() {
    let mut watched = Watched::new(json!({"messages": {"queue": {"mode": "followup"}}})).await;
    let mut set = async |run: &str, message: &str| {
        watched.send(run, message).await;
        watched.ended(run).await["message"]["content"][0]["text"].as_str().unwrap().to_owned()
    };
    assert!(set("c1", "/queue steer").await.contains("same as followup"));
    assert!(!set("c2", "/queue interrupt").await.contains("followup"));
    let described = json!({"key": "main"});
    let row = watched.harness.call("sessions.describe", &described).await.unwrap();
    assert_eq!(row["session"]["effectiveQueueMode"], "interrupt");
    watched.send("r1", "one").await;
    let (first, _) = watched.model().await;
    let params = json!({"message": "two", "idempotencyKey": "r2"});
    let _replies = watched.harness.replies("agent", &params).await;
    let patience = Duration::from_secs(20);
    tokio::time::timeout(patience, first.closed()).await.expect("`agent` interrupts");
    let (second, _) = watched.model().await;
    let job = json!({"name": "n", "schedule": {"kind": "every", "everyMs": 600_000},
        "sessionTarget": "session:agent:main:main", "wakeMode": "now",
        "payload": {"kind": "agentTurn", "message": "three"}});
    let job = watched.harness.call("cron.add", &job).await.unwrap();
    watched.harness.call("cron.run", &json!({"id": job["id"]})).await.unwrap();
    tokio::time::timeout(patience, second.closed()).await.expect("a job interrupts");
    assert!(said(&watched.answer("3").await).last().unwrap().1.contains("three"));
}

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

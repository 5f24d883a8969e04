//! Histories, and what of a message is refused.

use serde_json::{Value, json};

use crate::testing::{Harness, finished, left, started, text};

async fn with(prompts: &[&str]) -> Harness {
    let mut harness = Harness::new().await;
    for prompt in prompts {
        let body = json!({"model": "openclaw", "messages": [{"role": "user", "content": prompt}]});
        harness.ask("main", &body, vec![vec![started(), text("yes"), finished("stop")]]).await;
    }
    harness
}

async fn history(harness: &Harness, more: &Value) -> Value {
    let mut params = json!({"sessionKey": "main"});
    params.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    harness.call("chat.history", &params).await.unwrap()
}

fn texts(history: &Value) -> Vec<&str> {
    let messages = history["messages"].as_array().unwrap().iter();
    messages.map(|one| one["content"][0]["text"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_history_is_read_in_pages_and_since_a_cursor() {
    let mut harness = with(&["one", "two"]).await;
    let page = history(&harness, &json!({"limit": 2})).await;
    assert_eq!(texts(&page), ["two", "yes"]);
    assert_eq!(
        (&page["hasMore"], &page["nextOffset"], &page["totalMessages"]),
        (&json!(true), &json!(2), &json!(4))
    );
    assert_eq!(page["messages"][1]["__openclaw"]["seq"], 4);
    let older = history(&harness, &json!({"limit": 2, "offset": 2})).await;
    assert_eq!((texts(&older), &older["hasMore"]), (vec!["one", "yes"], &json!(false)));
    let upto = page["messages"][0]["__openclaw"]["id"].clone();
    let upto = history(&harness, &json!({"messageId": upto})).await;
    assert_eq!(texts(&upto), ["one", "yes", "two"]);

    let cursor = page["deltaCursor"].clone();
    let since = history(&harness, &json!({"cursor": cursor})).await;
    assert_eq!((&since["kind"], &since["messages"]), (&json!("delta"), &json!([])));
    assert_eq!(since["deltaCursor"], cursor);
    let body = json!({"model": "openclaw", "messages": [{"role": "user", "content": "three"}]});
    harness.ask("main", &body, vec![vec![started(), text("so"), finished("stop")]]).await;
    let since = history(&harness, &json!({"cursor": cursor})).await;
    assert_eq!(texts(&since), ["three", "so"]);
    for gone in ["x", "a:1:b", "a:1", ""] {
        let reset = history(&harness, &json!({"cursor": gone})).await;
        assert_eq!(reset, json!({"kind": "reset"}), "{gone}");
    }
    let startup = json!({"sessionKey": "agent:main:main", "limit": 80, "maxBytes": 262_144});
    let startup = harness.call("chat.startup", &startup).await.unwrap();
    assert_eq!(texts(&startup).len(), 6);
}

#[tokio::test]
async fn long_messages_are_cut_and_larger_ones_left_out() {
    let long = "ü".repeat(20_000);
    let larger = "x".repeat(140_000);
    let harness = with(&[&long, &larger]).await;
    let page = history(&harness, &json!({})).await;
    let shown = texts(&page);
    assert!(shown[0].starts_with(&"ü".repeat(12_000)) && shown[0].ends_with("...(truncated)..."));
    assert_eq!(shown[2], "[chat.history omitted: message too large]");
    let id = page["messages"][2]["__openclaw"]["id"].clone();
    let params = json!({"sessionKey": "main", "messageId": id});
    let whole = harness.call("chat.message.get", &params).await.unwrap();
    assert_eq!(whole["message"]["content"][0]["text"], larger);
    let params = json!({"sessionKey": "main", "messageId": "none"});
    let none = harness.call("chat.message.get", &params).await.unwrap();
    assert_eq!(none, json!({"ok": false, "unavailableReason": "not_found"}));
    let small = history(&harness, &json!({"maxBytes": 1024})).await;
    assert_eq!((texts(&small).len(), &small["hasMore"]), (3, &json!(true)));
}

#[tokio::test]
async fn what_is_injected_is_stored_and_said_to_the_model() {
    let mut harness = with(&["one"]).await;
    let params = json!({"sessionKey": "main", "message": "note", "label": "job"});
    let injected = harness.call("chat.inject", &params).await.unwrap();
    let page = history(&harness, &json!({"limit": 1})).await;
    assert_eq!(page["messages"][0]["__openclaw"]["id"], injected["messageId"]);
    assert_eq!(page["messages"][0]["model"], "gateway-injected");
    let body = json!({"model": "openclaw", "messages": [{"role": "user", "content": "two"}]});
    let batches = vec![vec![started(), text("so"), finished("stop")]];
    let (_, request) = harness.ask("main", &body, batches).await;
    assert_eq!(request.messages.len(), 5);
}

#[tokio::test]
async fn what_cannot_be_sent_is_said() {
    let harness = with(&["one"]).await;
    let check = async |more: Value, wanted: &str| {
        let mut params = json!({"sessionKey": "main", "message": "m", "idempotencyKey": "k"});
        params.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let told = harness.call("chat.send", &params).await.unwrap_err();
        assert!(told.starts_with("INVALID_REQUEST") && told.contains(wanted), "{told}");
    };
    check(json!({"message": " "}), "message must not be empty").await;
    check(json!({"message": "x".repeat(1 << 20)}), "message must have at most").await;
    check(json!({"idempotencyKey": ""}), "idempotencyKey must have").await;
    check(json!({"sessionKey": "agent:none:main"}), "unknown agent id").await;
    check(json!({"sessionId": "other"}), "begun anew").await;
    check(json!({"expectedLeafEntryId": null}), "has gone on").await;
    check(json!({"expectedLeafEntryId": "x"}), "has gone on").await;
    check(json!({"thinking": "much"}), "thinking must be").await;
    check(
        json!({"attachments": [{"mimeType": "text/plain", "content": "eA=="}]}),
        "attachments[0]",
    )
    .await;
    check(json!({"attachments": [{"mimeType": "image/png", "content": "\""}]}), "base64").await;
    check(json!({"nope": 1}), "unknown field").await;
}

#[tokio::test]
async fn metadata_and_identity_are_for_clients_to_show() {
    let harness = Harness::new().await;
    let metadata = harness.call("chat.metadata", &json!({"agentId": "main"})).await.unwrap();
    assert_eq!(metadata["models"].as_array().unwrap().len(), 2);
    assert!(metadata["commands"].as_array().unwrap().iter().any(|it| it["name"] == "status"));
    let params = json!({"sessionKey": "agent:main:main"});
    let identity = harness.call("agent.identity.get", &params).await.unwrap();
    assert_eq!(
        (&identity["agentId"], &identity["nameSource"]),
        (&json!("main"), &json!("default"))
    );
    let unknown = harness.call("agent.identity.get", &json!({"agentId": "none"})).await;
    assert!(unknown.unwrap_err().contains("unknown agent id"));
}

#[tokio::test]
async fn an_event_that_was_taken_and_whose_transcript_was_not_begun_comes_again() {
    let mut harness = Harness::new().await;
    let key = "agent:main:new";
    harness.call("sessions.patch", &json!({"key": key, "model": "mock/demo"})).await.unwrap();
    let sessions = harness.root.join("agents/main/sessions");
    let entries = std::fs::read_to_string(sessions.join("sessions.json")).unwrap();
    let entries: Value = serde_json::from_str(&entries).unwrap();
    let session = entries[key]["sessionId"].as_str().unwrap();
    // All that a process leaves that was killed as it began a turn.
    let taken = |event: &str| {
        json!({"event": event, "run": event, "key": key, "session": session, "stage": "adopted",
            "at": 1})
    };
    std::fs::create_dir(harness.root.join("deliveries")).unwrap();
    let lines = format!("{}\n{}\n", taken("one"), taken("two"));
    std::fs::write(harness.root.join("deliveries/events.jsonl"), lines).unwrap();
    let message =
        |event: &str| json!({"sessionKey": key, "message": "hello", "idempotencyKey": event});
    let sent = harness.deliver("one", "chat.send", &message("one")).await.unwrap();
    assert_eq!(sent["status"], "started", "{sent}");
    drop(harness.calls.recv().await.unwrap());

    // One whose session was begun anew since is over.
    let aside = sessions.join(format!("{session}.jsonl.reset.2026-11-22T12-00-00.000Z"));
    std::fs::write(aside, "").unwrap();
    harness.call("sessions.reset", &json!({"key": key})).await.unwrap();
    let sent = harness.deliver("two", "chat.send", &message("two")).await.unwrap();
    assert_eq!((&sent["status"], &sent["summary"]), (&json!("ok"), &json!("completed")), "{sent}");
}

#[tokio::test]
async fn an_event_is_found_where_it_is_though_its_record_names_a_transcript_that_was_never_begun() {
    let directory = tempfile::tempdir().unwrap();
    let mut killed = Harness::on(directory.path().to_owned()).await;
    let key = "agent:main:new";
    let message = json!({"sessionKey": key, "message": "hello", "idempotencyKey": "one"});
    killed.call("chat.send", &message).await.unwrap();
    let _call = killed.calls.recv().await.unwrap();
    let asked = json!({"sessionKey": key});
    let prompts = async |harness: &Harness| {
        let history = harness.call("chat.history", &asked).await.unwrap();
        let messages = history["messages"].as_array().unwrap().iter();
        messages.filter(|one| one["role"] == "user").count()
    };
    while prompts(&killed).await == 0 {
        tokio::task::yield_now().await;
    }
    let left = left(directory.path());
    // The record of an earlier process, which was killed before the session was in the list of sessions.
    let taken = json!({"event": "one", "run": "one", "key": key, "session": "gone", "stage": "adopted",
        "at": 1});
    std::fs::create_dir_all(left.path().join("deliveries")).unwrap();
    std::fs::write(left.path().join("deliveries/events.jsonl"), format!("{taken}\n")).unwrap();
    let mut harness = Harness::on(left.path().to_owned()).await;
    let sent = harness.deliver("one", "chat.send", &message).await.unwrap();
    assert_eq!(sent["status"], "started", "{sent}");
    drop(harness.calls.recv().await.unwrap());
    assert_eq!(prompts(&harness).await, 1);
}

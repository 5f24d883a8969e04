//! `sessions.*` as the supervisor calls them.

use proto::worker::worker_event::What;
use proto::worker::{Configuration, EventsRequest};
use serde_json::{Value, json};
use tokio_stream::StreamExt as _;

use crate::testing::{Harness, finished, started, text};

async fn said(harness: &mut Harness, key: &str, prompt: &str, answer: &str) {
    let body = json!({"model": "openclaw", "messages": [{"role": "user", "content": prompt}]});
    harness.ask(key, &body, vec![vec![started(), text(answer), finished("stop")]]).await;
}

/// Sessions as another version has left them: without titles, with transcripts.
fn plant(harness: &Harness, agent: &str, entries: &Value) {
    let folder = harness.root.join(format!("agents/{agent}/sessions"));
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("sessions.json"), entries.to_string()).unwrap();
    for entry in entries.as_object().unwrap().values() {
        let id = entry["sessionId"].as_str().unwrap();
        let line = |role: &str, text: String| {
            json!({"type": "message", "id": "00000001", "parentId": null, "timestamp": "",
                "message": {"role": role, "content": text}})
        };
        let lines = [
            json!({"type": "session", "version": 3, "id": id}),
            line("user", format!("first of {id}")),
            line("assistant", format!("last of {id}")),
        ];
        let mut lines = lines.map(|line| line.to_string()).join("\n");
        lines.push('\n');
        std::fs::write(folder.join(format!("{id}.jsonl")), lines).unwrap();
    }
}

fn keys(list: &Value) -> Vec<&str> {
    let rows = list["sessions"].as_array().unwrap().iter();
    rows.map(|row| row["key"].as_str().unwrap()).collect()
}

async fn list(harness: &Harness, params: Value) -> Value {
    harness.call("sessions.list", &params).await.unwrap()
}

async fn fails(harness: &Harness, method: &str, params: Value, wanted: &str) {
    let told = harness.call(method, &params).await.unwrap_err();
    assert!(told.contains(wanted), "{method} {params}: {told}");
}

#[tokio::test]
async fn rows_say_what_was_said_without_a_look_at_the_transcript() {
    let mut harness = Harness::new().await;
    said(&mut harness, "main", "Hello\n  there, what is on today?", "Nothing.").await;
    said(&mut harness, "main", "And tomorrow?", "A walk.").await;
    for entry in std::fs::read_dir(harness.root.join("agents/main/sessions")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension() == Some("jsonl".as_ref()) {
            std::fs::remove_file(path).unwrap();
        }
    }
    let params = json!({"includeDerivedTitles": true, "includeLastMessage": true});
    let found = list(&harness, params).await;
    let row = &found["sessions"][0];
    assert_eq!(row["derivedTitle"], "Hello there, what is on today?");
    assert_eq!(row["lastMessagePreview"], "A walk.");
    assert_eq!((&row["kind"], &row["classification"]), (&json!("direct"), &json!("main")));
    assert_eq!((&row["isMain"], &row["agentId"]), (&json!(true), &json!("main")));
    assert_eq!((&row["hasActiveRun"], &row["activeRunIds"]), (&json!(false), &json!([])));
    assert_eq!((&row["modelProvider"], &row["model"]), (&json!("mock"), &json!("demo")));
    assert_eq!((&row["totalTokens"], &row["lastTurnTokens"]), (&json!(20), &json!(10)));
    assert_eq!(found["path"], "agents/main/sessions/sessions.json");
    assert_eq!(found["defaults"]["model"], "demo");
    let found = list(&harness, json!({})).await;
    assert!(found["sessions"][0].get("derivedTitle").is_none());
}

#[tokio::test]
async fn pages_filters_and_search() {
    let harness = Harness::new().await;
    let entries: serde_json::Map<String, Value> = (0..7)
        .map(|at| {
            let entry = json!({"sessionId": format!("id-{at}"), "updatedAt": 1000 + at,
                "archived": at == 6, "spawnedBy": if at < 2 { "agent:main:main" } else { "" }});
            (format!("agent:main:s{at}"), entry)
        })
        .collect();
    plant(&harness, "main", &Value::Object(entries));
    let now = crate::testing::NOW;
    let other = json!({"agent:ops:main": {"sessionId": "o", "updatedAt": now, "label": "Ops"}});
    plant(&harness, "ops", &other);

    let page = list(&harness, json!({"limit": 2, "offset": 1})).await;
    assert_eq!(keys(&page), ["agent:main:s5", "agent:main:s4"]);
    let figures = json!({"count": 2, "totalCount": 7, "limitApplied": 2, "offset": 1,
        "nextOffset": 3, "hasMore": true});
    for (name, figure) in figures.as_object().unwrap() {
        assert_eq!(page[name], *figure, "{name}");
    }
    let check = async |params: Value, wanted: &[&str]| {
        assert_eq!(keys(&list(&harness, params.clone()).await), wanted, "{params}");
    };
    check(json!({"agentId": "ops"}), &["agent:ops:main"]).await;
    check(json!({"activeMinutes": 1}), &["agent:ops:main"]).await;
    check(json!({"label": "Ops"}), &["agent:ops:main"]).await;
    check(json!({"archived": true}), &["agent:main:s6"]).await;
    let spawned = json!({"spawnedBy": "agent:main:main"});
    check(spawned, &["agent:main:s1", "agent:main:s0"]).await;
    check(json!({"search": "FIRST of id-3"}), &["agent:main:s3"]).await;
    check(json!({"search": "last of id-2"}), &["agent:main:s2"]).await;
    check(json!({"search": "ops"}), &["agent:ops:main"]).await;
    check(json!({"requireLastInteraction": true}), &[]).await;
    check(json!({"boardFace": "dashboard"}), &[]).await;
    assert_eq!(keys(&list(&harness, json!({"archived": "all"})).await).len(), 8);
    let path = harness.root.join("agents/main/sessions/sessions.json");
    let entries: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let entry = &entries["agent:main:s3"];
    assert_eq!(entry["derivedTitle"], "first of id-3");
    assert_eq!(
        (&entry["lastMessagePreview"], &entry["updatedAt"]),
        (&json!("last of id-3"), &json!(1003))
    );
}

#[tokio::test]
async fn a_session_is_described_and_resolved() {
    let mut harness = Harness::new().await;
    said(&mut harness, "notes", "Buy milk", "Noted.").await;
    let params = json!({"key": "Notes", "agentId": "main", "includeDerivedTitles": true});
    let row = harness.call("sessions.describe", &params).await.unwrap()["session"].take();
    assert_eq!(
        (&row["key"], &row["derivedTitle"]),
        (&json!("agent:main:notes"), &json!("Buy milk"))
    );
    let none = harness.call("sessions.describe", &json!({"key": "none"})).await.unwrap();
    assert_eq!(none, json!({"session": null}));
    let params = json!({"key": "notes", "label": "Shopping"});
    harness.call("sessions.patch", &params).await.unwrap();
    let id = row["sessionId"].as_str().unwrap();
    let wanted = json!({"ok": true, "key": "agent:main:notes", "agentId": "main", "displayName": "Shopping"});
    for params in [
        json!({"key": "notes"}),
        json!({"sessionId": id}),
        json!({"label": "Shopping"}),
        json!({"shortId": id.get(..8).unwrap(), "slugHint": "x"}),
    ] {
        let resolved = harness.call("sessions.resolve", &params).await.unwrap();
        assert_eq!(resolved, wanted, "{params}");
    }
    let params = json!({"key": "none", "allowMissing": true});
    assert_eq!(harness.call("sessions.resolve", &params).await.unwrap(), json!({"ok": false}));
    fails(&harness, "sessions.resolve", json!({"label": "x"}), "no session found").await;
    fails(&harness, "sessions.resolve", json!({}), "give one of").await;
    fails(&harness, "sessions.resolve", json!({"shortId": "ab"}), "4 characters").await;
    let got = harness.call("sessions.get", &json!({"key": "notes"})).await.unwrap();
    assert_eq!(got["messages"][1]["content"][0]["text"], "Noted.");
}

#[tokio::test]
async fn a_patch_is_stored_shown_told_and_taken_back() {
    let mut harness = Harness::new().await;
    said(&mut harness, "main", "hi", "ho").await;
    let mut events = harness.client.clone().events(EventsRequest {}).await.unwrap().into_inner();
    let params = json!({"key": "main", "label": "L", "model": "mock/gpt-x", "thinkingLevel": "low",
        "pinned": true, "unread": true, "statusNote": "busy", "toolOverrides": {"webSearch": true}});
    let patched = harness.call("sessions.patch", &params).await.unwrap();
    assert_eq!(patched["resolved"], json!({"modelProvider": "mock", "model": "gpt-x"}));
    assert_eq!(patched["entry"]["label"], "L");
    assert_eq!(patched["path"], "agents/main/sessions/sessions.json");
    let row = &list(&harness, json!({})).await["sessions"][0];
    assert_eq!(
        (&row["pinned"], &row["unread"], &row["thinkingLevel"]),
        (&json!(true), &json!(true), &json!("low"))
    );
    let told = loop {
        if let Some(What::Event(event)) = events.next().await.unwrap().unwrap().what
            && event.name == "sessions.changed"
        {
            let told: Value = serde_json::from_slice(&event.payload).unwrap();
            if told["reason"] == "patch" {
                break told;
            }
        }
    };
    assert_eq!(
        (&told["sessionKey"], &told["session"]["label"]),
        (&json!("agent:main:main"), &json!("L"))
    );
    let params = json!({"key": "main", "label": null, "model": null, "thinkingLevel": null,
        "pinned": false, "unread": false});
    let patched = harness.call("sessions.patch", &params).await.unwrap();
    for name in ["label", "modelOverride", "providerOverride", "thinkingLevel", "pinned", "unread"]
    {
        assert!(patched["entry"].get(name).is_none(), "{name}");
    }
    assert!(patched["entry"]["lastReadAt"].is_u64());
}

#[tokio::test]
async fn patches_that_are_refused() {
    let mut harness = Harness::new().await;
    said(&mut harness, "main", "hi", "ho").await;
    harness.call("sessions.patch", &json!({"key": "a", "label": "taken"})).await.unwrap();
    let check = async |params: Value, wanted| {
        fails(&harness, "sessions.patch", params, wanted).await;
    };
    check(json!({"key": "main", "label": "taken"}), "label already in use").await;
    check(json!({"key": "main", "label": ""}), "label must have 1 to 512 bytes").await;
    check(json!({"key": "main", "model": "no/such"}), "model not allowed").await;
    check(json!({"key": "main", "thinkingLevel": "much"}), "thinkingLevel must be one of").await;
    check(json!({"key": "main", "sendPolicy": "maybe"}), "sendPolicy must be one of").await;
    check(json!({"key": "main", "expectedSessionId": "x"}), "another id").await;
    check(json!({"key": "agent:none:main", "label": "x"}), "unknown agent id").await;
    check(json!({"key": "agent:ops:main", "agentId": "main"}), "another agent").await;
    check(json!({"key": "main", "queueMode": "steer"}), "unknown field").await;
    let long =
        json!({"key": "main", "toolOverrides": {"mcpToolsDeny": {"x": ["y".repeat(70_000)]}}});
    check(long, "65536 bytes").await;
    check(json!({}), "session key").await;
}

#[tokio::test]
async fn a_reset_session_keeps_what_was_set_and_forgets_what_was_said() {
    let mut harness = Harness::new().await;
    said(&mut harness, "main", "first", "one").await;
    harness.call("sessions.patch", &json!({"key": "main", "label": "L"})).await.unwrap();
    let before = list(&harness, json!({})).await["sessions"][0].take();
    let reset = harness.call("sessions.reset", &json!({"key": "main"})).await.unwrap();
    assert_eq!(reset["entry"]["label"], "L");
    assert_ne!(reset["entry"]["sessionId"], before["sessionId"]);
    let got = harness.call("sessions.get", &json!({"key": "main"})).await.unwrap();
    assert_eq!(got["messages"], json!([]));
    let row = list(&harness, json!({"includeDerivedTitles": true})).await["sessions"][0].take();
    assert_eq!((&row["totalTokens"], row.get("derivedTitle")), (&json!(0), None));
    let id = before["sessionId"].as_str().unwrap();
    let names = std::fs::read_dir(harness.root.join("agents/main/sessions")).unwrap();
    let mut names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    assert!(names.any(|name| name.starts_with(&format!("{id}.jsonl.reset."))));
    said(&mut harness, "main", "second", "two").await;
    let row = list(&harness, json!({"includeDerivedTitles": true})).await["sessions"][0].take();
    assert_eq!(row["derivedTitle"], "second");
}

#[tokio::test]
async fn a_session_is_created_with_a_key_of_its_own() {
    let harness = Harness::new().await;
    let params = json!({"label": "New", "model": "gpt-x", "thinkingLevel": "high"});
    let made = harness.call("sessions.create", &params).await.unwrap();
    let key = made["key"].as_str().unwrap();
    assert!(key.starts_with("agent:main:dashboard:"), "{key}");
    assert_eq!((&made["runStarted"], &made["entry"]["label"]), (&json!(false), &json!("New")));
    assert_eq!(made["resolved"]["model"], "gpt-x");
    let dashboard = list(&harness, json!({"boardFace": "dashboard"})).await;
    assert_eq!(keys(&dashboard), [key]);
    let again = harness.call("sessions.create", &json!({"key": key})).await.unwrap();
    assert_eq!(again["sessionId"], made["sessionId"]);
    for name in ["incognito", "fork", "worktree"] {
        let refused = format!("{name} is not supported");
        fails(&harness, "sessions.create", json!({name: true}), &refused).await;
    }
    fails(&harness, "sessions.create", json!({"agentId": "none"}), "unknown agent id").await;
    fails(&harness, "sessions.create", json!({"label": "New"}), "label already in use").await;
}

#[tokio::test]
async fn deleting_checks_what_the_caller_expects() {
    let mut harness = Harness::new().await;
    said(&mut harness, "notes", "hi", "ho").await;
    let check = async |params: Value, wanted| {
        fails(&harness, "sessions.delete", params, wanted).await;
    };
    check(json!({"key": "notes", "expectedSessionId": "x"}), "another id").await;
    check(json!({"key": "notes", "expectedSessionUpdatedAt": 5}), "has changed since").await;
    check(json!({"key": "notes", "archivedOnly": true}), "is not archived").await;
    let gone = harness.call("sessions.delete", &json!({"key": "notes"})).await.unwrap();
    assert_eq!((&gone["key"], &gone["deleted"]), (&json!("agent:main:notes"), &json!(true)));
    let archived = gone["archived"][0].as_str().unwrap();
    assert!(archived.starts_with("agents/main/sessions/") && harness.root.join(archived).exists());
}

#[tokio::test]
async fn usage_is_summed_by_agent_and_model() {
    let mut harness = Harness::new().await;
    said(&mut harness, "main", "hi", "ho").await;
    said(&mut harness, "notes", "hi", "ho").await;
    let usage = harness.call("sessions.usage", &json!({"range": "7d", "limit": 1})).await.unwrap();
    assert_eq!(
        (&usage["startDate"], &usage["endDate"]),
        (&json!("2026-11-16"), &json!("2026-11-22"))
    );
    assert_eq!(usage["sessions"].as_array().unwrap().len(), 1);
    let totals = &usage["totals"];
    assert_eq!(
        (&totals["totalTokens"], &totals["cacheRead"], &totals["input"]),
        (&json!(20), &json!(4), &json!(10))
    );
    assert_eq!(usage["aggregates"]["byModel"][0]["count"], 2);
    let none = json!({"startDate": "2020-01-01", "endDate": "2020-01-02"});
    let none = harness.call("sessions.usage", &none).await.unwrap();
    assert_eq!(none["totals"]["totalTokens"], 0);
    fails(&harness, "sessions.usage", json!({"startDate": "soon"}), "YYYY-MM-DD").await;
}

#[tokio::test]
async fn old_sessions_are_put_aside_as_the_settings_say() {
    let mut harness = Harness::new().await;
    let day = 24 * 3_600_000;
    let at = |days: u64| crate::testing::NOW - days * day;
    let entries = json!({
        "agent:main:main": {"sessionId": "m", "updatedAt": at(90)},
        "agent:main:pinned": {"sessionId": "p", "updatedAt": at(90), "pinned": true},
        "agent:main:old": {"sessionId": "o", "updatedAt": at(8)},
        "agent:main:new": {"sessionId": "n", "updatedAt": at(6)},
    });
    plant(&harness, "main", &entries);
    let settings = json!({"session": {"maintenance": {"pruneAfter": "7d"}}}).to_string();
    let configuration = Configuration { settings: settings.into(), ..Configuration::default() };
    harness.client.clone().configure(configuration).await.unwrap();
    said(&mut harness, "now", "hi", "ho").await;
    let found = list(&harness, json!({})).await;
    let mut found = keys(&found);
    found.sort_unstable();
    assert_eq!(found, ["agent:main:main", "agent:main:new", "agent:main:now", "agent:main:pinned"]);
}

#[tokio::test]
async fn a_first_message_begins_a_run_that_the_row_shows() {
    let mut harness = Harness::new().await;
    let params = json!({"message": "hi", "idempotencyKey": "run-1"});
    let made = harness.call("sessions.create", &params).await.unwrap();
    assert_eq!((&made["runStarted"], &made["runId"]), (&json!(true), &json!("run-1")));
    let key = made["key"].as_str().unwrap();
    let reply = harness.calls.recv().await.unwrap().open();
    let row = list(&harness, json!({})).await["sessions"][0].take();
    assert_eq!((&row["status"], &row["activeRunIds"]), (&json!("running"), &json!(["run-1"])));
    let send = json!({"key": key, "message": "hi", "idempotencyKey": "run-1"});
    let again = harness.call("sessions.send", &send).await.unwrap();
    assert_eq!(again["status"], "in_flight");
    let aborted = harness.call("sessions.abort", &json!({"runId": "run-1"})).await.unwrap();
    assert_eq!((&aborted["aborted"], &aborted["runIds"]), (&json!(true), &json!(["run-1"])));
    reply.closed().await;
    let none = harness.call("sessions.abort", &json!({"runId": "run-9"})).await.unwrap();
    assert_eq!(none["aborted"], false);
    fails(&harness, "sessions.abort", json!({}), "give key or runId").await;
}

#[tokio::test]
async fn a_short_session_is_not_compacted() {
    let mut harness = Harness::new().await;
    said(&mut harness, "main", "hi", "ho").await;
    let done = harness.call("sessions.compact", &json!({"key": "main"})).await.unwrap();
    assert_eq!((&done["ok"], &done["compacted"]), (&json!(true), &json!(false)));
    fails(&harness, "sessions.compact", json!({"key": "none"}), "no session found").await;
}

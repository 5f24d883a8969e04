//! Files after crashes, after other programs, and under writers at the same time.

use std::path::Path;
use std::sync::Arc;

use serde_json::{Value, json};
use types::{AgentId, ManualClock};

use super::*;

const NOW: u64 = 1_795_348_800_000;

fn store(root: &Path) -> Store {
    Store::new(root.to_owned(), Arc::new(ManualClock::at(NOW)), Live::default())
}

fn said(text: &str) -> Vec<Stored> {
    let content = vec![Block::Text { text: raw_text(text).unwrap() }];
    vec![Stored::User {
        content,
        timestamp: NOW,
        idempotency_key: None,
        provenance: None,
        exclude_from_context: false,
    }]
}

fn folder(root: &Path) -> PathBuf {
    root.join("agents/main/sessions")
}

fn totals() -> Totals {
    Totals { provider: "p".into(), model: "m".into(), input: 4, output: 2, ..Totals::default() }
}

#[tokio::test]
async fn a_line_torn_at_any_byte_is_cut_off_and_nothing_before_it_is_lost() {
    let directory = tempfile::tempdir().unwrap();
    let (store, main, id) = (store(directory.path()), AgentId::main(), SessionId::new());
    store.append(&main, &id, said("first")).await.unwrap();
    store.append(&main, &id, said("second \"ü\" \\n")).await.unwrap();
    let path = folder(directory.path()).join(format!("{}.jsonl", id.as_str()));
    let whole = std::fs::read(&path).unwrap();
    let last = whole.iter().rev().skip(1).position(|byte| *byte == b'\n').unwrap() + 1;
    for cut in 0..=last {
        std::fs::write(&path, &whole[..whole.len() - cut]).unwrap();
        store.append(&main, &id, said("third")).await.unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        let lines: Vec<Value> =
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        // With nothing but its line feed missing an entry is whole.
        let texts: Vec<&str> = lines[1..]
            .iter()
            .map(|line| line["message"]["content"][0]["text"].as_str().unwrap())
            .collect();
        let kept: &[&str] =
            if cut <= 1 { &["first", "second \"ü\" \\n", "third"] } else { &["first", "third"] };
        assert_eq!(texts, kept, "cut {cut}");
        assert_eq!(lines.last().unwrap()["parentId"], lines[lines.len() - 2]["id"]);
    }
}

#[tokio::test]
async fn a_torn_header_is_written_anew_and_zeroes_are_cut_off() {
    let directory = tempfile::tempdir().unwrap();
    let (store, main, id) = (store(directory.path()), AgentId::main(), SessionId::new());
    let path = folder(directory.path()).join(format!("{}.jsonl", id.as_str()));
    store.append(&main, &id, said("x")).await.unwrap();
    let whole = std::fs::read(&path).unwrap();
    for torn in [&whole[..20], &[0; 4096][..], &[]] {
        std::fs::write(&path, torn).unwrap();
        store.append(&main, &id, said("y")).await.unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.starts_with("{\"type\":\"session\",\"version\":3,"), "{text}");
        assert_eq!(text.lines().count(), 2);
    }
}

#[tokio::test]
async fn what_is_more_than_one_line_is_refused_whole() {
    let directory = tempfile::tempdir().unwrap();
    let (store, main, id) = (store(directory.path()), AgentId::main(), SessionId::new());
    let forged = RawValue::from_string("{\n\"a\":1}".to_owned()).unwrap();
    let mut messages = said("x");
    let Some(Stored::User { content, .. }) = messages.first_mut() else { panic!("a message") };
    content.push(Block::ToolCall { id: "c".to_owned(), name: "n".to_owned(), arguments: forged });
    let refused = store.append(&main, &id, messages).await;
    assert!(matches!(refused, Err(Error::Torn)), "{refused:?}");
    assert!(!folder(directory.path()).join(format!("{}.jsonl", id.as_str())).exists());
}

#[tokio::test]
async fn a_line_that_is_too_long_is_refused_whole() {
    let directory = tempfile::tempdir().unwrap();
    let (store, main, id) = (store(directory.path()), AgentId::main(), SessionId::new());
    store.append(&main, &id, said("x")).await.unwrap();
    let refused = store.append(&main, &id, said(&"x".repeat(MAX_LINE))).await.unwrap_err();
    assert!(matches!(refused, Error::TooLong { .. }), "{refused}");
    let path = folder(directory.path()).join(format!("{}.jsonl", id.as_str()));
    assert_eq!(std::fs::read_to_string(path).unwrap().lines().count(), 2);
}

#[tokio::test]
async fn what_this_version_does_not_know_stays_as_it_is() {
    let directory = tempfile::tempdir().unwrap();
    let store = store(directory.path());
    std::fs::create_dir_all(folder(directory.path())).unwrap();
    let path = folder(directory.path()).join("sessions.json");
    let before = json!({
        "agent:main:main": {"sessionId": "old-1", "updatedAt": 1, "inputTokens": 10, "label": "L",
            "skillsSnapshot": {"version": 3}},
        "agent:main:other": {"sessionId": "old-2", "updatedAt": NOW - 2, "spawnedBy": "x"},
    });
    std::fs::write(&path, before.to_string()).unwrap();
    let session = SessionId::parse("new-1").unwrap();
    let end = Change::End { session, totals: totals() };
    store.commit(&AgentId::main(), "agent:main:main", end).await.unwrap();
    let after: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    assert_eq!(after["agent:main:other"], before["agent:main:other"]);
    let entry = &after["agent:main:main"];
    assert_eq!((&entry["sessionId"], &entry["label"]), (&json!("old-1"), &json!("L")));
    assert_eq!(entry["skillsSnapshot"], json!({"version": 3}));
    assert_eq!((&entry["inputTokens"], &entry["updatedAt"]), (&json!(14), &json!(NOW)));
}

#[tokio::test]
async fn commits_at_the_same_time_all_count() {
    let directory = tempfile::tempdir().unwrap();
    let store = store(directory.path());
    let commits = (0..50).map(|at| {
        let (store, session) = (store.clone(), SessionId::new());
        async move {
            let key = format!("agent:main:{}", at % 10);
            let end = Change::End { session, totals: totals() };
            store.commit(&AgentId::main(), &key, end).await
        }
    });
    futures_util::future::try_join_all(commits).await.unwrap();
    let rows = store.job(|root| sessions(root, &AgentId::main())).await.unwrap();
    assert_eq!(rows.len(), 10);
    assert!(rows.iter().all(|row| row.totals == [20, 10, 30]), "{rows:?}");
}

#[tokio::test]
async fn a_deleted_session_is_put_aside_and_old_ones_go() {
    let directory = tempfile::tempdir().unwrap();
    let (store, main, session) = (store(directory.path()), AgentId::main(), SessionId::new());
    store.append(&main, &session, said("x")).await.unwrap();
    let begin = Change::Begin { session: session.clone() };
    store.commit(&main, "agent:main:main", begin).await.unwrap();
    let old = "a.jsonl.deleted.2020-01-01T00-00-00.000Z";
    std::fs::write(folder(directory.path()).join(old), "").unwrap();
    let (_, archived) = store.delete(&main, "agent:main:main").await.unwrap().unwrap();
    assert!(store.delete(&main, "agent:main:main").await.unwrap().is_none());
    let dir = Dir::open(&folder(directory.path())).unwrap();
    let mut names: Vec<_> = dir.names().unwrap().map(Result::unwrap).collect();
    names.sort();
    let aside = format!("{}.jsonl.deleted.2026-11-22T12-00-00.000Z", session.as_str());
    assert_eq!(archived, [format!("agents/main/sessions/{aside}")]);
    let mut wanted = vec![aside, "sessions.json".to_owned()];
    wanted.sort();
    assert_eq!(names, wanted);
}

#[tokio::test]
async fn too_many_sessions_make_room_by_the_oldest_of_their_kind() {
    let directory = tempfile::tempdir().unwrap();
    let store = store(directory.path());
    std::fs::create_dir_all(folder(directory.path())).unwrap();
    let entry = |at: usize| json!({"sessionId": format!("s{at}"), "updatedAt": NOW - 9000 + u64::try_from(at).unwrap()});
    let kinds = [("x", 5000), ("openai:", 1001)];
    let keys = kinds.into_iter().flat_map(|(kind, count)| {
        (0..count).map(move |at| (format!("agent:main:{kind}{at}"), entry(at)))
    });
    let entries: serde_json::Map<_, _> = keys.collect();
    let path = folder(directory.path()).join("sessions.json");
    std::fs::write(path, Value::Object(entries).to_string()).unwrap();
    let count = async |key: &str| {
        let begin = Change::Begin { session: SessionId::new() };
        store.commit(&AgentId::main(), key, begin).await.unwrap();
        let rows = store.job(|root| sessions(root, &AgentId::main())).await.unwrap();
        let has = |key: &str| rows.iter().any(|row| row.key == key);
        assert!(has(key) && has("agent:main:x4999") && !has("agent:main:openai:0"));
        rows.len()
    };
    assert_eq!(count("agent:main:x7").await, 5000 + 800);
    assert_eq!(count("agent:main:new").await, 4000 + 800);
}

#[tokio::test]
async fn a_stored_name_that_leaves_the_directory_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let store = store(directory.path());
    std::fs::create_dir_all(folder(directory.path())).unwrap();
    let path = folder(directory.path()).join("sessions.json");
    std::fs::write(path, json!({"k": {"sessionId": "../../x"}}).to_string()).unwrap();
    let found = store.job(|root| session(root, &AgentId::main(), "k")).await;
    assert!(matches!(found, Err(Error::BadName)), "{found:?}");
}

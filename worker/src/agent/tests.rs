//! Turns from the request to the transcript, against a scripted model.

use std::time::Duration;

use proptest::prelude::*;
use proto::host::{LlmRequest, Role, part};
use serde_json::{Value, json};
use tokio_stream::StreamExt as _;
use tonic::Status;

use crate::testing::{Harness, batch, finished, read, started, text, tool_call};

fn body(prompt: &str) -> Value {
    json!({"model": "openclaw", "messages": [{"role": "user", "content": prompt}]})
}

fn answer(words: &str) -> Vec<Vec<proto::host::llm_event::Event>> {
    vec![vec![started(), text(words)], vec![finished("stop")]]
}

/// Roles and texts of what the model was asked, without the system prompt.
fn said(request: &LlmRequest) -> Vec<(Role, String)> {
    let messages = request.messages.iter().skip(1);
    messages.map(|message| (message.role(), super::prompt::text_of(message))).collect()
}

fn user(text: &str) -> (Role, String) {
    (Role::User, text.to_owned())
}

fn assistant(text: &str) -> (Role, String) {
    (Role::Assistant, text.to_owned())
}

#[tokio::test]
async fn a_conversation_is_stored_in_the_classic_format_and_goes_on() {
    let mut harness = Harness::new().await;
    let (reply, request) = harness.ask("main", &body("one"), answer("first \"a\"")).await;
    assert_eq!(reply.json()["choices"][0]["message"]["content"], "first \"a\"");
    assert_eq!(reply.json()["model"], "openclaw");
    assert_eq!(request.model, "mock/demo");
    assert_eq!(request.messages[0].role(), Role::System);
    assert!(super::prompt::text_of(&request.messages[0]).contains("## AGENTS.md"));
    let streamed = json!({"model": "openclaw/main", "stream": true, "messages": [
        {"role": "system", "content": "Rhyme."}, {"role": "user", "content": "two"}]});
    let (reply, request) = harness.ask("agent:main:main", &streamed, answer("second")).await;
    assert_eq!(reply.events().last().unwrap()["choices"][0]["finish_reason"], "stop");
    assert_eq!(said(&request), [user("one"), assistant("first \"a\""), user("two")]);
    assert!(super::prompt::text_of(&request.messages[0]).contains("Rhyme."));

    let lines = harness.transcript();
    assert_eq!(lines.len(), 5);
    assert_eq!((&lines[0]["type"], &lines[0]["version"]), (&json!("session"), &json!(3)));
    assert_eq!(lines[0]["timestamp"], "2026-11-22T12:00:00.000Z");
    assert_eq!(lines[1]["parentId"], Value::Null);
    for (line, before) in lines[2..].iter().zip(&lines[1..]) {
        assert_eq!(line["parentId"], before["id"]);
        assert_eq!(line["id"].as_str().unwrap().len(), 8);
    }
    assert_eq!(lines[1]["message"]["content"], json!([{"type": "text", "text": "one"}]));
    let message = &lines[2]["message"];
    assert_eq!((&message["role"], &message["stopReason"]), (&json!("assistant"), &json!("stop")));
    assert_eq!((&message["provider"], &message["model"]), (&json!("mock"), &json!("demo")));
    assert_eq!(message["usage"]["input"], 5);
    assert_eq!(message["usage"]["totalTokens"], 10);
    let sessions = harness.root.join("agents/main/sessions/sessions.json");
    let sessions: Value = serde_json::from_slice(&std::fs::read(sessions).unwrap()).unwrap();
    let entry = &sessions["agent:main:main"];
    assert_eq!(entry["sessionId"], lines[0]["id"]);
    assert_eq!((&entry["totalTokens"], &entry["modelProvider"]), (&json!(20), &json!("mock")));
}

#[tokio::test]
async fn a_new_session_begins_with_what_the_client_brings() {
    let mut harness = Harness::new().await;
    let long = json!({"model": "openclaw", "user": "Ada", "messages": [
        {"role": "user", "content": "a"}, {"role": "assistant", "content": "b"},
        {"role": "user", "content": "c"}]});
    let (_, request) = harness.ask("", &long, answer("d")).await;
    assert_eq!(said(&request), [user("a"), assistant("b"), user("c")]);
    let (_, request) = harness.ask("agent:main:openai-user:ada", &body("e"), answer("f")).await;
    let wanted = [user("a"), assistant("b"), user("c"), assistant("d"), user("e")];
    assert_eq!(said(&request), wanted);
}

#[tokio::test]
async fn requests_that_are_refused_leave_nothing_behind() {
    let harness = Harness::new().await;
    let check = async |key: &str, body: Value, status: u32, message: &str| {
        let answer = harness.refused(key, &body).await;
        assert_eq!(answer.head.status, status);
        let told = answer.json()["error"]["message"].as_str().unwrap().to_owned();
        assert!(told.contains(message), "{told}");
    };
    check("cron:x", body("a"), 400, "reserved").await;
    check("agent:other:main", body("a"), 400, "another agent").await;
    check(&"k".repeat(600), body("a"), 400, "at most 512 bytes").await;
    let silent = json!({"model": "openclaw", "messages": [{"role": "system", "content": "s"}]});
    check("", silent, 400, "Missing user message in `messages`.").await;
    let orphan = json!({"model": "openclaw", "messages": [
        {"role": "user", "content": "a"}, {"role": "tool", "tool_call_id": "c", "content": "r"}]});
    check("", orphan, 400, "no open tool calls").await;
    check("", body(&"\u{1}".repeat(200_000)), 422, "stored line").await;
    let folder = harness.root.join("agents/main/sessions");
    assert_eq!(std::fs::read_dir(folder).into_iter().flatten().count(), 0);
}

#[tokio::test]
async fn tools_of_the_client_go_there_and_back() {
    let mut harness = Harness::new().await;
    let mut asked = body("weather?");
    asked["tools"] = json!([{"type": "function", "function": {"name": "w"}}]);
    let calls =
        vec![vec![started(), tool_call(0, "c1", "w", "{\"at\":1}"), finished("tool_calls")]];
    let (reply, _) = harness.ask("main", &asked, calls).await;
    assert_eq!(reply.json()["choices"][0]["finish_reason"], "tool_calls");
    let back = json!({"model": "openclaw", "messages": [
        {"role": "user", "content": "weather?"},
        {"role": "assistant", "content": null, "tool_calls": [
            {"id": "c1", "type": "function", "function": {"name": "w", "arguments": "{}"}}]},
        {"role": "tool", "tool_call_id": "c1", "content": "rain"}]});
    let (_, request) = harness.ask("main", &back, answer("It rains.")).await;
    assert_eq!(request.messages[2].tool_calls[0].arguments, "{\"at\":1}");
    assert_eq!(request.messages[3].tool_call_id, "c1");
    let lines = harness.transcript();
    let result = &lines[3]["message"];
    assert_eq!((&result["role"], &result["toolName"]), (&json!("toolResult"), &json!("w")));
    assert_eq!(lines[2]["message"]["stopReason"], "toolUse");
    assert_eq!(lines[2]["message"]["content"][0]["arguments"], json!({"at": 1}));
}

#[tokio::test]
async fn turns_of_one_session_wait_for_each_other() {
    let mut harness = Harness::new().await;
    let (first, batches) = harness.open("main", &body("one")).await;
    let second = harness.send("main", &body("two"));
    let other = harness.send("other", &body("three"));
    let (mut second, _other) = tokio::join!(second, other);
    let call = harness.calls.recv().await.unwrap();
    assert_eq!(said(&call.request), [user("three")], "only the other session runs");
    assert!(futures_util::poll!(std::pin::pin!(second.next())).is_pending());
    batches.send(Ok(batch(vec![started(), text("1"), finished("stop")]))).await.unwrap();
    drop(batches);
    assert_eq!(read(first).await.head.status, 200);
    let call = harness.calls.recv().await.unwrap();
    assert_eq!(said(&call.request), [user("one"), assistant("1"), user("two")]);
}

#[tokio::test]
async fn a_client_that_leaves_is_noticed_and_what_there_is_is_kept() {
    let mut harness = Harness::new().await;
    for stream in [true, false] {
        let key = format!("s-{stream}");
        let mut asked = body("go");
        asked["stream"] = json!(stream);
        let (mut reply, batches) = harness.open(&key, &asked).await;
        batches.send(Ok(batch(vec![started(), text("half")]))).await.unwrap();
        if stream {
            reply.next().await.unwrap().unwrap();
        }
        drop(reply);
        tokio::time::timeout(Duration::from_secs(5), batches.closed()).await.unwrap();
        // The next turn of the session waits until the first has been stored.
        let (_, request) = harness.ask(&key, &body("on"), answer("ok")).await;
        let before = said(&request);
        assert_eq!((&before[0], before.last()), (&user("go"), Some(&user("on"))));
        if stream {
            assert_eq!(before[1], assistant("half"));
        }
        let history = harness.call("chat.history", &json!({"sessionKey": key})).await.unwrap();
        assert_eq!(history["messages"][1]["stopReason"], "aborted");
    }
}

#[tokio::test]
async fn a_failed_call_is_told_and_recorded_and_a_retry_is_not_said_twice() {
    let mut harness = Harness::new().await;
    let sent = harness.send("main", &body("hi"));
    let model = async {
        harness.calls.recv().await.unwrap().refuse(Status::resource_exhausted("slow down"));
    };
    let (failed, ()) = tokio::join!(async { read(sent.await).await }, model);
    assert_eq!(failed.head.status, 429);
    let (_, request) = harness.ask("main", &body("hi"), answer("ok")).await;
    assert_eq!(said(&request), [user("hi")]);
    let lines = harness.transcript();
    assert_eq!(lines[2]["message"]["stopReason"], "error");
    assert_eq!(lines[2]["message"]["errorMessage"], "slow down");
    assert_eq!(lines.len(), 5);
}

#[tokio::test]
async fn a_run_is_aborted_by_its_session() {
    let mut harness = Harness::new().await;
    let mut asked = body("go");
    asked["stream"] = json!(true);
    let (mut reply, batches) = harness.open("main", &asked).await;
    batches.send(Ok(batch(vec![started(), text("half")]))).await.unwrap();
    reply.next().await.unwrap().unwrap();
    let aborted = harness.call("chat.abort", &json!({"sessionKey": "main"})).await.unwrap();
    assert_eq!(
        (&aborted["aborted"], aborted["runIds"].as_array().unwrap().len()),
        (&json!(true), 1)
    );
    let rest = reply.next().await.unwrap().unwrap();
    assert!(std::str::from_utf8(&rest.data).unwrap().contains("run_aborted"));
    batches.closed().await;
    assert_eq!(harness.transcript()[2]["message"]["stopReason"], "aborted");
    let aborted = harness.call("chat.abort", &json!({"sessionKey": "main"})).await.unwrap();
    assert_eq!(aborted["aborted"], false);
}

#[tokio::test]
async fn a_reply_beyond_a_line_ends_with_length() {
    let mut harness = Harness::new().await;
    let sent = harness.send("main", &body("go"));
    let model = async {
        let batches = harness.calls.recv().await.unwrap().open();
        let long = "\n".repeat(100_000);
        while batches.send(Ok(batch(vec![text(&long)]))).await.is_ok() {}
    };
    let (answer, ()) = tokio::join!(async { read(sent.await).await }, model);
    assert_eq!(answer.json()["choices"][0]["finish_reason"], "length");
    assert_eq!(harness.transcript()[2]["message"]["stopReason"], "length");
}

#[tokio::test]
async fn nothing_is_sent_before_the_prompt_is_on_disk() {
    let mut harness = Harness::new().await;
    let mut asked = body("kept");
    asked["stream"] = json!(true);
    let (mut reply, batches) = harness.open("main", &asked).await;
    batches.send(Ok(batch(vec![started(), text("a")]))).await.unwrap();
    reply.next().await.unwrap().unwrap();
    let lines = harness.transcript();
    assert_eq!(lines[1]["message"]["content"][0]["text"], "kept");
    let found = harness.call("sessions.list", &json!({})).await.unwrap();
    assert_eq!(found["sessions"][0]["key"], "agent:main:main");
}

#[tokio::test]
async fn a_full_disk_is_said_and_leaves_no_half_line() {
    let directory = tempfile::tempdir().unwrap();
    let options = Some("size=256k");
    let flags = nix::mount::MsFlags::empty();
    let mounted = nix::mount::mount(Some("tmpfs"), directory.path(), Some("tmpfs"), flags, options);
    if mounted.is_err() {
        // Only root may mount; the same paths are covered there.
        return;
    }
    let mut harness = Harness::on(directory.path().to_owned()).await;
    harness.ask("main", &body("small"), answer("ok")).await;
    let sent = harness.send("main", &body(&"x".repeat(250_000)));
    let answered = async { read(sent.await).await };
    let answered = tokio::select! {
        answered = answered => answered,
        () = async {
            // The call is cancelled when the prompt cannot be stored; it does not end by itself.
            let _call = harness.calls.recv().await.map(crate::testing::ModelCall::open);
            std::future::pending::<()>().await;
        } => panic!(),
    };
    assert_eq!(
        (answered.head.status, &answered.json()["error"]["code"]),
        (507, &json!("disk_full"))
    );
    assert_eq!(harness.transcript().len(), 3);
    // The call that was cancelled may arrive only now.
    let again = harness.send("main", &body("small"));
    let model = async {
        let is_cancelled =
            |request: &LlmRequest| said(request).iter().any(|(_, text)| text.len() > 200_000);
        let mut call = harness.calls.recv().await.unwrap();
        while is_cancelled(&call.request) {
            call = harness.calls.recv().await.unwrap();
        }
        let reply = call.open();
        for events in answer("ok") {
            reply.send(Ok(batch(events))).await.unwrap();
        }
    };
    let (again, ()) = tokio::join!(async { read(again.await).await }, model);
    assert_eq!(again.head.status, 200);
    drop(harness);
    nix::mount::umount2(directory.path(), nix::mount::MntFlags::MNT_DETACH).unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_transcript_makes_reading_panic(content in prop::collection::vec(any::<u8>(), 0..2000)) {
        let temporary = tempfile::tempfile().unwrap();
        std::os::unix::fs::FileExt::write_all_at(&temporary, &content, 0).unwrap();
        drop(super::history::read(&temporary, 100_000).unwrap());
    }

    #[test]
    fn no_entries_make_reading_panic(kinds in prop::collection::vec(0usize..8, 0..40)) {
        const LINES: [&str; 8] = [
            r#"{"type":"session","version":3,"id":"s"}"#,
            r#"{"type":"message","id":"00000001","parentId":null,"message":{"role":"user","content":"x"}}"#,
            r#"{"type":"message","id":"00000002","parentId":"00000001","message":{"role":"assistant","content":[{"type":"toolCall","id":"c","name":"n","arguments":{}}]}}"#,
            r#"{"type":"message","id":"00000003","parentId":"00000002","message":{"role":"toolResult","toolCallId":"c","content":[{"type":"text","text":"r"}]}}"#,
            r#"{"type":"message","id":"00000002","parentId":"00000002","message":{"role":9}}"#,
            r#"{"type":"compaction","id":"00000004","parentId":"00000003","summary":"sum","firstKeptEntryId":"00000002"}"#,
            r#"{"type":"label"}"#,
            "{\"type\":\"mess",
        ];
        let lines: Vec<_> = kinds.iter().map(|kind| LINES[*kind]).collect();
        let content = lines.join("\n");
        let temporary = tempfile::tempfile().unwrap();
        std::os::unix::fs::FileExt::write_all_at(&temporary, content.as_bytes(), 0).unwrap();
        let settled = super::history::settle(super::history::read(&temporary, 100_000).unwrap().messages);
        for (at, message) in settled.iter().enumerate() {
            prop_assert!(message.role() != Role::Tool || at > 0);
            let is_text = |part: &proto::host::Part| matches!(part.part, Some(part::Part::Text(_)));
            prop_assert!(message.parts.iter().all(is_text));
        }
    }
}

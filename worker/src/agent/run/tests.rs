//! Runs through the methods that begin them, against a scripted model.

mod queue;

use std::time::Duration;

use proto::host::{LlmRequest, Role};
use proto::worker::call_reply::Outcome;
use proto::worker::worker_event::What;
use proto::worker::{DrainRequest, WorkerEvent};
use serde_json::{Value, json};
use tokio_stream::StreamExt as _;
use tonic::{Status, Streaming};

use super::super::prompt::text_of;
use crate::testing::{Batches, Harness, batch, finished, started, text};

/// A worker and what it tells.
struct Watched {
    harness: Harness,
    events: Streaming<WorkerEvent>,
}

impl Watched {
    async fn new(settings: Value) -> Self {
        let harness = Harness::new().await;
        harness.configure(&settings).await;
        let events = harness.told().await;
        Self { harness, events }
    }

    async fn send(&self, run: &str, message: &str) -> Value {
        let params = json!({"sessionKey": "main", "message": message, "idempotencyKey": run});
        self.harness.call("chat.send", &params).await.unwrap()
    }

    async fn history(&self) -> Value {
        let params = json!({"sessionKey": "main"});
        self.harness.call("chat.history", &params).await.unwrap()
    }

    /// The next model call, open, and what it was asked.
    async fn model(&mut self) -> (Batches, LlmRequest) {
        let call = self.harness.calls.recv().await.unwrap();
        let request = call.request.clone();
        (call.open(), request)
    }

    /// Lets the model answer.
    async fn answer(&mut self, words: &str) -> LlmRequest {
        let (batches, request) = self.model().await;
        batches.send(Ok(batch(vec![started(), text(words), finished("stop")]))).await.unwrap();
        request
    }

    /// Events up to the first that `is_last`; names and payloads.
    async fn until(&mut self, is_last: impl Fn(&str, &Value) -> bool) -> Vec<(String, Value)> {
        let mut told = Vec::new();
        let reading = async {
            loop {
                let Some(What::Event(event)) = self.events.next().await.unwrap().unwrap().what
                else {
                    continue;
                };
                let payload: Value = serde_json::from_slice(&event.payload).unwrap();
                let done = is_last(&event.name, &payload);
                told.push((event.name, payload));
                if done {
                    return;
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(20), reading).await.expect("the event comes");
        told
    }

    /// The last `chat` event of a run.
    async fn ended(&mut self, run: &str) -> Value {
        let told = self.until(|name, told| {
            let state = told["state"].as_str().unwrap_or_default();
            let is_end = matches!(state, "final" | "error" | "aborted");
            name == "chat" && told["runId"] == run && is_end
        });
        told.await.pop().unwrap().1
    }
}

fn said(request: &LlmRequest) -> Vec<(Role, String)> {
    request.messages.iter().skip(1).map(|one| (one.role(), text_of(one))).collect()
}

fn texts(messages: &Value) -> Vec<&str> {
    let messages = messages.as_array().unwrap().iter();
    messages.map(|one| one["content"][0]["text"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_message_is_run_and_told_and_stored() {
    let mut watched = Watched::new(json!({})).await;
    let sent = watched.send("r1", "hello").await;
    assert_eq!((&sent["runId"], &sent["status"]), (&json!("r1"), &json!("started")));
    let (batches, request) = watched.model().await;
    assert_eq!(said(&request), [(Role::User, "hello".to_owned())]);
    assert_eq!(watched.send("r1", "hello").await["status"], "in_flight");
    batches.send(Ok(batch(vec![started(), text("Hel")]))).await.unwrap();
    let delta = watched.until(|name, told| name == "chat" && told["state"] == "delta").await;
    assert_eq!(delta.last().unwrap().1["deltaText"], "Hel");
    batches.send(Ok(batch(vec![text("lo"), text("!"), finished("stop")]))).await.unwrap();
    drop(batches);
    let told = watched
        .until(|name, told| name == "sessions.changed" && told["reason"] == "agent.input.settled");
    let told = told.await;
    let chat: Vec<_> = told.iter().filter(|(name, _)| name == "chat").map(|it| &it.1).collect();
    let last = chat.last().unwrap();
    assert_eq!(last["state"], "final");
    assert_eq!(last["message"]["content"][0]["text"], "Hello!");
    assert_eq!((&last["usage"]["totalTokens"], &last["stopReason"]), (&json!(10), &json!("stop")));
    let pieces: String = chat.iter().filter_map(|it| it["deltaText"].as_str()).collect();
    assert_eq!(pieces, "lo!");
    let seqs: Vec<_> = chat.iter().map(|it| it["seq"].as_u64().unwrap()).collect();
    assert!(seqs.is_sorted(), "{seqs:?}");
    let life = delta.iter().chain(&told).map(|it| &it.1).filter(|it| it["stream"] == "lifecycle");
    let phases: Vec<_> = life.map(|told| told["data"]["phase"].as_str().unwrap()).collect();
    assert_eq!(phases, ["start", "model", "finishing", "end"]);
    let stored: Vec<_> = delta.iter().chain(&told).filter(|it| it.0 == "session.message").collect();
    assert_eq!(stored.len(), 2);
    assert_eq!(stored[0].1["message"]["idempotencyKey"], "r1");
    assert_eq!((&stored[0].1["messageSeq"], &stored[1].1["messageSeq"]), (&json!(1), &json!(2)));
    assert_eq!(stored[1].1["message"]["__openclaw"]["id"], stored[1].1["messageId"]);
    let row = &told.last().unwrap().1["session"];
    assert_eq!((&row["hasActiveRun"], &row["status"]), (&json!(false), &json!("done")));
    assert_eq!(row["lastRunId"], "r1");
    assert_eq!(watched.send("r1", "hello").await["status"], "ok");

    let history = watched.history().await;
    assert_eq!(texts(&history["messages"]), ["hello", "Hello!"]);
    assert_eq!(history["sessionInfo"]["key"], "agent:main:main");
    assert_eq!(watched.harness.transcript().len(), 3);
}

#[tokio::test]
async fn a_key_is_known_after_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let on = async || {
        let harness = Harness::on(directory.path().to_owned()).await;
        let events = harness.told().await;
        Watched { harness, events }
    };
    let mut watched = on().await;
    watched.send("r1", "one").await;
    watched.answer("first").await;
    watched.ended("r1").await;
    watched.send("r2", "two").await;
    watched.harness.calls.recv().await.unwrap().refuse(Status::unavailable("down"));
    assert_eq!(watched.ended("r2").await["errorMessage"], "down");
    watched.send("c1", "/whoami").await;
    let is_end = |name: &str, told: &Value| {
        name == "sessions.changed"
            && told["runId"] == "c1"
            && told["reason"] == "agent.input.settled"
    };
    watched.until(is_end).await;
    // However many entries come after it.
    for _ in 0..60 {
        let note = json!({"sessionKey": "main", "message": "note"});
        watched.harness.call("chat.inject", &note).await.unwrap();
    }
    drop(watched);
    let watched = on().await;
    assert_eq!(watched.send("r1", "one").await["status"], "ok");
    assert_eq!(watched.send("r2", "two").await["status"], "error");
    assert_eq!(watched.send("r3", "three").await["status"], "started");
    assert_eq!(watched.send("c1", "/whoami").await["status"], "ok");
    let agent = async |run: &str| {
        let params = json!({"message": "one", "idempotencyKey": run});
        watched.harness.call("agent", &params).await
    };
    let done = agent("r1").await.unwrap();
    assert_eq!((&done["status"], &done["runId"]), (&json!("ok"), &json!("r1")));
    assert_eq!(done["result"]["payloads"][0]["text"], "first");
    assert_eq!(done["result"]["meta"]["agentMeta"]["usage"]["total"], 10);
    assert!(agent("c1").await.unwrap()["result"].to_string().contains("agent:main:main"));
    assert_eq!(agent("r2").await.unwrap_err(), "UNAVAILABLE: down");
}

#[tokio::test]
async fn aborting_keeps_what_there_is() {
    let mut watched = Watched::new(json!({})).await;
    watched.send("r1", "go").await;
    let (batches, _) = watched.model().await;
    watched.send("r2", "next").await;
    batches.send(Ok(batch(vec![started(), text("half")]))).await.unwrap();
    watched.until(|name, told| name == "chat" && told["state"] == "delta").await;
    assert_eq!(watched.history().await["pendingInputs"]["items"][0]["runId"], "r2");
    let params = json!({"sessionKey": "main", "runId": "r1"});
    let aborted = watched.harness.call("chat.abort", &params).await.unwrap();
    assert_eq!(aborted["runIds"], json!(["r1"]));
    let ended = watched.ended("r1").await;
    assert_eq!((&ended["state"], &ended["stopReason"]), (&json!("aborted"), &json!("rpc")));
    assert_eq!(ended["message"]["content"][0]["text"], "half");
    batches.closed().await;
    let again = watched.send("r1", "go").await;
    assert_eq!((&again["status"], &again["summary"]), (&json!("timeout"), &json!("aborted")));
    let request = watched.answer("done").await;
    assert_eq!(said(&request).last().unwrap().1, "next");
    assert_eq!(watched.ended("r2").await["state"], "final");
}

#[tokio::test]
async fn a_run_that_takes_too_long_ends() {
    let mut watched = Watched::new(json!({})).await;
    let params = json!({"sessionKey": "main", "message": "go", "idempotencyKey": "r1",
        "timeoutMs": 50});
    watched.harness.call("chat.send", &params).await.unwrap();
    let (batches, _) = watched.model().await;
    let ended = watched.ended("r1").await;
    assert_eq!((&ended["state"], &ended["errorKind"]), (&json!("error"), &json!("timeout")));
    batches.closed().await;
    let waited = watched.harness.call("agent.wait", &json!({"runId": "r1"})).await.unwrap();
    assert_eq!((&waited["status"], &waited["stopReason"]), (&json!("timeout"), &json!("timeout")));
}

#[tokio::test]
async fn commands_are_answered_without_a_model() {
    let mut watched = Watched::new(json!({})).await;
    let said_to = async |watched: &mut Watched, run: &str, message: &str| {
        watched.send(run, message).await;
        let ended = watched.ended(run).await;
        ended["message"]["content"][0]["text"].as_str().unwrap_or_default().to_owned()
    };
    assert!(said_to(&mut watched, "c1", "/help").await.contains("/status: "));
    assert!(said_to(&mut watched, "c2", "/model gpt-x").await.contains("gpt-x from now on"));
    assert!(said_to(&mut watched, "c3", "/think high").await.contains("high"));
    let status = said_to(&mut watched, "c4", "/status").await;
    assert!(status.contains("Model: gpt-x") && status.contains("Thinking: high"), "{status}");
    assert!(said_to(&mut watched, "c5", "/model nope").await.contains("no model"));
    assert!(said_to(&mut watched, "c6", "/whoami").await.contains("agent:main:main"));
    watched.send("r1", "hello").await;
    let request = watched.answer("hi").await;
    assert_eq!(request.model, "gpt-x");
    assert_eq!(request.params.as_ref().unwrap().reasoning_effort.as_deref(), Some("high"));
    assert_eq!(said(&request), [(Role::User, "hello".to_owned())], "no command is said");
    watched.ended("r1").await;
    let history = watched.history().await;
    assert_eq!(history["messages"][0]["excludeFromContext"], true);
    assert_eq!(texts(&history["messages"])[0], "/help");

    watched.send("r2", "go").await;
    let (batches, _) = watched.model().await;
    assert_eq!(said_to(&mut watched, "c7", "/stop").await, "Stopped.");
    batches.closed().await;
    watched.send("r3", "/new fresh").await;
    let request = watched.answer("yes").await;
    assert_eq!(said(&request), [(Role::User, "fresh".to_owned())]);
    watched.ended("r3").await;
    assert_ne!(watched.history().await["sessionId"], history["sessionId"]);
}

#[tokio::test]
async fn an_agent_answers_twice_on_one_call() {
    let mut watched = Watched::new(json!({})).await;
    let params = json!({"message": "hello", "agentId": "main", "idempotencyKey": "a1",
        "deliver": false, "timeout": 600, "extraSystemPrompt": "Rhyme."});
    let mut replies = watched.harness.replies("agent", &params).await;
    let next = async |replies: &mut Streaming<proto::worker::CallReply>| match replies
        .next()
        .await
        .unwrap()
        .unwrap()
        .outcome
        .unwrap()
    {
        Outcome::Interim(json) | Outcome::Result(json) => {
            serde_json::from_slice::<Value>(&json).unwrap()
        }
        Outcome::Error(error) => json!({"code": error.code, "message": error.message}),
    };
    let accepted = next(&mut replies).await;
    assert_eq!((&accepted["status"], &accepted["runId"]), (&json!("accepted"), &json!("a1")));
    assert_eq!(accepted["sessionKey"], "agent:main:main");
    let request = watched.answer("hi").await;
    assert!(text_of(&request.messages[0]).contains("Rhyme."));
    let done = next(&mut replies).await;
    assert_eq!((&done["status"], &done["summary"]), (&json!("ok"), &json!("completed")));
    assert_eq!(done["result"]["payloads"], json!([{"text": "hi", "mediaUrl": null}]));
    assert_eq!(done["result"]["meta"]["agentMeta"]["usage"]["total"], 10);
    assert!(replies.next().await.is_none());

    let mut failing =
        watched.harness.replies("agent", &json!({"message": "x", "idempotencyKey": "a2"})).await;
    next(&mut failing).await;
    watched.harness.calls.recv().await.unwrap().refuse(Status::resource_exhausted("slow down"));
    assert_eq!(next(&mut failing).await["message"], "slow down");
    let waited = watched.harness.call("agent.wait", &json!({"runId": "a2"})).await.unwrap();
    assert_eq!((&waited["status"], &waited["error"]), (&json!("error"), &json!("slow down")));
    let unknown = watched.harness.call("agent.wait", &json!({"runId": "none"})).await.unwrap();
    assert_eq!(unknown["status"], "timeout");
}

#[tokio::test]
async fn a_caller_that_leaves_does_not_stop_its_run() {
    let mut watched = Watched::new(json!({})).await;
    let params = json!({"message": "hello", "idempotencyKey": "a1"});
    let replies = watched.harness.replies("agent", &params).await;
    let (batches, _) = watched.model().await;
    drop(replies);
    batches.send(Ok(batch(vec![started(), text("still here"), finished("stop")]))).await.unwrap();
    drop(batches);
    assert_eq!(watched.ended("a1").await["message"]["content"][0]["text"], "still here");
}

#[tokio::test]
async fn draining_waits_for_runs_in_the_background() {
    let mut watched = Watched::new(json!({})).await;
    watched.send("r1", "go").await;
    let (batches, _) = watched.model().await;
    batches.send(Ok(batch(vec![started(), text("half")]))).await.unwrap();
    let mut client = watched.harness.client.clone();
    let drained =
        client.drain(DrainRequest { deadline_ms: 50, if_idle: false }).await.unwrap().into_inner();
    assert_eq!(drained.cancelled, 1);
    let lines = watched.harness.transcript();
    assert_eq!(lines[2]["message"]["stopReason"], "aborted");
}

#[tokio::test]
async fn a_conversation_that_is_too_long_is_compacted() {
    // The least that settings allow: 16,000 tokens, of which a quarter is left for the past.
    let settings = json!({"agents": {"defaults": {"contextTokens": 1,
        "compaction": {"keepRecentTokens": 500}}}});
    let mut watched = Watched::new(settings).await;
    let long = "word ".repeat(1000);
    let mut compacted = None;
    for run in ["r1", "r2", "r3", "r4"] {
        watched.send(run, &format!("{run} {long}")).await;
        let request = watched.answer("noted").await;
        if text_of(&request.messages[0]).contains("Summarise") {
            compacted = Some((request, watched.answer("so be it").await));
        }
        watched.ended(run).await;
        if compacted.is_some() {
            break;
        }
    }
    let (summary, after) = compacted.expect("it is too long after four messages");
    assert!(text_of(&summary.messages[1]).contains("r1 word"));
    let past = said(&after);
    assert!(past[0].1.contains("noted"), "the summary");
    assert!(past.iter().all(|(_, text)| !text.contains("r1 word")));
    let lines = watched.harness.transcript();
    let entry = lines.iter().find(|line| line["type"] == "compaction").unwrap();
    assert!(entry["tokensBefore"].as_u64() > entry["tokensAfter"].as_u64());
    let history = watched.history().await;
    let mut shown = history["messages"].as_array().unwrap().iter();
    assert!(shown.any(|one| one["__openclaw"]["kind"] == "compaction"));
    assert_eq!(history["sessionInfo"]["compactionCount"], 1);
}

#[tokio::test]
async fn an_overflow_is_compacted_once_and_a_failure_goes_to_the_next_model() {
    let settings = json!({"agents": {"defaults": {
        "model": {"primary": "mock/demo", "fallbacks": ["mock/gpt-x"]},
        "compaction": {"keepRecentTokens": 1}}}});
    let mut watched = Watched::new(settings).await;
    for run in ["r1", "r2"] {
        watched.send(run, run).await;
        watched.answer("ok").await;
        watched.ended(run).await;
    }
    watched.send("r3", "third").await;
    let call = watched.harness.calls.recv().await.unwrap();
    call.refuse(Status::invalid_argument("This model's maximum context length is 5 tokens"));
    let request = watched.answer("short").await;
    assert!(text_of(&request.messages[0]).contains("Summarise"));
    let call = watched.harness.calls.recv().await.unwrap();
    assert!(said(&call.request)[0].1.contains("short"));
    assert_eq!(said(&call.request).last().unwrap().1, "third");
    call.refuse(Status::unavailable("down"));
    let request = watched.answer("from the other").await;
    assert_eq!(request.model, "mock/gpt-x");
    assert_eq!(watched.ended("r3").await["message"]["content"][0]["text"], "from the other");
}

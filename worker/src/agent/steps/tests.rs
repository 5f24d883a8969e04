//! Runs whose model calls tools, over the OpenAI-compatible surface.

mod authority;
mod events;
mod limits;
mod order;
mod room;

use proto::host::llm_event::Event;
use proto::host::{LlmRequest, Message, Role};
use serde_json::{Value, json};

use super::super::prompt::text_of;
use crate::testing::{Answer, Harness, batch, finished, left, read, started, text, tool_call};

fn body(prompt: &str) -> Value {
    json!({"model": "openclaw", "messages": [{"role": "user", "content": prompt}]})
}

/// An answer that calls tools: each an id, a name and arguments.
fn calling(calls: &[(&str, &str, &str)]) -> Vec<Event> {
    let calls = (0..).zip(calls).map(|(at, (id, name, input))| tool_call(at, id, name, input));
    [started()].into_iter().chain(calls).chain([finished("tool_calls")]).collect()
}

/// An answer in words.
fn saying(words: &str) -> Vec<Event> {
    vec![started(), text(words), finished("stop")]
}

/// Sends a chat completion whose model gives `answers`, and what it was asked for each.
async fn ask(
    harness: &mut Harness,
    key: &str,
    body: &Value,
    answers: Vec<Vec<Event>>,
) -> (Answer, Vec<LlmRequest>) {
    let sent = harness.send(key, body);
    let model = async {
        let mut asked = Vec::new();
        for events in answers {
            asked.push(answer(harness, events).await);
        }
        asked
    };
    tokio::join!(async { read(sent.await).await }, model)
}

/// Lets the next model call be answered, and gives what was asked.
async fn answer(harness: &mut Harness, events: Vec<Event>) -> LlmRequest {
    let call = harness.calls.recv().await.unwrap();
    let request = call.request.clone();
    call.open().send(Ok(batch(events))).await.unwrap();
    request
}

/// The names of the tools that a model was offered.
fn offered(request: &LlmRequest) -> Vec<String> {
    let tools = &request.params.as_ref().unwrap().tools;
    if tools.is_empty() {
        return Vec::new();
    }
    let tools: Value = serde_json::from_slice(tools).unwrap();
    let names = tools.as_array().unwrap().iter().map(|tool| tool["function"]["name"].as_str());
    names.map(|name| name.unwrap().to_owned()).collect()
}

/// The results that a model was given, by the ids of their calls.
fn results(request: &LlmRequest) -> Vec<(&str, String)> {
    let results = request.messages.iter().filter(|one| one.role() == Role::Tool);
    results.map(|one| (one.tool_call_id.as_str(), text_of(one))).collect()
}

fn last(request: &LlmRequest) -> &Message {
    request.messages.last().unwrap()
}

const STATUS: (&str, &str, &str) = ("c1", "session_status", "{}");

#[tokio::test]
async fn a_call_is_run_and_stored_and_the_model_asked_again() {
    let mut harness = Harness::new().await;
    let mut first = calling(&[STATUS]);
    first.insert(1, text("Let me look."));
    let (reply, asked) =
        ask(&mut harness, "main", &body("model?"), vec![first, saying("It is \"demo\".")]).await;
    let reply = reply.json();
    let message = &reply["choices"][0]["message"];
    assert_eq!(message["content"], "Let me look.\n\nIt is \"demo\".");
    assert!(message.get("tool_calls").is_none());
    assert_eq!(reply["choices"][0]["finish_reason"], "stop");
    assert_eq!(
        (&reply["usage"]["prompt_tokens"], &reply["usage"]["total_tokens"]),
        (&json!(14), &json!(20))
    );
    for name in ["read", "sessions_send", "cron", "image"] {
        assert!(offered(&asked[0]).iter().any(|one| one == name), "{name}");
    }
    assert_eq!(offered(&asked[0]), offered(&asked[1]));
    assert!(text_of(&asked[0].messages[0]).contains("- `session_status`: Tells the model"));
    let [.., call, result] = asked[1].messages.as_slice() else { panic!("two messages") };
    assert_eq!((text_of(call).as_str(), call.tool_calls[0].id.as_str()), ("Let me look.", "c1"));
    assert_eq!((result.role(), result.tool_call_id.as_str()), (Role::Tool, "c1"));
    assert!(text_of(result).contains("agent:main:main"), "{}", text_of(result));

    let lines = harness.transcript();
    let roles: Vec<_> = lines.iter().map(|line| line["message"]["role"].as_str()).collect();
    assert_eq!(roles[1..], ["user", "assistant", "toolResult", "assistant"].map(Some));
    let stops = [2, 4].map(|at: usize| lines[at]["message"]["stopReason"].as_str().unwrap());
    assert_eq!(stops, ["toolUse", "stop"]);
    assert_eq!(lines[2]["message"]["content"][1]["name"], "session_status");
    let result = &lines[3]["message"];
    assert_eq!(
        (&result["toolName"], &result["isError"]),
        (&json!("session_status"), &json!(false))
    );
    assert_eq!(result["toolCallId"], "c1");
    let key = json!({"key": "main"});
    let row = harness.call("sessions.describe", &key).await.unwrap()["session"].clone();
    assert_eq!((&row["totalTokens"], &row["lastTurnTokens"]), (&json!(20), &json!(10)));
    let (_, asked) = ask(&mut harness, "main", &body("again"), vec![saying("ok")]).await;
    assert_eq!(results(&asked[0]).len(), 1, "what was done is remembered");
}

#[tokio::test]
async fn a_stream_has_the_words_of_all_steps_and_no_call_of_ours() {
    let mut harness = Harness::new().await;
    let mut asked = body("go");
    asked["stream"] = json!(true);
    asked["stream_options"] = json!({"include_usage": true});
    let mut first = calling(&[STATUS]);
    first.insert(1, text("One."));
    let answers = vec![first, calling(&[("c1", "agents_list", "")]), saying("Two.")];
    let (reply, requests) = ask(&mut harness, "main", &asked, answers).await;
    assert!(results(&requests[2])[1].1.contains("requester"));
    let events = reply.events();
    let choice = |event: &Value| event["choices"][0].clone();
    let words: String = events
        .iter()
        .filter_map(|it| choice(it)["delta"]["content"].as_str().map(str::to_owned))
        .collect();
    assert_eq!(words, "One.\n\nTwo.");
    assert_eq!(events.iter().filter(|it| choice(it)["delta"]["role"] == "assistant").count(), 1);
    assert!(events.iter().all(|it| choice(it)["delta"].get("tool_calls").is_none()));
    let ends = events.iter().filter(|it| choice(it)["finish_reason"].is_string());
    assert_eq!(ends.map(|it| choice(it)["finish_reason"].clone()).collect::<Vec<_>>(), ["stop"]);
    assert_eq!(events.last().unwrap()["usage"]["total_tokens"], 30);
}

#[tokio::test]
async fn calls_of_a_client_go_back_and_ours_are_run() {
    let mut harness = Harness::new().await;
    let mut asked = body("both");
    asked["tools"] = json!([{"type": "function", "function": {"name": "w"}}]);
    asked["stream"] = json!(true);
    let mixed = calling(&[STATUS, ("c2", "w", "{\"at\":1}")]);
    let (reply, requests) = ask(&mut harness, "main", &asked, vec![mixed]).await;
    assert_eq!(offered(&requests[0]).last().unwrap(), "w");
    let events = reply.events();
    let calls: Vec<Value> = events
        .iter()
        .flat_map(|it| {
            it["choices"][0]["delta"]["tool_calls"].as_array().cloned().unwrap_or_default()
        })
        .collect();
    assert_eq!(calls.len(), 1);
    assert_eq!((&calls[0]["index"], &calls[0]["id"]), (&json!(0), &json!("c2")));
    assert_eq!(events.last().unwrap()["choices"][0]["finish_reason"], "tool_calls");
    let back = json!({"model": "openclaw", "messages": [
        {"role": "user", "content": "both"},
        {"role": "assistant", "content": null, "tool_calls": [
            {"id": "c2", "type": "function", "function": {"name": "w", "arguments": "{}"}}]},
        {"role": "tool", "tool_call_id": "c2", "content": "rain"}]});
    let (reply, requests) = ask(&mut harness, "main", &back, vec![saying("It rains.")]).await;
    assert_eq!(reply.json()["choices"][0]["message"]["content"], "It rains.");
    let given = results(&requests[0]);
    assert_eq!(given.iter().map(|one| one.0).collect::<Vec<_>>(), ["c1", "c2"]);
    assert_eq!(given[1].1, "rain");
    assert_eq!(harness.transcript()[2]["message"]["content"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn a_client_that_demands_a_call_of_its_own_gets_one() {
    let mut harness = Harness::new().await;
    let mut asked = body("go");
    asked["tools"] = json!([{"type": "function", "function": {"name": "read"}}]);
    let call = calling(&[("c0", "read", "{}")]);
    let (reply, requests) = ask(&mut harness, "main", &asked, vec![call]).await;
    let names = offered(&requests[0]);
    assert_eq!(names.iter().filter(|name| *name == "read").count(), 1, "theirs for ours");
    assert!(names.len() > 1);
    assert_eq!(reply.json()["choices"][0]["message"]["tool_calls"][0]["id"], "c0");
    asked["tool_choice"] = json!("required");
    let call = calling(&[("c1", "read", "{}")]);
    let (reply, requests) = ask(&mut harness, "main", &asked, vec![call]).await;
    assert_eq!(offered(&requests[0]), ["read"]);
    assert_eq!(reply.json()["choices"][0]["message"]["tool_calls"][0]["id"], "c1");
    let mut plain = asked.clone();
    plain["model"] = json!("gpt-x");
    let call = calling(&[("c1", "read", "{}")]);
    let (reply, requests) = ask(&mut harness, "", &plain, vec![call]).await;
    assert_eq!(offered(&requests[0]), ["read"], "a plain completion has its own tools only");
    assert_eq!(reply.json()["choices"][0]["finish_reason"], "tool_calls");
}

#[tokio::test]
async fn a_choice_between_tools_that_the_client_does_not_know_is_ignored() {
    let mut harness = Harness::new().await;
    for (choice, passed) in [("required", ""), ("auto", "\"auto\""), ("none", "\"none\"")] {
        let mut asked = body("go");
        asked["tool_choice"] = json!(choice);
        let (_, requests) = ask(&mut harness, "main", &asked, vec![saying("ok")]).await;
        assert_eq!(requests[0].params.as_ref().unwrap().tool_choice, passed, "{choice}");
    }
}

#[tokio::test]
async fn what_cannot_be_run_is_answered_with_an_error() {
    let mut harness = Harness::new().await;
    let tools = json!({"deny": ["cron"], "loop": {"warnAt": 64, "stopAt": 64}});
    harness.configure(&json!({"tools": tools})).await;
    let long = format!("{{\"task\":\"{}\"}}", "x".repeat(300 << 10));
    let calls = [
        ("", "session_status", "{\"sessionKey\""),
        ("twice", "session_status", "[]"),
        ("twice", "nope", "{}"),
        ("c4", "cron", "{\"action\":\"list\"}"),
        ("c5", "sessions_spawn", long.as_str()),
        ("c6", "session_status", "{\"other\":1}"),
        ("c7", "read", "{\"path\":\"../../agents/main/agent.json\"}"),
    ];
    let mut many = calls.to_vec();
    many.extend([STATUS; 10].iter().map(|(_, name, input)| ("", *name, *input)));
    let answers = vec![calling(&many), saying("sorry")];
    let (_, requests) = ask(&mut harness, "main", &body("go"), answers).await;
    let given = results(&requests[1]);
    assert_eq!(given.len(), 17, "each call has one result");
    let wanted = [
        "not valid JSON",
        "must be a JSON object",
        "no tool `nope`",
        "no tool `cron`",
        "at most 262144 bytes",
        "other is no argument",
        "must be in /workspace",
    ];
    for ((_, text), wanted) in given.iter().zip(wanted) {
        assert!(text.contains(wanted), "{text}: {wanted}");
    }
    assert!(given[16].1.contains("At most 16 calls"), "{}", given[16].1);
    let ids: std::collections::HashSet<_> = given.iter().map(|one| one.0).collect();
    assert_eq!(ids.len(), 17, "no two calls have the same id");
    assert!(!offered(&requests[0]).contains(&"cron".to_owned()));
    let lines = harness.transcript();
    let errors = lines.iter().filter(|line| line["message"]["isError"] == true).count();
    assert_eq!(errors, 8);
}

#[tokio::test]
async fn a_run_that_was_broken_off_by_a_restart_goes_on_with_the_next_message() {
    let directory = tempfile::tempdir().unwrap();
    let mut harness = Harness::on(directory.path().to_owned()).await;
    ask(&mut harness, "other", &body("hi"), vec![saying("ho")]).await;
    let params = json!({"sessionKey": "main", "message": "go", "idempotencyKey": "r1"});
    harness.call("chat.send", &params).await.unwrap();
    let send = ("c2", "sessions_send", "{\"sessionKey\":\"other\",\"message\":\"wait\"}");
    answer(&mut harness, calling(&[STATUS, send])).await;
    // The first result is stored, and the second call waits for another model call.
    let _waiting = harness.calls.recv().await.unwrap();
    // What a crash leaves is what is on disk now.
    let left = left(&harness.root);
    let mut harness = Harness::on(left.path().to_owned()).await;
    let again = harness.call("chat.send", &params).await.unwrap();
    assert_eq!(again["status"], "error", "{again}");
    let (_, requests) = ask(&mut harness, "main", &body("on"), vec![saying("yes")]).await;
    assert!(requests[0].messages.iter().all(|one| one.tool_calls.is_empty()));
    assert_eq!(results(&requests[0]), []);
    assert_eq!(text_of(last(&requests[0])), "on");
}

#[tokio::test]
async fn what_is_too_long_in_mid_run_is_compacted_and_goes_on() {
    let mut harness = Harness::new().await;
    let settings = json!({"agents": {"defaults": {"compaction": {"keepRecentTokens": 1}}}});
    harness.configure(&settings).await;
    for _ in 0..2 {
        ask(&mut harness, "main", &body("earlier"), vec![saying("noted")]).await;
    }
    let sent = harness.send("main", &body("go"));
    let model = async {
        answer(&mut harness, calling(&[STATUS])).await;
        let call = harness.calls.recv().await.unwrap();
        call.refuse(tonic::Status::invalid_argument("maximum context length is 5 tokens"));
        let summary = answer(&mut harness, saying("in short")).await;
        assert!(text_of(&summary.messages[0]).contains("Summarise"));
        answer(&mut harness, saying("done")).await
    };
    let (reply, request) = tokio::join!(async { read(sent.await).await }, model);
    assert_eq!(reply.json()["choices"][0]["message"]["content"], "done");
    let said: Vec<_> = request.messages.iter().skip(1).map(text_of).collect();
    assert!(said[0].contains("in short") && said[1] == "go", "{said:?}");
    assert_eq!(results(&request).len(), 1);
}

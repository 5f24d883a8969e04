//! Plain completions as clients see them, against a scripted model.

use proto::worker::{Route, ServeRequest};
use serde_json::{Value, json};
use std::time::Duration;
use tokio_stream::StreamExt as _;
use tonic::Status;

use crate::testing::{Harness, batch, finished, read, started, text, tool_call};

fn body(more: &Value) -> Value {
    let mut body = json!({"model": "demo", "messages": [{"role": "user", "content": "hi"}]});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

#[tokio::test]
async fn a_reply_without_stream_is_the_fold_of_one() {
    let mut harness = Harness::new().await;
    let batches = vec![vec![started(), text("Hel\"l")], vec![text("o\n\u{1}ü"), finished("stop")]];
    let (answer, request) = harness.ask("", &body(&json!({"temperature": 1})), batches).await;
    assert_eq!((answer.head.status, answer.head.event_stream, answer.parts), (200, false, 1));
    let reply = answer.json();
    assert!(reply["id"].as_str().unwrap().starts_with("chatcmpl-"));
    assert_eq!(reply["object"], "chat.completion");
    assert_eq!(reply["model"], "demo");
    assert_eq!(reply["created"], crate::testing::NOW / 1000);
    let choice = &reply["choices"][0];
    assert_eq!(choice["message"]["content"], "Hel\"lo\n\u{1}ü");
    assert_eq!(choice["finish_reason"], "stop");
    assert_eq!(reply["usage"]["prompt_tokens"], 7);
    assert_eq!(reply["usage"]["total_tokens"], 10);
    assert_eq!(reply["usage"]["prompt_tokens_details"]["cached_tokens"], 2);
    assert_eq!(reply["usage"]["completion_tokens_details"]["reasoning_tokens"], 1);
    assert_eq!((request.model.as_str(), request.messages.len()), ("demo", 1));
    assert_eq!(request.params.unwrap().temperature, Some(1.0));
    assert!(!harness.root.join("agents/main/sessions").exists(), "nothing is stored");
}

#[tokio::test]
async fn a_stream_has_one_part_per_batch_and_the_chunks_that_clients_expect() {
    let mut harness = Harness::new().await;
    let batches =
        vec![vec![started(), text("a"), text("b")], vec![text("\"c\\")], vec![finished("length")]];
    let more = json!({"stream": true, "stream_options": {"include_usage": true}});
    let (answer, _) = harness.ask("", &body(&more), batches).await;
    assert_eq!((answer.head.status, answer.head.event_stream), (200, true));
    assert!(answer.parts <= 3, "{}", answer.parts);
    let events = answer.events();
    assert_eq!(events.len(), 6);
    assert_eq!(events[0]["choices"][0]["delta"]["role"], "assistant");
    let texts: Vec<_> =
        events[1..4].iter().map(|event| &event["choices"][0]["delta"]["content"]).collect();
    assert_eq!(texts, ["a", "b", "\"c\\"]);
    assert_eq!(events[4]["choices"][0]["finish_reason"], "length");
    assert_eq!(events[5]["choices"], json!([]));
    assert_eq!(events[5]["usage"]["completion_tokens"], 3);
    for event in &events[..5] {
        assert_eq!(event["object"], "chat.completion.chunk");
        assert_eq!(event["usage"], Value::Null);
        assert_eq!(event["id"], events[0]["id"]);
    }
}

#[tokio::test]
async fn tool_calls_stream_and_fold() {
    let mut harness = Harness::new().await;
    let tools = json!([{"type": "function", "function": {"name": "f", "parameters": {"a": [1]}}}]);
    let batches = || {
        vec![vec![
            started(),
            tool_call(0, "call_1", "f", ""),
            tool_call(0, "", "", "{\"a\""),
            tool_call(1, "call_2", "g", "{}"),
            tool_call(0, "", "", ":1}"),
            finished("tool_calls"),
        ]]
    };
    let (answer, request) =
        harness.ask("", &body(&json!({"tools": tools, "tool_choice": "auto"})), batches()).await;
    let choice = &answer.json()["choices"][0];
    assert_eq!(choice["finish_reason"], "tool_calls");
    assert_eq!(choice["message"]["content"], Value::Null);
    let calls = &choice["message"]["tool_calls"];
    assert_eq!(calls[0]["function"], json!({"name": "f", "arguments": "{\"a\":1}"}));
    assert_eq!(calls[1]["id"], "call_2");
    let params = request.params.unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&params.tools).unwrap(), tools);
    assert_eq!(&*params.tool_choice, b"\"auto\"");

    let (answer, _) = harness.ask("", &body(&json!({"stream": true})), batches()).await;
    let events = answer.events();
    let delta = |at: usize| &events[at]["choices"][0]["delta"]["tool_calls"][0];
    assert_eq!(delta(1)["id"], "call_1");
    assert_eq!(delta(1)["type"], "function");
    assert_eq!(*delta(2), json!({"index": 0, "function": {"arguments": "{\"a\""}}));
    assert_eq!(delta(3)["index"], 1);
}

#[tokio::test]
async fn a_failure_before_the_first_byte_is_a_status() {
    let mut harness = Harness::new().await;
    let mut limited = Status::resource_exhausted("tokens per day: 5");
    limited.metadata_mut().insert("retry-after", "42".parse().unwrap());
    let cases = [
        (limited, 429, "rate_limit_error", "rate_limit_exceeded", 42),
        (Status::not_found("no"), 404, "invalid_request_error", "model_not_found", 0),
        (Status::invalid_argument("no"), 400, "invalid_request_error", "upstream_rejected", 0),
        (Status::deadline_exceeded("slow"), 504, "server_error", "timeout", 0),
        (Status::unavailable("down"), 503, "server_error", "unavailable", 0),
        (Status::internal("a secret of ours"), 502, "server_error", "upstream_error", 0),
    ];
    for (status, http, kind, code, retry_after_s) in cases {
        for stream in [false, true] {
            let sent = harness.send("", &body(&json!({"stream": stream})));
            let model = async { harness.calls.recv().await.unwrap().refuse(status.clone()) };
            let (answer, ()) = tokio::join!(async { read(sent.await).await }, model);
            assert_eq!((answer.head.status, answer.head.retry_after_s), (http, retry_after_s));
            assert!(!answer.head.event_stream);
            let error = &answer.json()["error"];
            assert_eq!((&error["type"], &error["code"]), (&json!(kind), &json!(code)));
            assert!(!answer.body.contains("secret"));
        }
    }
}

#[tokio::test]
async fn a_limit_that_the_supervisor_met_is_told_as_it_tells_its_own() {
    let mut harness = Harness::new().await;
    let limited = types::Limited {
        cause: types::Cause::Reached,
        level: types::Level::Tenant,
        subject: None,
        dimension: types::Dimension::CostMicros,
        window: Some(types::Window::Month),
        max: Some(5),
        remaining: Some(1),
        retry_after_seconds: 90,
        resets_at: 1_796_083_200_000,
    };
    let details = serde_json::to_vec(&limited).unwrap().into();
    let refused = Status::with_details(tonic::Code::ResourceExhausted, "no", details);
    let sent = harness.send("", &body(&json!({"stream": true})));
    let model = async { harness.calls.recv().await.unwrap().refuse(refused.clone()) };
    let (answer, ()) = tokio::join!(async { read(sent.await).await }, model);
    assert_eq!((answer.head.status, answer.head.retry_after_s), (429, 90));
    let error = &answer.json()["error"];
    assert_eq!((&error["type"], &error["code"]), (&json!("insufficient_quota"), &error["type"]));
    assert_eq!(error["message"], limited.to_string());
    assert_eq!(error["limit"], api::limited::details(&limited));

    let (mut stream, batches) = harness.open("", &body(&json!({"stream": true}))).await;
    batches.send(Ok(batch(vec![started(), text("a")]))).await.unwrap();
    stream.next().await.unwrap().unwrap();
    batches.send(Err(refused)).await.unwrap();
    let last = stream.next().await.unwrap().unwrap();
    let last = std::str::from_utf8(&last.data).unwrap();
    let last = last.strip_prefix("data: ").unwrap().strip_suffix("\n\ndata: [DONE]\n\n").unwrap();
    let last: Value = serde_json::from_str(last).unwrap();
    assert_eq!(last["error"], *error);
}

#[tokio::test]
async fn a_failure_in_mid_stream_is_an_event() {
    let mut harness = Harness::new().await;
    let (mut stream, batches) = harness.open("", &body(&json!({"stream": true}))).await;
    batches.send(Ok(batch(vec![started(), text("a")]))).await.unwrap();
    assert!(stream.next().await.unwrap().unwrap().head.is_some());
    batches.send(Err(Status::unavailable("gone"))).await.unwrap();
    let rest = stream.next().await.unwrap().unwrap();
    let rest = std::str::from_utf8(&rest.data).unwrap();
    assert!(rest.starts_with("data: {\"error\":{\"message\":\"gone\""), "{rest}");
    assert!(rest.ends_with("data: [DONE]\n\n"));
    assert!(stream.next().await.is_none());
}

#[tokio::test]
async fn a_stream_without_its_last_event_is_a_failure() {
    let mut harness = Harness::new().await;
    let batches = || vec![vec![started(), text("a")]];
    let (answer, _) = harness.ask("", &body(&json!({})), batches()).await;
    assert_eq!(answer.head.status, 502);
    let (answer, _) = harness.ask("", &body(&json!({"stream": true})), batches()).await;
    assert_eq!(answer.events()[2]["error"]["code"], "upstream_error");
}

#[tokio::test]
async fn a_reply_that_is_too_long_is_cut_off_at_once() {
    let mut harness = Harness::new().await;
    let sent = harness.send("", &body(&json!({})));
    let model = async {
        let batches = harness.calls.recv().await.unwrap().open();
        let long = "x".repeat(1 << 20);
        while batches.send(Ok(batch(vec![text(&long)]))).await.is_ok() {}
    };
    let (answer, ()) = tokio::join!(async { read(sent.await).await }, model);
    assert_eq!(answer.head.status, 502);
    assert_eq!(answer.json()["error"]["code"], "reply_too_long");
}

#[tokio::test]
async fn a_client_that_leaves_cancels_the_model_call_at_once() {
    let mut harness = Harness::new().await;
    for stream in [true, false] {
        let sent = harness.send("", &body(&json!({"stream": stream})));
        let client = async {
            let mut reply = sent.await;
            while reply.next().await.is_some() {}
        };
        let model = async {
            let batches = harness.calls.recv().await.unwrap().open();
            batches.send(Ok(batch(vec![started(), text("a")]))).await.unwrap();
            batches
        };
        // The client is dropped while it waits; no further token comes.
        let batches = tokio::select! {
            () = client => panic!("the reply does not end by itself"),
            batches = model => batches,
        };
        tokio::time::timeout(Duration::from_secs(5), batches.closed()).await.unwrap();
    }
}

#[tokio::test]
async fn models_are_listed_and_found() {
    let harness = Harness::new().await;
    std::fs::create_dir_all(harness.root.join("agents/ops")).unwrap();
    let get = async |route: Route, model: &str| {
        let request = ServeRequest {
            route: route.into(),
            model: model.to_owned(),
            ..ServeRequest::default()
        };
        read(harness.serve(request).await.unwrap()).await
    };
    let list = get(Route::Models, "").await.json();
    let ids: Vec<_> = list["data"].as_array().unwrap().iter().map(|model| &model["id"]).collect();
    assert_eq!(
        ids,
        ["openclaw", "openclaw/default", "openclaw/main", "openclaw/ops", "demo", "gpt-x"]
    );
    assert_eq!(get(Route::Model, "mock/demo").await.json()["owned_by"], "mock");
    assert_eq!(get(Route::Model, "openclaw/ops").await.json()["id"], "openclaw/ops");
    for (model, code) in [("gpt-y", "model_not_found"), ("openclaw/none", "agent_not_found")] {
        let answer = get(Route::Model, model).await;
        assert_eq!((answer.head.status, &answer.json()["error"]["code"]), (404, &json!(code)));
    }
    assert_eq!(harness.refused("", &body(&json!({"model": "gpt-y"}))).await.head.status, 404);
    assert_eq!(harness.refused("", &body(&json!({"model": "agent:x"}))).await.head.status, 404);
}

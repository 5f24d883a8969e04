//! Responses as clients see them, against a scripted model.

use proto::host::llm_event::Event;
use proto::host::{LlmRequest, Message, Role, part};
use proto::worker::{Route, ServeRequest};
use serde_json::{Value, json};
use tokio_stream::StreamExt as _;
use tonic::Status;

use crate::testing::{Answer, Harness, batch, finished, read, started, text, tool_call};

fn request(body: &Value) -> ServeRequest {
    ServeRequest {
        route: Route::Responses.into(),
        body: body.to_string().into(),
        request_id: "req".to_owned(),
        ..ServeRequest::default()
    }
}

async fn ask(harness: &mut Harness, body: Value, batches: Vec<Vec<Event>>) -> (Answer, LlmRequest) {
    let sent = harness.serve(request(&body));
    let model = async {
        let call = harness.calls.recv().await.unwrap();
        let asked = call.request.clone();
        let reply = call.open();
        for events in batches {
            reply.send(Ok(batch(events))).await.unwrap();
        }
        asked
    };
    tokio::join!(async { read(sent.await.unwrap()).await }, model)
}

async fn refused(harness: &Harness, body: Value) -> (u32, String) {
    let answer = read(harness.serve(request(&body)).await.unwrap()).await;
    (answer.head.status, answer.json()["error"].to_string())
}

/// Kinds and bodies of the events of a stream, whose numbers must be without a gap.
fn events(answer: &Answer) -> Vec<Value> {
    let body = answer.body.strip_suffix("data: [DONE]\n\n").expect("the end mark");
    let read = |(number, event): (usize, &str)| {
        let (kind, data) = event.strip_prefix("event: ").unwrap().split_once("\ndata: ").unwrap();
        let data: Value = serde_json::from_str(data).unwrap();
        assert_eq!((&data["type"], &data["sequence_number"]), (&json!(kind), &json!(number)));
        data
    };
    body.split_terminator("\n\n").enumerate().map(read).collect()
}

fn kinds(events: &[Value]) -> Vec<&str> {
    let kinds = events.iter().map(|event| event["type"].as_str().unwrap());
    kinds.map(|kind| kind.strip_prefix("response.").unwrap()).collect()
}

fn hello() -> Vec<Vec<Event>> {
    vec![vec![started(), text("Hel\"l")], vec![text("o"), finished("stop")]]
}

fn texts(asked: &LlmRequest) -> Vec<(Role, String)> {
    let of = |message: &Message| {
        let text = message.parts.iter().filter_map(|part| match &part.part {
            Some(part::Part::Text(text)) => Some(text.clone()),
            _ => None,
        });
        (message.role(), text.collect())
    };
    asked.messages.iter().map(of).collect()
}

#[tokio::test]
async fn a_plain_response_is_one_document_and_stores_nothing() {
    let mut harness = Harness::new().await;
    let body = json!({"model": "demo", "input": "hi", "instructions": "Be brief.",
        "temperature": 0.5, "max_output_tokens": 99, "metadata": {"a": "b"}, "user": "u"});
    let (answer, asked) = ask(&mut harness, body, hello()).await;
    let reply = answer.json();
    assert_eq!((answer.head.status, answer.head.event_stream), (200, false));
    assert!(reply["id"].as_str().unwrap().starts_with("resp_"));
    assert_eq!((&reply["object"], &reply["status"]), (&json!("response"), &json!("completed")));
    assert_eq!((&reply["error"], &reply["incomplete_details"]), (&Value::Null, &Value::Null));
    assert_eq!((&reply["model"], &reply["instructions"]), (&json!("demo"), &json!("Be brief.")));
    assert_eq!((&reply["metadata"]["a"], &reply["tools"]), (&json!("b"), &json!([])));
    let item = &reply["output"][0];
    assert_eq!((&item["type"], &item["role"]), (&json!("message"), &json!("assistant")));
    assert_eq!(item["content"][0]["text"], "Hel\"lo");
    assert_eq!(item["content"][0]["type"], "output_text");
    let usage = &reply["usage"];
    assert_eq!((&usage["input_tokens"], &usage["total_tokens"]), (&json!(7), &json!(10)));
    assert_eq!(usage["input_tokens_details"]["cached_tokens"], 2);
    let said = [(Role::System, "Be brief.".to_owned()), (Role::User, "hi".to_owned())];
    assert_eq!(texts(&asked), said);
    let params = asked.params.unwrap();
    assert_eq!((params.temperature, params.max_tokens), (Some(0.5), Some(99)));
    assert!(!harness.root.join("agents/main/sessions").exists(), "nothing is stored");
}

#[tokio::test]
async fn events_come_in_the_order_of_the_protocol() {
    let order = [
        "created",
        "in_progress",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "completed",
    ];
    for model in ["demo", "openclaw"] {
        let mut harness = Harness::new().await;
        let body = json!({"model": model, "input": "hi", "stream": true});
        let (answer, _) = ask(&mut harness, body, hello()).await;
        assert!(answer.head.event_stream);
        let events = events(&answer);
        assert_eq!(kinds(&events), order, "{model}");
        assert_eq!(events[0]["response"]["status"], "in_progress");
        assert_eq!(events[2]["item"]["content"], json!([]));
        assert_eq!((&events[4]["delta"], &events[5]["delta"]), (&json!("Hel\"l"), &json!("o")));
        assert_eq!(events[6]["text"], "Hel\"lo");
        assert_eq!(events[7]["part"]["text"], "Hel\"lo");
        let item = &events[8]["item"];
        assert_eq!((&item["status"], &item["id"]), (&json!("completed"), &events[4]["item_id"]));
        let whole = &events[9]["response"];
        assert_eq!((&whole["output"][0], &whole["id"]), (item, &events[0]["response"]["id"]));
        assert_eq!(whole["usage"]["output_tokens"], 3);
    }
}

#[tokio::test]
async fn function_calls_are_items_of_their_own() {
    let mut harness = Harness::new().await;
    let tools = json!([{"type": "function", "name": "f", "description": "d", "strict": true,
        "parameters": {"type": "object"}}]);
    let batches = || {
        vec![vec![
            started(),
            text("Look."),
            tool_call(0, "call_1", "f", ""),
            tool_call(0, "", "", "{\"a\""),
            tool_call(1, "call_2", "g", "{}"),
            tool_call(0, "", "", ":1}"),
            finished("tool_calls"),
        ]]
    };
    let choice = json!({"type": "function", "name": "f"});
    let body = json!({"model": "demo", "input": "hi", "tools": tools, "tool_choice": choice});
    let (answer, asked) = ask(&mut harness, body.clone(), batches()).await;
    let reply = answer.json();
    let call = &reply["output"][1];
    assert_eq!((&call["type"], &call["call_id"]), (&json!("function_call"), &json!("call_1")));
    assert_eq!((&call["arguments"], &call["status"]), (&json!("{\"a\":1}"), &json!("completed")));
    assert_eq!((&reply["tools"], &reply["tool_choice"]), (&tools, &choice));
    let params = asked.params.unwrap();
    let sent: Value = serde_json::from_slice(&params.tools).unwrap();
    let function =
        json!({"name": "f", "description": "d", "strict": true, "parameters": {"type": "object"}});
    assert_eq!(sent, json!([{"type": "function", "function": function}]));
    let sent: Value = serde_json::from_slice(&params.tool_choice).unwrap();
    assert_eq!(sent, json!({"type": "function", "function": {"name": "f"}}));

    let mut stream = body;
    stream["stream"] = true.into();
    let (answer, _) = ask(&mut harness, stream, batches()).await;
    let events = events(&answer);
    let arguments = |what: &str| format!("function_call_arguments.{what}");
    let after = &kinds(&events)[5..];
    assert_eq!(after[..3], ["output_text.done", "content_part.done", "output_item.done"]);
    let calls = [
        "output_item.added".to_owned(),
        arguments("delta"),
        "output_item.added".to_owned(),
        arguments("delta"),
        arguments("delta"),
        arguments("done"),
        "output_item.done".to_owned(),
        arguments("done"),
        "output_item.done".to_owned(),
        "completed".to_owned(),
    ];
    assert_eq!(after[3..], calls);
    let done = events.iter().find(|it| it["type"] == "response.function_call_arguments.done");
    assert_eq!(done.unwrap()["arguments"], "{\"a\":1}");
    assert_eq!(events.last().unwrap()["response"]["output"].as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn a_conversation_goes_on_from_an_earlier_response() {
    let mut harness = Harness::new().await;
    let first = json!({"model": "openclaw", "input": "one", "instructions": "First only."});
    let (answer, _) = ask(&mut harness, first, hello()).await;
    let id = answer.json()["id"].as_str().unwrap().to_owned();
    let next = json!({"model": "openclaw", "input": "two", "previous_response_id": id});
    let (answer, asked) = ask(&mut harness, next.clone(), hello()).await;
    assert_eq!(answer.json()["previous_response_id"], json!(id));
    let said = texts(&asked);
    let rest: Vec<_> = said[1..].iter().map(|(_, text)| text.as_str()).collect();
    assert_eq!(rest, ["one", "Hel\"lo", "two"]);
    assert!(!said[0].1.contains("First only."), "instructions are of one response");

    // In another process as well.
    let root = harness.root.clone();
    let mut again = Harness::on(root).await;
    let (_, asked) = ask(&mut again, next.clone(), hello()).await;
    assert_eq!(texts(&asked).len(), 6);

    let check = async |harness: &Harness, body: Value, status: u32, why: &str| {
        let (found, error) = refused(harness, body).await;
        assert!(found == status && error.contains(why), "{found} {error}");
    };
    let from =
        |model: &str, id: &str| json!({"model": model, "input": "x", "previous_response_id": id});
    check(&again, from("openclaw", "resp_0"), 400, "previous_response_not_found").await;
    check(&again, from("demo", &id), 400, "are stored").await;
    std::fs::create_dir_all(again.root.join("agents/ops")).unwrap();
    check(&again, from("openclaw/ops", &id), 400, "another agent").await;
    let unstored = json!({"model": "openclaw", "input": "x", "store": false});
    let (answer, _) = ask(&mut again, unstored, hello()).await;
    let unstored = answer.json()["id"].as_str().unwrap().to_owned();
    check(&again, from("openclaw", &unstored), 400, "previous_response_not_found").await;
}

#[tokio::test]
async fn answers_of_tools_continue_a_turn() {
    let mut harness = Harness::new().await;
    let tools = json!([{"type": "function", "name": "f"}]);
    let call = vec![vec![started(), tool_call(0, "call_1", "f", "{}"), finished("tool_calls")]];
    let first = json!({"model": "openclaw", "input": "use it", "tools": tools});
    let (answer, _) = ask(&mut harness, first, call).await;
    let id = &answer.json()["id"];
    let output = json!([{"type": "function_call_output", "call_id": "call_1", "output": "42"}]);
    let next = json!({"model": "openclaw", "input": output, "previous_response_id": id});
    let (_, asked) = ask(&mut harness, next, hello()).await;
    let roles: Vec<_> = asked.messages.iter().map(Message::role).collect();
    assert_eq!(roles, [Role::System, Role::User, Role::Assistant, Role::Tool]);
    assert_eq!(texts(&asked)[3].1, "42");

    // The same as items, for a client that keeps the conversation itself.
    let items = json!([
        {"role": "user", "content": [{"type": "input_text", "text": "use it"},
            {"type": "input_image", "image_url": "data:image/png;base64,AA", "detail": "auto"},
            {"type": "input_image", "source": {"type": "base64", "media_type": "image/png", "data": "BB"}}]},
        {"type": "reasoning", "id": "rs_1", "summary": []},
        {"type": "message", "role": "assistant", "id": "msg_1", "status": "completed",
            "content": [{"type": "output_text", "text": "Wait.", "annotations": []}]},
        {"type": "function_call", "id": "fc_1", "call_id": "c", "name": "f", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c", "output": [{"type": "input_text", "text": "42"}]},
    ]);
    let (_, asked) = ask(&mut harness, json!({"model": "demo", "input": items}), hello()).await;
    let roles: Vec<_> = asked.messages.iter().map(Message::role).collect();
    assert_eq!(roles, [Role::User, Role::Assistant, Role::Tool]);
    assert_eq!((asked.messages[0].parts.len(), asked.messages[1].tool_calls.len()), (3, 1));
}

#[tokio::test]
async fn an_end_that_is_none_is_said() {
    let mut harness = Harness::new().await;
    let cut = || vec![vec![started(), text("a"), finished("length")]];
    for stream in [false, true] {
        let body = json!({"model": "demo", "input": "hi", "stream": stream});
        let (answer, _) = ask(&mut harness, body, cut()).await;
        let response = if stream {
            let events = events(&answer);
            assert_eq!(*kinds(&events).last().unwrap(), "incomplete");
            events.last().unwrap()["response"].clone()
        } else {
            answer.json()
        };
        assert_eq!(response["status"], "incomplete");
        assert_eq!(response["incomplete_details"]["reason"], "max_output_tokens");
    }
    for model in ["demo", "openclaw"] {
        let body = json!({"model": model, "input": "hi", "stream": true});
        let sent = harness.serve(request(&body));
        let call = async { harness.calls.recv().await.unwrap().open() };
        let (mut reply, batches) = tokio::join!(async { sent.await.unwrap() }, call);
        batches.send(Ok(batch(vec![started(), text("a")]))).await.unwrap();
        reply.next().await.unwrap().unwrap();
        batches.send(Err(Status::unavailable("gone"))).await.unwrap();
        let rest = reply.next().await.unwrap().unwrap();
        let rest = std::str::from_utf8(&rest.data).unwrap();
        assert!(rest.starts_with("event: response.failed\n"), "{model}: {rest}");
        assert!(
            rest.contains("\"error\":{\"code\":\"unavailable\",\"message\":\"gone\"}"),
            "{rest}"
        );
    }
}

#[tokio::test]
async fn a_stream_that_is_too_long_is_ended() {
    let mut harness = Harness::new().await;
    let sent = harness.serve(request(&json!({"model": "demo", "input": "hi", "stream": true})));
    let model = async {
        let batches = harness.calls.recv().await.unwrap().open();
        let long = "x".repeat(1 << 20);
        while batches.send(Ok(batch(vec![text(&long)]))).await.is_ok() {}
    };
    let (answer, ()) = tokio::join!(async { read(sent.await.unwrap()).await }, model);
    assert_eq!(events(&answer).last().unwrap()["response"]["error"]["code"], "reply_too_long");
}

#[tokio::test]
async fn what_is_refused_is_named() {
    let harness = Harness::new().await;
    let check = async |more: Value, status: u32, why: &str| {
        let mut body = json!({"model": "demo", "input": "hi"});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let (found, error) = refused(&harness, body).await;
        assert!(found == status && error.contains(why), "{found} {error}");
    };
    check(json!({"input": null}), 400, "'input'").await;
    check(json!({"model": null}), 400, "'model'").await;
    check(json!({"input": []}), 422, "at least one item").await;
    check(json!({"input": 7}), 422, "a list of at most 4096").await;
    check(json!({"input": [{"role": "king", "content": "x"}]}), 422, "input[0]: role").await;
    check(json!({"input": [{"type": "item_reference", "id": "x"}]}), 422, "input[0]: the type")
        .await;
    check(json!({"input": [{"type": "function_call_output", "output": "x"}]}), 422, "call_id")
        .await;
    let file = json!([{"role": "user", "content": [{"type": "input_file"}]}]);
    check(json!({"input": file}), 422, "input[0]: content[0]: the type").await;
    let local =
        json!([{"role": "user", "content": [{"type": "input_image", "image_url": "file:///x"}]}]);
    check(json!({"input": local}), 422, "https://").await;
    check(json!({"tools": [{"type": "web_search"}]}), 422, "type function").await;
    check(json!({"tools": [{"type": "function"}]}), 422, "1 to 64").await;
    check(json!({"tool_choice": "maybe"}), 422, "tool_choice").await;
    check(json!({"text": {"format": {"type": "xml"}}}), 422, "text.format").await;
    check(json!({"reasoning": {"effort": "huge"}}), 422, "reasoning.effort").await;
    check(json!({"temperature": 3}), 422, "temperature").await;
    check(json!({"metadata": {"a": 1}}), 422, "metadata").await;
    check(json!({"background": true}), 400, "Unsupported parameter: 'background'").await;
    check(json!({"tempature": 1}), 400, "Unrecognized").await;
    check(json!({"model": "none"}), 404, "does not exist").await;
    check(json!({"model": "openclaw/none"}), 404, "Unknown agent").await;
}

#[tokio::test]
async fn whose_conversation_it_is() {
    let mut harness = Harness::new().await;
    let body = json!({"model": "openclaw", "input": "hi", "user": "Ada"});
    ask(&mut harness, body.clone(), hello()).await;
    let (_, asked) = ask(&mut harness, body, hello()).await;
    assert_eq!(asked.messages.len(), 4, "one user, one conversation");
    ask(&mut harness, json!({"model": "openclaw", "input": "hi"}), hello()).await;
    let sessions = std::fs::read_to_string(harness.root.join("agents/main/sessions/sessions.json"));
    let sessions: Value = serde_json::from_str(&sessions.unwrap()).unwrap();
    let keys: Vec<_> = sessions.as_object().unwrap().keys().map(String::as_str).collect();
    let has = |start: &str| keys.iter().any(|key| key.starts_with(start));
    assert!(
        has("agent:main:openresponses-user:ada") && has("agent:main:openresponses:"),
        "{keys:?}"
    );

    let other = ServeRequest {
        backend_model: "gpt-x".to_owned(),
        ..request(&json!({"model": "openclaw", "input": "hi"}))
    };
    let sent = harness.serve(other);
    let model = async { harness.calls.recv().await.unwrap().request.model };
    let (_, model) = tokio::join!(sent, model);
    assert_eq!(model, "gpt-x");
}

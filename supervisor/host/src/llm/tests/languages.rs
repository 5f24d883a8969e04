//! What providers of either language are sent, and how their answers are read.

use proto::host::ToolCall;
use serde_json::{Value, json};

use super::*;

/// A conversation with everything in it.
fn conversation() -> LlmRequest {
    let call = ToolCall {
        id: "c1".to_owned(),
        name: "weather".to_owned(),
        arguments: "{\"city\":\"Paris\"}".to_owned(),
    };
    let broken =
        ToolCall { id: "c2".to_owned(), name: "weather".to_owned(), arguments: "{".to_owned() };
    let image = |url: &str| Part { part: Some(PartKind::ImageUrl(url.to_owned())) };
    let mut look = message(Role::User, "Look");
    look.parts.extend([image("https://example.org/a.png"), image("data:image/png;base64,AAAA")]);
    look.name = "ann".to_owned();
    let calls = Message {
        role: Role::Assistant.into(),
        tool_calls: vec![call, broken],
        ..Message::default()
    };
    let answer = |id: &str| Message { tool_call_id: id.to_owned(), ..message(Role::Tool, "Rain") };
    let messages = vec![
        message(Role::System, "Be kind."),
        look,
        calls,
        answer("c1"),
        answer("c2"),
        message(Role::User, "And?"),
    ];
    let tools = json!([{"type": "function", "function": {
        "name": "weather", "description": "d", "parameters": {"type": "object"}}}]);
    let params = Params {
        temperature: Some(1.5),
        top_p: Some(0.5),
        frequency_penalty: Some(0.25),
        max_tokens: Some(50),
        seed: Some(-1),
        stop: vec!["END".to_owned()],
        tools: tools.to_string().into(),
        tool_choice: "\"required\"".into(),
        parallel_tool_calls: Some(false),
        reasoning_effort: Some("low".to_owned()),
        ..Params::default()
    };
    LlmRequest { messages, params: Some(params), ..request("") }
}

async fn sent(kind: Kind, act: Act, request: &LlmRequest) -> (String, Value, Vec<Event>) {
    let tasks = Tasks::default();
    let fake = Fake::start([act], &tasks).await;
    let bench = Setup::of(vec![provider("a", kind, Some(&fake))]).bench(&tasks);
    let events = bench.ask(request).await.unwrap();
    let seen = fake.seen().remove(0);
    (seen.head, seen.body, events)
}

#[tokio::test]
async fn what_an_openai_provider_is_sent() {
    let (head, body, _) = sent(Kind::OpenAi, hello(), &conversation()).await;
    assert!(head.starts_with("POST /v1/chat/completions HTTP/1.1"));
    assert!(head.contains(&format!("authorization: Bearer {KEY}")));
    let weather = |id: &str, arguments: &str| json!({"id": id, "type": "function", "function": {"name": "weather", "arguments": arguments}});
    let image = |url: &str| json!({"type": "image_url", "image_url": {"url": url}});
    let want = json!({
        "model": "m", "stream": true, "stream_options": {"include_usage": true},
        "temperature": 1.5, "top_p": 0.5, "frequency_penalty": 0.25, "max_tokens": 50, "seed": -1,
        "stop": ["END"], "tool_choice": "required", "parallel_tool_calls": false,
        "reasoning_effort": "low",
        "tools": [{"type": "function", "function": {
            "name": "weather", "description": "d", "parameters": {"type": "object"}}}],
        "messages": [
            {"role": "system", "content": "Be kind."},
            {"role": "user", "name": "ann", "content": [{"type": "text", "text": "Look"},
                image("https://example.org/a.png"), image("data:image/png;base64,AAAA")]},
            {"role": "assistant", "content": null, "tool_calls": [
                weather("c1", "{\"city\":\"Paris\"}"), weather("c2", "{")]},
            {"role": "tool", "tool_call_id": "c1", "content": "Rain"},
            {"role": "tool", "tool_call_id": "c2", "content": "Rain"},
            {"role": "user", "content": "And?"},
        ],
    });
    assert_eq!(body, want);
}

#[tokio::test]
async fn what_an_anthropic_provider_is_sent() {
    let act = Act::events(&["data: {\"type\":\"message_stop\"}\n\n"]);
    let (head, body, _) = sent(Kind::Anthropic, act, &conversation()).await;
    assert!(head.starts_with("POST /v1/messages HTTP/1.1"));
    assert!(head.contains(&format!("x-api-key: {KEY}")) && head.contains("anthropic-version: "));
    assert!(!head.contains("authorization"));
    let result = |id: &str| json!({"type": "tool_result", "tool_use_id": id, "content": [{"type": "text", "text": "Rain"}]});
    let used = |id: &str, input: Value| json!({"type": "tool_use", "id": id, "name": "weather", "input": input});
    let want = json!({
        "model": "m", "stream": true, "max_tokens": 50, "system": "Be kind.",
        "temperature": 1.0, "top_p": 0.5, "stop_sequences": ["END"],
        "tools": [{"name": "weather", "description": "d", "input_schema": {"type": "object"}}],
        "tool_choice": {"type": "any", "disable_parallel_tool_use": true},
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": "Look"},
                {"type": "image", "source": {"type": "url", "url": "https://example.org/a.png"}},
                {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}}]},
            {"role": "assistant", "content": [
                used("c1", json!({"city": "Paris"})),
                used("c2", json!({"malformed_arguments": "{"}))]},
            {"role": "user", "content": [result("c1"), result("c2"), {"type": "text", "text": "And?"}]},
        ],
    });
    assert_eq!(body, want);
}

#[tokio::test]
async fn what_no_provider_is_sent() {
    let check = async |kind: Kind, request: LlmRequest| {
        let tasks = Tasks::default();
        let fake = Fake::start([], &tasks).await;
        let bench = Setup::of(vec![provider("a", kind, Some(&fake))]).bench(&tasks);
        let status = bench.ask(&request).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument);
        assert!(fake.seen().is_empty());
    };
    let with = |params: Params| LlmRequest { params: Some(params), ..request("x") };
    let image = |url: &str| {
        let mut request = request("x");
        request.messages[0].parts[0].part = Some(PartKind::ImageUrl(url.to_owned()));
        request
    };
    for kind in [Kind::OpenAi, Kind::Anthropic] {
        check(kind, with(Params { tools: "[1".into(), ..Params::default() })).await;
        check(kind, with(Params { tools: "[".repeat(100).into(), ..Params::default() })).await;
        check(kind, with(Params { temperature: Some(f64::NAN), ..Params::default() })).await;
        check(kind, image("http://169.254.169.254/")).await;
        check(kind, image("file:///etc/passwd")).await;
        let no_role = LlmRequest { messages: vec![Message::default()], ..request("x") };
        check(kind, no_role).await;
    }
    let format =
        Params { response_format: "{\"type\":\"json_object\"}".into(), ..Params::default() };
    check(Kind::Anthropic, with(format)).await;
}

#[tokio::test]
async fn how_tool_calls_of_openai_are_read() {
    let act = Act::events(&[
        "data: {\"choices\":[{\"delta\":{\"tool_calls\":[{\"index\":0,\"id\":\"c\",\"function\":{\"name\":\"f\",\"arguments\":\"\"}}]}}]}\n\n",
        "data: {\"choices\":[{\"delta\":{\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\"{}\"}}]},\"finish_reason\":\"tool_calls\"}]}\n\n",
    ]);
    let (_, _, events) = sent(Kind::OpenAi, act, &request("hello")).await;
    let [Event::Started(_), Event::ToolCall(one), Event::ToolCall(other), Event::Finished(end)] =
        events.as_slice()
    else {
        panic!("{events:?}")
    };
    assert_eq!((one.id.as_str(), one.name.as_str(), one.index), ("c", "f", 0));
    assert_eq!((other.id.as_str(), other.arguments.as_str(), other.index), ("", "{}", 0));
    // The provider reported no usage: what was sent and streamed is estimated.
    let input = estimate::input(&request("hello"));
    let want = Finished { reason: "tool_calls".to_owned(), usage: Some(usage(input, 1, 0)) };
    assert_eq!(end, &want);
}

#[tokio::test]
async fn how_an_answer_of_anthropic_is_read() {
    let event =
        |data: Value| format!("event: {}\ndata: {data}\n\n", data["type"].as_str().unwrap());
    let pieces = [
        json!({"type": "message_start", "message": {"usage": {
            "input_tokens": 5, "cache_read_input_tokens": 3, "cache_creation_input_tokens": 2,
            "output_tokens": 1}}}),
        json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}),
        json!({"type": "ping"}),
        json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hi"}}),
        json!({"type": "content_block_stop", "index": 0}),
        json!({"type": "content_block_start", "index": 1, "content_block": {
            "type": "tool_use", "id": "t", "name": "f", "input": {}}}),
        json!({"type": "content_block_delta", "index": 1, "delta": {
            "type": "input_json_delta", "partial_json": "{}"}}),
        json!({"type": "some_new_event"}),
        json!({"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 9}}),
        json!({"type": "message_stop"}),
    ];
    let pieces: Vec<_> = pieces.map(event).to_vec();
    let pieces: Vec<_> = pieces.iter().map(String::as_str).collect();
    let (_, _, events) = sent(Kind::Anthropic, Act::events(&pieces), &request("hello")).await;
    let [
        Event::Started(_),
        Event::Text(text),
        Event::ToolCall(one),
        Event::ToolCall(other),
        Event::Finished(end),
    ] = events.as_slice()
    else {
        panic!("{events:?}")
    };
    assert_eq!(text, "Hi");
    assert_eq!((one.id.as_str(), one.name.as_str(), one.index), ("t", "f", 0));
    assert_eq!((other.arguments.as_str(), other.index), ("{}", 0));
    let want = Finished { reason: "tool_calls".to_owned(), usage: Some(usage(10, 9, 3)) };
    assert_eq!(end, &want);
}

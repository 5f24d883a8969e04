//! A chat completion from the client through front, worker and host to the provider and back.

use http::{Method, StatusCode};
use serde_json::{Value, json};
use tests::{Gateway, Provider};

#[tokio::test]
async fn the_demo_model_answers_an_agent_turn_and_the_conversation_is_on_disk() {
    let gateway = Gateway::start();
    let tenant = gateway.tenant("acme");
    let client = gateway.client(&tenant).header("x-openclaw-session-key", "main");
    let answer = client.chat("openclaw", "a question about whales").await.answer();
    assert!(!answer.is_empty());

    let sessions = gateway.root(&tenant).join("agents/main/sessions");
    let index: Value =
        serde_json::from_slice(&std::fs::read(sessions.join("sessions.json")).unwrap()).unwrap();
    let id = index["agent:main:main"]["sessionId"].as_str().unwrap();
    let transcript = std::fs::read_to_string(sessions.join(format!("{id}.jsonl"))).unwrap();
    let entries: Vec<Value> =
        transcript.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(entries[0]["type"], "session");
    assert_eq!(entries[0]["version"], 3);
    let roles: Vec<_> = entries
        .iter()
        .filter(|entry| entry["type"] == "message")
        .map(|entry| entry["message"]["role"].as_str().unwrap())
        .collect();
    assert_eq!(roles, ["user", "assistant"]);
    assert!(transcript.contains("a question about whales"));
}

#[tokio::test]
async fn history_reaches_the_model_in_the_next_turn() {
    let provider = Provider::start().await;
    let gateway = Gateway::with_provider(&provider);
    let tenant = gateway.tenant("acme");
    let client = gateway.client(&tenant).header("x-openclaw-session-key", "agent:main:one");
    assert_eq!(client.chat("openclaw", "the first message").await.answer(), "the first message");
    assert_eq!(client.chat("openclaw", "the second").await.answer(), "the second");
    let bodies = provider.bodies();
    let messages = bodies[1]["messages"].as_array().unwrap();
    let texts: Vec<_> = messages.iter().map(|message| message["content"].to_string()).collect();
    assert!(texts.iter().any(|text| text.contains("the first message")), "{texts:?}");
    assert_eq!(messages[0]["role"], "system");

    let history = client
        .post(
            "/rpc",
            &json!({"jsonrpc": "2.0", "id": 1, "method": "chat.history",
            "params": {"sessionKey": "agent:main:one"}}),
        )
        .await
        .json();
    assert_eq!(history["result"]["messages"].as_array().unwrap().len(), 4, "{history}");
}

#[tokio::test]
async fn a_plain_completion_passes_through_and_stores_nothing() {
    let provider = Provider::start().await;
    let gateway = Gateway::with_provider(&provider);
    let tenant = gateway.tenant("acme");
    let client = gateway.client(&tenant);
    let body = json!({
        "model": "mock", "temperature": 0.5, "max_tokens": 50, "stop": ["x"],
        "messages": [{"role": "system", "content": "be short"}, {"role": "user", "content": "hello there"}],
        "tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}],
    });
    let reply = client.post("/v1/chat/completions", &body).await;
    assert_eq!(reply.answer(), "hello there");
    let reply = reply.json();
    assert_eq!(reply["object"], "chat.completion");
    assert_eq!(reply["model"], "mock");
    assert_eq!(reply["choices"][0]["finish_reason"], "stop");
    let counts =
        ["prompt_tokens", "completion_tokens", "total_tokens"].map(|it| &reply["usage"][it]);
    assert_eq!(counts, [&json!(10), &json!(2), &json!(12)]);
    let sent = &provider.bodies()[0];
    assert_eq!(sent["temperature"], 0.5);
    assert_eq!(sent["tools"], body["tools"]);
    assert_eq!(sent["messages"].as_array().unwrap().len(), 2);
    let usage = gateway.json(&["usage", "acme"]);
    assert_eq!((&usage["inputTokens"], &usage["outputTokens"]), (&json!(10), &json!(2)));
}

#[tokio::test]
async fn a_stream_has_a_role_first_and_usage_and_done_last() {
    let provider = Provider::start().await;
    let gateway = Gateway::with_provider(&provider);
    let tenant = gateway.tenant("acme");
    for model in ["mock", "openclaw"] {
        let stream = gateway.client(&tenant).stream(model, "one two three").await;
        assert_eq!(stream.status(), StatusCode::OK);
        assert!(
            stream.headers()["content-type"].to_str().unwrap().starts_with("text/event-stream")
        );
        let (text, events) = stream.rest().await;
        assert_eq!(text, "one two three");
        let first: Value = serde_json::from_str(&events[0]).unwrap();
        assert_eq!(first["choices"][0]["delta"]["role"], "assistant");
        assert_eq!(events.last().unwrap(), "[DONE]");
        let usage: Value = serde_json::from_str(&events[events.len() - 2]).unwrap();
        assert_eq!(usage["choices"], json!([]));
        assert_eq!(usage["usage"]["completion_tokens"], 3);
    }
}

#[tokio::test]
async fn errors_have_the_status_and_shape_that_sdks_expect() {
    let provider = Provider::start().await;
    let gateway = Gateway::with_provider(&provider);
    gateway.announce("provider");
    let tenant = gateway.tenant("acme");
    let client = gateway.client(&tenant);
    let check = async |body: String, status: u16, said: &str| {
        let reply = client.send(Method::POST, "/v1/chat/completions", body).await;
        assert_eq!(reply.status, status, "{}", reply.text());
        let error = reply.json()["error"].clone();
        assert!(error["message"].as_str().unwrap().contains(said), "{error}");
        assert!(error["type"].is_string(), "{error}");
        reply
    };
    let with = |model: &str| {
        json!({"model": model, "messages": [{"role": "user", "content": "hi"}]}).to_string()
    };
    check("{".to_owned(), 400, "JSON").await;
    check(with("no-such-model"), 404, "no-such-model").await;
    check(with("openclaw/no-such-agent"), 404, "no-such-agent").await;
    check(json!({"model": "mock"}).to_string(), 400, "messages").await;
    check(json!({"model": "openclaw", "messages": []}).to_string(), 422, "messages").await;
    let silent = json!({"model": "openclaw", "messages": [{"role": "system", "content": "x"}]});
    check(silent.to_string(), 400, "user message").await;
    let hot =
        json!({"model": "mock", "temperature": 9, "messages": [{"role": "user", "content": "x"}]});
    check(hot.to_string(), 422, "temperature").await;
    check(with("broken"), 503, "").await;
    let busy = check(with("busy"), 429, "").await;
    assert_eq!(busy.headers["retry-after"], "7");
    let stream = client.stream("cut", "never ends well").await;
    let (_, events) = stream.rest().await;
    assert!(events.iter().any(|event| event.contains("\"error\"")), "{events:?}");
    assert_eq!(events.last().unwrap(), "[DONE]");
    assert_eq!(client.chat("mock", "still here").await.answer(), "still here");
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused_before_it_is_read() {
    let gateway = Gateway::start();
    let tenant = gateway.tenant("acme");
    let client = gateway.client(&tenant);
    let large = vec![b'x'; 21 << 20];
    let reply = client.try_open(Method::POST, "/v1/chat/completions", large).await;
    // The gateway answers and closes while the client still writes; either the answer arrives or
    // the write fails.
    if let Ok(reply) = reply {
        assert_eq!(reply.status(), StatusCode::PAYLOAD_TOO_LARGE);
    }
    assert!(!client.chat("demo", "still here").await.answer().is_empty());
}

#[tokio::test]
async fn a_client_that_hangs_up_cancels_the_providers_stream() {
    let provider = Provider::start().await;
    let gateway = Gateway::with_provider(&provider);
    let tenant = gateway.tenant("acme");
    for (n, model) in ["slow", "test/slow"].into_iter().enumerate() {
        let mut stream = gateway.client(&tenant).stream(model, "go").await;
        for _ in 0..3 {
            stream.next().await.unwrap();
        }
        drop(stream);
        let seen = tokio::task::spawn_blocking({
            let provider = provider.clone();
            move || tests::until("the provider sees the cancel", || provider.cancelled() > n)
        });
        seen.await.unwrap();
    }
    assert_eq!(gateway.client(&tenant).chat("mock", "next").await.answer(), "next");
}

#[tokio::test]
async fn models_lists_agents_and_provider_models() {
    let provider = Provider::start().await;
    let gateway = Gateway::with_provider(&provider);
    let tenant = gateway.tenant("acme");
    let client = gateway.client(&tenant);
    let list = client.get("/v1/models").await.json();
    let ids: Vec<_> = list["data"].as_array().unwrap().iter().map(|it| it["id"].clone()).collect();
    for id in ["openclaw", "openclaw/main", "mock", "demo"] {
        assert!(ids.contains(&json!(id)), "{ids:?}");
    }
    assert_eq!(client.get("/v1/models/openclaw%2Fmain").await.json()["id"], "openclaw/main");
    assert_eq!(client.get("/v1/models/nothing").await.status, StatusCode::NOT_FOUND);
}

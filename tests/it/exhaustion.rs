//! What one tenant makes the gateway keep in memory or hold open is bounded, and never at the
//! expense of another tenant.

use std::time::Duration;

use http::{Method, StatusCode};
use serde_json::{Value, json};
use tests::{Client, Gateway, Provider, Reply, Tenant, Wire, until};

const MIB: usize = 1 << 20;

fn chat_head(tenant: &Tenant, length: usize) -> String {
    let token = &tenant.token;
    format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\n\
         content-length: {length}\r\n\r\n"
    )
}

fn check_error(reply: &Reply, status: u16, code: &str) {
    assert_eq!(reply.status, status, "{}", reply.text());
    assert_eq!(reply.json()["error"]["code"], code);
}

/// Starts bodies of 20 MiB and leaves each without its last bytes.
async fn unfinished(gateway: &Gateway, tenant: &Tenant, count: usize) -> Vec<Wire> {
    let mut wires = Vec::new();
    for _ in 0..count {
        let mut wire = Wire::open(gateway.address()).await;
        wire.send(chat_head(tenant, 20 * MIB)).await;
        wire.send(vec![b' '; 19 * MIB]).await;
        wires.push(wire);
    }
    wires
}

#[tokio::test(flavor = "multi_thread")]
async fn the_bodies_of_one_tenant_leave_room_for_those_of_others() {
    let gateway = Gateway::start();
    let (greedy, other) = (gateway.tenant("greedy"), gateway.tenant("other"));
    // More than the room for all bodies together, if it were his alone.
    let wires = unfinished(&gateway, &greedy, 14).await;
    let text = "x".repeat(15 * MIB);
    let body = json!({"model": "demo", "stream": false,
        "messages": [{"role": "user", "content": text}]});
    let reply = gateway.client(&other).post("/v1/chat/completions", &body).await;
    assert_ne!(reply.status, StatusCode::SERVICE_UNAVAILABLE, "{}", reply.text());
    // On a slow machine an early body is given up before a late one comes, which then has its room.
    let mut refused = 0;
    for mut wire in wires {
        let reply = wire.reply().await.expect("an answer");
        if reply.status != StatusCode::REQUEST_TIMEOUT {
            check_error(&reply, 503, "unavailable");
            refused += 1;
        }
    }
    assert!(refused > 0, "every body had room");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_body_that_stops_coming_is_given_up_soon() {
    let gateway = Gateway::start();
    let tenant = gateway.tenant("acme");
    let [mut wire] = unfinished(&gateway, &tenant, 1).await.try_into().unwrap();
    let reply = tokio::time::timeout(Duration::from_secs(15), wire.reply()).await;
    check_error(&reply.expect("long before a minute is over").unwrap(), 408, "request_timeout");
}

#[tokio::test]
async fn a_limit_of_the_tenant_is_told_before_a_long_body_is_sent() {
    let gateway = Gateway::start();
    let tenant = gateway.tenant_with("acme", &["--requests-per-minute", "1"]);
    let client = gateway.client(&tenant);
    // Two of three requests are in one minute, whenever the minute turns.
    let mut refused = None;
    for _ in 0..3 {
        let reply = client.chat("demo", "hi").await;
        refused = (reply.status == StatusCode::TOO_MANY_REQUESTS).then_some(reply).or(refused);
    }
    check_error(&refused.expect("a refusal"), 429, "rate_limit_exceeded");
    let mut wire = Wire::open(gateway.address()).await;
    wire.send(chat_head(&tenant, MIB)).await;
    // The body never comes. Where the minute turned just now, the request is admitted and given up.
    let reply = wire.reply().await.expect("a refusal");
    assert!(reply.status == 429 || reply.status == 408, "{}", reply.text());
}

async fn talk(client: &Client, turns: usize) {
    let client = client.clone().header("x-openclaw-session-key", "agent:main:main");
    for _ in 0..turns {
        client.chat("openclaw", &"x".repeat(2000)).await.answer();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_answers_to_a_batch_are_bounded_together() {
    let provider = Provider::start().await;
    let gateway = Gateway::with_provider(&provider);
    let client = gateway.client(&gateway.tenant("acme"));
    talk(&client, 25).await;
    let keys = vec!["agent:main:main"; 16];
    let preview = |id: usize| {
        json!({"jsonrpc": "2.0", "id": id, "method": "sessions.preview",
            "params": {"keys": keys, "limit": 50, "maxChars": 2000}})
    };
    let alone = client.post("/rpc", &preview(0)).await;
    assert!(alone.body.len() > MIB, "{} bytes", alone.body.len());
    let batch: Vec<_> = (0..64).map(preview).collect();
    let reply = client.send(Method::POST, "/rpc", json!(batch).to_string()).await;
    assert_eq!(reply.status, StatusCode::OK, "{}", reply.text());
    assert!(reply.body.len() < 5 * MIB, "{} bytes", reply.body.len());
    let answers: Vec<Value> = serde_json::from_slice(&reply.body).unwrap();
    let ids: Vec<_> = answers.iter().map(|it| it["id"].as_u64().unwrap()).collect();
    assert_eq!(ids, (0..64).collect::<Vec<_>>());
    let last = &answers.last().unwrap()["error"];
    assert!(last["message"].as_str().unwrap().contains("too large"), "{last}");
}

#[tokio::test(flavor = "multi_thread")]
async fn revoking_ends_a_stream_that_nobody_reads() {
    let provider = Provider::start().await;
    let gateway = Gateway::with_provider(&provider);
    let tenant = gateway.tenant("acme");
    let tokens = gateway.json(&["tokens", "list", "acme"]);
    let id = tokens["tokens"][0]["id"].as_str().unwrap();
    let body = json!({"model": "flood", "stream": true,
        "messages": [{"role": "user", "content": "go"}]});
    let body = body.to_string();
    let mut wire = Wire::open_narrow(gateway.address()).await;
    wire.send(chat_head(&tenant, body.len()) + &body).await;
    assert_eq!(wire.head().await.expect("a head").0, StatusCode::OK);
    let mut words = 0;
    until("the provider comes to rest", || {
        std::thread::sleep(Duration::from_millis(200));
        std::mem::replace(&mut words, provider.words()) == provider.words()
    });
    assert_eq!(provider.cancelled(), 0);
    let revoked = std::time::Instant::now();
    gateway.json(&["tokens", "revoke", "acme", id]);
    until("the provider sees the cancel", || provider.cancelled() == 1);
    assert!(revoked.elapsed() < Duration::from_secs(15), "before any other time is over");
    drop(wire);
}

#[tokio::test]
async fn of_two_tokens_none_is_chosen() {
    let gateway = Gateway::start();
    let (one, other) = (gateway.tenant("one"), gateway.tenant("other"));
    let twice = gateway.client(&one).header("authorization", &format!("Bearer {}", other.token));
    for path in ["/v1/models", "/v1/models/demo"] {
        check_error(&twice.get(path).await, 400, "invalid_header");
    }
    check_error(&twice.chat("demo", "whose?").await, 400, "invalid_header");
    assert_eq!(gateway.client(&one).get("/v1/models").await.status, StatusCode::OK);
}

//! The gateway's listener against clients that are large, slow, wrong, hostile or many. Where the
//! default times are too long for a test (30 s for a head, 60 s for a body), it checks that who
//! uses them up stands in nobody's way; the ends themselves are checked beside the code.

mod smuggling;

use std::collections::HashSet;

use bytes::Bytes;
use http::{Method, StatusCode};
use serde_json::{Value, json};
use tests::{Client, Gateway, Provider, Reply, Tenant, Wire};
use tokio::task::JoinSet;

const MIB: usize = 1 << 20;

/// What ends every exchange: answered if and only if the gateway and the test agree on where the
/// request before it ended.
const LAST: &str = "GET /health HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";

/// A head without its last line.
fn head(verb: &str, path: &str, token: &str) -> String {
    format!("{verb} {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\n")
}

fn chat_head(tenant: &Tenant) -> String {
    head("POST", "/v1/chat/completions", &tenant.token)
}

fn chat_body() -> String {
    json!({"model": "demo", "messages": [{"role": "user", "content": "hi"}]}).to_string()
}

fn check_error(reply: &Reply, status: u16, code: &str) {
    assert_eq!(reply.status, status, "{}", reply.text());
    let error = &reply.json()["error"];
    assert_eq!(error["code"], code, "{error}");
    assert!(error["message"].is_string() && error["type"].is_string(), "{error}");
}

async fn exchange(gateway: &Gateway, bytes: impl AsRef<[u8]>) -> Reply {
    let mut wire = Wire::open(gateway.address()).await;
    wire.send(bytes).await;
    wire.reply().await.expect("a reply")
}

#[tokio::test]
async fn a_body_that_is_announced_too_large_is_refused_unsent() {
    let gateway = Gateway::start();
    let tenant = gateway.tenant("acme");
    let (chat, rpc) = (chat_head(&tenant), head("POST", "/rpc", &tenant.token));
    for (head, length) in [(&chat, 20 * MIB + 1), (&chat, 1 << 60), (&rpc, 4 * MIB + 1)] {
        for more in ["", "expect: 100-continue\r\n"] {
            let sent = format!("{head}{more}content-length: {length}\r\n\r\n");
            check_error(&exchange(&gateway, sent).await, 413, "request_too_large");
        }
    }
    let mut wire = Wire::open(gateway.address()).await;
    let body = chat_body();
    let length = body.len();
    wire.send(format!("{chat}expect: 100-continue\r\ncontent-length: {length}\r\n\r\n")).await;
    assert_eq!(wire.reply().await.unwrap().status, StatusCode::CONTINUE);
    wire.send(body).await;
    assert_eq!(wire.reply().await.unwrap().status, StatusCode::OK);
}

#[tokio::test]
async fn a_body_that_turns_out_too_large_is_refused_at_that_moment() {
    let gateway = Gateway::start();
    let tenant = gateway.tenant("acme");
    for (path, fits) in [("/v1/chat/completions", 20), ("/rpc", 4)] {
        let mut wire = Wire::open(gateway.address()).await;
        let head = head("POST", path, &tenant.token);
        wire.send(format!("{head}transfer-encoding: chunked\r\n\r\n")).await;
        let piece = [format!("{MIB:x}\r\n").into_bytes(), vec![b' '; MIB], b"\r\n".to_vec()];
        for _ in 0..fits {
            wire.send(piece.concat()).await;
        }
        // One byte more, and not the end of the body.
        wire.send("1\r\n \r\n").await;
        check_error(&wire.reply().await.unwrap(), 413, "request_too_large");
    }
    gateway.client(&tenant).chat("demo", "still here").await.answer();
}

#[tokio::test]
async fn a_head_that_is_too_large_is_refused() {
    let gateway = Gateway::start();
    let check = async |text: String, status: u16| {
        assert_eq!(exchange(&gateway, text).await.status, status);
    };
    let with = |fields: &str| format!("GET /health HTTP/1.1\r\nhost: x\r\n{fields}\r\n");
    let fields = |count: usize| "a: x\r\n".repeat(count);
    check(with(&fields(90)), 200).await;
    check(with(&fields(200)), 431).await;
    check(with(&format!("a: {}\r\n", "x".repeat(32 << 10))), 200).await;
    check(with(&format!("a: {}\r\n", "x".repeat(70 << 10))), 431).await;
    check(format!("GET /{} HTTP/1.1\r\nhost: x\r\n\r\n", "x".repeat(70 << 10)), 431).await;
}

#[tokio::test]
async fn slow_clients_stand_in_nobodys_way() {
    let gateway = Gateway::start();
    let tenant = gateway.tenant_with("acme", &["--concurrency", "1"]);
    let body = chat_body();
    let (start, rest) = body.split_at(20);
    let mut slow = Vec::new();
    for n in 0..100 {
        let mut wire = Wire::open(gateway.address()).await;
        let (head, length) = (chat_head(&tenant), body.len());
        let whole = format!("{head}content-length: {length}\r\n\r\n{start}");
        let (now, later) = whole.split_at(if n % 2 == 0 { whole.len() } else { 30 });
        wire.send(now).await;
        slow.push((wire, later.to_owned()));
    }
    for _ in 0..5 {
        gateway.client(&tenant).chat("demo", "the only one at once").await.answer();
        assert_eq!(Client::new(gateway.address(), None).get("/ready").await.status, StatusCode::OK);
    }
    for (mut wire, left) in slow {
        wire.send(left + rest).await;
        assert_eq!(wire.reply().await.unwrap().status, StatusCode::OK);
    }
}

#[tokio::test]
async fn a_stranger_is_answered_before_its_body() {
    let gateway = Gateway::start();
    let tenant = gateway.tenant("acme");
    let reader = gateway.json(&[
        "tokens",
        "create",
        "acme",
        "--label",
        "reader",
        "--scope",
        "operator.read",
    ]);
    let reader = reader["token"].as_str().unwrap();
    // The body that is announced never comes.
    let check = async |head: String, status: u16, code: &str| {
        let reply = exchange(&gateway, format!("{head}content-length: 1000\r\n\r\n")).await;
        check_error(&reply, status, code);
        let challenge = reply.headers.get("www-authenticate").map(|it| it.to_str().unwrap());
        assert_eq!(challenge, (status == 401).then_some("Bearer"));
    };
    let bare = |path: &str| format!("POST {path} HTTP/1.1\r\nhost: x\r\n");
    for path in ["/v1/chat/completions", "/rpc"] {
        check(bare(path), 401, "missing_api_key").await;
        check(bare(path) + "authorization: Basic eDp5\r\n", 401, "missing_api_key").await;
        check(head("POST", path, "tk_acme_wrong"), 401, "invalid_api_key").await;
        check(head("DELETE", path, &tenant.token), 405, "method_not_allowed").await;
    }
    check(head("POST", "/v1/chat/completions", reader), 403, "permission_denied").await;
    check(bare("/nothing"), 404, "not_found").await;
    gateway.json(&["tenants", "suspend", "acme"]);
    check(chat_head(&tenant), 403, "tenant_suspended").await;
}

#[tokio::test]
async fn every_answer_has_an_id_of_its_own_and_the_same_protection() {
    let provider = Provider::start().await;
    let gateway = Gateway::with_provider(&provider);
    let tenant = gateway.tenant("acme");
    let client = gateway.client(&tenant).header("x-request-id", "chosen-by-the-client");
    let none = Client::new(gateway.address(), None);
    let notification = json!({"jsonrpc": "2.0", "method": "health"});
    let mock = json!({"model": "mock", "messages": []});
    let text = client.clone().header("content-type", "text/plain");
    let replies = [
        (200, client.chat("mock", "hi").await),
        (200, none.get("/health").await),
        (200, client.get("/v1/models").await),
        (204, client.post("/rpc", &notification).await),
        (400, client.send(Method::POST, "/v1/chat/completions", "{").await),
        (401, none.get("/v1/models").await),
        (404, none.get("/nothing").await),
        (405, client.get("/rpc").await),
        (413, client.send(Method::POST, "/rpc", vec![b' '; 4 * MIB + 1]).await),
        (415, text.send(Method::POST, "/rpc", "{}").await),
        (422, client.post("/v1/chat/completions", &mock).await),
    ];
    let mut ids = HashSet::new();
    let mut check = |status: u16, found: StatusCode, headers: &http::HeaderMap, kept: &str| {
        assert_eq!(found, status);
        let id = headers["x-request-id"].to_str().unwrap();
        assert!(id.starts_with("req_") && id.len() == 36, "{status}: {id}");
        assert!(ids.insert(id.to_owned()), "{status}: {id} twice");
        assert_eq!(headers["x-content-type-options"], "nosniff", "{status}");
        assert_eq!(headers["cache-control"], kept, "{status}");
        assert!(!headers.contains_key("server"), "{status}");
    };
    for (status, reply) in &replies {
        check(*status, reply.status, &reply.headers, "no-store");
    }
    let stream = client.stream("mock", "hi").await;
    check(200, stream.status(), stream.headers(), "no-cache");
}

#[tokio::test]
async fn health_and_readiness() {
    let gateway = Gateway::start();
    let tenant = gateway.tenant("acme");
    let none = Client::new(gateway.address(), None);
    for path in ["/health", "/healthz"] {
        assert_eq!(none.get(path).await.json(), json!({"ok": true, "status": "live"}));
    }
    for path in ["/ready", "/readyz"] {
        assert_eq!(none.get(path).await.json(), json!({"ready": true}));
        let known = gateway.client(&tenant).get(path).await.json();
        assert_eq!(known, json!({"ready": true, "failing": []}));
        let wrong = Client::new(gateway.address(), Some("tk_acme_wrong".to_owned()));
        assert_eq!(wrong.get(path).await.json(), json!({"ready": true}));
    }
    for path in ["/health", "/healthz", "/ready", "/readyz"] {
        let looked = none.send(Method::HEAD, path, Bytes::new()).await;
        assert_eq!((looked.status, looked.body.len()), (StatusCode::OK, 0));
        for method in [Method::POST, Method::PUT, Method::DELETE, Method::OPTIONS] {
            let refused = none.send(method, path, Bytes::new()).await;
            assert_eq!(refused.status, StatusCode::METHOD_NOT_ALLOWED);
            assert_eq!(refused.headers["allow"], "GET, HEAD");
        }
    }
}

#[tokio::test]
async fn one_connection_carries_many_requests_in_order() {
    let gateway = Gateway::start();
    let tenant = gateway.tenant("acme");
    let (body, token) = (chat_body(), &tenant.token);
    let sized = |head: &str| format!("{head}content-length: {}\r\n\r\n{body}", body.len());
    let together = [
        "GET /ready HTTP/1.1\r\nhost: x\r\n\r\n".to_owned(),
        sized(&chat_head(&tenant)),
        // A refused body is read past, so that what follows it is understood.
        sized("POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\n"),
        sized(&head("POST", "/nothing", token)),
        format!("{}\r\n", head("GET", "/v1/models", token)),
        LAST.to_owned(),
    ];
    let mut wire = Wire::open(gateway.address()).await;
    wire.send(together.concat()).await;
    assert_eq!(wire.statuses().await, [200, 200, 401, 404, 200, 200]);
    let mut wire = Wire::open(gateway.address()).await;
    for request in &together {
        wire.send(request).await;
        wire.reply().await.expect("a reply on the same connection");
    }
    assert!(wire.reply().await.is_none());
}

async fn rpc(client: &Client, body: impl Into<Bytes>) -> Value {
    let reply = client.send(Method::POST, "/rpc", body).await;
    assert_eq!(reply.status, StatusCode::OK, "{}", reply.text());
    reply.json()
}

fn request(id: usize) -> Value {
    json!({"jsonrpc": "2.0", "id": id, "method": "sessions.list"})
}

#[tokio::test]
async fn a_batch_is_answered_item_by_item() {
    let gateway = Gateway::start();
    let client = gateway.client(&gateway.tenant("acme"));
    let note = json!({"jsonrpc": "2.0", "method": "health"});
    let full: Vec<_> = (0..64).map(request).collect();
    let answers = rpc(&client, json!(full).to_string()).await;
    let ids: Vec<_> = answers.as_array().unwrap().iter().map(|it| it["id"].clone()).collect();
    assert_eq!(ids, (0..64).map(|id| json!(id)).collect::<Vec<_>>());
    assert!(answers.as_array().unwrap().iter().all(|it| it["result"]["sessions"] == json!([])));

    let mixed = json!([1, request(1), note, [], {"jsonrpc": "1.0", "id": 2, "method": "health"},
        {"jsonrpc": "2.0", "id": {}, "method": "health"}, null, {"jsonrpc": "2.0", "id": "s",
        "method": "no.such"}, request(3)]);
    let answers = rpc(&client, mixed.to_string()).await;
    let answers = answers.as_array().unwrap();
    let ids: Vec<_> = answers.iter().map(|it| it["id"].to_string()).collect();
    assert_eq!(ids, ["null", "1", "null", "null", "null", "null", "\"s\"", "3"]);
    for answer in answers {
        let fine = answer["id"].is_u64();
        assert_eq!((fine, !fine), (answer["error"].is_null(), answer["result"].is_null()));
        let code = if answer["id"] == "s" { -32_601 } else { -32_600 };
        assert!(fine || answer["error"]["code"] == code, "{answer}");
    }
    let mut wrong = request(1);
    wrong["params"] = json!({"tenant": "globex"});
    assert_eq!(rpc(&client, wrong.to_string()).await["error"]["code"], -32_602);
}

#[tokio::test]
async fn a_batch_that_is_none_is_one_refusal_and_notes_have_no_answer() {
    let gateway = Gateway::start();
    let client = gateway.client(&gateway.tenant("acme"));
    let note = json!({"jsonrpc": "2.0", "method": "health"});
    for notes in [note.clone(), json!([note, note])] {
        let reply = client.post("/rpc", &notes).await;
        assert_eq!((reply.status, reply.body.len()), (StatusCode::NO_CONTENT, 0));
    }
    let too_many = json!((0..65).map(request).collect::<Vec<_>>()).to_string();
    let nested = |open: &str| open.repeat(200_000);
    let bodies = [too_many, "[]".to_owned(), "[1,".to_owned(), "[1]]".to_owned(), String::new()];
    for body in bodies.into_iter().chain([nested("["), nested("{\"a\":"), nested("[[],")]) {
        let shown: String = body.chars().take(20).collect();
        let answer = rpc(&client, body.clone()).await;
        let is_json = serde_json::from_str::<serde::de::IgnoredAny>(&body).is_ok();
        let code = if is_json { -32_600 } else { -32_700 };
        assert_eq!(answer["error"]["code"], code, "{shown}: {answer}");
        assert!(answer["id"].is_null(), "{shown}: {answer}");
    }
    for text in [nested("["), nested("{\"a\":"), format!("{{\"messages\":{}", nested("["))] {
        let reply = client.send(Method::POST, "/v1/chat/completions", text).await;
        assert!(reply.status.is_client_error(), "{}", reply.text());
    }
    client.chat("demo", "still here").await.answer();
}

/// How many of `count` requests with a wrong token were not even looked at.
async fn shut_out(wrong: Client, count: usize) -> usize {
    let mut shut_out = 0;
    for _ in 0..count {
        let reply = wrong.chat("demo", "let me in").await;
        if reply.status == StatusCode::UNAUTHORIZED {
            continue;
        }
        check_error(&reply, 429, "too_many_attempts");
        assert!(reply.headers["retry-after"].to_str().unwrap().parse::<u64>().unwrap() >= 1);
        shut_out += 1;
    }
    shut_out
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_strangers_is_shut_out_and_a_right_token_passes() {
    let gateway = Gateway::start();
    let tenant = gateway.tenant("acme");
    let mut flood = JoinSet::new();
    for n in 0..8 {
        let token = format!("tk_acme_{n:043}");
        flood.spawn(shut_out(Client::new(gateway.address(), Some(token)), 50));
    }
    let friend = gateway.client(&tenant);
    for _ in 0..20 {
        friend.chat("demo", "from the same address").await.answer();
    }
    let shut_out: usize = flood.join_all().await.into_iter().sum();
    // Five mistakes are free, and after each lock-out one more is looked at.
    assert!(shut_out > 350, "{shut_out}");
    friend.chat("demo", "and afterwards").await.answer();
}

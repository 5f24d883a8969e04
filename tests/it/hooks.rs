//! `/hooks/*` seen from outside: the token, the bounds, and what a hook starts.

use http::{Method, StatusCode};
use serde_json::json;
use tests::{Client, Gateway, Provider, Tenant, until};

/// A token that may call hooks and nothing else.
fn hook_token(gateway: &Gateway, tenant: &Tenant) -> String {
    let made =
        gateway.json(&["tokens", "create", &tenant.id, "--label", "hook", "--scope", "hooks"]);
    made["token"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hook_starts_a_turn_and_nothing_but_hooks_is_open_to_its_token() {
    let provider = Provider::start().await;
    let gateway = Gateway::with_provider(&provider);
    let tenant = gateway.tenant("acme");
    let token = hook_token(&gateway, &tenant);
    let hooks = Client::new(gateway.address(), Some(token.clone()));

    let body = json!({"message": "mail came", "waitForCompletion": true});
    let reply = hooks.clone().header("idempotency-key", "m1").post("/hooks/agent", &body).await;
    assert_eq!(reply.status, StatusCode::OK, "{}", reply.text());
    assert_eq!(reply.json()["completion"]["text"], "mail came", "{}", reply.text());
    let again = hooks.clone().header("x-openclaw-idempotency-key", "m1");
    let again = again.post("/hooks/agent", &body).await.json();
    assert_eq!(again["runId"], reply.json()["runId"]);
    assert_eq!(provider.requests(), 1);

    // The other header, and the main session.
    let other = Client::new(gateway.address(), None).header("x-openclaw-token", &token);
    let woken = other.post("/hooks/wake", &json!({"text": "the door bell"})).await;
    assert_eq!(woken.json()["eventOutcome"], "queued", "{}", woken.text());
    until("the main session is told", || provider.requests() == 2);

    for path in ["/v1/chat/completions", "/rpc"] {
        let body = json!({
            "jsonrpc": "2.0", "id": 1, "method": "health", "model": "mock", "messages": [],
        });
        let reply = hooks.post(path, &body).await;
        assert!(
            reply.status == StatusCode::FORBIDDEN || reply.json()["error"].is_object(),
            "{path}: {} {}",
            reply.status,
            reply.text()
        );
    }
    let status = gateway.client(&tenant).post("/hooks/wake", &json!({"text": "x"})).await.status;
    assert_eq!(status, StatusCode::FORBIDDEN, "a tenant's token does not call hooks");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_hook_request_must_not_be() {
    let gateway = Gateway::start();
    let tenant = gateway.tenant("acme");
    let token = hook_token(&gateway, &tenant);
    let hooks = Client::new(gateway.address(), Some(token.clone()));
    let nobody = Client::new(gateway.address(), None);
    let body = json!({"text": "x"});
    assert_eq!(nobody.post("/hooks/wake", &body).await.status, StatusCode::UNAUTHORIZED);
    let in_address = format!("/hooks/wake?token={token}");
    assert_eq!(nobody.post(&in_address, &body).await.status, StatusCode::BAD_REQUEST);
    assert_eq!(hooks.get("/hooks/wake").await.status, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(hooks.post("/hooks/other", &body).await.status, StatusCode::NOT_FOUND);
    let empty = hooks.post("/hooks/wake", &json!({})).await;
    assert_eq!(
        (empty.status, empty.json()["error"].clone()),
        (StatusCode::BAD_REQUEST, json!("text required"))
    );
    let long = json!({"text": "x".repeat(300 << 10)}).to_string();
    let long = hooks.send(Method::POST, "/hooks/wake", long).await;
    assert_eq!(long.status, StatusCode::PAYLOAD_TOO_LARGE);
}

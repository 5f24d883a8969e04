//! Consent over the wire: who is told, who decides, and what becomes of what nobody waits for.

use serde_json::{Value, json};
use tests::ws::{Connect, Ws};
use tests::{Gateway, Tenant};

async fn with_scope(gateway: &Gateway, tenant: &Tenant, scopes: &[&str]) -> Ws {
    Connect::new(gateway.address(), &tenant.token, scopes).open().await
}

fn request() -> Value {
    json!({
        "commandArgv": ["rm", "-rf", "a\u{202e}b"], "cwd": "/workspace", "agentId": "main",
        "twoPhase": true,
    })
}

#[tokio::test]
async fn a_request_is_told_and_decided_by_those_who_may() {
    let gateway = Gateway::start();
    let tenant = gateway.tenant("acme");
    let mut asking = with_scope(&gateway, &tenant, &["operator.approvals"]).await;
    let mut deciding = with_scope(&gateway, &tenant, &["operator.approvals"]).await;
    let mut reading = with_scope(&gateway, &tenant, &["operator.read"]).await;
    let stranger = gateway.tenant("globex");
    let mut theirs = with_scope(&gateway, &stranger, &["operator.approvals"]).await;

    let asked = asking.send("exec.approval.request", request()).await;
    let first = asking.answer(&asked).await["payload"].clone();
    assert_eq!(first["status"], "accepted", "{first}");
    let told = deciding.next_event("exec.approval.requested").await;
    assert_eq!(told["id"], first["id"]);
    assert_eq!(told["request"]["command"], r"rm -rf $'a\U0000202eb'");
    let listed = deciding.ok("exec.approval.list", json!({})).await;
    assert_eq!(listed, json!([told]));

    let allow = json!({"id": told["id"], "decision": "allow-once"});
    let err = reading.call("exec.approval.resolve", allow.clone()).await.unwrap_err();
    assert_eq!(err["message"], "missing scope: operator.approvals", "{err}");
    let err = theirs.call("exec.approval.resolve", allow.clone()).await.unwrap_err();
    assert_eq!(err["details"]["reason"], "APPROVAL_NOT_FOUND", "{err}");
    let known = theirs.call("approval.get", json!({"id": told["id"]})).await;
    assert!(known.is_err(), "{known:?}");

    deciding.ok("exec.approval.resolve", allow.clone()).await;
    let last = asking.answer(&asked).await["payload"].clone();
    assert_eq!((&last["decision"], &last["id"]), (&json!("allow-once"), &told["id"]), "{last}");
    deciding.ok("exec.approval.resolve", allow).await;
    let deny = json!({"id": told["id"], "decision": "deny"});
    let err = deciding.call("exec.approval.resolve", deny).await.unwrap_err();
    assert_eq!(err["details"]["reason"], "APPROVAL_ALREADY_RESOLVED", "{err}");
    // Whatever was on its way has come before the answer to this.
    reading.ok("health", json!({})).await;
    assert_eq!(reading.seen("exec.approval.requested") + reading.seen("exec.approval.resolved"), 0);
    theirs.ok("exec.approval.list", json!({})).await;
    assert_eq!(theirs.seen("exec.approval.requested"), 0);
}

#[tokio::test]
async fn what_nobody_waits_for_any_more_is_withdrawn() {
    let gateway = Gateway::start();
    let tenant = gateway.tenant("acme");
    let mut asking = with_scope(&gateway, &tenant, &["operator.approvals"]).await;
    let mut deciding = with_scope(&gateway, &tenant, &["operator.approvals"]).await;
    asking.send("exec.approval.request", request()).await;
    let told = deciding.next_event("exec.approval.requested").await;
    asking.close().await;
    let over = deciding.next_event("exec.approval.resolved").await;
    assert_eq!((&over["id"], &over["decision"]), (&told["id"], &json!("deny")), "{over}");
    let allow = json!({"id": told["id"], "decision": "allow-once"});
    let err = deciding.call("exec.approval.resolve", allow).await.unwrap_err();
    assert_eq!(err["details"]["reason"], "APPROVAL_NOT_FOUND", "{err}");
    let found = deciding.ok("approval.get", json!({"id": told["id"]})).await;
    assert_eq!(found["approval"]["status"], "cancelled", "{found}");
}

#[tokio::test]
async fn the_file_outlives_the_gateway_and_requests_do_not() {
    let mut gateway = Gateway::start();
    let tenant = gateway.tenant("acme");
    let scopes = ["operator.admin", "operator.approvals"];
    let mut ws = with_scope(&gateway, &tenant, &scopes).await;
    let none = ws.ok("exec.approvals.get", json!({})).await;
    assert_eq!((&none["exists"], &none["resolvedDefaults"]["ask"]), (&json!(false), &json!("off")));
    let entry = json!({"pattern": "/usr/bin/git"});
    let file = json!({
        "version": 1, "defaults": {"ask": "always"}, "agents": {"main": {"allowlist": [entry]}},
    });
    let set = ws.ok("exec.approvals.set", json!({"file": file})).await;
    assert_eq!(set["resolvedDefaults"]["ask"], "always", "{set}");
    let again = ws.call("exec.approvals.set", json!({"file": file})).await.unwrap_err();
    assert!(again["message"].as_str().unwrap().contains("base hash required"), "{again}");
    let asked = ws.send("exec.approval.request", request()).await;
    let id = ws.answer(&asked).await["payload"]["id"].clone();
    drop(ws);
    gateway.stop();
    gateway.restart();
    let mut ws = with_scope(&gateway, &tenant, &scopes).await;
    let kept = ws.ok("exec.approvals.get", json!({})).await;
    assert_eq!((&kept["file"], &kept["hash"]), (&set["file"], &set["hash"]));
    let gone = ws.call("approval.get", json!({"id": id})).await.unwrap_err();
    assert_eq!(gone["details"]["reason"], "APPROVAL_NOT_FOUND", "{gone}");
}

#[tokio::test]
async fn who_does_not_want_to_wait_for_somebody_is_told_that_nobody_is_there() {
    let gateway = Gateway::start();
    let tenant = gateway.tenant("acme");
    let params = json!({"command": "ls", "requireDeliveryRoute": true});
    let body =
        json!({"jsonrpc": "2.0", "id": 1, "method": "exec.approval.request", "params": params});
    let answer = gateway.client(&tenant).post("/rpc", &body).await.json();
    assert_eq!(answer["result"]["terminalReason"], "no-route", "{answer}");
    assert_eq!(answer["result"]["decision"], Value::Null);
}

#[tokio::test]
async fn what_may_not_be_asked() {
    let gateway = Gateway::start();
    let tenant = gateway.tenant("acme");
    let mut ws = with_scope(&gateway, &tenant, &["operator.approvals"]).await;
    for (params, why) in [
        (json!({}), "command or commandArgv is required"),
        (json!({"command": "ls", "host": "sandbox"}), "host is not sandbox"),
        (json!({"command": "ls", "id": "../x"}), "id has 1 to 128"),
        (json!({"command": "ls", "timeoutMs": 0}), "timeoutMs is at least 1"),
    ] {
        let err = ws.call("exec.approval.request", params).await.unwrap_err();
        assert!(err["message"].as_str().unwrap().contains(why), "{err}");
    }
    let asked = ws.send("exec.approval.request", json!({
        "command": "ls", "id": "mine", "twoPhase": true, "unavailableDecisions": ["allow-always"],
    }));
    let asked = asked.await;
    ws.answer(&asked).await;
    let taken = ws.call("exec.approval.request", json!({"command": "ls", "id": "mine"})).await;
    assert_eq!(taken.unwrap_err()["message"], "approval id already used");
    let always = json!({"id": "mine", "decision": "allow-always"});
    let err = ws.call("exec.approval.resolve", always).await.unwrap_err();
    assert_eq!(err["details"]["reason"], "APPROVAL_ALLOW_ALWAYS_UNAVAILABLE", "{err}");
    let for_days = json!({"id": "mine", "decision": "allow-once", "grantExpiresInDays": 1});
    ws.call("exec.approval.resolve", for_days).await.unwrap_err();
    ws.ok("exec.approval.resolve", json!({"id": "mine", "decision": "deny"})).await;
    assert_eq!(ws.answer(&asked).await["payload"]["decision"], "deny");
}

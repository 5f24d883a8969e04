//! What clients and operators see of limits: refusals in the words of each protocol, what is left,
//! warnings, and figures.

mod receiver;
mod sdks;

use http::Method;
use serde_json::{Value, json};
use tests::ws::Connect;
use tests::{Builder, Client, Gateway, Provider, Tenant};

use receiver::Receiver;

const ALL: &[&str] = &["operator.read", "operator.write", "operator.admin"];

/// A tenant whose first request is its last one in this month.
fn spent(gateway: &Gateway, id: &str) -> Tenant {
    gateway.tenant_with(id, &["--quota", "requests/month=1"])
}

fn check_details(details: &Value, limit: &str) {
    assert_eq!(details["limit"], limit, "{details}");
    assert_eq!((&details["level"], &details["code"]), (&json!("tenant"), &json!("LIMIT_REACHED")));
    assert!(details["resetsAt"].as_u64().unwrap() > 1_700_000_000_000, "{details}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_is_told_the_same_over_http_rpc_and_websocket() {
    let gateway = Gateway::start();
    let tenant = spent(&gateway, "acme");
    let client = gateway.client(&tenant);
    client.chat("demo", "hi").await.answer();

    let reply = client.chat("demo", "hi").await;
    assert_eq!(reply.status, 429, "{}", reply.text());
    let error = &reply.json()["error"];
    assert_eq!((&error["type"], &error["code"]), (&json!("rate_limit_exceeded"), &error["type"]));
    check_details(&error["limit"], "requests/month");
    let header = |name: &str| reply.headers[name].to_str().unwrap().to_owned();
    assert_eq!(header("x-should-retry"), "false");
    assert_eq!(header("x-ratelimit-limit-requests"), "1");
    assert_eq!(header("x-ratelimit-remaining-requests"), "0");
    let wait: u64 = header("retry-after").parse().unwrap();
    assert!((1..=31 * 86_400).contains(&wait), "{wait}");

    let call = json!({"jsonrpc": "2.0", "id": 1, "method": "sessions.list", "params": {}});
    let reply = client.send(Method::POST, "/rpc", call.to_string()).await;
    let error = &reply.json()["error"];
    assert_eq!(
        (&error["code"], &error["data"]["code"]),
        (&json!(-32_005), &json!("RESOURCE_EXHAUSTED"))
    );
    check_details(&error["data"]["details"], "requests/month");

    let mut ws = Connect::new(gateway.address(), &tenant.token, ALL).open().await;
    let error = ws.call("sessions.list", json!({})).await.unwrap_err();
    assert_eq!(error["code"], "UNAVAILABLE");
    assert!(error["message"].as_str().unwrap().contains("requests/month"), "{error}");
    check_details(&error["details"], "requests/month");
    let wait = error["retryAfterMs"].as_u64().unwrap();
    assert!(wait > 0 && wait <= 2_147_483_647, "{error}");
    assert_eq!(error["retryable"], wait <= 600_000, "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_sees_how_its_limits_stand_and_what_it_has_used() {
    let gateway = Gateway::start();
    let quotas = ["--quota", "tokens/month=1000000", "--quota", "token:* requests/day=50"];
    let tenant = gateway.tenant_with("acme", &quotas);
    gateway.client(&tenant).chat("demo", "one two three").await.answer();
    let mut ws = Connect::new(gateway.address(), &tenant.token, ALL).open().await;
    let status = ws.ok("tenants.quota.status", json!({})).await;
    assert_eq!((&status["isBlocked"], &status["isAtSoftLimit"]), (&json!(false), &json!(false)));
    let standing = |limit: &str| {
        let all = status["standings"].as_array().unwrap();
        all.iter().find(|it| it["limit"] == limit).unwrap_or_else(|| panic!("{status}")).clone()
    };
    let tokens = standing("tokens/month");
    assert_eq!(tokens["level"], "tenant");
    assert!(tokens["settled"].as_u64() > Some(0) && tokens["held"] == 0, "{tokens}");
    // The call that asks counts as well, and so does what a connection begins with.
    let requests = standing("requests/day");
    assert_eq!(requests["level"], "token");
    assert!(requests["settled"].as_u64() >= Some(2), "{requests}");
    let shown = ws.ok("usage.status", json!({})).await;
    let windows = &shown["providers"][0]["windows"];
    assert_eq!(
        (&windows[0]["label"], &windows[0]["usedPercent"]),
        (&json!("tokens/month"), &json!(0))
    );
    let month = ws.ok("tenants.usage", json!({})).await;
    let used = month["totalTokens"].as_u64().unwrap();
    assert_eq!(Some(used), tokens["settled"].as_u64());
    let history = ws.ok("tenants.usage.history", json!({"months": 2})).await;
    assert_eq!(history["history"][0]["totalTokens"], used, "{history}");
    let days = ws.ok("usage.cost", json!({"days": 2})).await;
    assert_eq!(days["totals"]["totalTokens"], used, "{days}");
    assert_eq!(days["daily"].as_array().unwrap().len(), 1, "{days}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_that_a_run_meets_is_told_in_its_events_and_as_its_error() {
    let provider = Provider::start().await;
    let gateway = Builder::default().config(sdks::priced(&provider)).start();
    let tenant = gateway.tenant_with("poor", &["--quota", "costMicros/month=1"]);
    let mut ws = Connect::new(gateway.address(), &tenant.token, ALL).open().await;
    let send = json!({"sessionKey": "agent:main:main", "message": "hi", "idempotencyKey": "k1"});
    ws.ok("chat.send", send).await;
    let chat = loop {
        let chat = ws.next_event("chat").await;
        if chat["state"] == "error" {
            break chat;
        }
    };
    assert_eq!(
        (&chat["errorKind"], &chat["errorDetail"]["failoverReason"]),
        (&json!("rate_limit"), &json!("billing"))
    );
    assert_eq!(chat["errorDetail"]["httpStatus"], 429);
    assert!(chat["errorMessage"].as_str().unwrap().contains("costMicros/month"), "{chat}");
    let limit = loop {
        let agent = ws.next_event("agent").await;
        if agent["data"]["phase"] == "error" {
            break agent["data"]["limit"].clone();
        }
    };
    check_details(&limit, "costMicros/month");
    let reply = gateway.client(&tenant).chat("openclaw", "hi").await;
    assert_eq!(reply.status, 429, "{}", reply.text());
    assert_eq!(reply.json()["error"]["type"], "insufficient_quota");
    check_details(&reply.json()["error"]["limit"], "costMicros/month");
    assert_eq!(reply.headers["x-should-retry"], "false");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_that_is_nearly_used_up_is_told_to_clients_and_the_operator() {
    let receiver = Receiver::start().await;
    let config = json!({"alerts": {"webhook": {
        "url": receiver.url(), "secret": {"command": ["printf", "%s", Receiver::secret()]},
    }}});
    let gateway = Builder::default().config(config.to_string()).start();
    let tenant = gateway.tenant_with("acme", &["--quota", "requests/month=10"]);
    let mut ws = Connect::new(gateway.address(), &tenant.token, ALL).open().await;
    let client = gateway.client(&tenant);
    for (percent, requests) in [(50, 5), (80, 3), (100, 2)] {
        for _ in 0..requests {
            client.chat("demo", "hi").await.answer();
        }
        let event = ws.next_event("quota.warning").await;
        assert_eq!(
            (&event["percent"], &event["limit"]),
            (&json!(percent), &json!("requests/month"))
        );
        let alert = receiver.next().await;
        assert_eq!(alert["type"], "quota.warning");
        assert_eq!(alert["data"], event);
        assert_eq!((&event["tenantId"], &event["max"]), (&json!("acme"), &json!(10)));
    }
    let log = gateway.json(&["tenants", "logs", "acme"]).to_string();
    assert!(log.contains("limit requests/month of tenant: 80 % of 10 are used"), "{log}");
    let other = gateway.tenant("other");
    assert!(!gateway.json(&["tenants", "logs", &other.id]).to_string().contains("of 10 are used"));
}

#[tokio::test(flavor = "multi_thread")]
async fn operators_see_use_limits_and_prices() {
    let gateway = Builder::default().config(r#"{ quotas: ["requests/month=1000"] }"#).start();
    let tenant = gateway.tenant("acme");
    gateway.tenant("idle");
    gateway.client(&tenant).chat("demo", "hi").await.answer();
    for period in ["--day", "--month"] {
        let usage = gateway.json(&["usage", "acme", period]);
        assert_eq!((&usage["tenant"], &usage["requests"]), (&json!("acme"), &json!(1)), "{usage}");
        let tokens =
            usage["inputTokens"].as_u64().unwrap() + usage["outputTokens"].as_u64().unwrap();
        assert!(tokens > 0 && usage["limits"]["concurrency"].is_u64(), "{usage}");
        let all = gateway.json(&["usage", period]);
        assert_eq!(all["usage"].as_array().unwrap().len(), 2, "{all}");
        assert_eq!(
            (&all["usage"][0]["requests"], &all["usage"][1]["requests"]),
            (&json!(1), &json!(0))
        );
        assert_eq!((&all["window"], &all["next"]), (&usage["window"], &Value::Null));
    }
    let quota = gateway.json(&[
        "tenants",
        "quota",
        "acme",
        "--set",
        "tokens/day=500",
        "--set",
        "token:* requests/hour=7",
    ]);
    assert_eq!(quota["quotas"], json!(["tokens/day=500", "token:* requests/hour=7"]));
    let shown = gateway.json(&["tenants", "quota", "acme"]);
    assert_eq!(shown["quotas"], quota["quotas"]);
    let day = shown["standings"].as_array().unwrap().iter().find(|it| it["limit"] == "tokens/day");
    assert!(day.unwrap()["settled"].as_u64().unwrap() > 0, "{shown}");
    let cleared = gateway.json(&["tenants", "quota", "acme", "--clear"]);
    assert_eq!(cleared["quotas"], json!([]));
    assert_eq!(
        gateway.cli(&["tenants", "quota", "acme", "--set", "tokens=5"]).status.code(),
        Some(2)
    );
    let house = gateway.json(&["quota"]);
    assert_eq!(house["quotas"], json!(["requests/month=1000"]), "{house}");
    assert_eq!(house["standings"][0]["settled"], 1, "{house}");
    for people in [&["usage", "acme"][..], &["usage"], &["quota"], &["tenants", "quota", "acme"]] {
        let output = gateway.cli(people);
        assert!(output.status.success() && !output.stdout.is_empty(), "{people:?}: {output:?}");
    }
}

async fn metrics(gateway: &Gateway) -> String {
    let args = ["keys", "create", "--label", "scrape", "--role", "auditor"];
    let key = gateway.json(&args)["key"].as_str().unwrap().to_owned();
    Client::new(gateway.control(), Some(key)).get("/metrics").await.text()
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_tell_of_the_ledger_and_name_no_more_tenants_than_they_may() {
    let gateway = Builder::default().config("{ metrics: { tenantLabels: 2 } }").start();
    let tenant = spent(&gateway, "zeta");
    for id in ["alpha", "beta", "gamma", "delta"] {
        gateway.tenant(id);
    }
    let client = gateway.client(&tenant);
    client.chat("demo", "hi").await.answer();
    assert_eq!(client.chat("demo", "hi").await.status, 429);
    let text = metrics(&gateway).await;
    let check = |line: &str| assert!(text.contains(line), "{line}\n{text}");
    check("openclawmu_tenants{state=\"ready\"} 1");
    check("openclawmu_tenants{state=\"stopped\"} 4");
    check(
        "openclawmu_ledger_refusals_total{dimension=\"requests\",window=\"month\",level=\"tenant\",cause=\"limit\"} 1",
    );
    check("openclawmu_ledger_day_settled{dimension=\"requests\"} 1");
    check("openclawmu_ledger_held{dimension=\"outputTokens\"} 0");
    check("openclawmu_ledger_writable 1");
    check("openclawmu_tenant_day_requests{tenant=\"zeta\"} 1");
    check("openclawmu_tenant_day_requests{tenant=\"alpha\"} 0");
    check("openclawmu_tenant_day_requests{tenant=\"other\"} 0");
    assert!(!text.contains("gamma") && !text.contains("delta"), "{text}");

    let silent = Gateway::start();
    silent.client(&silent.tenant("acme")).chat("demo", "hi").await.answer();
    assert!(!metrics(&silent).await.contains("acme"));
}

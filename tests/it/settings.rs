//! Settings, secrets and what a tenant does to itself, through the running gateway: what is set takes
//! effect at once, is nobody else's, outlives a restart, and is answered before a connection ends.

use serde_json::{Value, json};
use tests::ws::{Connect, Ws};
use tests::{Client, Gateway, Tenant};

const ALL: &[&str] = &["operator.admin", "operator.read", "operator.write"];

const CONFIG: &str = r"{
  tenantDefaults: { messages: { queue: { cap: 7 } } },
  skills: { entries: { maps: { apiKey: { command: ['printf', 'platform-secret'] } } } },
}";

fn house() -> (Gateway, Tenant, Tenant) {
    let gateway = tests::Builder::default().config(CONFIG).start();
    let (acme, globex) = (gateway.tenant("acme"), gateway.tenant("globex"));
    (gateway, acme, globex)
}

async fn open(gateway: &Gateway, tenant: &Tenant) -> Ws {
    Connect::new(gateway.address(), &tenant.token, ALL).open().await
}

async fn rpc(client: &Client, method: &str, params: Value) -> Value {
    let body = json!({"jsonrpc": "2.0", "id": 7, "method": method, "params": params});
    client.post("/rpc", &body).await.json()
}

#[tokio::test]
async fn what_is_set_takes_effect_and_outlives_a_restart() {
    let (mut gateway, acme, globex) = house();
    let (mut a, mut b) = (open(&gateway, &acme).await, open(&gateway, &globex).await);
    for ws in [&mut a, &mut b] {
        assert_eq!(ws.ok("cron.status", json!({})).await["enabled"], true);
    }
    let before = a.ok("config.get", json!({})).await;
    assert_eq!((&before["exists"], &before["path"]), (&json!(false), &json!("openclaw.json")));
    assert_eq!(before["config"]["messages"]["queue"]["cap"], 7);
    let raw = "// mine\n{cron: {enabled: false}}\n";
    let set = a.ok("config.set", json!({"raw": raw, "baseHash": before["hash"]})).await;
    let event = a.next_event("config.changed").await;
    assert_eq!((&event["hash"], &event["path"]), (&set["hash"], &json!("openclaw.json")));
    assert_eq!(a.ok("cron.status", json!({})).await["enabled"], false);
    assert_eq!(b.ok("cron.status", json!({})).await["enabled"], true);
    assert_eq!(b.ok("config.get", json!({})).await["exists"], false);
    assert_eq!(b.seen("config.changed"), 0);

    let stale = a.call("config.set", json!({"raw": "{}", "baseHash": before["hash"]})).await;
    let stale = stale.unwrap_err();
    assert_eq!(stale["code"], "INVALID_REQUEST");
    assert_eq!(stale["message"], "config changed since last load; re-run config.get and retry");
    let refused = a.call(
        "config.patch",
        json!({"raw": "{gateway: {auth: {token: 'x'}}}", "baseHash": set["hash"]}),
    );
    let refused = refused.await.unwrap_err();
    assert_eq!(refused["message"], "invalid config: config key not allowed: gateway.auth.token");

    let update = json!({"skillKey": "weather", "apiKey": "hunter2", "env": {"CITY": "hunter3"}});
    let updated = a.ok("skills.update", update).await;
    assert_eq!(updated["config"]["apiKey"], "__OPENCLAW_REDACTED__");
    let kept = a.call("skills.update", json!({"skillKey": "maps", "apiKey": "mine"})).await;
    let kept = kept.unwrap_err().to_string();
    assert!(kept.contains("skills.entries.maps.apiKey is set by the platform"), "{kept}");

    for ws in [a, b] {
        ws.close().await;
    }
    assert_eq!(gateway.stop(), Some(0));
    gateway.restart();
    let mut a = open(&gateway, &acme).await;
    let after = a.ok("config.get", json!({})).await;
    assert_eq!((&after["raw"], &after["hash"]), (&json!(raw), &set["hash"]));
    assert_eq!(
        after["config"]["skills"]["entries"]["weather"]["env"]["CITY"],
        "__OPENCLAW_REDACTED__"
    );
    assert_eq!(a.ok("cron.status", json!({})).await["enabled"], false);
    let changed = a.ok("skills.update", json!({"skillKey": "weather", "enabled": false})).await;
    assert_eq!(changed["config"]["apiKey"], "__OPENCLAW_REDACTED__");
    let raw = a.ok("config.get", json!({})).await["raw"].take();
    assert!(raw.as_str().unwrap().starts_with("// mine\n"), "{raw}");
    let all = format!("{after} {:?}", gateway.log());
    for secret in ["hunter", "platform-secret", "// mine"] {
        let shown = if secret == "// mine" { gateway.log().join("\n") } else { all.clone() };
        assert!(!shown.contains(secret), "{secret}");
    }
    let key = gateway.state_dir().join("keys/seal.key");
    assert_eq!(std::fs::metadata(key).unwrap().len(), 32);
}

#[tokio::test]
async fn a_token_rotates_itself_and_its_holder_hears_of_it() {
    let (gateway, acme, globex) = house();
    let client = gateway.client(&acme);
    let wrong = rpc(&client, "tenants.rotate", json!({"tenantId": "globex"})).await;
    let none = rpc(&client, "tenants.rotate", json!({"tenantId": "nobody"})).await;
    assert_eq!(wrong["error"], none["error"]);
    let rotated = rpc(&client, "tenants.rotate", json!({})).await;
    let token = rotated["result"]["token"].as_str().unwrap().to_owned();
    assert_eq!(client.get("/v1/models").await.status, 401);
    let acme = Tenant { token, ..acme };
    let mut ws = open(&gateway, &acme).await;
    let token = ws.ok("tenants.rotate", json!({"tenantId": "acme"})).await["token"].take();
    assert_eq!(ws.closed().await.code, 1008);
    let acme = Tenant { token: token.as_str().unwrap().to_owned(), ..acme };
    assert_eq!(gateway.client(&acme).get("/v1/models").await.status, 200);
    assert_eq!(gateway.client(&globex).get("/v1/models").await.status, 200);
    assert!(gateway.log().iter().all(|line| !line.contains(&acme.token)));
}

#[tokio::test]
async fn a_tenant_deletes_itself_and_hears_of_it() {
    let (gateway, acme, globex) = house();
    let mut other = open(&gateway, &globex).await;
    let client = gateway.client(&acme);
    let unsure = rpc(&client, "tenants.delete", json!({})).await;
    assert!(unsure["error"]["message"].as_str().unwrap().contains("confirm: true"), "{unsure}");
    let wrong =
        rpc(&client, "tenants.delete", json!({"tenantId": "globex", "confirm": true})).await;
    assert_eq!(wrong["error"]["data"]["code"], "NOT_FOUND");
    let mut ws = open(&gateway, &acme).await;
    ws.ok("config.set", json!({"raw": "{cron: {enabled: false}}"})).await;
    let deleted = ws.ok("tenants.delete", json!({"confirm": true})).await;
    assert_eq!(deleted, json!({"deleted": true, "tenantId": "acme"}));
    assert_eq!(ws.closed().await.code, 1008);
    assert_eq!(client.get("/v1/models").await.status, 401);
    assert_eq!(other.ok("tenants.get", json!({})).await["tenantId"], "globex");
    let mut again = None;
    tests::until("the name is free", || {
        let made = gateway.cli(&["tenants", "create", "acme"]);
        again = made.status.success().then(|| {
            gateway.json(&["tokens", "create", "acme", "--label", "t", "--scope", "operator.read"])
        });
        again.is_some()
    });
    let token = again.unwrap()["token"].as_str().unwrap().to_owned();
    let anew = gateway.client(&Tenant { id: "acme".to_owned(), token });
    let config = rpc(&anew, "config.get", json!({})).await;
    assert_eq!(config["result"]["exists"], false, "{config}");
}

#[tokio::test]
async fn what_a_tenant_used_is_told_by_month() {
    let (gateway, acme, _) = house();
    let client = gateway.client(&acme);
    client.chat("demo/demo", "hello").await.answer();
    let usage = rpc(&client, "tenants.usage", json!({})).await["result"].take();
    assert_eq!(usage["tenantId"], "acme");
    assert!(usage["totalTokens"].as_u64().unwrap() > 0, "{usage}");
    let history = rpc(&client, "tenants.usage.history", json!({"months": 24})).await;
    assert_eq!(history["result"]["history"][0]["totalTokens"], usage["totalTokens"]);
    assert_eq!(history["result"]["history"].as_array().unwrap().len(), 1);
    let many = rpc(&client, "tenants.usage.history", json!({"months": 25})).await;
    assert!(many["error"]["message"].as_str().unwrap().contains("1 to 24"), "{many}");
    let backup = rpc(&client, "tenants.backup", json!({"bucket": "b"})).await;
    assert_eq!(
        backup["error"]["data"]["code"], "INVALID_REQUEST",
        "the operator chooses: {backup}"
    );
    let backup = rpc(&client, "tenants.backup", json!({})).await;
    assert_eq!(backup["error"]["data"]["code"], "UNAVAILABLE", "there is no store: {backup}");
}

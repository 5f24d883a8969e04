//! The handshake, its refusals, and what one connection may do and hear.

use std::time::Duration;

use serde_json::{Value, json};
use tests::ws::{Closed, Connect, Device, Refused, Ws};
use tests::{Gateway, Tenant};

const READ: &[&str] = &["operator.read"];
const ALL: &[&str] = &["operator.admin", "operator.read", "operator.write", "operator.pairing"];

fn closed(code: u16, reason: &str) -> Closed {
    Closed { code, reason: reason.to_owned() }
}

/// Another token of the tenant, with these scopes.
fn token(gateway: &Gateway, tenant: &Tenant, scopes: &str) -> String {
    let made = gateway.json(&["tokens", "create", &tenant.id, "--scope", scopes, "--label", "t"]);
    made["token"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_client_is_let_in_and_calls() {
    let gateway = Gateway::start();
    let tenant = gateway.tenant("acme");
    let mut ws = Connect::new(gateway.address(), &tenant.token, READ).open().await;
    let hello = ws.hello().clone();
    assert_eq!((&hello["type"], &hello["protocol"]), (&json!("hello-ok"), &json!(4)));
    assert_eq!(hello["auth"]["scopes"], json!(READ));
    assert_eq!(hello["snapshot"]["presence"].as_array().unwrap().len(), 1);
    assert_eq!(hello["snapshot"]["sessionDefaults"]["mainSessionKey"], "agent:main:main");
    let methods = hello["features"]["methods"].as_array().unwrap();
    assert!(methods.contains(&json!("sessions.list")));
    assert!(!methods.contains(&json!("node.invoke.result")));
    assert_eq!(hello["features"]["capabilities"], json!(["published-model-catalog"]));
    let text = hello.to_string();
    assert!(!text.contains("configPath") && !text.contains("stateDir"), "{text}");
    assert!(!text.contains(&tenant.token));

    assert_eq!(ws.ok("health", json!({})).await["ok"], true);
    let presence = ws.ok("system-presence", json!({})).await;
    assert_eq!(presence[0]["mode"], "cli");
    assert_eq!(ws.ok("sessions.subscribe", json!({})).await, json!({"subscribed": true}));
    let key = ws.ok("sessions.messages.subscribe", json!({"key": "main"})).await["key"].take();
    assert_eq!(key, "agent:main:main");
    let logs = ws.ok("logs.tail", json!({"limit": 10})).await;
    assert_eq!(logs["cursor"], logs["size"]);

    let err = ws.call("tenants.unheard", json!({})).await.unwrap_err();
    assert_eq!(err["message"], "unknown method: tenants.unheard");
    let err = ws.call("update.status", json!({})).await.unwrap_err();
    assert_eq!(
        (&err["code"], &err["message"]),
        (&json!("FORBIDDEN"), &json!("missing scope: operator.admin"))
    );
    assert_eq!(err["details"]["code"], "MISSING_SCOPE");
    let err = ws.call("connect", json!({})).await.unwrap_err();
    assert_eq!(err["message"], "connect is only valid as the first request");
    let err = ws.call("logs.tail", json!({"tenant": "b"})).await.unwrap_err();
    assert!(err["message"].as_str().unwrap().starts_with("invalid logs.tail params"), "{err}");
    ws.raw(r#"{"type":"req","id":"x","method":"health","tenant":"b"}"#).await;
    let err = ws.answer("x").await;
    assert!(
        err["error"]["message"].as_str().unwrap().starts_with("invalid request frame"),
        "{err}"
    );
    ws.raw("no json").await;
    assert_eq!(ws.answer("invalid").await["ok"], false);
    assert_eq!(ws.ok("health", json!({})).await["ok"], true, "the connection lives");
    ws.close().await;
}

#[tokio::test]
async fn who_is_not_let_in_learns_why_and_no_more() {
    let gateway = Gateway::start();
    let (one, other) = (gateway.tenant("one"), gateway.tenant("other"));
    let connect = || Connect::new(gateway.address(), &one.token, READ);
    let check = async |connect: Connect<'_>, code: &str, detail: Value, close: u16| {
        let Refused { error, closed } = connect.refused().await;
        assert_eq!((&error["code"], &error["details"]["code"]), (&json!(code), &detail), "{error}");
        assert_eq!(closed.code, close, "{error}");
        error
    };
    let wrong = connect().with("/auth/token", json!("tk_one_wrong"));
    let wrong = check(wrong, "INVALID_REQUEST", json!("AUTH_TOKEN_MISMATCH"), 1008).await;
    // The token of one tenant on the path of another, or of none, is as wrong as any.
    for path in ["/t/other", "/t/nobody/x", "/t/"] {
        let got = connect().path(path);
        assert_eq!(check(got, "INVALID_REQUEST", json!("AUTH_TOKEN_MISMATCH"), 1008).await, wrong);
    }
    connect().path("/t/one").open().await.close().await;
    connect().path("/t/one/chat").open().await.close().await;
    Connect::new(gateway.address(), &other.token, READ).path("/t/other").open().await.close().await;

    let none = connect().with("/auth", json!({}));
    check(none, "NOT_PAIRED", json!("DEVICE_IDENTITY_REQUIRED"), 1008).await;
    // A node is what it proves to be, whatever it says of itself.
    let claims = Connect::node(gateway.address(), &one.token, &["system.which"]);
    let claims = claims.with("/client/instanceId", json!(Device::of(1).id()));
    check(claims, "NOT_PAIRED", json!("DEVICE_IDENTITY_REQUIRED"), 1008).await;
    let ui = connect().with("/client/id", json!("openclaw-control-ui"));
    check(ui, "INVALID_REQUEST", json!("CONTROL_UI_DEVICE_IDENTITY_REQUIRED"), 1008).await;
    let old = connect().with("/minProtocol", json!(1)).with("/maxProtocol", json!(2));
    let old = check(old, "INVALID_REQUEST", json!("PROTOCOL_MISMATCH"), 1002).await;
    assert_eq!(old["details"]["expectedProtocol"], 4);
    let page = connect().origin("https://evil.example");
    check(page, "INVALID_REQUEST", json!("CONTROL_UI_ORIGIN_NOT_ALLOWED"), 1008).await;
    let role = connect().with("/role", json!("worker"));
    assert_eq!(check(role, "INVALID_REQUEST", Value::Null, 1008).await["message"], "invalid role");
    let bad = connect().with("/client/mode", json!("x"));
    let bad = check(bad, "INVALID_REQUEST", Value::Null, 1008).await;
    assert!(bad["message"].as_str().unwrap().starts_with("invalid connect params"), "{bad}");
    let hooks = token(&gateway, &one, "hooks");
    let hooks = connect().with("/auth/token", json!(hooks));
    check(hooks, "INVALID_REQUEST", json!("AUTH_SCOPE_MISMATCH"), 1008).await;

    let mut ws = connect().challenged().await;
    ws.send("health", json!({})).await;
    let answer = ws.answer("1").await;
    assert_eq!(answer["error"]["message"], "invalid handshake: first request must be connect");
    assert_eq!(ws.closed().await.code, 1008);
    let mut ws = connect().challenged().await;
    ws.raw("not JSON").await;
    assert_eq!(ws.closed().await.code, 1000);
    let mut ws = connect().challenged().await;
    ws.raw(&"x".repeat(70_000)).await;
    assert_eq!(ws.closed().await, closed(1009, "the frame is too large"));
    let mut ws = connect().open().await;
    ws.raw(&"x".repeat(17 << 20)).await;
    assert_eq!(ws.closed().await, closed(1009, "the frame is too large"));
}

#[tokio::test]
async fn a_connection_has_what_it_asks_for_of_what_its_token_gives() {
    let gateway = Gateway::start();
    let tenant = gateway.tenant("acme");
    let writer = token(&gateway, &tenant, "operator.write");
    let check = async |token: &str, asked: &[&str], given: &[&str], may_read: bool| {
        let mut ws = Connect::new(gateway.address(), token, asked).open().await;
        assert_eq!(ws.hello()["auth"]["scopes"], json!(given), "{asked:?}");
        let list = ws.call("system-presence", json!({})).await;
        assert_eq!(list.is_ok(), may_read, "{asked:?}: {list:?}");
        ws.close().await;
    };
    check(&tenant.token, &[], &[], false).await;
    check(&tenant.token, &["operator.write"], &["operator.write"], true).await;
    check(&tenant.token, &["operator.admin"], &["operator.admin"], true).await;
    let talk = ["operator.admin", "operator.talk", "operator.questions", "operator.other"];
    check(&tenant.token, &talk, &talk[..3], true).await;
    check(&tenant.token, &["operator.pairing"], &["operator.pairing"], false).await;
    check(&writer, &["operator.admin"], &[], false).await;
    check(&writer, &["operator.read", "operator.admin"], &["operator.read"], true).await;
    check(&writer, &["hooks", "node"], &[], false).await;

    let old = Connect::new(gateway.address(), &tenant.token, READ);
    let old = old.with("/minProtocol", json!(3)).with("/maxProtocol", json!(3)).open().await;
    assert_eq!(old.hello()["protocol"], 3);
    let password = Connect::new(gateway.address(), "", READ);
    password.with("/auth", json!({"password": tenant.token})).open().await.close().await;
    let newer = Connect::new(gateway.address(), &tenant.token, READ);
    newer.with("/modelCatalog", json!({"sessionKey": "main"})).open().await.close().await;
}

#[tokio::test]
async fn connections_end_with_their_token_and_with_the_gateway() {
    let mut gateway = Gateway::start();
    let tenant = gateway.tenant("acme");
    let made =
        gateway.json(&["tokens", "create", &tenant.id, "--scope", "operator.read", "--label", "t"]);
    let short = made["token"].as_str().unwrap();
    let mut revoked = Connect::new(gateway.address(), short, READ).open().await;
    let mut stays = Connect::new(gateway.address(), &tenant.token, READ).open().await;
    let id = made["id"].as_str().unwrap();
    gateway.json(&["tokens", "revoke", &tenant.id, id]);
    assert_eq!(revoked.closed().await, closed(1008, "the token is no longer valid"));
    assert_eq!(stays.ok("health", json!({})).await["ok"], true);
    let stopped = tokio::task::spawn_blocking(move || gateway.stop());
    assert_eq!(stays.next_event("shutdown").await["reason"], "gateway stopping");
    assert_eq!(stays.closed().await, closed(1012, "service restart"));
    assert_eq!(stopped.await.unwrap(), Some(0));
}

#[tokio::test]
async fn presence_is_the_tenants_own() {
    let gateway = Gateway::start();
    let (one, other) = (gateway.tenant("one"), gateway.tenant("other"));
    let ui = |tenant: &Tenant| {
        let ui = Connect::new(gateway.address(), &tenant.token, READ);
        ui.with("/client/mode", json!("ui")).with("/client/id", json!("openclaw-tui"))
    };
    let mut mine = ui(&one).open().await;
    let frame = mine.event_frame("presence").await;
    assert_eq!((&frame["seq"], &frame["stateVersion"]["presence"]), (&json!(1), &json!(1)));
    assert_eq!(frame["payload"]["presence"].as_array().unwrap().len(), 1);
    let theirs = ui(&other).open().await;
    assert_eq!(theirs.hello()["snapshot"]["presence"].as_array().unwrap().len(), 1);
    let second = ui(&one).open().await;
    assert_eq!(mine.next_event("presence").await["presence"].as_array().unwrap().len(), 2);
    second.close().await;
    assert_eq!(mine.next_event("presence").await["presence"].as_array().unwrap().len(), 1);
    assert_eq!(theirs.seen("presence"), 0);
}

#[tokio::test]
async fn a_device_proves_itself_and_gets_a_token_of_its_own() {
    let gateway = Gateway::start();
    let tenant = gateway.tenant("acme");
    let device = Device::of(1);
    let connect = Connect::new(gateway.address(), &tenant.token, ALL).device(&device);
    let ws = connect.open().await;
    let token = ws.hello()["auth"]["deviceToken"].as_str().unwrap().to_owned();
    ws.close().await;
    let again = connect.clone().with("/auth", json!({"deviceToken": token}));
    let mut ws = again.open().await;
    assert_eq!(ws.hello()["auth"]["method"], "device-token");
    assert_eq!(ws.ok("system-presence", json!({})).await[0]["deviceId"], device.id());

    let stranger = Device::of(2);
    let stolen = again.device(&stranger).refused().await;
    assert_eq!(stolen.error["details"]["code"], "AUTH_DEVICE_TOKEN_MISMATCH");
    let as_tenants = Connect::new(gateway.address(), &token, READ).refused().await;
    assert_eq!(as_tenants.error["details"]["code"], "AUTH_TOKEN_MISMATCH");
    let http =
        gateway.client(&Tenant { id: "acme".to_owned(), token }).post("/rpc", &json!({})).await;
    assert_eq!(http.status.as_u16(), 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn parts_of_messages_count_whatever_comes_between_them() {
    let gateway = Gateway::start();
    let (greedy, other) = (gateway.tenant("greedy"), gateway.tenant("other"));
    let open =
        async |tenant: &Tenant| Connect::new(gateway.address(), &tenant.token, READ).open().await;
    // Four messages of 15 MiB leave less than 8 MiB of the tenant's 64 MiB.
    let part = "x".repeat(15 << 10);
    let mut unfinished = Vec::new();
    for _ in 0..4 {
        let mut ws = open(&greedy).await;
        ws.unfinished(&part, 1024).await;
        unfinished.push(ws);
    }
    let params = json!({"notAField": "x".repeat(8 << 20)});
    let (mut waits, mut goes_on) = (open(&greedy).await, open(&other).await);
    let answer = waits.call("system-presence", params.clone());
    tokio::pin!(answer);
    let early = tokio::time::timeout(Duration::from_secs(3), &mut answer).await;
    assert!(early.is_err(), "what is unfinished does not count: {early:?}");
    goes_on.call("system-presence", params).await.unwrap_err();
    drop(unfinished);
    answer.await.unwrap_err();
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_read_is_cut_and_nobody_else_waits() {
    let gateway = Gateway::start();
    let (greedy, other) = (gateway.tenant("greedy"), gateway.tenant("other"));
    let open = async |tenant: &Tenant| {
        let ui = Connect::new(gateway.address(), &tenant.token, ALL);
        let ui = ui.with("/client/mode", json!("ui")).with("/client/id", json!("openclaw-tui"));
        ui.open().await
    };
    let (mut quick, mut goes_on) = (open(&greedy).await, open(&other).await);
    let file = json!({"agentId": "main", "name": "MEMORY.md"});
    let mut filled = file.clone();
    // A control character is six bytes in JSON: the answer has a mebibyte and a half.
    filled["content"] = json!("\u{1}".repeat(256 << 10));
    for ws in [&mut quick, &mut goes_on] {
        ws.ok("agents.files.set", filled.clone()).await;
    }
    let mut slow = Vec::new();
    for _ in 0..4 {
        slow.push(open(&greedy).await);
    }
    let there =
        async |ws: &mut Ws| ws.next_event("presence").await["presence"].as_array().unwrap().len();
    while there(&mut quick).await < 5 {}
    // Together more than a tenant's 64 MiB and what the system's buffers take.
    for ws in &mut slow {
        for _ in 0..24 {
            ws.send("agents.files.get", file.clone()).await;
        }
    }
    goes_on.ok("agents.files.get", file.clone()).await;
    while there(&mut quick).await == 5 {}
    quick.ok("system-presence", json!({})).await;
    goes_on.ok("agents.files.get", file).await;
}

//! What the gateway answers is what the official schema says, for a tenant that has nothing and for
//! one that has everything; and what the schema does not know in parameters is refused.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::{Map, Value, json};
use tests::house::{self, House, SCOPES};
use tests::ws::{Connect, Device, Ws};
use tests::{Gateway, Official, Provider, Tenant};
use types::Scope;

/// What was said, and which tenant it was said to.
struct Samples {
    of: &'static str,
    found: Vec<Value>,
}

impl Samples {
    /// Calls a method that must succeed, and keeps its result.
    async fn ok(&mut self, ws: &mut Ws, method: &str, params: Value) -> Value {
        let result = ws.ok(method, params.clone()).await;
        self.keep(method, &params, &result);
        result
    }

    fn keep(&mut self, method: &str, params: &Value, result: &Value) {
        self.found.push(json!({
            "of": self.of, "method": method, "params": params, "result": result,
        }));
    }

    /// Keeps the events that came so far.
    fn events(&mut self, ws: &Ws) {
        for frame in ws.frames().iter().filter(|frame| frame["type"] == "event") {
            self.found.push(json!({
                "of": self.of, "event": frame["event"], "payload": frame["payload"],
            }));
        }
    }

    /// Calls every method that only reads: without parameters, and with these as far as it takes
    /// them.
    async fn sweep(&mut self, ws: &mut Ws, ids: &BTreeMap<&str, Value>) {
        for method in api::methods() {
            let reads = [Scope::Read, Scope::Approvals].contains(&method.scope)
                || ["list", "get", "status"].contains(&last(method.name));
            if !reads || method.scope == Scope::Node {
                continue;
            }
            let mut answers = vec![ws.call(method.name, json!({})).await];
            answers.extend(house::call(ws, method.name, ids).await);
            for result in answers.into_iter().flatten() {
                self.keep(method.name, &Value::Null, &result);
            }
        }
    }
}

fn last(method: &str) -> &str {
    method.rsplit('.').next().unwrap_or_default()
}

fn schema() -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("clients/node_modules/@openclaw/gateway-protocol/protocol.schema.json");
    let text = std::fs::read(&path)
        .unwrap_or_else(|err| panic!("{}: {err}: run `make clients`", path.display()));
    serde_json::from_slice(&text).unwrap()
}

/// A tenant that has nothing but its token.
async fn empty(gateway: &Gateway) -> (Tenant, Vec<Value>) {
    let mut samples = Samples { of: "empty", found: Vec::new() };
    let tenant = gateway.tenant("empty");
    let mut ws = Connect::new(gateway.address(), &tenant.token, &SCOPES).open().await;
    let hello = ws.hello().clone();
    samples.keep("hello", &Value::Null, &hello);
    let main = BTreeMap::from([
        ("agentId", json!("main")),
        ("sessionKey", json!("agent:main:main")),
        ("key", json!("agent:main:main")),
        ("keys", json!(["agent:main:main"])),
        ("name", json!("AGENTS.md")),
        ("path", json!("/")),
    ]);
    samples.sweep(&mut ws, &main).await;
    samples.events(&ws);
    (tenant, samples.found)
}

/// A tenant that has everything.
async fn busy(gateway: &Gateway) -> Vec<Value> {
    let device = Device::of(1);
    let mut house = House::build(gateway, "busy", &device).await;
    let mut samples = Samples { of: "busy", found: Vec::new() };
    let proven = Connect::new(gateway.address(), &house.tenant.token, &SCOPES).device(&device);
    let mut watcher = proven.open().await;
    samples.keep("hello", &Value::Null, watcher.hello());
    samples.keep("hello", &Value::Null, house.operator.hello());
    samples.keep("hello", &Value::Null, house.node.hello());
    watcher.ok("sessions.subscribe", json!({})).await;
    watcher.ok("sessions.messages.subscribe", json!({"key": house.ids["key"]})).await;
    nodes(&mut samples, gateway, &mut house).await;
    work(&mut samples, gateway, &mut house).await;
    conversation(&mut samples, &mut house).await;
    let (ids, operator) = (&house.ids, &mut house.operator);
    samples.sweep(operator, ids).await;
    leave(&mut samples, &mut house).await;
    // Whatever was on its way has come before the answer to this.
    watcher.ok("health", json!({})).await;
    for ws in [&watcher, &house.operator, &house.node] {
        samples.events(ws);
    }
    samples.found
}

/// One node is approved and does something; another waits, and so does a device.
async fn nodes(samples: &mut Samples, gateway: &Gateway, house: &mut House) {
    let House { operator, node, ids, .. } = house;
    samples.ok(operator, "node.pair.approve", json!({"requestId": ids["requestId"]})).await;
    samples
        .ok(operator, "node.rename", json!({"nodeId": ids["nodeId"], "displayName": "lamp"}))
        .await;
    let invoke = json!({
        "nodeId": ids["nodeId"], "command": "system.which", "params": {"bins": ["sh"]},
        "idempotencyKey": "1",
    });
    let asked = operator.send("node.invoke", invoke.clone()).await;
    let request = node.next_event("node.invoke.request").await;
    samples.found.push(json!({"of": "busy", "event": "node.invoke.request", "payload": request}));
    let answer = json!({
        "id": request["id"], "nodeId": request["nodeId"], "ok": true, "payloadJSON": "{}",
    });
    samples.ok(node, "node.invoke.result", answer).await;
    samples.keep("node.invoke", &invoke, &operator.answer(&asked).await["payload"]);
    let enqueue = json!({"nodeId": ids["nodeId"], "type": "status.request"});
    samples.ok(operator, "node.pending.enqueue", enqueue).await;
    samples.ok(node, "node.pending.drain", json!({})).await;
    samples.ok(node, "node.event", json!({"event": "made.up", "payloadJSON": "{}"})).await;
    samples.ok(node, "skills.bins", json!({})).await;
    let request = json!({"nodeId": "waiting", "displayName": "kettle", "commands": ["x"]});
    samples.ok(operator, "node.pair.request", request).await;
    let narrow = gateway.json(&[
        "tokens",
        "create",
        &house.tenant.id,
        "--scope",
        "operator.read",
        "--label",
        "t",
    ]);
    let narrow = narrow["token"].as_str().unwrap();
    for seed in [7, 8] {
        let other = Device::of(seed);
        let asks = Connect::new(gateway.address(), narrow, &["operator.read"]);
        asks.device(&other).refused().await;
        let list = samples.ok(operator, "device.pair.list", json!({})).await;
        if seed == 7 {
            let request = json!({"requestId": list["pending"][0]["requestId"]});
            samples.ok(operator, "device.pair.approve", request).await;
            let admitted = Connect::new(gateway.address(), narrow, &["operator.read"]);
            admitted.device(&other).open().await.close().await;
        }
    }
}

/// Agents with files and skills, settings, and jobs that have run.
async fn work(samples: &mut Samples, gateway: &Gateway, house: &mut House) {
    let House { operator, ids, tenant, .. } = house;
    let agent = ids["agentId"].clone();
    let file = json!({"agentId": agent, "name": "AGENTS.md", "content": "Be brief.\n"});
    samples.ok(operator, "agents.files.set", file).await;
    samples.ok(operator, "agents.files.get", json!({"agentId": agent, "name": "AGENTS.md"})).await;
    let look = json!({"name": "Other", "emoji": "🦞", "model": "test/mock"});
    let other = samples.ok(operator, "agents.create", look).await["agentId"].clone();
    samples.ok(operator, "agents.update", json!({"agentId": other, "name": "Another"})).await;
    samples.ok(operator, "agent.identity.get", json!({"agentId": other})).await;
    samples.ok(operator, "agents.list", json!({})).await;
    let status = samples.ok(operator, "skills.status", json!({"agentId": agent})).await;
    let folder = status["workspaceDir"].as_str().unwrap().trim_start_matches("/tenant/");
    let folder = gateway.root(tenant).join(folder).join("skills/greeting");
    std::fs::create_dir_all(&folder).unwrap();
    let skill = "---\nname: greeting\ndescription: Greets.\n---\nSay hello.\n";
    std::fs::write(folder.join("SKILL.md"), skill).unwrap();
    let taught = samples.ok(operator, "skills.status", json!({"agentId": agent})).await;
    assert_eq!(taught["skills"][0]["name"], "greeting");
    samples.ok(operator, "agents.workspace.list", json!({"agentId": agent})).await;
    let read = json!({"agentId": agent, "path": "AGENTS.md"});
    samples.ok(operator, "agents.workspace.get", read).await;
    samples.ok(operator, "commands.list", json!({"agentId": agent})).await;
    samples.ok(operator, "skills.update", json!({"skillKey": "greeting", "enabled": true})).await;
    for path in ["agents", "agents.defaults.model", "session"] {
        samples.ok(operator, "config.schema.lookup", json!({"path": path})).await;
    }
    jobs(samples, operator, ids["id"].clone()).await;
    samples.ok(operator, "agents.delete", json!({"agentId": other})).await;
}

async fn jobs(samples: &mut Samples, operator: &mut Ws, id: Value) {
    samples.ok(operator, "cron.update", json!({"id": id, "patch": {"name": "weekly"}})).await;
    samples.ok(operator, "cron.run", json!({"id": id, "mode": "force"})).await;
    while operator.next_event("cron").await["action"] != "finished" {}
    let runs = samples.ok(operator, "cron.runs", json!({"id": id})).await;
    assert_eq!(runs["entries"].as_array().unwrap().len(), 1, "{runs}");
    samples.ok(operator, "cron.get", json!({"id": id})).await;
    for (target, payload, schedule) in [
        (
            "main",
            json!({"kind": "systemEvent", "text": "hello"}),
            json!({"kind": "at", "at": "2030-01-01T00:00:00Z"}),
        ),
        (
            "isolated",
            json!({"kind": "agentTurn", "message": "hello", "timeoutSeconds": 5}),
            json!({"kind": "cron", "expr": "0 3 * * *", "tz": "Europe/Vienna"}),
        ),
    ] {
        let job = json!({
            "name": target, "schedule": schedule, "sessionTarget": target,
            "wakeMode": "next-heartbeat", "payload": payload, "enabled": true,
        });
        samples.ok(operator, "cron.add", job).await;
    }
    samples.ok(operator, "cron.list", json!({"includeDisabled": true})).await;
    samples.ok(operator, "cron.status", json!({})).await;
}

/// Sessions with messages.
async fn conversation(samples: &mut Samples, house: &mut House) {
    let House { operator, ids, .. } = house;
    let key = ids["key"].clone();
    let label = json!({"key": key, "label": "my room"});
    samples.ok(operator, "sessions.patch", label).await;
    for params in [
        json!({"key": key}),
        json!({"sessionId": ids["sessionId"]}),
        json!({"label": "my room"}),
        json!({"label": "nobody", "allowMissing": true}),
    ] {
        samples.ok(operator, "sessions.resolve", params).await;
    }
    for (run, model) in [("second", "test/mock"), ("third", "test/broken")] {
        samples.ok(operator, "sessions.patch", json!({"key": key, "model": model})).await;
        let send = json!({"sessionKey": key, "message": "hi", "idempotencyKey": run});
        samples.ok(operator, "chat.send", send).await;
        loop {
            let event = operator.next_event("chat").await;
            if event["runId"] == run && event["state"] != "delta" && event["state"] != "status" {
                break;
            }
        }
    }
    let history = samples.ok(operator, "chat.history", json!({"sessionKey": key})).await;
    let id = &history["messages"][0]["__openclaw"]["id"];
    let message = json!({"sessionKey": key, "messageId": id});
    samples.ok(operator, "chat.message.get", message).await;
    samples
        .ok(operator, "chat.message.get", json!({"sessionKey": key, "messageId": "nothing"}))
        .await;
    samples.ok(operator, "chat.startup", json!({"sessionKey": key})).await;
    let listed = json!({"includeDerivedTitles": true, "includeLastMessage": true});
    samples.ok(operator, "sessions.list", listed).await;
    samples.ok(operator, "sessions.compact", json!({"key": key})).await;
}

/// What takes something away.
async fn leave(samples: &mut Samples, house: &mut House) {
    let House { operator, ids, .. } = house;
    let made = samples.ok(operator, "sessions.create", json!({"message": "hello"})).await;
    samples.ok(operator, "sessions.create", json!({"key": "room", "label": "room"})).await;
    samples.ok(operator, "sessions.reset", json!({"key": ids["key"]})).await;
    samples.ok(operator, "sessions.delete", json!({"key": made["key"]})).await;
    samples.ok(operator, "sessions.delete", json!({"key": "agent:main:none"})).await;
    let rotate = json!({"deviceId": Device::of(7).id(), "role": "operator"});
    samples.ok(operator, "device.token.rotate", rotate).await;
    samples.ok(operator, "cron.remove", json!({"id": ids["id"]})).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn results_and_events() {
    let provider = Provider::start().await;
    let gateway = Gateway::with_provider(&provider);
    gateway.announce("a model call failed");
    let (tenant, mut samples) = empty(&gateway).await;
    samples.extend(busy(&gateway).await);
    let checks = tokio::task::spawn_blocking(move || {
        let official = Official::new(&gateway, &tenant);
        let path = official.home().join("samples.json");
        std::fs::write(&path, serde_json::to_vec(&samples).unwrap()).unwrap();
        official.script("schema.mjs", &[("OPENCLAWMU_SAMPLES", path.to_str().unwrap())])
    });
    let checks = checks.await.unwrap();
    let count = |of: &str| {
        checks.iter().filter(|check| check["name"].as_str().unwrap().starts_with(of)).count()
    };
    println!("{} on the empty tenant, {} on the busy one", count("empty "), count("busy "));
    // Fewer would mean that methods no longer answer, or that nobody found their types.
    assert!(count("empty ") >= 40 && count("busy ") >= 60, "{checks:?}");
}

/// Methods whose parameters the reference leaves open: it has a schema for the first one alone.
const OPEN: [&str; 2] = ["wake", "node.runnerInventory.update"];

/// A value that is not of a type.
fn wrong(kind: &str) -> Option<Value> {
    match kind {
        "string" | "object" | "array" | "boolean" => Some(json!(7)),
        "integer" | "number" => Some(json!("seven")),
        _ => None,
    }
}

/// What the reference says of a method's parameters: the fields, each with a value that is wrong.
fn fields(schema: &Value, method: &str) -> Option<Vec<(String, Option<Value>)>> {
    let name = format!("{}params", method.replace('.', "").to_lowercase());
    let definitions = schema["definitions"].as_object()?;
    let (_, found) = definitions.iter().find(|(key, _)| key.to_lowercase() == name)?;
    let properties = found["properties"].as_object()?;
    let wrong = |field: &Value| field["type"].as_str().and_then(wrong);
    Some(properties.iter().map(|(name, field)| (name.clone(), wrong(field))).collect())
}

#[tokio::test]
async fn parameters() {
    let gateway = Gateway::start();
    let device = Device::of(1);
    let mut house = House::build(&gateway, "acme", &device).await;
    let approve = json!({"requestId": house.ids["requestId"]});
    house.operator.ok("node.pair.approve", approve).await;
    let schema = schema();
    let (mut said, mut checked) = (BTreeSet::new(), 0);
    for method in api::methods() {
        let node = method.scope == Scope::Node;
        let caller = if node { &mut house.node } else { &mut house.operator };
        let name = method.name;
        let mut tries = vec![(json!([]), "an array"), (json!("x"), "a string")];
        if !OPEN.contains(&name) {
            tries.push((json!({"notAField": null}), "notAField"));
        }
        let known = fields(&schema, name).unwrap_or_default();
        for (field, wrong) in &known {
            if let Some(wrong) = wrong {
                tries
                    .push((Value::Object(Map::from_iter([(field.clone(), wrong.clone())])), field));
            }
        }
        for (params, what) in tries {
            checked += 1;
            let answer = caller.call(name, params).await;
            let refused = answer.as_ref().is_err_and(|err| {
                let message = err["message"].as_str().unwrap_or_default();
                let typed = what == "notAField" || !message.contains("missing field");
                err["code"] == "INVALID_REQUEST"
                    && message.starts_with(&format!("invalid {name} params: "))
                    && typed
            });
            if !refused {
                let answer = format!("{answer:?}").chars().take(300).collect::<String>();
                said.insert(format!("{name}: {what}: {answer}"));
            }
        }
        // What the official types have is known to us, whatever else is wrong with it.
        let asked = caller.call(name, json!({"notAField": null})).await;
        let message = asked.err().unwrap_or_default()["message"].to_string();
        let ours = house::quoted(&message);
        for (field, _) in known.iter().filter(|(field, _)| !ours.contains(field)) {
            if !OPEN.contains(&name) {
                said.insert(format!("{name}: does not know {field}"));
            }
        }
    }
    assert!(said.is_empty(), "{checked} tries; {said:#?}");
}

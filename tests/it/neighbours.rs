//! Two tenants with everything, and each method of the table called by one with the other's ids. The
//! parameters are found out from the method itself: it says which fields it has and which it
//! misses. Nothing of the other may be in an answer, and nothing of the other may move.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use tests::ws::{Connect, Device, Ws};
use tests::{Gateway, Tenant};

/// Rounds in which a method may say what is wrong with its parameters.
const ROUNDS: usize = 24;

/// Methods that end the caller or wait for long; others try these.
const LEFT_OUT: [&str; 3] = ["tenants.rotate", "tenants.delete", "agent.wait"];

const SCOPES: [&str; 5] =
    ["operator.admin", "operator.read", "operator.write", "operator.approvals", "operator.pairing"];

/// One tenant with everything that can be named.
struct House {
    tenant: Tenant,
    operator: Ws,
    node: Ws,
    /// Values of the house by the parameters that may name them.
    ids: BTreeMap<&'static str, Value>,
    /// Text that stands nowhere but in this house.
    marks: Vec<String>,
}

impl House {
    async fn build(gateway: &Gateway, name: &str, device: &Device) -> Self {
        let tenant = gateway.tenant(name);
        let operator = Connect::new(gateway.address(), &tenant.token, &SCOPES).device(device);
        let mut operator = operator.open().await;
        let node = Connect::node(gateway.address(), &tenant.token, &["system.which"]);
        let node = node.device(device).open().await;
        let mark = format!("mark-of-{name}");
        let agent = operator.ok("agents.create", json!({"name": format!("agent {mark}")})).await;
        let agent = agent["agentId"].as_str().unwrap().to_owned();
        let key = format!("agent:{agent}:room-{mark}");
        let run = format!("run-{mark}");
        let send = json!({
            "sessionKey": key,
            "message": format!("the secret of {mark}"),
            "idempotencyKey": run,
            "deliver": false,
        });
        operator.ok("chat.send", send).await;
        while operator.next_event("chat").await["state"] != "final" {}
        let job = operator
            .ok(
                "cron.add",
                json!({
                    "name": format!("job {mark}"),
                    "schedule": {"kind": "every", "everyMs": 86_400_000},
                    "sessionTarget": "isolated",
                    "wakeMode": "now",
                    "payload": {"kind": "agentTurn", "message": format!("work of {mark}")},
                }),
            )
            .await;
        let pending = operator.ok("node.pair.list", json!({})).await;
        let request = pending["pending"][0]["requestId"].clone();
        let triggers = json!({"triggers": [format!("wake {mark}")]});
        operator.ok("voicewake.set", triggers).await;
        let raw = json!({"ui": {"seamColor": mark}}).to_string();
        operator.ok("config.set", json!({"raw": raw})).await;
        let session = operator.ok("sessions.describe", json!({"key": key})).await;
        let id = session["session"]["sessionId"].clone();
        let ids = BTreeMap::from([
            ("agentId", json!(agent)),
            ("sessionKey", json!(key)),
            ("key", json!(key)),
            ("keys", json!([key])),
            ("sessionKeys", json!([key])),
            ("parentSessionKey", json!(key)),
            ("sessionId", id.clone()),
            ("runId", json!(run)),
            ("id", job["id"].clone()),
            ("jobId", job["id"].clone()),
            ("requestId", request),
            ("deviceId", json!(device.id())),
            ("nodeId", json!(device.id())),
            ("tenantId", json!(name)),
        ]);
        let marks = vec![mark, device.id().to_owned(), id.as_str().unwrap().to_owned()];
        Self { tenant, operator, node, ids, marks }
    }

    /// Everything that can be seen of the house from inside, without what changes by itself.
    async fn state(&mut self) -> Value {
        let mut state = Map::new();
        for (method, params) in [
            ("agents.list", json!({})),
            ("sessions.list", json!({})),
            ("cron.list", json!({"includeDisabled": true})),
            ("device.pair.list", json!({})),
            ("node.pair.list", json!({})),
            ("voicewake.get", json!({})),
            ("config.get", json!({})),
            ("chat.history", json!({"sessionKey": self.ids["sessionKey"]})),
        ] {
            let mut seen = self.operator.ok(method, params).await;
            settle(&mut seen);
            state.insert(method.to_owned(), seen);
        }
        Value::Object(state)
    }
}

/// Takes away what changes while nobody does anything.
fn settle(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|name, _| {
                !matches!(
                    name.as_str(),
                    "ts" | "age" | "snapshotAt" | "lastUsedAtMs" | "lastSeenAtMs" | "nextRunAtMs"
                )
            });
            fields.values_mut().for_each(settle);
        }
        Value::Array(items) => items.iter_mut().for_each(settle),
        _ => {}
    }
}

/// The names in back quotes of a message.
fn quoted(message: &str) -> Vec<String> {
    message.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// Calls a method with the ids of another house, as far as it takes them, until it has no more to
/// say of its parameters. Gives every answer.
async fn call(caller: &mut Ws, method: &str, ids: &BTreeMap<&str, Value>) -> Vec<Value> {
    let mut params = Map::from_iter([("notAField".to_owned(), Value::Null)]);
    let mut answers = Vec::new();
    for _ in 0..ROUNDS {
        let answer = caller.call(method, Value::Object(params.clone())).await;
        let message = match &answer {
            Ok(_) => String::new(),
            Err(err) => err["message"].as_str().unwrap_or_default().to_owned(),
        };
        answers.push(answer.unwrap_or_else(|err| err));
        let names = quoted(&message);
        if message.contains("unknown field") {
            let known = names.iter().skip(1).filter_map(|name| {
                ids.get(name.as_str()).map(|value| (name.clone(), value.clone()))
            });
            params = known.collect();
        } else if let (true, Some(name)) = (message.contains("missing field"), names.last()) {
            let value = ids.get(name.as_str()).cloned();
            params.insert(name.clone(), value.unwrap_or_else(|| guess(name)));
        } else {
            break;
        }
    }
    answers
}

/// A value for a field that names nothing.
fn guess(name: &str) -> Value {
    match name {
        "patch" | "entry" | "params" => json!({}),
        "enabled" | "ok" | "visible" | "abort" => json!(true),
        "cols" | "rows" | "limit" | "months" => json!(5),
        "ids" | "triggers" | "tools" | "skills" => json!(["x"]),
        "raw" => json!("{}"),
        "mode" => json!("now"),
        "schedule" => json!({"kind": "every", "everyMs": 86_400_000}),
        "payload" => json!({"kind": "systemEvent", "text": "x"}),
        "sessionTarget" => json!("main"),
        "wakeMode" => json!("now"),
        _ => json!("x"),
    }
}

#[tokio::test]
async fn every_method_with_the_others_ids() {
    let gateway = Gateway::start();
    let devices = [Device::of(1), Device::of(2)];
    let mut houses = Vec::new();
    for (name, device) in ["acme", "globex"].into_iter().zip(&devices) {
        houses.push(House::build(&gateway, name, device).await);
    }
    let [mut acme, mut globex]: [House; 2] = houses.try_into().map_err(drop).expect("two houses");
    for (intruder, owner) in [(0, 1), (1, 0)] {
        let (a, b) =
            if intruder < owner { (&mut acme, &mut globex) } else { (&mut globex, &mut acme) };
        let before = b.state().await;
        for method in api::methods().filter(|method| !LEFT_OUT.contains(&method.name)) {
            // What a node may call, the intruder's node calls.
            let caller =
                if method.scope == types::Scope::Node { &mut a.node } else { &mut a.operator };
            for answer in call(caller, method.name, &b.ids).await {
                let echoed = b.ids.values().map(Value::to_string).collect::<Vec<_>>();
                let mut text = answer.to_string();
                // An answer may repeat what was asked, and nothing else of the other.
                for id in echoed {
                    text = text.replace(id.trim_matches('"'), "");
                }
                for mark in &b.marks {
                    assert!(!text.contains(mark.as_str()), "{}: {answer}", method.name);
                }
            }
        }
        assert_eq!(b.state().await, before, "something of {} moved", b.tenant.id);
        assert!(b.node.seen("node.invoke.request") == 0, "a foreign request reached a node");
    }
}

#[tokio::test]
async fn events_of_one_tenant_never_reach_the_other() {
    let gateway = Gateway::start();
    let devices = [Device::of(1), Device::of(2)];
    let mut acme = House::build(&gateway, "acme", &devices[0]).await;
    let mut globex = House::build(&gateway, "globex", &devices[1]).await;
    for house in [&mut acme, &mut globex] {
        house.operator.ok("sessions.subscribe", json!({})).await;
    }
    // Asking for the messages of another's session is asking for those of one's own of that name.
    let key = acme.ids["sessionKey"].clone();
    globex.operator.ok("sessions.messages.subscribe", json!({"key": key})).await;
    let send = json!({"sessionKey": key, "message": "whisper", "idempotencyKey": "whisper", "deliver": false});
    acme.operator.ok("chat.send", send).await;
    while acme.operator.next_event("chat").await["state"] != "final" {}
    acme.operator.ok("voicewake.set", json!({"triggers": ["whisper"]})).await;
    let patch = json!({"raw": "{ui:{seamColor:'whisper'}}", "baseHash": acme.operator.ok("config.get", json!({})).await["hash"]});
    acme.operator.ok("config.patch", patch).await;
    // Whatever was on its way has come before the answer to this.
    globex.operator.ok("voicewake.get", json!({})).await;
    globex.node.call("node.pending.pull", json!({})).await.unwrap_or_default();
    for (name, ws) in [("operator", &globex.operator), ("node", &globex.node)] {
        let seen = ws.frames().iter().map(Value::to_string).collect::<String>();
        assert!(!seen.contains("whisper"), "{name}: {seen}");
        assert!(!seen.contains(&acme.marks[0]), "{name}: {seen}");
    }
}

//! A tenant with everything that can be named, and how a method is called of which nobody has
//! written down the parameters: it says itself which fields it has and which it misses.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::ws::{Connect, Device, Ws};
use crate::{Gateway, Tenant};

/// Rounds in which a method may say what is wrong with its parameters.
const ROUNDS: usize = 24;

/// Every scope that an operator can ask for.
pub const SCOPES: [&str; 5] =
    ["operator.admin", "operator.read", "operator.write", "operator.approvals", "operator.pairing"];

/// One tenant with everything that can be named.
#[derive(Debug)]
pub struct House {
    /// The tenant.
    pub tenant: Tenant,
    /// Its operator, who may do everything.
    pub operator: Ws,
    /// Its node, which waits to be approved.
    pub node: Ws,
    /// Values of the house by the parameters that may name them.
    pub ids: BTreeMap<&'static str, Value>,
    /// Text that stands nowhere but in this house.
    pub marks: Vec<String>,
}

impl House {
    /// Builds one.
    pub async fn build(gateway: &Gateway, name: &str, device: &Device) -> Self {
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
}

/// The names in back quotes of a message.
pub fn quoted(message: &str) -> Vec<String> {
    message.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// Calls a method with these values, as far as it takes them, until it has no more to say of its
/// parameters. Gives every answer.
pub async fn call(
    caller: &mut Ws,
    method: &str,
    ids: &BTreeMap<&str, Value>,
) -> Vec<Result<Value, Value>> {
    let mut params = Map::from_iter([("notAField".to_owned(), Value::Null)]);
    let mut answers = Vec::new();
    for _ in 0..ROUNDS {
        let answer = caller.call(method, Value::Object(params.clone())).await;
        let message = match &answer {
            Ok(_) => String::new(),
            Err(err) => err["message"].as_str().unwrap_or_default().to_owned(),
        };
        answers.push(answer);
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
        "schedule" => json!({"kind": "every", "everyMs": 86_400_000}),
        "payload" => json!({"kind": "systemEvent", "text": "x"}),
        "sessionTarget" => json!("main"),
        "mode" | "wakeMode" => json!("now"),
        _ => json!("x"),
    }
}

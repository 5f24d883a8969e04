//! Two tenants with everything, and each method of the table called by one with the other's ids. The
//! parameters are found out from the method itself: it says which fields it has and which it
//! misses. Nothing of the other may be in an answer, and nothing of the other may move.

use serde_json::{Map, Value, json};
use tests::Gateway;
use tests::house::{House, call};
use tests::ws::Device;

/// Methods that end the caller or wait for long; others try these.
pub(super) const LEFT_OUT: [&str; 3] = ["tenants.rotate", "tenants.delete", "agent.wait"];

/// Everything that can be seen of the house from inside, without what changes by itself.
pub(super) async fn state(house: &mut House) -> Value {
    let mut state = Map::new();
    for (method, params) in [
        ("agents.list", json!({})),
        ("sessions.list", json!({})),
        ("cron.list", json!({"includeDisabled": true})),
        ("device.pair.list", json!({})),
        ("node.pair.list", json!({})),
        ("voicewake.get", json!({})),
        ("config.get", json!({})),
        ("chat.history", json!({"sessionKey": house.ids["sessionKey"]})),
    ] {
        let mut seen = house.operator.ok(method, params).await;
        settle(&mut seen);
        state.insert(method.to_owned(), seen);
    }
    Value::Object(state)
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
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// An answer may repeat what was asked, and nothing else of the other.
fn tells_nothing(answer: &Value, owner: &House, method: &str) {
    let asked = owner.ids.values().map(Value::to_string);
    let text = asked.fold(answer.to_string(), |text, id| text.replace(id.trim_matches('"'), ""));
    for mark in &owner.marks {
        assert!(!text.contains(mark.as_str()), "{method}: {answer}");
    }
}

#[tokio::test]
async fn every_method_with_the_others_ids() {
    // Whoever was an intruder has runs of its own under way, hence another gateway for each.
    for names in [["acme", "globex"], ["globex", "acme"]] {
        let gateway = Gateway::start();
        let mut a = House::build(&gateway, names[0], &Device::of(1)).await;
        let mut b = House::build(&gateway, names[1], &Device::of(2)).await;
        let before = state(&mut b).await;
        for method in api::methods().filter(|method| !LEFT_OUT.contains(&method.name)) {
            // What a node may call, the intruder's node calls.
            let caller =
                if method.scope == types::Scope::Node { &mut a.node } else { &mut a.operator };
            for answer in call(caller, method.name, &b.ids).await {
                tells_nothing(&answer.unwrap_or_else(|err| err), &b, method.name);
            }
        }
        assert_eq!(state(&mut b).await, before, "something of {} moved", b.tenant.id);
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

//! `openclaw gateway call`, unmodified, on every one of the 59 methods of a tenant: four of the
//! tenant's users at once, each with calls of their own, and the tenant's end last.

use serde_json::{Value, json};
use tests::house::House;
use tests::ws::{Connect, Device};
use tests::{Gateway, Official, Tenant};

/// What a call is answered with.
#[derive(Debug, Clone, Copy)]
enum Answer {
    /// A result with this in it.
    Ok(&'static str),
    /// An error with this in it.
    Refused(&'static str),
}
use Answer::{Ok as Has, Refused};

type Call = (&'static str, Value, Answer);

const NO_SHELL: Answer = Refused("Terminal session not found");

#[tokio::test(flavor = "multi_thread")]
async fn every_method_can_be_called() {
    let gateway = Gateway::start();
    let device = Device::of(1);
    let mut house = House::build(&gateway, "acme", &device).await;
    let hash = house.operator.ok("config.get", json!({})).await["hash"].take();
    let stranger = asks(&gateway, &house.tenant, &Device::of(2)).await;
    let rejected = asks(&gateway, &house.tenant, &Device::of(3)).await;
    let operator = &mut house.operator;
    operator.ok("node.pair.approve", json!({"requestId": house.ids["requestId"]})).await;
    let lamp = operator.ok("node.pair.request", json!({"nodeId": "lamp"})).await;
    let lamp = lamp["request"]["requestId"].as_str().unwrap();
    let tenant = house.tenant.clone();
    let admits = admits(&house, [&stranger, &rejected, lamp]);
    let chains = [looks(&house), changes(&house), admits, stores(&hash)];
    // After these two nothing works any more.
    let last = [
        ("tenants.rotate", json!({}), Has("token")),
        ("tenants.delete", json!({"confirm": true}), Has("deleted")),
    ];
    let mut called: Vec<_> = chains.iter().flatten().chain(&last).map(|call| call.0).collect();
    called.sort_unstable();
    called.dedup();
    assert_eq!(called.len(), 59, "{called:?}");
    let calls = move || {
        std::thread::scope(|scope| {
            for chain in &chains {
                let user = Official::new(&gateway, &tenant);
                scope.spawn(move || chain.iter().for_each(|call| drop(run(&user, call))));
            }
        });
        let rotated = run(&Official::new(&gateway, &tenant), &last[0]);
        let token = rotated.split("\"token\": \"").nth(1).unwrap().split('"').next().unwrap();
        run(&Official::with_token(&gateway, &tenant, token), &last[1]);
    };
    tokio::task::spawn_blocking(calls).await.unwrap();
}

/// A device that asks to be let in; gives the request's id.
async fn asks(gateway: &Gateway, tenant: &Tenant, device: &Device) -> String {
    let scopes = ["--label", "narrow", "--scope", "operator.read"];
    let made = gateway.json(&[&["tokens", "create", &tenant.id][..], &scopes].concat());
    let token = made["token"].as_str().unwrap();
    // It asks for no scope, so that whoever may pair may admit it.
    let connect = Connect::new(gateway.address(), token, &[]).device(device);
    let refused = connect.refused().await;
    refused.error["details"]["requestId"].as_str().unwrap().to_owned()
}

/// What it printed.
fn run(user: &Official, (method, params, answer): &Call) -> String {
    let params = params.to_string();
    let call = ["gateway", "call", method, "--params", &params, "--json"];
    let output = user.run(&[&call[..], &["--url", user.url(), "--token", user.token()]].concat());
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text).into_owned();
    let (fine, part) = match answer {
        Has(part) => (true, part),
        Refused(part) => (false, part),
    };
    let as_expected = output.status.success() == fine && text.contains(part);
    assert!(as_expected, "{method} {params}: {answer:?}: {}: {text}", output.status);
    text
}

fn looks(house: &House) -> Vec<Call> {
    let key = &house.ids["key"];
    vec![
        ("health", json!({}), Has("ok")),
        ("tenants.get", json!({}), Has("acme")),
        ("tenants.usage", json!({}), Has("{")),
        ("tenants.quota.status", json!({}), Has("{")),
        ("tenants.usage.history", json!({}), Has("{")),
        ("tenants.backups.list", json!({}), Refused("UNAVAILABLE")),
        ("tenants.backup", json!({}), Refused("UNAVAILABLE")),
        ("tenants.restore", json!({"key": "none"}), Refused("there is no such backup")),
        ("config.get", json!({}), Has("hash")),
        ("config.schema", json!({}), Has("properties")),
        ("sessions.list", json!({}), Has("mark-of-acme")),
        ("sessions.preview", json!({"keys": [key]}), Has("the secret of mark-of-acme")),
        ("terminal.spawn", json!({"cols": 80, "rows": 24}), Has("terminalId")),
        ("terminal.write", json!({"terminalId": "t", "data": "ls"}), NO_SHELL),
        ("terminal.resize", json!({"terminalId": "t", "cols": 80, "rows": 24}), NO_SHELL),
        ("terminal.close", json!({"terminalId": "t"}), NO_SHELL),
        ("terminal.list", json!({}), Has("[")),
    ]
}

fn changes(house: &House) -> Vec<Call> {
    let (agent, job) = (&house.ids["agentId"], &house.ids["id"]);
    let file = json!({"agentId": agent, "name": "AGENTS.md"});
    let written = json!({"agentId": agent, "name": "AGENTS.md", "content": "Be brief."});
    let schedule = json!({"kind": "every", "everyMs": 86_400_000});
    let turn = json!({"kind": "agentTurn", "message": "work"});
    let added = json!({"name": "daily", "schedule": schedule, "sessionTarget": "isolated",
        "wakeMode": "now", "payload": turn});
    vec![
        ("agents.list", json!({}), Has("main")),
        ("agents.create", json!({"name": "Helper", "workspace": "helper"}), Has("helper")),
        ("agents.update", json!({"agentId": "helper", "name": "Second"}), Has("ok")),
        ("agents.files.set", written, Has("ok")),
        ("agents.files.list", json!({"agentId": agent}), Has("AGENTS.md")),
        ("agents.files.get", file, Has("Be brief.")),
        ("agents.delete", json!({"agentId": "helper"}), Has("ok")),
        ("cron.status", json!({}), Has("enabled")),
        ("cron.add", added, Has("daily")),
        ("cron.list", json!({}), Has("daily")),
        ("cron.update", json!({"id": job, "patch": {"name": "weekly"}}), Has("weekly")),
        ("cron.run", json!({"id": job, "mode": "force"}), Has("ok")),
        ("cron.runs", json!({"id": job}), Has("entries")),
        ("cron.remove", json!({"id": job}), Has("true")),
    ]
}

fn admits(house: &House, [stranger, rejected, lamp]: [&str; 3]) -> Vec<Call> {
    let (device, node) = (&house.ids["deviceId"], &house.ids["nodeId"]);
    let bulb = json!({"nodeId": "bulb", "displayName": "a bulb"});
    // The command line asks for no more than a method needs, and may not pass on what it has not.
    let role = json!({"deviceId": device, "role": "node"});
    // Nobody answers for the node, so that the call of it ends with the time that it may take.
    let which = json!({"nodeId": node, "command": "system.which", "params": {"bins": ["sh"]},
        "timeoutMs": 1, "idempotencyKey": "k"});
    // The node reads nothing more, and so has its connection for less than a minute.
    vec![
        ("node.invoke", which, Refused("TIMEOUT")),
        ("device.pair.list", json!({}), Has("pending")),
        ("device.pair.approve", json!({"requestId": stranger}), Has("device")),
        ("device.pair.reject", json!({"requestId": rejected}), Has("deviceId")),
        ("node.pair.list", json!({}), Has("lamp")),
        ("node.pair.approve", json!({"requestId": lamp}), Has("lamp")),
        ("node.pair.request", bulb, Has("pending")),
        ("node.pair.reject", json!({"requestId": "none"}), Refused("unknown requestId")),
        ("node.pair.verify", json!({"nodeId": node, "token": "wrong"}), Has("false")),
        ("node.rename", json!({"nodeId": node, "displayName": "a kettle"}), Has("a kettle")),
        ("node.list", json!({}), Has("a kettle")),
        ("node.describe", json!({"nodeId": node}), Has("a kettle")),
        ("device.token.rotate", role.clone(), Has("rotatedAtMs")),
        ("device.token.revoke", role, Has("revokedAtMs")),
    ]
}

fn stores(hash: &Value) -> Vec<Call> {
    let change = json!({"raw": "{messages: {queue: {mode: 'collect'}}}", "baseHash": hash});
    vec![
        ("config.patch", change.clone(), Has("collect")),
        ("config.set", change, Refused("config changed")),
        ("skills.status", json!({}), Has("skills")),
        // The command line asks for no scope where it knows a method as the nodes' own.
        ("skills.bins", json!({}), Refused("missing scope: operator.read")),
        ("skills.update", json!({"skillKey": "greeting", "enabled": true}), Has("greeting")),
        ("skills.install", json!({"name": "greeting", "installId": "none"}), Has("false")),
        ("channels.status", json!({}), Has("channels")),
        ("channels.start", json!({"channel": "telegram"}), Refused("telegram")),
        ("channels.stop", json!({"channel": "telegram"}), Refused("telegram")),
        ("channels.logout", json!({"channel": "telegram"}), Refused("telegram")),
        ("voicewake.set", json!({"triggers": ["lobster"]}), Has("lobster")),
        ("voicewake.get", json!({}), Has("lobster")),
    ]
}

//! Which node may be asked what, by whom, and what another tenant learns of it: nothing.

use std::sync::Arc;
use std::time::Duration;

use api::Code;
use api::nodes::{
    DrainParams, EnqueueParams, InvokeParams, InvokeResultParams, PairRequestParams, PendingKind,
};
use hub::{Connection, Item, Next, Outbox};
use serde_json::json;

mod limits;

use super::*;
use crate::testing::{Machine, World, code, detail, world};

fn invoke(node: &str, command: &str) -> InvokeParams {
    let params = json!({
        "nodeId": node, "command": command, "params": { "bins": ["sh"] },
        "idempotencyKey": uuid::Uuid::new_v4().to_string(),
    });
    serde_json::from_value(params).unwrap()
}

async fn by(world: &World, tenant: &TenantId, scopes: &[Scope]) -> Principal {
    world.enter(&world.token(tenant, scopes).await.text)
}

/// The next event of a node's connection that is called `name`.
async fn event(outbox: &mut Outbox, name: &str) -> serde_json::Value {
    loop {
        match tokio::time::timeout(Duration::from_secs(10), outbox.next()).await.unwrap() {
            Next::Send(Item::Event { event, payload, .. }) if event.name == name => {
                return serde_json::from_slice(&payload).unwrap();
            }
            Next::Send(_) => {}
            Next::Close(close) => panic!("closed: {close:?}"),
        }
    }
}

/// A node with these commands that was approved, and who did it.
async fn approved(
    world: &World,
    commands: &[&str],
) -> (Principal, Machine, Arc<Connection>, Outbox) {
    let admin = by(world, &world.a, &[Scope::Admin]).await;
    let machine = Machine::new();
    let (connection, outbox) = world.node(&world.a, &machine, commands).await;
    let id = request(world, &world.a).await;
    world.nodes(&world.a).approve(&admin, &id).await.unwrap();
    (admin, machine, connection, outbox)
}

/// The one request that waits.
async fn request(world: &World, tenant: &TenantId) -> String {
    world.nodes(tenant).pair_list().await.unwrap().pending.remove(0).request_id
}

#[tokio::test]
async fn a_node_is_asked_nothing_until_it_is_approved() {
    let world = world().await;
    let nodes = world.nodes(&world.a);
    let admin = by(&world, &world.a, &[Scope::Admin]).await;
    let writer = by(&world, &world.a, &[Scope::Write]).await;
    let (machine, commands) = (Machine::new(), ["system.which", "system.run"]);
    let id = machine.id();
    let (connection, mut outbox) = world.node(&world.a, &machine, &commands).await;
    let err = nodes.invoke(&writer, invoke(&id, "system.which")).await.unwrap_err();
    assert!(err.message.starts_with("node capability surface is awaiting operator approval"));
    assert_eq!((err.code, code(&err)), (Code::Unavailable, "PAIRING_REQUIRED"));
    assert_eq!(detail(&err, "requestId"), json!(null));
    let view = &nodes.list(&admin).await.unwrap().nodes[0];
    assert!(view.connected && !view.paired && view.facts.commands.is_empty());
    let pending = nodes.pair_list().await.unwrap().pending.remove(0);
    assert_eq!(view.pending_request_id.as_ref(), Some(&pending.request_id));
    assert_eq!(nodes.list(&writer).await.unwrap().nodes[0].pending_request_id, None);
    assert_eq!(pending.required_approve_scopes, ["operator.pairing", "operator.admin"]);
    assert_eq!(pending.facts.commands, ["system.run", "system.which"]);
    let weak = by(&world, &world.a, &[Scope::Pairing, Scope::Write]).await;
    let err = nodes.approve(&weak, &pending.request_id).await.unwrap_err();
    assert_eq!(code(&err), "MISSING_SCOPE");
    let node = nodes.approve(&admin, &pending.request_id).await.unwrap().node;
    let token = node.token.unwrap();
    assert!(nodes.verify(&id, &token).await.unwrap().ok);
    assert!(!nodes.verify(&id, "other").await.unwrap().ok);
    let listed = serde_json::to_string(&nodes.pair_list().await.unwrap()).unwrap();
    assert!(!listed.contains(&token) && !listed.contains("token"), "{listed}");

    // Approved: what is dangerous still needs the tenant's settings.
    let err = nodes.invoke(&writer, invoke(&id, "system.run")).await.unwrap_err();
    assert_eq!(detail(&err, "reason"), "command not allowlisted");
    let err = nodes.invoke(&writer, invoke(&id, "camera.snap")).await.unwrap_err();
    assert_eq!(detail(&err, "reason"), "command not declared by node");
    let err = nodes.invoke(&admin, invoke(&id, "system.execApprovals.set")).await.unwrap_err();
    assert!(err.message.starts_with("node.invoke does not allow system.execApprovals.*"));
    let answer = async {
        let asked = event(&mut outbox, "node.invoke.request").await;
        assert_eq!(asked["paramsJSON"], r#"{"bins":["sh"]}"#);
        let mut result = json!({
            "id": asked["id"], "nodeId": id, "ok": true, "payloadJSON": r#"{"sh":"/bin/sh"}"#,
        });
        // Another node, and an id of nobody, change nothing.
        result["nodeId"] = json!("other");
        let parse = |it: &serde_json::Value| serde_json::from_value(it.clone()).unwrap();
        nodes.result(Some(&connection), parse(&result)).unwrap_err();
        (result["nodeId"], result["id"]) = (json!(id), json!("nobody"));
        assert!(nodes.result(Some(&connection), parse(&result)).unwrap().ignored);
        result["id"] = asked["id"].clone();
        assert!(!nodes.result(Some(&connection), parse(&result)).unwrap().ignored);
        assert!(nodes.result(Some(&connection), parse(&result)).unwrap().ignored);
    };
    let (done, ()) = tokio::join!(nodes.invoke(&writer, invoke(&id, "system.which")), answer);
    let done = serde_json::to_value(done.unwrap()).unwrap();
    assert_eq!(done["payload"], json!({ "sh": "/bin/sh" }));
    assert_eq!(done["payloadJSON"], r#"{"sh":"/bin/sh"}"#);
    drop(outbox);
    let err = nodes.invoke(&writer, invoke(&id, "system.which")).await.unwrap_err();
    assert_eq!((err.code, code(&err)), (Code::Unavailable, "NOT_CONNECTED"));
}

#[tokio::test]
async fn what_a_node_says_went_wrong_is_passed_on() {
    let world = world().await;
    let nodes = world.nodes(&world.a);
    let (admin, machine, connection, mut outbox) = approved(&world, &["system.which"]).await;
    let answer = async {
        let asked = event(&mut outbox, "node.invoke.request").await;
        let result = json!({
            "id": asked["id"], "nodeId": machine.id(), "ok": false,
            "error": { "code": "NO", "message": "not today" },
        });
        let result: InvokeResultParams = serde_json::from_value(result).unwrap();
        assert!(!nodes.result(Some(&connection), result).unwrap().ignored);
    };
    let ask = nodes.invoke(&admin, invoke(&machine.id(), "system.which"));
    let (done, ()) = tokio::join!(ask, answer);
    let err = done.unwrap_err();
    assert_eq!((err.code, &*err.message), (Code::Unavailable, "NO: not today"));
}

#[tokio::test]
async fn authority_only_shrinks_unasked() {
    let world = world().await;
    let nodes = world.nodes(&world.a);
    let (admin, machine, _, outbox) = approved(&world, &["device.a", "device.b"]).await;
    drop(outbox);
    // Less is no question.
    let (_, outbox) = world.node(&world.a, &machine, &["device.a"]).await;
    assert!(nodes.pair_list().await.unwrap().pending.is_empty());
    drop(outbox);
    // More is, and until it is answered there is what there was.
    let (_, _outbox) = world.node(&world.a, &machine, &["device.a", "device.c"]).await;
    let pending = nodes.pair_list().await.unwrap().pending.remove(0);
    assert!(pending.is_repair);
    let view = nodes.describe(&admin, &machine.id()).await.unwrap().node;
    assert_eq!(view.facts.commands, ["device.a"]);
    let err = nodes.invoke(&admin, invoke(&machine.id(), "device.c")).await.unwrap_err();
    assert_eq!(
        (code(&err), detail(&err, "requestId")),
        ("PAIRING_REQUIRED", json!(pending.request_id))
    );
    // The same again is the same request; another is another.
    let (_, again) = world.node(&world.a, &machine, &["device.a", "device.c"]).await;
    assert_eq!(request(&world, &world.a).await, pending.request_id);
    drop(again);
    let (_, _third) = world.node(&world.a, &machine, &["device.a", "device.c", "device.d"]).await;
    assert_ne!(request(&world, &world.a).await, pending.request_id);
    let err = nodes.approve(&admin, &pending.request_id).await.unwrap_err();
    assert_eq!(err.message, "unknown requestId");
}

#[tokio::test]
async fn requests_last_as_long_as_the_connection() {
    let world = world().await;
    let nodes = world.nodes(&world.a);
    let machine = Machine::new();
    let (_, outbox) = world.node(&world.a, &machine, &["a"]).await;
    world.clock.advance(crate::devices::REQUEST_KEPT * 10);
    assert_eq!(nodes.pair_list().await.unwrap().pending.len(), 1);
    drop(outbox);
    assert!(nodes.pair_list().await.unwrap().pending.is_empty());
}

#[tokio::test]
async fn a_connection_without_the_key_is_not_the_node() {
    let world = world().await;
    let nodes = world.nodes(&world.a);
    let (admin, machine, _, outbox) = approved(&world, &["a"]).await;
    drop(outbox);
    let client = hub::Client { instance_id: Some(machine.id()), ..hub::Client::default() };
    let spec = hub::Spec {
        role: Role::Node,
        client,
        device_id: None,
        scopes: std::iter::once(Scope::Node).collect(),
        caps: Vec::new(),
        commands: vec!["a".to_owned()],
        path_env: None,
        permissions: std::collections::BTreeMap::new(),
        connected_at: 0,
        peer: crate::testing::HERE,
    };
    let (connection, _outbox) = world.hub.join(&world.a, spec).unwrap();
    nodes.joined(&connection).await.unwrap();
    let err = nodes.invoke(&admin, invoke(&machine.id(), "a")).await.unwrap_err();
    assert_eq!(code(&err), "NOT_CONNECTED");
    assert!(!nodes.list(&admin).await.unwrap().nodes[0].connected);
    own_id(Some(&connection)).unwrap_err();
}

#[tokio::test]
async fn another_tenants_nodes_are_unknown() {
    let world = world().await;
    let (ours, theirs) = (world.nodes(&world.a), world.nodes(&world.b));
    let admin = by(&world, &world.a, &[Scope::Admin]).await;
    let other = by(&world, &world.b, &[Scope::Admin]).await;
    let machine = Machine::new();
    let id = machine.id();
    let (_, _outbox) = world.node(&world.a, &machine, &["a"]).await;
    let first = request(&world, &world.a).await;
    let never = "0".repeat(64);
    let same = |a: Option<ApiError>, b: Option<ApiError>| {
        assert!(a.is_some());
        assert_eq!(a, b);
    };
    same(theirs.approve(&other, &first).await.err(), theirs.approve(&other, "x").await.err());
    same(theirs.reject(&first).await.err(), theirs.reject("x").await.err());
    let token = ours.approve(&admin, &first).await.unwrap().node.token.unwrap();
    same(theirs.describe(&other, &id).await.err(), theirs.describe(&other, &never).await.err());
    same(theirs.rename(&id, "x").await.err(), theirs.rename(&never, "x").await.err());
    same(theirs.remove(&other, &id).await.err(), theirs.remove(&other, &never).await.err());
    let ask = async |id: &str| theirs.invoke(&other, invoke(id, "a")).await.err();
    same(ask(&id).await, ask(&never).await);
    let queue = async |id: &str| theirs.enqueue(enqueue(id)).await.err();
    same(queue(&id).await, queue(&never).await);
    assert!(!theirs.verify(&id, &token).await.unwrap().ok);
    assert!(theirs.list(&other).await.unwrap().nodes.is_empty());
    let list = theirs.pair_list().await.unwrap();
    assert!(list.pending.is_empty() && list.paired.is_empty());
    assert!(ours.verify(&id, &token).await.unwrap().ok);
}

#[tokio::test]
async fn a_removed_node_is_gone() {
    let world = world().await;
    let nodes = world.nodes(&world.a);
    let (admin, machine, _, mut outbox) = approved(&world, &["a"]).await;
    nodes.rename(&machine.id(), " kitchen ").await.unwrap();
    let name = nodes.describe(&admin, &machine.id()).await.unwrap().node.facts.display_name;
    assert_eq!(name.as_deref(), Some("kitchen"));
    nodes.remove(&admin, &machine.id()).await.unwrap();
    loop {
        match tokio::time::timeout(Duration::from_secs(10), outbox.next()).await.unwrap() {
            Next::Send(_) => {}
            Next::Close(close) => break assert_eq!(close.code, 1008),
        }
    }
    drop(outbox);
    assert!(nodes.list(&admin).await.unwrap().nodes.is_empty());
}

fn enqueue(node: &str) -> EnqueueParams {
    EnqueueParams {
        node_id: node.to_owned(),
        kind: PendingKind::Status,
        priority: None,
        expires_in_ms: Some(1000),
        wake: Some(true),
    }
}

#[tokio::test]
async fn what_is_queued_waits_once_and_ends() {
    let world = world().await;
    let nodes = world.nodes(&world.a);
    let machine = Machine::new();
    let id = machine.id();
    let (_, _outbox) = world.node(&world.a, &machine, &[]).await;
    let first = nodes.enqueue(enqueue(&id)).await.unwrap();
    nodes.enqueue(enqueue(&id)).await.unwrap();
    assert!(!first.wake_triggered);
    let urgent = EnqueueParams {
        kind: PendingKind::Location,
        priority: Some(api::nodes::PendingPriority::High),
        expires_in_ms: None,
        ..enqueue(&id)
    };
    nodes.enqueue(urgent).await.unwrap();
    let one = DrainParams { max_items: Some(1) };
    let drained = nodes.drain(&id, &one).await.unwrap();
    assert_eq!((&*drained.items[0].kind, drained.has_more), ("location.request", true));
    world.clock.advance(1000);
    let drained = nodes.drain(&id, &one).await.unwrap();
    assert!(drained.items.is_empty() && !drained.has_more);
    nodes.drain(&id, &DrainParams { max_items: Some(11) }).await.unwrap_err();
}

#[tokio::test]
async fn a_request_that_a_program_makes() {
    let world = world().await;
    let nodes = world.nodes(&world.a);
    let ask = |id: &str| {
        let params = json!({ "nodeId": id, "displayName": "x", "commands": ["b", "a"] });
        serde_json::from_value::<PairRequestParams>(params).unwrap()
    };
    let first = nodes.pair_request(ask("phone")).await.unwrap();
    assert!(first.created);
    assert_eq!(first.request.facts.commands, ["a", "b"]);
    assert!(!nodes.pair_request(ask("phone")).await.unwrap().created);
    for id in ["", "a b", "a/b", &"x".repeat(MAX_ID + 1)] {
        nodes.pair_request(ask(id)).await.unwrap_err();
    }
    for number in 0..63 {
        // No faster than changes are let through.
        world.clock.advance(settings::WRITES_WINDOW / u64::from(settings::WRITES));
        nodes.pair_request(ask(&format!("n{number}"))).await.unwrap();
    }
    let err = nodes.pair_request(ask("one-more")).await.unwrap_err();
    assert_eq!(err.code, Code::Unavailable);
}

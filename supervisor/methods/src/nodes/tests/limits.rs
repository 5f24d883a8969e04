//! What a node may be asked and may answer at most, how often it may ask, and how it goes.

use futures_util::FutureExt as _;
use records::DeviceRole;

use super::*;
use crate::testing::{HERE, Said};

#[tokio::test]
async fn a_result_has_a_bound_that_both_sides_are_told_of() {
    let world = world().await;
    let nodes = world.nodes(&world.a);
    let (admin, machine, connection, mut outbox) = approved(&world, &["system.which"]).await;
    let mut check = async |field: &str, bytes: usize, fits: bool| {
        let text = format!("\"{}\"", "x".repeat(bytes - 2));
        let answer = async {
            let asked = event(&mut outbox, "node.invoke.request").await;
            let mut result = json!({ "id": asked["id"], "nodeId": machine.id(), "ok": true });
            let raw = field == "payload";
            result[field] = json!(if raw { text.trim_matches('"') } else { &text });
            nodes.result(Some(&connection), serde_json::from_str(&result.to_string()).unwrap())
        };
        let ask = nodes.invoke(&admin, invoke(&machine.id(), "system.which"));
        let (done, told) = tokio::join!(ask, answer);
        if fits {
            assert!(!told.unwrap().ignored);
            assert_eq!(done.unwrap().payload_json, Some(text));
            return;
        }
        let wants = "the payload has at most 1048576 bytes, 1048577 given";
        let told = told.unwrap_err();
        assert_eq!(told.message, format!("invalid node.invoke.result params: {wants}"));
        let err = done.unwrap_err();
        assert_eq!((err.code, code(&err)), (Code::Unavailable, "PAYLOAD_TOO_LARGE"));
        assert_eq!(err.message, format!("PAYLOAD_TOO_LARGE: {wants}"));
    };
    for field in ["payload", "payloadJSON"] {
        check(field, 1 << 20, true).await;
        check(field, (1 << 20) + 1, false).await;
    }
}

#[tokio::test]
async fn what_went_wrong_is_cut_before_it_is_kept() {
    let world = world().await;
    let nodes = world.nodes(&world.a);
    let (_, machine, connection, mut outbox) = approved(&world, &["system.which"]).await;
    let invocation = hub::Invocation {
        command: "system.which".to_owned(),
        params_json: None,
        timeout: Duration::from_secs(10),
        idempotency_key: "k".to_owned(),
    };
    let (id, hub) = (machine.id(), &world.hub);
    let answer = async {
        let asked = event(&mut outbox, "node.invoke.request").await;
        let result = json!({
            "id": asked["id"], "nodeId": id, "ok": false, "payload": { "of": "no use" },
            "error": { "code": "c".repeat(2000), "message": "m".repeat(2000) },
        });
        nodes.result(Some(&connection), serde_json::from_value(result).unwrap()).unwrap();
    };
    let (kept, ()) = tokio::join!(hub.invoke(&world.a, &id, invocation), answer);
    let (text, cut) = (|it: &str| it.repeat(1024), kept.unwrap());
    let error = hub::NodeError { code: Some(text("c")), message: Some(text("m")) };
    assert_eq!(cut, hub::Outcome { ok: false, payload_json: None, error: Some(error) });
}

#[tokio::test]
async fn a_node_that_waits_and_comes_again_writes_nothing() {
    let world = world().await;
    let nodes = world.nodes(&world.a);
    let machine = Machine::new();
    let rows = || async { world.records.node_requests(&world.a).await.unwrap() };
    let come = async |commands: &[&str]| drop(world.node(&world.a, &machine, commands).await);
    come(&["a"]).await;
    let before = rows().await;
    world.clock.advance(1);
    for _ in 0..2 * settings::WRITES {
        come(&["a"]).await;
    }
    assert_eq!(rows().await, before);
    // One that wants something else each time is told to wait.
    let ask = async |command: &str| {
        let params = json!({ "nodeId": "n", "commands": [command] });
        nodes.pair_request(serde_json::from_value(params).unwrap()).await
    };
    for number in 1..settings::WRITES {
        ask(&format!("c{number}")).await.unwrap();
    }
    let err = ask("more").await.unwrap_err();
    assert_eq!(err.code, Code::Unavailable);
    assert!(err.message.starts_with("too many changes") && err.retry_after_ms.is_some());
    world.clock.advance(settings::WRITES_WINDOW);
    ask("more").await.unwrap();
}

#[tokio::test]
async fn a_removed_node_is_cut_off_first_and_does_not_come_back() {
    let world = world().await;
    let nodes = world.nodes(&world.a);
    let admin = by(&world, &world.a, &[Scope::Admin]).await;
    let user = world.token(&world.a, &[Scope::Read]).await;
    let machine = Machine::new();
    let id = machine.id();
    let said = Said { token: &user.text, role: DeviceRole::Node, asked: &[] };
    let token = world.connect(&machine, &said).await.unwrap().device_token.unwrap().token;
    let (_, mut outbox) = world.node(&world.a, &machine, &["a"]).await;
    nodes.approve(&admin, &request(&world, &world.a).await).await.unwrap();
    let left = world.records.device_tokens().await.unwrap().remove(0);
    // It has read the row that it will write.
    let mut rename = nodes.rename(&id, "kitchen").boxed();
    world.gate.close(1);
    assert!(rename.as_mut().now_or_never().is_none());
    let mut remove = nodes.remove(&admin, &id).boxed();
    assert!(remove.as_mut().now_or_never().is_none());
    world.auth.authenticate(Some(token.expose()), HERE).unwrap_err();
    loop {
        match outbox.next().now_or_never().unwrap() {
            Next::Send(_) => {}
            Next::Close(close) => break assert_eq!(close.code, 1008),
        }
    }
    drop(remove);
    // Nobody has waited for the first: what it left is removed by the next.
    world.gate.bypass();
    nodes.remove(&admin, &id).await.unwrap();
    world.gate.open();
    assert_eq!(rename.await.unwrap_err().message, "unknown nodeId");
    assert!(world.records.nodes(&world.a).await.unwrap().is_empty());
    assert!(world.records.device_tokens().await.unwrap().is_empty());
    // What a removal that failed has left is still removed.
    world.records.put_token(&left).await.unwrap();
    nodes.remove(&admin, &id).await.unwrap();
    assert!(world.records.device_tokens().await.unwrap().is_empty());
    assert_eq!(nodes.remove(&admin, &id).await.unwrap_err().message, "unknown nodeId");
}

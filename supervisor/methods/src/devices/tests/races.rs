//! What is removed or narrowed while something else is under way, and what is left when it fails.

use futures_util::FutureExt as _;
use hub::{Next, Outbox};

use super::*;
use crate::testing::HERE;

/// An operator's connection of the machine.
fn join(world: &World, machine: &Machine) -> (std::sync::Arc<hub::Connection>, Outbox) {
    let spec = hub::Spec {
        role: hub::Role::Operator,
        client: hub::Client::default(),
        device_id: Some(machine.id()),
        scopes: Scopes::all_of_tenant(),
        caps: Vec::new(),
        commands: Vec::new(),
        path_env: None,
        permissions: std::collections::BTreeMap::new(),
        connected_at: 0,
        peer: HERE,
    };
    world.hub.join(&world.a, spec).unwrap()
}

fn is_cut(outbox: &mut Outbox) -> bool {
    while let Some(next) = outbox.next().now_or_never() {
        if let Next::Close(close) = next {
            assert_eq!(close.code, 1008);
            return true;
        }
    }
    false
}

/// A machine that may do `WRITE`, approved by somebody, with a token that may not pair.
async fn approved(world: &World, user: &Token, by: &Principal) -> Machine {
    let machine = Machine::new();
    let err = world.connect(&machine, &operator(&user.text, &[WRITE])).await.unwrap_err();
    let request = detail(&err, "requestId").as_str().unwrap().to_owned();
    manager(world, by).approve(&request).await.unwrap();
    machine
}

#[tokio::test]
async fn a_removed_device_is_cut_off_before_anything_is_written() {
    let world = world().await;
    let (admin, _) = two(&world).await;
    let by = world.enter(&admin.text);
    for how in ["remove", "revoke", "own"] {
        let (machine, bystander) = (Machine::new(), Machine::new());
        let admitted = world.connect(&machine, &operator(&admin.text, &[READ])).await.unwrap();
        let token = admitted.device_token.unwrap().token;
        let (connection, mut outbox) = join(&world, &machine);
        let (_, mut other) = join(&world, &bystander);
        let (id, own) = (machine.id(), world.enter(token.expose()));
        let via = (how == "own").then(|| connection.id());
        let by = if how == "own" { &own } else { &by };
        let manager = Manager { via, ..manager(&world, by) };
        let mut end = async {
            if how == "revoke" {
                manager.revoke(&id, "operator").await.map(drop)
            } else {
                manager.remove(&id).await.map(drop)
            }
        }
        .boxed();
        world.gate.close(0);
        assert!(end.as_mut().now_or_never().is_none());
        // Whoever removes itself is still there to see it written.
        assert_eq!(world.auth.authenticate(Some(token.expose()), HERE).is_ok(), how == "own");
        assert_eq!(is_cut(&mut outbox), how != "own", "{how}");
        // One that comes meanwhile goes too.
        let (_, mut late) = join(&world, &machine);
        world.gate.open();
        end.await.unwrap();
        assert!(is_cut(&mut late), "{how}");
        world.auth.authenticate(Some(token.expose()), HERE).unwrap_err();
        assert!(how != "own" || is_cut(&mut outbox));
        assert!(!is_cut(&mut other));
        let left = world.records.device(&world.a, &id).await.unwrap();
        assert_eq!(left.is_some(), how == "revoke");
        assert!(world.records.device_tokens().await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn a_handshake_that_is_under_way_does_not_bring_a_removed_device_back() {
    let world = world().await;
    let (admin, user) = two(&world).await;
    let by = world.enter(&admin.text);
    let machine = approved(&world, &user, &by).await;
    let said = operator(&user.text, &[WRITE]);
    // It has read the device's row, and will write down the new name.
    let mut handshake = world.connect_as(&machine, &said, "desktop").boxed();
    world.gate.close(1);
    assert!(handshake.as_mut().now_or_never().is_none());
    world.gate.bypass();
    manager(&world, &by).remove(&machine.id()).await.unwrap();
    world.gate.open();
    // Who asks anew waits for approval.
    assert_eq!(handshake.await.unwrap_err().code, Code::NotPaired);
    assert_eq!(world.records.device(&world.a, &machine.id()).await.unwrap(), None);
    assert!(world.records.device_tokens().await.unwrap().is_empty());
    let by = &by;
    let machine = approved(&world, &user, by).await;
    let (id, boss) = (machine.id(), manager(&world, by));
    let mut rename = boss.rename(&id, "mine").boxed();
    world.gate.close(1);
    assert!(rename.as_mut().now_or_never().is_none());
    world.gate.bypass();
    boss.remove(&id).await.unwrap();
    world.gate.open();
    assert_eq!(rename.await.unwrap_err().message, "unknown deviceId");
    assert_eq!(world.records.device(&world.a, &id).await.unwrap(), None);
}

#[tokio::test]
async fn a_handshake_that_is_under_way_does_not_undo_narrower_scopes() {
    let world = world().await;
    let (admin, user) = two(&world).await;
    let by = world.enter(&admin.text);
    let machine = approved(&world, &user, &by).await;
    let said = operator(&user.text, &[WRITE]);
    world.connect(&machine, &said).await.unwrap();
    for name in ["desktop", "laptop"] {
        let mut handshake = world.connect_as(&machine, &said, name).boxed();
        world.gate.close(1);
        assert!(handshake.as_mut().now_or_never().is_none());
        let params = api::devices::RotateParams {
            device_id: machine.id(),
            role: "operator".to_owned(),
            scopes: Some(vec![READ.to_owned()]),
        };
        world.gate.bypass();
        manager(&world, &by).rotate(&params).await.unwrap();
        world.gate.open();
        handshake.await.map(|it| it.scopes).unwrap_err();
        let row = world.records.device(&world.a, &machine.id()).await.unwrap().unwrap();
        assert_eq!(row.grants[0].scopes, of(&[Scope::Read]));
    }
}

#[tokio::test]
async fn a_device_that_was_removed_while_its_token_was_made_is_not_let_in() {
    let world = world().await;
    let (admin, _) = two(&world).await;
    let machine = Machine::new();
    let said = operator(&admin.text, &[READ]);
    world.connect(&machine, &said).await.unwrap();
    let (principal, asked) = (world.enter(&admin.text), [READ.to_owned()]);
    let proof = machine.proof(crate::testing::START);
    let it = crate::testing::introduction(&principal, &proof, &said, &asked);
    world.devices().confirm(&it, of(&[Scope::Read])).await.unwrap();
    world.devices().confirm(&it, of(&[Scope::Write])).await.unwrap_err();
    assert_eq!(world.records.device_tokens().await.unwrap().len(), 1);
    world.records.delete_device_tokens(&world.a, &[].into(), Some(&machine.id())).await.unwrap();
    world.devices().confirm(&it, of(&[Scope::Read])).await.unwrap_err();
    assert!(world.records.device_tokens().await.unwrap().is_empty());
}

#[tokio::test]
async fn what_is_left_of_a_device_can_be_removed() {
    let world = world().await;
    let (admin, _) = two(&world).await;
    let by = world.enter(&admin.text);
    let boss = manager(&world, &by);
    let machine = Machine::new();
    let id = machine.id();
    let admitted = world.connect(&machine, &operator(&admin.text, &[READ])).await.unwrap();
    let token = admitted.device_token.unwrap().token;
    let left = world.records.device_tokens().await.unwrap().remove(0);
    // Nothing is written, and the device is over all the same.
    world.gate.fail(true);
    assert_eq!(boss.remove(&id).await.unwrap_err().code, Code::Unavailable);
    world.auth.authenticate(Some(token.expose()), HERE).unwrap_err();
    world.gate.fail(false);
    boss.remove(&id).await.unwrap();
    assert_eq!(world.records.device(&world.a, &id).await.unwrap(), None);
    assert!(world.records.device_tokens().await.unwrap().is_empty());
    // As after a removal that failed half way: the row is gone, its tokens are not.
    let admitted = world.connect(&machine, &operator(&admin.text, &[READ])).await.unwrap();
    let token = admitted.device_token.unwrap().token;
    world.records.delete_device_tokens(&world.a, &[].into(), Some(&id)).await.unwrap();
    boss.remove(&id).await.unwrap();
    world.auth.authenticate(Some(token.expose()), HERE).unwrap_err();
    assert!(world.records.device_tokens().await.unwrap().is_empty());
    // Or they are over in memory and still in the records.
    world.records.put_token(&left).await.unwrap();
    boss.revoke(&id, "operator").await.unwrap();
    world.records.put_token(&left).await.unwrap();
    boss.remove(&id).await.unwrap();
    assert!(world.records.device_tokens().await.unwrap().is_empty());
    assert_eq!(boss.remove(&id).await.unwrap_err().message, "unknown deviceId");
    assert_eq!(boss.revoke(&id, "operator").await.unwrap_err().message, "unknown deviceId/role");
}

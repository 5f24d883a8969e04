//! A device's token: with its device only, no wider than its maker, and over with it.

use std::sync::Arc;

use futures_util::FutureExt as _;

use super::*;
use crate::testing::HERE;

fn is_over(principal: &Principal) -> bool {
    principal.revoked().now_or_never().is_some()
}

#[tokio::test]
async fn a_device_token_is_its_devices_only() {
    let world = world().await;
    let (admin, _) = two(&world).await;
    let machine = Machine::new();
    let first = world.connect(&machine, &operator(&admin.text, &[READ])).await.unwrap();
    let token = first.device_token.unwrap().token;
    let again = world.connect(&machine, &operator(token.expose(), &[READ])).await.unwrap();
    assert_eq!(again.scopes, of(&[Scope::Read]));
    // It is known to be with the device now.
    assert!(again.device_token.is_none());
    let third = world.connect(&machine, &operator(&admin.text, &[READ])).await.unwrap();
    assert!(third.device_token.is_none());
    let err = world.connect(&Machine::new(), &operator(token.expose(), &[READ])).await.unwrap_err();
    assert_eq!(code(&err), "AUTH_DEVICE_TOKEN_MISMATCH");
    let auth = &world.auth;
    auth.authenticate_device(Some(token.expose()), &machine.id(), HERE).unwrap();
    auth.authenticate_device(Some(token.expose()), &Machine::new().id(), HERE).unwrap_err();
    auth.authenticate_device(Some(&admin.text), &machine.id(), HERE).unwrap_err();
    // It makes no token that is not bound.
    let principal = world.enter(token.expose());
    let admins = world.enter(&admin.text);
    let made = auth.issue_device_token(&principal, "x", DeviceRole::Operator, Scopes::NONE).await;
    assert!(matches!(made, Err(auth::Error::Denied(_))));
    let wide = of(&[Scope::Hooks]);
    let made = auth.issue_device_token(&admins, "x", DeviceRole::Operator, wide).await;
    assert!(matches!(made, Err(auth::Error::Denied(_))));
}

#[tokio::test]
async fn a_device_token_does_not_widen_itself() {
    let world = world().await;
    let (admin, _) = two(&world).await;
    let machine = Machine::new();
    let first = world.connect(&machine, &operator(&admin.text, &[READ])).await.unwrap();
    let token = first.device_token.unwrap().token;
    let err = world.connect(&machine, &operator(token.expose(), &[WRITE])).await.unwrap_err();
    assert_eq!(detail(&err, "reason"), "scope-upgrade");
    let by = world.enter(&admin.text);
    let request = detail(&err, "requestId").as_str().unwrap().to_owned();
    // Not by a device that may pair and does not have it.
    let pairing = Machine::new();
    let weak =
        world.connect(&pairing, &operator(&admin.text, &["operator.pairing"])).await.unwrap();
    manager(&world, &weak.principal).approve(&request).await.unwrap_err();
    manager(&world, &by).approve(&request).await.unwrap();
    let held = world.enter(token.expose());
    let wider = world.connect(&machine, &operator(token.expose(), &[WRITE])).await.unwrap();
    assert_eq!(wider.scopes, of(&[Scope::Read, Scope::Write]));
    assert!(!is_over(&held));
    // Nor beyond the token that introduced it.
    let user = world.token(&world.a, &[Scope::Read, Scope::Pairing]).await;
    let machine = Machine::new();
    let asked = [READ, "operator.admin", "operator.pairing"];
    let small = world.connect(&machine, &operator(&user.text, &asked)).await.unwrap();
    assert_eq!(small.scopes, of(&[Scope::Read, Scope::Pairing]));
    let token = small.device_token.unwrap().token;
    let same = world.connect(&machine, &operator(token.expose(), &asked)).await.unwrap();
    assert_eq!(same.scopes, small.scopes);
}

#[tokio::test]
async fn a_rotated_token_can_be_narrower_and_stays_so() {
    let world = world().await;
    let (admin, _) = two(&world).await;
    let machine = Machine::new();
    let first = world.connect(&machine, &operator(&admin.text, &[WRITE])).await.unwrap();
    let old = first.device_token.unwrap().token;
    let held = world.enter(old.expose());
    let by = world.enter(&admin.text);
    let rotate = |scopes: &[&str]| api::devices::RotateParams {
        device_id: machine.id(),
        role: "operator".to_owned(),
        scopes: Some(scopes.iter().map(|it| (*it).to_owned()).collect()),
    };
    manager(&world, &by).rotate(&rotate(&["operator.admin"])).await.unwrap_err();
    manager(&world, &by).rotate(&rotate(&["nonsense"])).await.unwrap_err();
    let rotated = manager(&world, &by).rotate(&rotate(&[READ])).await.unwrap();
    assert_eq!((rotated.scopes, rotated.token_delivery), (vec![READ.to_owned()], "in-band"));
    assert!(is_over(&held));
    world.auth.authenticate(Some(old.expose()), HERE).unwrap_err();
    let token = rotated.token.unwrap();
    world.connect(&machine, &operator(&token, &[READ])).await.unwrap();
    let err = world.connect(&machine, &operator(&token, &[WRITE])).await.unwrap_err();
    assert_eq!(detail(&err, "reason"), "scope-upgrade");
    // Another device, even one that may end it, does not learn the secret.
    let other = Machine::new();
    let other_id = other.id();
    let administrator =
        world.connect(&other, &operator(&admin.text, &["operator.admin"])).await.unwrap();
    let by = administrator.device_token.unwrap().token;
    let by = world.enter(by.expose());
    let there = Manager { devices: world.devices(), by: &by, at: Some(&other_id), via: None };
    let rotated = there.rotate(&rotate(&[READ])).await.unwrap();
    assert_eq!((rotated.token, rotated.token_delivery), (None, "withheld-cross-device"));
}

#[tokio::test]
async fn what_ends_a_device_token() {
    let world = world().await;
    let owner = world.auth.local_operator(0);
    let owner = world.auth.authorize_operator(&owner, types::Role::Owner, "test").unwrap();
    let grant = auth::Grant::Operator(&owner);
    let (admin, _) = two(&world).await;
    let by = world.enter(&admin.text);
    for how in ["revoke", "remove", "maker revoked", "maker rotated", "all", "tenant"] {
        let maker = world.token(&world.a, &[Scope::Admin]).await;
        let machine = Machine::new();
        let admitted = world.connect(&machine, &operator(&maker.text, &[READ])).await.unwrap();
        let text = admitted.device_token.unwrap().token;
        let held = world.connect(&machine, &operator(text.expose(), &[READ])).await.unwrap();
        let bystander = Machine::new();
        let other = world.connect(&bystander, &operator(&admin.text, &[READ])).await.unwrap();
        let other = other.device_token.unwrap().token;
        let other = world.connect(&bystander, &operator(other.expose(), &[READ])).await.unwrap();
        assert!(!is_over(&held.principal));
        let (id, a) = (machine.id(), &world.a);
        match how {
            "revoke" => drop(manager(&world, &by).revoke(&id, "operator").await.unwrap()),
            "remove" => drop(manager(&world, &by).remove(&id).await.unwrap()),
            "maker revoked" => world.auth.revoke(a, &maker.id).await.unwrap(),
            "maker rotated" => drop(world.auth.rotate(&grant, a, &maker.id).await.unwrap()),
            "all" => world.auth.revoke_all(a).await.unwrap(),
            _ => {
                world.records.delete_tenant(a).await.unwrap();
                world.auth.forget(a).await;
            }
        }
        assert!(is_over(&held.principal), "{how}");
        world.auth.authenticate(Some(text.expose()), HERE).unwrap_err();
        assert_eq!(is_over(&other.principal), matches!(how, "all" | "tenant"), "{how}");
        let left = world.records.device_tokens().await.unwrap();
        assert!(left.iter().all(|row| row.device.as_ref().unwrap().device != id), "{how}");
        if how == "all" {
            break;
        }
    }
    let maker = world.token(&world.b, &[Scope::Admin]).await;
    world.connect(&Machine::new(), &operator(&maker.text, &[READ])).await.unwrap();
    world.records.delete_tenant(&world.b).await.unwrap();
    world.auth.forget(&world.b).await;
    assert!(world.records.device_tokens().await.unwrap().is_empty());
    assert!(world.records.devices(&world.b).await.unwrap().is_empty());
}

#[tokio::test]
async fn device_tokens_live_on_after_a_restart_and_orphans_do_not() {
    let world = world().await;
    let (admin, _) = two(&world).await;
    let machine = Machine::new();
    let admitted = world.connect(&machine, &operator(&admin.text, &[READ])).await.unwrap();
    let token = admitted.device_token.unwrap().token;
    let node_token = world.connect(&machine, &node(&admin.text)).await.unwrap();
    let node_token = node_token.device_token.unwrap().token;
    let clock = Arc::<types::ManualClock>::clone(&world.clock);
    let reload = || Auth::load(world.records.clone(), Arc::<types::ManualClock>::clone(&clock));
    let auth = reload().await.unwrap();
    let principal = auth.authenticate(Some(token.expose()), HERE).unwrap();
    assert_eq!(principal.device().unwrap().device, machine.id());
    assert_eq!(principal.scopes(), of(&[Scope::Read]));
    let principal = auth.authenticate(Some(node_token.expose()), HERE).unwrap();
    assert!(principal.scopes().contains(Scope::Node));
    // Its maker is gone without the token having been removed: it is over all the same.
    world.records.delete_token(&world.a, &admin.id).await.unwrap();
    let auth = reload().await.unwrap();
    auth.authenticate(Some(token.expose()), HERE).unwrap_err();
    auth.authenticate(Some(node_token.expose()), HERE).unwrap_err();
}

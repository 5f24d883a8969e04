//! Who is let in with which device, what its token is good for, and what ends it.

mod pace;
mod races;
mod tokens;

use api::Code;
use records::DeviceRole;
use types::Scope;

use super::manage::Manager;
use super::*;
use crate::testing::{Machine, Said, Token, World, code, detail, world};

const READ: &str = "operator.read";
const WRITE: &str = "operator.write";

fn operator<'a>(token: &'a str, asked: &'a [&'a str]) -> Said<'a> {
    Said { token, role: DeviceRole::Operator, asked }
}

fn node(token: &str) -> Said<'_> {
    Said { token, role: DeviceRole::Node, asked: &[] }
}

fn of(scopes: &[Scope]) -> Scopes {
    scopes.iter().copied().collect()
}

fn manager<'a>(world: &'a World, by: &'a Principal) -> Manager<'a> {
    Manager { devices: world.devices(), by, at: None, via: None }
}

/// A token that may pair, and one that may not.
async fn two(world: &World) -> (Token, Token) {
    let a = &world.a;
    (world.token(a, &[Scope::Admin]).await, world.token(a, &[Scope::Read, Scope::Write]).await)
}

#[tokio::test]
async fn a_token_that_may_pair_asks_nobody() {
    let world = world().await;
    let (admin, _) = two(&world).await;
    let machine = Machine::new();
    let admitted =
        world.connect(&machine, &operator(&admin.text, &["operator.write", "odd"])).await.unwrap();
    // Write is read too; admin was not asked for.
    assert_eq!(admitted.scopes, of(&[Scope::Read, Scope::Write]));
    assert_eq!(admitted.principal.scopes(), admitted.scopes);
    assert!(admitted.device_token.is_some());
    let by = world.enter(&admin.text);
    let list = manager(&world, &by).list().await.unwrap();
    assert!(list.pending.is_empty());
    let device = &list.paired[0];
    assert_eq!((&*device.device_id, device.approved_via), (&*machine.id(), "silent"));
    assert_eq!(device.scopes, [READ, WRITE]);
    assert_eq!(device.tokens[0].role, "operator");
    let shown = serde_json::to_string(&list).unwrap();
    assert!(!shown.contains("tk_a_"), "{shown}");
}

#[tokio::test]
async fn a_token_that_may_not_pair_waits() {
    let world = world().await;
    let (admin, user) = two(&world).await;
    let machine = Machine::new();
    let err = world.connect(&machine, &operator(&user.text, &[READ])).await.unwrap_err();
    assert_eq!((err.code, code(&err)), (Code::NotPaired, "PAIRING_REQUIRED"));
    assert_eq!(detail(&err, "reason"), "not-paired");
    let request = detail(&err, "requestId");
    let again = world.connect(&machine, &operator(&user.text, &[READ])).await.unwrap_err();
    assert_eq!(detail(&again, "requestId"), request);
    // What wants more is another request, and the first is gone.
    let more = world.connect(&machine, &operator(&user.text, &[WRITE])).await.unwrap_err();
    assert_ne!(detail(&more, "requestId"), request);
    let by = world.enter(&admin.text);
    let admin = manager(&world, &by);
    let request = detail(&more, "requestId");
    let request = request.as_str().unwrap();
    assert_eq!(admin.list().await.unwrap().pending.len(), 1);
    assert_eq!(admin.approve(request).await.unwrap().device.approved_via, "operator");
    let err = admin.approve(request).await.unwrap_err();
    assert_eq!(err.message, "unknown requestId");
    let admitted = world.connect(&machine, &operator(&user.text, &[READ])).await.unwrap();
    assert_eq!(admitted.scopes, of(&[Scope::Read]));
    // More than it was approved for, however little its token gives beyond.
    let err = world.connect(&machine, &operator(&user.text, &[WRITE])).await.map(|it| it.scopes);
    assert_eq!(err.unwrap(), of(&[Scope::Read, Scope::Write]));
}

#[tokio::test]
async fn approval_goes_no_further_than_what_was_asked() {
    let world = world().await;
    let (admin, user) = two(&world).await;
    let machine = Machine::new();
    let err = world.connect(&machine, &operator(&user.text, &[READ])).await.unwrap_err();
    let request = detail(&err, "requestId").as_str().unwrap().to_owned();
    let pairing = world.token(&world.a, &[Scope::Pairing]).await;
    let weak = world.enter(&pairing.text);
    let err = manager(&world, &weak).approve(&request).await.unwrap_err();
    assert_eq!((err.code, code(&err)), (Code::Forbidden, "MISSING_SCOPE"));
    let by = world.enter(&admin.text);
    manager(&world, &by).approve(&request).await.unwrap();
    let err = world.connect(&machine, &operator(&user.text, &[WRITE])).await.unwrap_err();
    assert_eq!(detail(&err, "reason"), "scope-upgrade");
    assert_eq!(detail(&err, "approvedScopes"), json!([READ]));
    let request = detail(&err, "requestId").as_str().unwrap().to_owned();
    let rejected = manager(&world, &by).reject(&request).await.unwrap();
    assert_eq!(rejected.device_id, machine.id());
    assert!(manager(&world, &by).list().await.unwrap().pending.is_empty());
}

#[tokio::test]
async fn requests_are_forgotten_and_bounded() {
    let world = world().await;
    let (admin, user) = two(&world).await;
    let by = world.enter(&admin.text);
    let machine = Machine::new();
    let err = world.connect(&machine, &operator(&user.text, &[READ])).await.unwrap_err();
    let request = detail(&err, "requestId").as_str().unwrap().to_owned();
    world.clock.advance(REQUEST_KEPT);
    let err = manager(&world, &by).approve(&request).await.unwrap_err();
    assert_eq!(err.message, "unknown requestId");
    for _ in 0..64 {
        // No faster than changes are let through.
        world.clock.advance(settings::WRITES_WINDOW / u64::from(settings::WRITES));
        let err = world.connect(&Machine::new(), &operator(&user.text, &[READ])).await.unwrap_err();
        assert_eq!(err.code, Code::NotPaired);
    }
    let err = world.connect(&Machine::new(), &operator(&user.text, &[READ])).await.unwrap_err();
    assert_eq!(
        (err.code, &*err.message),
        (Code::Unavailable, "the list of requests is full: 64 at most")
    );
    // The other tenant has room.
    let other = world.token(&world.b, &[Scope::Read]).await;
    let err = world.connect(&machine, &operator(&other.text, &[READ])).await.unwrap_err();
    assert_eq!(err.code, Code::NotPaired);
    world.clock.advance(REQUEST_KEPT);
    assert!(manager(&world, &by).list().await.unwrap().pending.is_empty());
}

#[tokio::test]
async fn a_node_is_held_and_may_nothing_else() {
    let world = world().await;
    let (_, user) = two(&world).await;
    let machine = Machine::new();
    let admitted = world.connect(&machine, &node(&user.text)).await.unwrap();
    assert!(admitted.scopes.is_empty());
    assert!(admitted.principal.scopes().contains(Scope::Node));
    assert!(!admitted.principal.scopes().contains(Scope::Read));
    let issued = admitted.device_token.unwrap();
    let again = world.connect(&machine, &node(issued.token.expose())).await.unwrap();
    assert!(again.principal.scopes().contains(Scope::Node));
    assert!(again.device_token.is_none());
    // A node's token is no operator's.
    let err = world.connect(&machine, &operator(issued.token.expose(), &[READ])).await.unwrap_err();
    assert_eq!(code(&err), "AUTH_DEVICE_TOKEN_MISMATCH");
    let hooks = world.token(&world.a, &[Scope::Hooks]).await;
    let err = world.connect(&machine, &node(&hooks.text)).await.unwrap_err();
    assert_eq!(code(&err), "AUTH_SCOPE_MISMATCH");
}

#[tokio::test]
async fn another_tenants_devices_are_unknown() {
    let world = world().await;
    let (admin, user) = two(&world).await;
    let machine = Machine::new();
    world.connect(&machine, &operator(&admin.text, &[READ])).await.unwrap();
    let err = world.connect(&Machine::new(), &operator(&user.text, &[READ])).await.unwrap_err();
    let request = detail(&err, "requestId").as_str().unwrap().to_owned();
    let other = world.token(&world.b, &[Scope::Admin]).await;
    let by = world.enter(&other.text);
    let other = manager(&world, &by);
    let before = serde_json::to_value(other.list().await.unwrap()).unwrap();
    assert_eq!(before, json!({ "pending": [], "paired": [] }));
    let never = "0".repeat(64);
    let (id, role) = (machine.id(), "operator".to_owned());
    let rotate = |device_id: &str| api::devices::RotateParams {
        device_id: device_id.to_owned(),
        role: role.clone(),
        scopes: None,
    };
    let same = |a: Option<ApiError>, b: Option<ApiError>| {
        assert_eq!(a.as_ref().map(|it| it.code), Some(Code::InvalidRequest));
        assert_eq!(a, b);
    };
    same(other.approve(&request).await.err(), other.approve("never").await.err());
    same(other.reject(&request).await.err(), other.reject("never").await.err());
    same(other.remove(&id).await.err(), other.remove(&never).await.err());
    same(other.rename(&id, "x").await.err(), other.rename(&never, "x").await.err());
    same(other.rotate(&rotate(&id)).await.err(), other.rotate(&rotate(&never)).await.err());
    same(other.revoke(&id, &role).await.err(), other.revoke(&never, &role).await.err());
    let by = world.enter(&admin.text);
    let list = manager(&world, &by).list().await.unwrap();
    assert_eq!((list.pending.len(), list.paired.len(), list.paired[0].tokens.len()), (1, 1, 1));
    // The same machine at another tenant is another device.
    let token = world.token(&world.b, &[Scope::Admin]).await;
    world.connect(&machine, &operator(&token.text, &[READ])).await.unwrap();
    manager(&world, &by).remove(&id).await.unwrap();
    let by = world.enter(&token.text);
    assert_eq!(manager(&world, &by).list().await.unwrap().paired.len(), 1);
}

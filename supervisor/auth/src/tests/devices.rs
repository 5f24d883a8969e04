//! Tokens of devices: when one is made, and how they end whatever else goes on or goes wrong.

use records::{DeviceRole, DeviceRow, DeviceSelf, TokenRow};

use super::*;

const READ: &[Scope] = &[Scope::Read];

impl World {
    /// A tenant's token that may do everything, as its holder.
    async fn maker(&self) -> Principal {
        let scopes: Vec<_> = grantable().iter().collect();
        self.enter(&self.issue("a", spec(&scopes)).await.token).unwrap()
    }

    async fn device(&self, maker: &Principal, scopes: &[Scope]) -> Option<Secret> {
        let scopes = scopes.iter().copied().collect();
        let issued = self.auth.issue_device_token(maker, "d", DeviceRole::Operator, scopes);
        issued.await.unwrap().map(|issued| issued.token)
    }

    /// What the records hold of the tenant's devices' tokens.
    async fn rows(&self) -> Vec<TokenRow> {
        self.records.device_tokens_of(&id("a")).await.unwrap()
    }

    async fn pair(&self) {
        let row = DeviceRow {
            id: "d".to_owned(),
            public_key: String::new(),
            label: None,
            about: DeviceSelf::default(),
            grants: Vec::new(),
            created_at: 1,
        };
        assert!(self.records.put_device(&id("a"), None, &row, None).await.unwrap());
    }
}

#[tokio::test]
async fn a_tenant_does_not_wait_for_another() {
    let world = world().await;
    let maker = world.maker().await;
    let theirs = world.auth.0.turns.of(&id("b")).await;
    let mut ours = Box::pin(world.device(&maker, READ));
    assert!(ours.as_mut().now_or_never().unwrap().is_some());
    let mut late = Box::pin(world.issue("b", spec(READ)));
    assert!(late.as_mut().now_or_never().is_none());
    drop(theirs);
    late.await;
}

#[tokio::test]
async fn a_token_that_was_just_given_is_not_made_anew() {
    let world = world().await;
    let maker = world.maker().await;
    let lacks = |scopes: &[Scope]| {
        let scopes = scopes.iter().copied().collect();
        world.auth.lacks_device_token(&maker, "d", DeviceRole::Operator, scopes)
    };
    assert!(lacks(READ));
    let first = world.device(&maker, READ).await.unwrap();
    let rows = world.rows().await;
    assert!(!lacks(READ));
    assert!(world.device(&maker, READ).await.is_none());
    assert_eq!(world.rows().await, rows);
    // What asks for more is widened, once.
    assert!(lacks(&[Scope::Write]));
    assert!(world.device(&maker, &[Scope::Write]).await.is_none());
    assert!(!lacks(&[Scope::Write, Scope::Read]));
    assert_eq!(world.rows().await.len(), 1);
    world.clock.advance(60_000);
    assert!(lacks(READ));
    let second = world.device(&maker, READ).await.unwrap();
    assert_eq!(world.rows().await.len(), 1);
    assert_eq!(world.enter(&first).map(drop), Err(Unauthenticated::Wrong));
    world.enter(&second).unwrap();
    world.clock.advance(60_000);
    assert!(!lacks(READ));
    // One that was rotated may have been withheld from its device.
    let rotated =
        world.auth.rotate_device_token(&maker, "d", DeviceRole::Operator, None).await.unwrap();
    assert!(lacks(READ));
    world.enter(&rotated.token).unwrap();
}

#[tokio::test]
async fn a_device_is_over_before_anything_is_waited_for() {
    let world = world().await;
    let maker = world.maker().await;
    world.pair().await;
    let token = world.device(&maker, READ).await.unwrap();
    let held = world.enter(&token).unwrap();
    let turn = world.auth.0.turns.of(&id("a")).await;
    let mut end = Box::pin(world.auth.end_device(&maker, "d", None));
    assert!(end.as_mut().now_or_never().is_none());
    assert!(is_woken(&held));
    assert_eq!(world.enter(&token).map(drop), Err(Unauthenticated::Wrong));
    let widened = world.auth.widen_device_token(&held, Scopes::NONE);
    drop(turn);
    assert!(end.await.unwrap());
    assert!(matches!(widened.await, Err(Error::NotFound)));
    assert_eq!(world.rows().await, []);
    assert_eq!(world.records.devices(&id("a")).await.unwrap(), []);
    assert!(!world.auth.end_device(&maker, "d", None).await.unwrap());
}

#[tokio::test]
async fn whoever_ends_its_own_device_is_over_last() {
    let world = world().await;
    let maker = world.maker().await;
    world.pair().await;
    let token = world.device(&maker, READ).await.unwrap();
    let own = world.enter(&token).unwrap();
    let turn = world.auth.0.turns.of(&id("a")).await;
    let mut end = Box::pin(world.auth.end_device(&own, "d", None));
    assert!(end.as_mut().now_or_never().is_none());
    assert!(!is_woken(&own));
    drop(turn);
    assert!(end.await.unwrap());
    assert!(is_woken(&own));
    assert_eq!(world.rows().await, []);
}

#[tokio::test]
async fn what_a_failed_removal_left_can_be_removed_and_is_not_loaded() {
    let world = world().await;
    let maker = world.maker().await;
    world.pair().await;
    let token = world.device(&maker, READ).await.unwrap();
    let left = world.rows().await.remove(0);
    let load = async || load(&world.records, &world.clock).await;
    load().await.authenticate(Some(token.expose()), HERE).unwrap();
    let end = async |role| world.auth.end_device(&maker, "d", role).await.unwrap();
    assert!(end(None).await);
    // As if the disk had failed: over in memory, and still there.
    for role in [None, Some(DeviceRole::Operator)] {
        world.records.put_token(&left).await.unwrap();
        let loaded = load().await.authenticate(Some(token.expose()), HERE).map(drop);
        assert_eq!(loaded, Err(Unauthenticated::Wrong));
        assert!(!end(Some(DeviceRole::Node)).await);
        assert!(end(role).await);
        assert_eq!(world.rows().await, []);
        assert!(!end(role).await);
    }
}

#[tokio::test]
async fn a_rotated_secret_does_not_become_the_new_one() {
    let world = world().await;
    let maker = world.maker().await;
    let old = world.enter(&world.device(&maker, READ).await.unwrap()).unwrap();
    let rotate = world.auth.rotate_device_token(&maker, "d", DeviceRole::Operator, None);
    let new = rotate.await.unwrap();
    let more: Scopes = std::iter::once(Scope::Write).collect();
    let widened = world.auth.widen_device_token(&old, more).await;
    assert!(matches!(widened, Err(Error::NotFound)));
    let new = world.enter(&new.token).unwrap();
    let widened = world.auth.widen_device_token(&new, more).await.unwrap();
    assert!(widened.scopes().contains(Scope::Write));
}

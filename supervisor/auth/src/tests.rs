//! What a token is good for, from its first use to its last, over records in memory.

mod authority;
mod devices;

use std::time::Duration;

use futures_util::FutureExt as _;
use types::{Limits, ManualClock, Secret, TenantId};

use super::*;

const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
const START: u64 = 1_000_000;

/// Two tenants and a clock.
struct World {
    records: Records,
    clock: Arc<ManualClock>,
    auth: Auth,
}

async fn world() -> World {
    let records = Records::in_memory();
    for tenant in ["a", "b"] {
        records.insert_tenant(&id(tenant), 1, Limits::default()).await.unwrap();
    }
    let clock = Arc::new(ManualClock::at(START));
    let auth = load(&records, &clock).await;
    World { records, clock, auth }
}

async fn load(records: &Records, clock: &Arc<ManualClock>) -> Auth {
    Auth::load(records.clone(), Arc::<ManualClock>::clone(clock)).await.unwrap()
}

fn id(text: &str) -> TenantId {
    text.parse().unwrap()
}

fn spec(scopes: &[Scope]) -> TokenSpec {
    TokenSpec { label: "ci".to_owned(), scopes: scopes.iter().copied().collect(), expires_at: None }
}

fn action(scope: Scope) -> Action {
    Action { name: "test", scope }
}

impl World {
    fn owner(&self) -> OperatorPermit {
        let owner = self.auth.local_operator(0);
        self.auth.authorize_operator(&owner, Role::Owner, "test").unwrap()
    }

    async fn issue(&self, tenant: &str, spec: TokenSpec) -> Issued {
        self.auth.issue(&Grant::Operator(&self.owner()), &id(tenant), spec).await.unwrap()
    }

    fn enter(&self, token: &Secret) -> Result<Principal, Unauthenticated> {
        self.auth.authenticate(Some(token.expose()), HERE)
    }
}

fn is_woken(principal: &Principal) -> bool {
    let woken = principal.revoked().now_or_never().is_some();
    assert_eq!(woken, principal.is_revoked());
    woken
}

#[tokio::test]
async fn a_token_is_its_tenants_and_nothing_else_is() {
    let world = world().await;
    let issued = world.issue("a", spec(&[Scope::Read])).await;
    assert!(issued.token.expose().starts_with("tk_a_"));
    let principal = world.enter(&issued.token).unwrap();
    assert_eq!(principal.tenant(), &id("a"));
    assert_eq!(principal.token_id(), issued.row.id);
    let token = issued.token.expose();
    let wrong = Err(Unauthenticated::Wrong);
    let check = |presented: &str, expected: Result<(), Unauthenticated>, from: &str| {
        let got = world.auth.authenticate(Some(presented), from.parse().unwrap()).map(drop);
        assert_eq!(got, expected, "{presented:?}");
    };
    check(token, Ok(()), "10.0.0.1");
    check(token.strip_suffix(|_| true).unwrap(), wrong, "10.0.0.2");
    check(&format!("{token}x"), wrong, "10.0.0.3");
    check(&token.replacen("tk_a_", "tk_b_", 1), wrong, "10.0.0.4");
    check(&token.to_uppercase(), wrong, "10.0.0.5");
    check(&issued.row.id, wrong, "10.0.0.6");
    check("tk_nobody_0", wrong, "10.0.0.7");
    check("undefined", wrong, "10.0.0.8");
    check(&"x".repeat(MAX_PRESENTED + 1), wrong, "10.0.0.9");
    check("", Err(Unauthenticated::Missing), "10.0.0.10");
    assert_eq!(world.auth.authenticate(None, HERE).map(drop), Err(Unauthenticated::Missing));
    let digest = world.records.tokens().await.unwrap()[0].digest;
    let stored = digest.iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"));
    check(&stored, wrong, "10.0.0.11");
}

#[tokio::test]
async fn an_imported_token_is_found_by_its_whole_text() {
    let world = world().await;
    let issued = world.issue("a", spec(&[Scope::Read])).await;
    let text = "tenant:a:0123456789abcdef0123456789abcdef";
    let row = world.records.tokens().await.unwrap().remove(0);
    let row = records::TokenRow { digest: secret::digest(text), ..row };
    world.records.put_token(&row).await.unwrap();
    let auth = load(&world.records, &world.clock).await;
    assert_eq!(auth.authenticate(Some(text), HERE).unwrap().token_id(), issued.row.id);
}

#[tokio::test]
async fn a_permit_needs_the_scope() {
    let world = world().await;
    let issued = world.issue("a", spec(&[Scope::Admin, Scope::Hooks])).await;
    let principal = world.enter(&issued.token).unwrap();
    for scope in Scope::ALL {
        let permit = world.auth.authorize(&principal, action(scope));
        if matches!(scope, Scope::Admin | Scope::Hooks) {
            let permit = permit.unwrap();
            assert_eq!((permit.tenant(), permit.action()), (&id("a"), action(scope)));
        } else {
            assert_eq!(permit.map(drop), Err(Denied::Scope { needs: scope }));
        }
    }
    let health = Action::from(api::methods().next().unwrap());
    assert!(api::method(health.name).is_some_and(|method| method.scope == health.scope));
}

#[tokio::test]
async fn revoking_ends_a_token_and_whoever_uses_it() {
    let world = world().await;
    let (one, two) = (
        world.issue("a", spec(&[Scope::Read])).await,
        world.issue("a", spec(&[Scope::Read])).await,
    );
    let other = world.issue("b", spec(&[Scope::Read])).await;
    let user = world.enter(&one.token).unwrap();
    let revoked = user.revoked();
    tokio::pin!(revoked);
    assert!(revoked.as_mut().now_or_never().is_none());
    let elsewhere = world.auth.revoke(&id("b"), &one.row.id).await;
    assert!(matches!(elsewhere, Err(Error::NotFound)));
    assert!(!is_woken(&user));
    world.auth.revoke(&id("a"), &one.row.id).await.unwrap();
    revoked.await;
    assert_eq!(world.auth.authorize(&user, action(Scope::Read)).map(drop), Err(Denied::Ended));
    assert_eq!(world.enter(&one.token).map(drop), Err(Unauthenticated::Wrong));
    let again = world.auth.revoke(&id("a"), &one.row.id).await;
    assert!(matches!(again, Err(Error::NotFound)));
    let user = world.enter(&two.token).unwrap();
    world.auth.revoke_all(&id("a")).await.unwrap();
    assert!(is_woken(&user));
    assert!(!is_woken(&world.enter(&other.token).unwrap()));
    let auth = load(&world.records, &world.clock).await;
    assert_eq!(auth.tokens_of(&id("a")), []);
    assert_eq!(auth.tokens_of(&id("b")).len(), 1);
}

#[tokio::test]
async fn revoking_does_not_wait_for_whoever_is_changing_tokens() {
    let world = world().await;
    let one = world.issue("a", spec(&[Scope::Read])).await;
    let user = world.enter(&one.token).unwrap();
    let tenant = id("a");
    let changing = world.auth.0.turns.of(&tenant).await;
    let mut revoke = Box::pin(world.auth.revoke(&tenant, &one.row.id));
    assert!(revoke.as_mut().now_or_never().is_none());
    assert!(is_woken(&user));
    drop(changing);
    revoke.await.unwrap();
    assert_eq!(load(&world.records, &world.clock).await.tokens_of(&tenant), []);
}

#[tokio::test]
async fn rotating_keeps_the_token_and_ends_the_old_secret() {
    let world = world().await;
    let old = world.issue("a", spec(&[Scope::Read])).await;
    let user = world.enter(&old.token).unwrap();
    let owner = world.owner();
    let grant = Grant::Operator(&owner);
    let new = world.auth.rotate(&grant, &id("a"), &old.row.id).await.unwrap();
    assert!(is_woken(&user));
    assert_eq!(world.enter(&old.token).map(drop), Err(Unauthenticated::Wrong));
    let user = world.enter(&new.token).unwrap();
    assert_eq!((user.token_id(), user.generation()), (&*old.row.id, 2));
    assert_eq!(user.scopes(), old.row.scopes);
    let auth = load(&world.records, &world.clock).await;
    auth.authenticate(Some(new.token.expose()), HERE).unwrap();
    assert_eq!(
        auth.authenticate(Some(old.token.expose()), HERE).map(drop),
        Err(Unauthenticated::Wrong)
    );
    let missing = world.auth.rotate(&grant, &id("b"), &old.row.id).await;
    assert!(matches!(missing, Err(Error::NotFound)));
}

#[tokio::test]
async fn an_expired_token_ends_with_whoever_uses_it() {
    let world = world().await;
    let expires_at = Some(START + 20);
    let issued = world.issue("a", TokenSpec { expires_at, ..spec(&[Scope::Read]) }).await;
    let user = world.enter(&issued.token).unwrap();
    assert!(!is_woken(&user));
    world.clock.advance(20);
    tokio::time::timeout(Duration::from_secs(5), user.revoked()).await.unwrap();
    assert_eq!(world.auth.authorize(&user, action(Scope::Read)).map(drop), Err(Denied::Ended));
    assert_eq!(world.enter(&issued.token).map(drop), Err(Unauthenticated::Expired));
    let late = TokenSpec { expires_at, ..spec(&[Scope::Read]) };
    let late = world.auth.issue(&Grant::Operator(&world.owner()), &id("a"), late).await;
    assert!(matches!(late, Err(Error::Expiry)));
}

#[tokio::test]
async fn a_suspended_tenant_is_known_but_may_do_nothing() {
    let world = world().await;
    let issued = world.issue("a", spec(&[Scope::Read])).await;
    let other = world.issue("b", spec(&[Scope::Read])).await;
    let (user, other) = (world.enter(&issued.token).unwrap(), world.enter(&other.token).unwrap());
    world.auth.suspend(&id("a"));
    assert!(is_woken(&user));
    assert!(!is_woken(&other));
    let read = action(Scope::Read);
    let during = world.enter(&issued.token).unwrap();
    assert!(is_woken(&during));
    assert_eq!(world.auth.authorize(&during, read).map(drop), Err(Denied::Suspended));
    let fresh = world.issue("a", spec(&[Scope::Read])).await;
    let fresh = world.enter(&fresh.token).unwrap();
    assert_eq!(world.auth.authorize(&fresh, read).map(drop), Err(Denied::Suspended));
    world.records.update_tenant(&id("a"), |row| row.suspended = true).await.unwrap();
    let auth = load(&world.records, &world.clock).await;
    let reloaded = auth.authenticate(Some(issued.token.expose()), HERE).unwrap();
    assert_eq!(auth.authorize(&reloaded, read).map(drop), Err(Denied::Suspended));
    world.auth.resume(&id("a"));
    world.auth.authorize(&world.enter(&issued.token).unwrap(), read).unwrap();
    assert_eq!(world.auth.authorize(&user, read).map(drop), Err(Denied::Ended));
}

#[tokio::test]
async fn a_deleted_tenants_tokens_do_not_serve_its_successor() {
    let world = world().await;
    let issued = world.issue("a", spec(&[Scope::Read])).await;
    let user = world.enter(&issued.token).unwrap();
    world.auth.suspend(&id("a"));
    world.records.delete_tenant(&id("a")).await.unwrap();
    world.auth.forget(&id("a")).await;
    assert!(is_woken(&user));
    let owner = world.owner();
    let late = world.auth.issue(&Grant::Operator(&owner), &id("a"), spec(&[Scope::Read])).await;
    assert!(matches!(late, Err(Error::NoTenant)));
    world.records.insert_tenant(&id("a"), 2, Limits::default()).await.unwrap();
    assert_eq!(world.enter(&issued.token).map(drop), Err(Unauthenticated::Wrong));
    let fresh = world.issue("a", spec(&[Scope::Read])).await;
    let fresh = world.enter(&fresh.token).unwrap();
    world.auth.authorize(&fresh, action(Scope::Read)).unwrap();
}

#[tokio::test]
async fn last_use_is_written_down_later() {
    let world = world().await;
    let issued = world.issue("a", spec(&[Scope::Read])).await;
    assert_eq!(issued.row.last_used_at, None);
    world.clock.advance(5);
    world.enter(&issued.token).unwrap();
    assert_eq!(world.auth.tokens_of(&id("a"))[0].last_used_at, Some(START + 5));
    assert_eq!(world.records.tokens().await.unwrap()[0].last_used_at, None);
    world.auth.flush_last_used().await.unwrap();
    assert_eq!(world.records.tokens().await.unwrap()[0].last_used_at, Some(START + 5));
    // Nothing new, nothing written: the row would be found changed.
    let ended = world.records.tokens().await.unwrap().remove(0);
    let ended = records::TokenRow { last_used_at: None, ..ended };
    world.records.put_token(&ended).await.unwrap();
    world.auth.flush_last_used().await.unwrap();
    assert_eq!(world.records.tokens().await.unwrap(), [ended]);
}

#[tokio::test]
async fn wrong_tokens_lock_their_address_out_but_no_right_one() {
    let world = world().await;
    let issued = world.issue("a", spec(&[Scope::Read])).await;
    let owner = world.owner();
    let key = KeySpec { label: "ops".to_owned(), role: Role::Auditor, expires_at: None };
    let key = world.auth.issue_key(&owner, key).await.unwrap();
    let mut answers = Vec::new();
    for _ in 0..8 {
        answers.extend(world.auth.authenticate(Some("tk_a_guess"), HERE).err());
        answers.extend(world.auth.authenticate_operator(Some("ak_guess"), HERE).err());
    }
    assert_eq!(answers.len(), 16);
    assert!(answers[..5].iter().all(|answer| *answer == Unauthenticated::Wrong));
    let locked = Unauthenticated::LockedOut { retry_after_s: 1 };
    assert!(answers[5..].iter().all(|answer| *answer == locked), "{answers:?}");
    world.enter(&issued.token).unwrap();
    world.auth.authenticate_operator(Some(key.key.expose()), HERE).unwrap();
    let elsewhere = "10.0.0.1".parse().unwrap();
    let wrong = world.auth.authenticate(Some("tk_a_guess"), elsewhere).map(drop);
    assert_eq!(wrong, Err(Unauthenticated::Wrong));
}

#[tokio::test]
async fn what_cannot_be_a_token_is_refused() {
    let world = world().await;
    let owner = world.owner();
    let check = async |tenant: &str, spec: TokenSpec| {
        world.auth.issue(&Grant::Operator(&owner), &id(tenant), spec).await.unwrap_err()
    };
    assert!(matches!(check("a", spec(&[])).await, Error::NoScopes));
    assert!(matches!(check("c", spec(&[Scope::Read])).await, Error::NoTenant));
    for label in ["x".repeat(65), "a\nb".to_owned(), "\u{1b}[31m".to_owned()] {
        let spec = TokenSpec { label, ..spec(&[Scope::Read]) };
        assert!(matches!(check("a", spec).await, Error::Label { max: 64 }));
    }
    for _ in 0..100 {
        world.issue("a", spec(&[Scope::Read])).await;
    }
    assert!(matches!(check("a", spec(&[Scope::Read])).await, Error::TooMany { max: 100 }));
    world.issue("b", spec(&[Scope::Read])).await;
}

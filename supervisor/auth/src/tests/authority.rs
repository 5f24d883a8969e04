//! Nobody gets more authority than somebody gave: operators by role, tenants by any sequence of calls.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

#[tokio::test]
async fn roles_are_an_order() {
    let world = world().await;
    let owner = world.owner();
    for role in [Role::Auditor, Role::Operator, Role::Owner] {
        let spec = KeySpec { label: "k".to_owned(), role, expires_at: None };
        let key = world.auth.issue_key(&owner, spec.clone()).await.unwrap();
        let operator = world.auth.authenticate_operator(Some(key.key.expose()), HERE).unwrap();
        for needs in [Role::Auditor, Role::Operator, Role::Owner] {
            let permit = world.auth.authorize_operator(&operator, needs, "test");
            let expected = if role >= needs { Ok(()) } else { Err(Denied::Role { needs }) };
            assert_eq!(permit.map(drop), expected);
        }
        // A permit for something small does not make tokens or keys.
        let permit = world.auth.authorize_operator(&operator, Role::Auditor, "look").unwrap();
        let (grant, tenant) = (Grant::Operator(&permit), id("a"));
        let token = world.auth.issue(&grant, &tenant, super::spec(&Scope::ALL)).await;
        assert_eq!(token.is_ok(), role >= Role::Operator);
        let key = world.auth.issue_key(&permit, spec).await;
        assert_eq!(key.is_ok(), role == Role::Owner);
        let revoked = world.auth.revoke_key(&permit, operator.id()).await;
        assert_eq!(revoked.is_ok(), role == Role::Owner);
    }
}

#[tokio::test]
async fn a_revoked_key_is_over_at_once() {
    let world = world().await;
    let owner = world.owner();
    let spec = |expires_at| KeySpec { label: "k".to_owned(), role: Role::Owner, expires_at };
    let issued = world.auth.issue_key(&owner, spec(Some(START + 10))).await.unwrap();
    let operator = world.auth.authenticate_operator(Some(issued.key.expose()), HERE).unwrap();
    let permit = world.auth.authorize_operator(&operator, Role::Owner, "test").unwrap();
    let longer = world.auth.issue_key(&permit, spec(Some(START + 11))).await;
    assert!(matches!(longer, Err(Error::Denied(Denied::LivesLonger))));
    world.auth.issue_key(&permit, spec(Some(START + 10))).await.unwrap();
    assert_eq!(world.auth.keys().len(), 2);
    world.auth.revoke_key(&owner, &issued.row.id).await.unwrap();
    operator.revoked().await;
    let late = world.auth.issue_key(&permit, spec(Some(START + 5))).await;
    assert!(matches!(late, Err(Error::Denied(Denied::Ended))));
    let again = world.auth.authenticate_operator(Some(issued.key.expose()), HERE).map(drop);
    assert_eq!(again, Err(Unauthenticated::Wrong));
    // A tenant's token is no operator's key, and the other way round.
    let token = world.issue("a", super::spec(&Scope::ALL)).await;
    world.auth.authenticate_operator(Some(token.token.expose()), HERE).map(drop).unwrap_err();
    assert_eq!(load(&world.records, &world.clock).await.keys().len(), 1);
}

#[derive(Debug, Clone)]
enum Step {
    Issue { maker: usize, tenant: &'static str, scopes: u8, expires_in: Option<u64> },
    Rotate { maker: usize, tenant: &'static str, token: usize },
    Revoke { token: usize },
    Suspend(&'static str),
    Resume(&'static str),
    Advance(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let tenant = prop_oneof![3 => Just("a"), 1 => Just("b")];
    let expires_in = prop::option::weighted(0.8, 1..60_u64);
    prop_oneof![
        8 => (any::<usize>(), tenant.clone(), any::<u8>(), expires_in).prop_map(
            |(maker, tenant, scopes, expires_in)| Step::Issue { maker, tenant, scopes, expires_in }
        ),
        4 => (any::<usize>(), tenant.clone(), any::<usize>())
            .prop_map(|(maker, tenant, token)| Step::Rotate { maker, tenant, token }),
        1 => any::<usize>().prop_map(|token| Step::Revoke { token }),
        1 => tenant.clone().prop_map(Step::Suspend),
        2 => tenant.prop_map(Step::Resume),
        1 => (1..10_u64).prop_map(Step::Advance),
    ]
}

/// A secret that the tenants' own people hold, and the most that it may ever be good for.
struct Held {
    token: Secret,
    id: String,
    tenant: TenantId,
    scopes: Scopes,
    ends: Option<u64>,
}

struct Run {
    world: World,
    held: Vec<Held>,
}

fn scopes(bits: u8) -> Scopes {
    let chosen = (0..).zip(Scope::ALL).filter(|(bit, _)| bits >> bit & 1 == 1);
    chosen.map(|(_, scope)| scope).collect()
}

fn within(ends: Option<u64>, limit: Option<u64>) -> bool {
    limit.is_none_or(|limit| ends.is_some_and(|ends| ends <= limit))
}

impl Run {
    async fn step(&mut self, step: &Step) {
        match step {
            Step::Issue { maker, tenant, scopes, expires_in } => {
                self.issue(*maker, &id(tenant), self::scopes(*scopes), *expires_in).await;
            }
            Step::Rotate { maker, tenant, token } => self.rotate(*maker, &id(tenant), *token).await,
            Step::Revoke { token } => {
                let held = &self.held[token % self.held.len()];
                let known = self.world.auth.tokens_of(&held.tenant);
                let known = known.iter().any(|view| view.id == held.id);
                let revoked = self.world.auth.revoke(&held.tenant, &held.id).await;
                assert_eq!(revoked.is_ok(), known);
                assert!(self.is_shut_out(&held.token));
            }
            Step::Suspend(tenant) => self.world.auth.suspend(&id(tenant)),
            Step::Resume(tenant) => self.world.auth.resume(&id(tenant)),
            Step::Advance(millis) => self.world.clock.advance(*millis),
        }
    }

    /// A permit of one of the held secrets, if it is still good for anything.
    fn permit(&self, maker: usize) -> Option<(Permit, &Held)> {
        let held = &self.held[maker % self.held.len()];
        let principal = self.world.enter(&held.token).ok()?;
        let permits =
            Scope::ALL.map(|scope| self.world.auth.authorize(&principal, action(scope)).ok());
        Some((permits.into_iter().flatten().next()?, held))
    }

    async fn issue(&mut self, maker: usize, tenant: &TenantId, scopes: Scopes, ttl: Option<u64>) {
        use types::Clock as _;
        let Some((permit, maker)) = self.permit(maker) else { return };
        let expires_at = ttl.map(|ttl| self.world.clock.now() + ttl);
        let allowed = maker.tenant == *tenant
            && maker.scopes.contains(Scope::Admin)
            && !scopes.is_empty()
            && scopes.is_subset(maker.scopes)
            && within(expires_at, maker.ends);
        let spec = TokenSpec { label: "x".to_owned(), scopes, expires_at };
        let issued = self.world.auth.issue(&Grant::Tenant(&permit), tenant, spec).await;
        assert_eq!(issued.is_ok(), allowed, "{issued:?}");
        self.held.extend(issued.ok().map(|issued| Held {
            token: issued.token,
            id: issued.row.id,
            tenant: tenant.clone(),
            scopes,
            ends: expires_at,
        }));
    }

    async fn rotate(&mut self, maker: usize, tenant: &TenantId, token: usize) {
        let Some((permit, maker)) = self.permit(maker) else { return };
        let target = &self.held[token % self.held.len()];
        let known = self.world.auth.tokens_of(tenant).iter().any(|view| view.id == target.id);
        let allowed = known
            && maker.tenant == *tenant
            && maker.scopes.contains(Scope::Admin)
            && target.scopes.is_subset(maker.scopes)
            && within(target.ends, maker.ends);
        let rotated = self.world.auth.rotate(&Grant::Tenant(&permit), tenant, &target.id).await;
        assert_eq!(rotated.is_ok(), allowed, "{rotated:?}");
        let Ok(rotated) = rotated else { return };
        assert!(self.is_shut_out(&target.token));
        let (scopes, ends) = (target.scopes, target.ends);
        let (token, id) = (rotated.token, rotated.row.id);
        self.held.push(Held { token, id, tenant: tenant.clone(), scopes, ends });
    }

    fn is_shut_out(&self, token: &Secret) -> bool {
        let reason = self.world.enter(token).err();
        matches!(reason, Some(Unauthenticated::Wrong | Unauthenticated::LockedOut { .. }))
    }

    /// Every secret is good for what its first maker had, at most.
    fn check(&self) {
        for held in &self.held {
            let Ok(principal) = self.world.enter(&held.token) else { continue };
            let root = self.held.iter().find(|root| root.tenant == held.tenant).unwrap();
            assert_eq!(principal.tenant(), &root.tenant);
            assert!(principal.scopes().is_subset(root.scopes));
            assert!(within(principal.expires_at(), root.ends));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(256) })]
    #[test]
    fn no_sequence_of_calls_widens_authority(
        steps in vec(step(), 1..40),
        roots in (any::<u8>(), prop::option::of(20..50_u64)),
    ) {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        runtime.enable_all().build().unwrap().block_on(async {
            let mut run = Run { world: world().await, held: Vec::new() };
            for tenant in ["a", "b"] {
                let scopes = scopes(roots.0 | 16);
                let expires_at = roots.1.map(|ttl| START + ttl);
                let spec = TokenSpec { label: "root".to_owned(), scopes, expires_at };
                let Issued { row, token } = run.world.issue(tenant, spec).await;
                let (id, tenant, ends) = (row.id, row.tenant, row.expires_at);
                run.held.push(Held { token, id, tenant, scopes, ends });
            }
            for step in &steps {
                run.step(step).await;
                run.check();
            }
        });
    }
}

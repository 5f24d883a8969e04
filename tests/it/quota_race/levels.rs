//! The same rush at a limit of each level: fifty calls for all tenants together, for one token, for one
//! agent, and one for each session.

use serde_json::json;
use tests::{Builder, Crowd, Gateway, Provider, Tally, Tenant, until};

use super::{ADMITTED, asked};

/// Callers of a tenant where there are several: together as many as in other rushes.
const PART: (usize, usize) = (200, 2);

/// A rush of each of the tenants at once, until exactly so many calls have reached the provider, and
/// not one more.
async fn check(provider: &Provider, crowds: &mut [Crowd], admitted: u64, what: &str) -> Tally {
    let seen = asked(provider);
    let mut all = Tally::default();
    let rushing = crowds.iter_mut().map(Crowd::rush);
    for tally in futures_util::future::join_all(rushing).await {
        all.add(&tally);
    }
    until(&format!("{what}: {all:?}"), || asked(provider) >= seen + admitted);
    // Those that were admitted last have ended as well.
    for tally in futures_util::future::join_all(crowds.iter_mut().map(Crowd::rush)).await {
        assert_eq!(tally.whole + tally.streamed, 0, "{what}: {tally:?}");
    }
    assert_eq!(asked(provider), seen + admitted, "{what}: {all:?}");
    println!("{what}: {all:?}");
    all
}

async fn start(more: serde_json::Value) -> (Provider, Gateway) {
    let provider = Provider::start().await;
    provider.charge(5, 1);
    let config = provider.config_with(more);
    (provider, Builder::default().config(config).start())
}

fn tenant(gateway: &Gateway, id: &str) -> Tenant {
    gateway.tenant_with(id, &["--concurrency", "4096"])
}

#[tokio::test(flavor = "multi_thread")]
async fn tenants_together_get_fifty_places_of_the_installation() {
    let quota = format!("requests/month={ADMITTED}");
    let more = json!({"defaultModel": "test/fixed", "quotas": [quota]});
    let (provider, gateway) = start(more).await;
    gateway.announce("a limit of all tenants is near");
    let mut crowds = Vec::new();
    for id in ["a", "b", "c"] {
        let tenant = tenant(&gateway, id);
        crowds.push(Crowd::gather(&gateway, &tenant, "fixed", PART).await);
    }
    check(&provider, &mut crowds, ADMITTED, "installation").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_gets_fifty_places_and_the_other_token_as_many_as_it_likes() {
    let (provider, gateway) = start(json!({"defaultModel": "test/fixed"})).await;
    let acme = tenant(&gateway, "acme");
    let tokens = gateway.json(&["tokens", "list", "acme"]);
    let id = tokens["tokens"][0]["id"].as_str().unwrap();
    gateway.set_quotas(&acme, &[&format!("token:{id} requests/day={ADMITTED}")]);
    let made = gateway.json(&[
        "tokens",
        "create",
        "acme",
        "--label",
        "other",
        "--scope",
        "operator.read",
        "--scope",
        "operator.write",
    ]);
    let other = Tenant { token: made["token"].as_str().unwrap().to_owned(), ..acme.clone() };
    let mut crowds = [Crowd::gather(&gateway, &acme, "fixed", PART).await];
    check(&provider, &mut crowds, ADMITTED, "token").await;
    let seen = asked(&provider);
    let mut crowd = Crowd::gather(&gateway, &other, "fixed", (60, 0)).await;
    let tally = crowd.rush().await;
    assert_eq!((tally.whole + tally.streamed, asked(&provider) - seen), (60, 60), "{tally:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_gets_fifty_places_and_what_has_no_agent_is_not_among_them() {
    let (provider, gateway) = start(json!({"defaultModel": "test/fixed"})).await;
    let acme = tenant(&gateway, "acme");
    gateway.set_quotas(&acme, &[&format!("agent:main requests/day={ADMITTED}")]);
    let mut crowds = [Crowd::gather(&gateway, &acme, "openclaw", PART).await];
    check(&provider, &mut crowds, ADMITTED, "agent").await;
    let plain = gateway.client(&acme).chat("fixed", "hi").await;
    assert_eq!(plain.answer(), "ok");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_session_gets_its_own_places() {
    let (provider, gateway) = start(json!({"defaultModel": "test/fixed"})).await;
    let acme = tenant(&gateway, "acme");
    gateway.set_quotas(&acme, &["session:* requests/day=2"]);
    for session in ["one", "two", "three"] {
        let key = format!("agent:main:{session}");
        let client = gateway.client(&acme).header("x-openclaw-session-key", &key);
        let mut calling = tokio::task::JoinSet::new();
        for _ in 0..8 {
            let client = client.clone();
            calling.spawn(async move { client.chat("openclaw", "hi").await.status.as_u16() });
        }
        let statuses = calling.join_all().await;
        let count = |status| statuses.iter().filter(|it| **it == status).count();
        assert_eq!((count(200), count(429)), (2, 6), "{session}: {statuses:?}");
    }
    assert_eq!(provider.requests(), 6);
}

//! A load that stays below its limits is never refused, however near it comes to them and however
//! many calls are under way at once.

use std::time::{Duration, SystemTime};

use http::StatusCode;
use serde_json::json;
use tests::{Client, Gateway, Provider, Tenant};
use tokio::task::JoinSet;

/// Callers at once.
const CALLERS: usize = 24;

/// Of a hundred that a limit allows, so many are asked for.
const LOAD: u64 = 95;

/// Seconds since the minute began.
fn second() -> u64 {
    SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs() % 60
}

/// `calls` calls by many callers, each with its next one as soon as the last is answered, streams and
/// plain ones in turn. How many were refused.
async fn load(gateway: &Gateway, tenant: &Tenant, model: &'static str, calls: u64) -> u64 {
    let mut callers = JoinSet::new();
    let count = u64::try_from(CALLERS).unwrap();
    for n in 0..count {
        let share = calls / count + u64::from(n < calls % count);
        callers.spawn(ask(gateway.client(tenant), model, share));
    }
    callers.join_all().await.into_iter().sum()
}

async fn ask(client: Client, model: &'static str, calls: u64) -> u64 {
    let mut refused = 0;
    for n in 0..calls {
        let status = if n.is_multiple_of(2) {
            let stream = client.stream(model, "a few words").await;
            let status = stream.status();
            let (_, events) = stream.rest().await;
            assert!(events.iter().all(|event| !event.contains("\"error\"")), "{events:?}");
            status
        } else {
            client.chat(model, "a few words").await.status
        };
        refused += u64::from(status == StatusCode::TOO_MANY_REQUESTS);
        assert!(status == StatusCode::OK || status == StatusCode::TOO_MANY_REQUESTS, "{status}");
    }
    refused
}

/// A load of 95 % of a limit is not refused at all.
async fn check(provider: &Provider, (id, dimension, limit, each): (&str, &str, u64, u64)) -> u64 {
    let config = provider.config_priced((1_000_000, 1_000_000), json!({}));
    let gateway = tests::Builder::default().config(config).start();
    let tenant = gateway.tenant_with(id, &["--concurrency", "1024"]);
    gateway.client(&tenant).chat("mock", "the worker is awake").await.answer();
    let used = match dimension {
        "requests/minute" => 0,
        "requests/day" => gateway.used(&tenant).requests,
        "costMicros/day" => gateway.used(&tenant).cost_micros,
        _ => gateway.used(&tenant).tokens(),
    };
    gateway.set_quotas(&tenant, &[&format!("{dimension}={}", used + limit)]);
    let calls = limit * LOAD / 100 / each;
    assert_eq!(load(&gateway, &tenant, "fixed", calls).await, 0, "{dimension}: {calls} calls");
    calls
}

#[tokio::test(flavor = "multi_thread")]
async fn a_load_of_95_percent_is_never_refused() {
    let provider = Provider::start().await;
    provider.charge(20, 180);
    // Of the last five in a hundred there is room for what all callers have set aside at once.
    let rows = [
        ("tokens", "tokens/day", 200_000, 200),
        ("money", "costMicros/day", 200_000, 200),
        ("requests", "requests/day", 600, 1),
    ];
    for row in rows {
        let calls = check(&provider, row).await;
        println!("{}: {calls} calls by {CALLERS} callers, refused 0", row.1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn within_one_minute_95_percent_are_admitted_and_the_rest_too_and_no_more() {
    const LIMIT: u64 = 600;
    let provider = Provider::start().await;
    provider.charge(1, 1);
    let gateway = Gateway::with_provider(&provider);
    let tenant = gateway.tenant_with("acme", &["--concurrency", "1024"]);
    gateway.client(&tenant).chat("mock", "the worker is awake").await.answer();
    gateway.set_quotas(&tenant, &[&format!("requests/minute={LIMIT}")]);
    // All of it belongs into one minute.
    while second() > 25 || gateway.standing(&tenant, "requests/minute").0 > 0 {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let refused = load(&gateway, &tenant, "fixed", LIMIT * LOAD / 100).await;
    assert_eq!(refused, 0, "at second {}", second());
    let rest = LIMIT - LIMIT * LOAD / 100;
    assert_eq!(load(&gateway, &tenant, "fixed", rest).await, 0);
    let beyond = load(&gateway, &tenant, "fixed", 20).await;
    let ended = second();
    println!("{LIMIT} a minute: none of {LIMIT} refused, {beyond} of 20 more; at second {ended}");
    assert_eq!(beyond, 20, "the limit holds in the minute, which ends at second {ended}");
}

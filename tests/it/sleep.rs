//! Sleep and wake seen from outside: who is kept awake and who gives way, whose start comes when, and that
//! what is due at its time is not late for it.

mod many;
mod rolling;
mod storm;
mod timers;

use std::time::{Duration, Instant};

use http::StatusCode;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use tests::{Builder, Gateway, Provider, Tenant, memory, until};

fn shown(gateway: &Gateway, tenant: &Tenant) -> Value {
    gateway.json(&["tenants", "show", &tenant.id])
}

fn is_awake(gateway: &Gateway, tenant: &Tenant) -> bool {
    !shown(gateway, tenant)["worker"].is_null()
}

fn pid(gateway: &Gateway, tenant: &Tenant) -> Option<i32> {
    let pid = shown(gateway, tenant)["worker"]["pid"].as_i64();
    pid.map(|pid| i32::try_from(pid).unwrap())
}

/// A gateway with this `workers` in its configuration.
fn with(provider: &Provider, workers: &Value) -> Gateway {
    Builder::default().config(provider.config_with(json!({"workers": workers}))).start()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_warm_worker_is_awake_from_the_start_on_after_a_crash_and_after_a_restart() {
    let provider = Provider::start().await;
    let mut gateway = with(&provider, &json!({"sleep": "1"}));
    gateway.announce("worker crashed");
    let (warm, sleepy) =
        (gateway.tenant_with("warm", &["--sleep", "warm"]), gateway.tenant("sleepy"));
    let own = gateway.tenant_with("own", &["--sleep", "never"]);
    until("the warm worker is awake", || is_awake(&gateway, &warm));
    for tenant in [&sleepy, &own] {
        gateway.client(tenant).chat("mock", "hi").await.answer();
    }
    until("the other sleeps as the operator has it", || !is_awake(&gateway, &sleepy));
    assert!(is_awake(&gateway, &warm) && is_awake(&gateway, &own));
    let policy = |tenant| shown(&gateway, tenant)["sleeps"].clone();
    assert_eq!(
        (policy(&warm), policy(&sleepy), policy(&own)),
        (json!("warm"), json!("1"), json!("never"))
    );

    let first = pid(&gateway, &warm).unwrap();
    kill(Pid::from_raw(first), Signal::SIGKILL).unwrap();
    let is_another = |gateway: &Gateway, old| pid(gateway, &warm).is_some_and(|pid| pid != old);
    until("a crashed one is started", || is_another(&gateway, first));
    let second = pid(&gateway, &warm).unwrap();
    gateway.json(&["tenants", "restart", "warm"]);
    assert!(is_another(&gateway, second));
    assert_eq!(gateway.stop(), Some(0));
    gateway.restart();
    until("it starts with the gateway", || is_awake(&gateway, &warm));
    assert!(!is_awake(&gateway, &own) && !is_awake(&gateway, &sleepy));

    gateway.json(&["tenants", "limits", "warm", "--sleep", "default"]);
    until("it sleeps like all others", || !is_awake(&gateway, &warm));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_was_used_least_recently_gives_way_and_warm_ones_last() {
    let provider = Provider::start().await;
    let gateway = with(&provider, &json!({"maxAwake": 3, "waitSeconds": 30}));
    gateway.announce("a warm worker is put to sleep");
    let warm = gateway.tenant_with("warm", &["--sleep", "warm"]);
    until("the warm worker is awake", || is_awake(&gateway, &warm));
    let (one, two) = (gateway.tenant("one"), gateway.tenant_with("two", &["--sleep", "never"]));
    for tenant in [&one, &two, &one] {
        gateway.client(tenant).chat("mock", "hi").await.answer();
    }
    let three = gateway.tenant("three");
    gateway.client(&three).chat("mock", "hi").await.answer();
    let awake = [&warm, &one, &two, &three].map(|tenant| is_awake(&gateway, tenant));
    assert_eq!(awake, [true, true, false, true]);
    assert_eq!(memory::workers(&gateway), 3);

    let mut streams = Vec::new();
    for tenant in [&one, &three] {
        let mut stream = gateway.client(tenant).stream("slow", "go").await;
        stream.next().await.unwrap();
        streams.push(stream);
    }
    gateway.client(&two).chat("mock", "hi").await.answer();
    assert!(!is_awake(&gateway, &warm));
    assert!(gateway.log().iter().any(|line| line.contains("a warm worker is put to sleep")));
    for stream in &mut streams {
        assert!(!stream.next().await.unwrap().contains("error"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn where_all_are_at_work_a_start_waits_and_is_then_refused() {
    let provider = Provider::start().await;
    let gateway = with(&provider, &json!({"maxAwake": 1, "waitSeconds": 2}));
    let (busy, other) = (gateway.tenant("busy"), gateway.tenant("other"));
    let mut stream = gateway.client(&busy).stream("slow", "go").await;
    stream.next().await.unwrap();
    let began = Instant::now();
    // All that wait for the same worker are refused together, not one after the other.
    let asked = (0..5).map(|_| {
        let client = gateway.client(&other);
        tokio::spawn(async move { client.chat("mock", "hi").await })
    });
    for reply in futures_util::future::join_all(asked).await {
        let reply = reply.unwrap();
        assert_eq!(reply.status, StatusCode::SERVICE_UNAVAILABLE, "{}", reply.text());
        assert_eq!(reply.headers["retry-after"], "5");
        assert!(reply.text().contains("all workers are busy"), "{}", reply.text());
    }
    let waited = began.elapsed();
    assert!((Duration::from_secs(2)..Duration::from_secs(4)).contains(&waited), "{waited:?}");
    let client = gateway.client(&other);
    let waiting = tokio::spawn(async move { client.chat("mock", "now").await });
    drop(stream);
    assert_eq!(waiting.await.unwrap().answer(), "now");
}

#[tokio::test(flavor = "multi_thread")]
async fn all_workers_together_stay_below_their_bound_of_memory() {
    const BOUND: u64 = 24 << 20;
    let provider = Provider::start().await;
    let gateway = with(&provider, &json!({"maxMemory": BOUND, "sleep": "never"}));
    let mut most = 0;
    for n in 0..16 {
        let tenant = gateway.tenant(&format!("t{n}"));
        gateway.client(&tenant).chat("mock", "hi").await.answer();
        most = most.max(memory::workers(&gateway));
    }
    let used = || -> u64 {
        let list = gateway.json(&["tenants", "list"]);
        let rows = list["tenants"].as_array().unwrap().clone();
        let awake = rows.iter().filter(|it| it["state"] == "ready");
        awake
            .map(|it| {
                let shown = gateway.json(&["tenants", "show", it["id"].as_str().unwrap()]);
                shown["worker"]["pssBytes"].as_u64().unwrap_or(0)
            })
            .sum()
    };
    until("the bound holds", || used() <= BOUND);
    assert!(memory::workers(&gateway) < 16, "{most} at most");
    assert!(used() > 0, "some are awake");
}

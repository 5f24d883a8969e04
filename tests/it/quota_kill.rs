//! Workers and supervisors that are killed at random moments under load: what was set aside is
//! charged once or given back once, and all lives together stay below the limit.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use http::Method;
use http_body_util::BodyExt as _;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;
use tests::account::Life;
use tests::{Builder, Client, Gateway, Provider, Tenant, until};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Kills of each kind. A tenant whose worker crashes five times in a minute is parked, hence no more
/// of its worker than that.
const KILLS: usize = 8;

/// Tenants under load; each loses its worker twice.
const TENANTS: usize = 4;

/// Callers of each tenant.
const CALLERS: usize = 6;

/// Tokens of each tenant for the day: so few that the limit is reached while processes are killed.
const LIMIT: u64 = 60_000;

/// A step of a generator of numbers that look random and are the same in every run.
fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    *state >> 33
}

/// Asks without an end: short answers and long ones, turns and plain calls, read to the end or hung up
/// on. Whatever breaks, breaks.
async fn load(client: Client, seed: u64, stop: CancellationToken, refused: Arc<AtomicUsize>) {
    let mut state = seed;
    while !stop.is_cancelled() {
        let model = ["openclaw", "mock", "fixed"][usize::try_from(next(&mut state) % 3).unwrap()];
        let words = "word ".repeat(usize::try_from(1 + next(&mut state) % 200).unwrap());
        let stream = next(&mut state).is_multiple_of(2);
        let messages = json!([{"role": "user", "content": words}]);
        let body = json!({"model": model, "stream": stream, "messages": messages}).to_string();
        let asked = client.try_open(Method::POST, "/v1/chat/completions", body).await;
        let Ok(reply) = asked else {
            tokio::time::sleep(Duration::from_millis(20)).await;
            continue;
        };
        if reply.status() == 429 {
            refused.fetch_add(1, Ordering::SeqCst);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let mut body = reply.into_body();
        let hangs_up = next(&mut state).is_multiple_of(8);
        while let Some(Ok(_frame)) = body.frame().await {
            if hangs_up {
                break;
            }
        }
    }
}

/// Each hold has begun once and ended once, and what a start has ended is charged in full.
fn check_lives(lives: &BTreeMap<u64, Life>) {
    for (id, life) in lives {
        assert_eq!((life.begun, life.ended), (1, 1), "hold {id}: {life:?}");
        if life.reconciled {
            assert_eq!(life.settled, life.held, "hold {id}");
        }
    }
}

/// What the provider has said of the calls of one tenant is what the tenant is charged, but for calls
/// whose end nobody has heard.
fn sums(lives: &BTreeMap<u64, Life>) -> (u64, u64, u64) {
    let (mut known, mut estimated, mut reconciled) = (0, 0, 0);
    for life in lives.values() {
        let sum = match (life.reconciled, life.estimated) {
            (true, _) => &mut reconciled,
            (false, true) => &mut estimated,
            (false, false) => &mut known,
        };
        *sum += life.settled.tokens();
    }
    (known, estimated, reconciled)
}

/// Kills workers and supervisors in turn, at moments that `state` makes.
async fn kills(gateway: &mut Gateway, tenants: &[Tenant], mut state: u64) {
    for n in 0..2 * KILLS {
        tokio::time::sleep(Duration::from_millis(100 + next(&mut state) % 500)).await;
        if n % 2 == 0 {
            let tenant = &tenants[n / 2 % tenants.len()];
            let shown = gateway.json(&["tenants", "show", &tenant.id]);
            // None where it has just crashed with its supervisor.
            if let Some(pid) = shown["worker"]["pid"].as_i64() {
                kill(Pid::from_raw(i32::try_from(pid).unwrap()), Signal::SIGKILL).unwrap();
            }
        } else {
            gateway.kill_supervisor_and_restart();
        }
        for tenant in tenants {
            let (settled, held) = gateway.standing(tenant, "tokens/day");
            assert!(settled + held <= LIMIT, "{}: {settled} and {held}", tenant.id);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_kill_strands_a_hold_or_charges_it_twice_or_lifts_a_limit() {
    let provider = Provider::start().await;
    provider.charge(40, 60);
    let config = provider.config_with(json!({"defaultModel": "test/mock"}));
    let mut gateway = Builder::default().config(config).start();
    for text in ["worker crashed", "a model call failed", "holds of an earlier run are settled"] {
        gateway.announce(text);
    }
    let names = (0..TENANTS).map(|n| format!("tenant-{n}"));
    let tenants: Vec<_> = names.map(|name| gateway.tenant(&name)).collect();
    for tenant in &tenants {
        gateway.set_quotas(tenant, &[&format!("tokens/day={LIMIT}")]);
    }
    let (stop, refused) = (CancellationToken::new(), Arc::new(AtomicUsize::new(0)));
    let mut callers = JoinSet::new();
    for (n, tenant) in tenants.iter().flat_map(|tenant| [tenant; CALLERS]).enumerate() {
        let (stop, refused) = (stop.clone(), Arc::clone(&refused));
        callers.spawn(load(gateway.client(tenant), u64::try_from(n).unwrap(), stop, refused));
    }
    kills(&mut gateway, &tenants, 5).await;
    // A slow machine has not come that far yet.
    until("the limit is reached", || refused.load(Ordering::SeqCst) > 0);
    stop.cancel();
    callers.join_all().await;
    let (mut charged, mut counted) = ((0, 0, 0), 0);
    for tenant in &tenants {
        until("nothing is held", || gateway.standing(tenant, "tokens/day").1 == 0);
        let lives = gateway.lives(tenant);
        check_lives(&lives);
        let (known, estimated, reconciled) = sums(&lives);
        let settled = gateway.standing(tenant, "tokens/day").0;
        assert_eq!(settled, known + estimated + reconciled, "{}", tenant.id);
        assert_eq!(settled, gateway.booked(tenant).tokens(), "{}", tenant.id);
        assert!(settled <= LIMIT, "{}: {settled}", tenant.id);
        charged = (charged.0 + known, charged.1 + estimated, charged.2 + reconciled);
        counted += lives.len();
    }
    assert!(charged.0 <= provider.reported(), "{charged:?} of {}", provider.reported());
    // One more life: what is written down is what is read.
    let before: Vec<_> = tenants.iter().map(|it| gateway.standing(it, "tokens/day")).collect();
    gateway.kill_supervisor_and_restart();
    let after: Vec<_> = tenants.iter().map(|it| gateway.standing(it, "tokens/day")).collect();
    assert_eq!(before, after);
    println!(
        "{KILLS} workers and {KILLS} supervisors killed under {counted} calls: charged as reported, \
         estimated and reconciled {charged:?}, the provider reported {}; {} refused",
        provider.reported(),
        refused.load(Ordering::SeqCst),
    );
}

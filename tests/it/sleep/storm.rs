//! One tenant's worker crashes and is started again and again: others' starts come in their turn.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use http::StatusCode;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;
use tests::{Gateway, Provider, memory};

use super::with;

/// Callers of the tenant that makes the storm.
const CALLERS: usize = 40;

/// The others, each asleep when it asks.
const OTHERS: usize = 12;

#[tokio::test(flavor = "multi_thread")]
async fn a_storm_of_one_tenant_does_not_keep_others_from_starting() {
    let provider = Provider::start().await;
    // One start at a time: whoever overtook would be noticed by all.
    let gateway = Arc::new(with(&provider, &json!({"startsAtOnce": 1, "sleep": "never"})));
    for text in ["worker crashed", "tenant parked", "worker not started"] {
        gateway.announce(text);
    }
    let storm = gateway.tenant("storm");
    let others: Vec<_> = (0..OTHERS).map(|n| gateway.tenant(&format!("calm{n}"))).collect();
    gateway.client(&storm).chat("mock", "hi").await.answer();
    let (stop, asked) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let mut callers = Vec::new();
    for _ in 0..CALLERS {
        let (client, stop, asked) = (gateway.client(&storm), Arc::clone(&stop), Arc::clone(&asked));
        callers.push(tokio::spawn(async move {
            while !stop.load(Ordering::Relaxed) {
                let status = client.chat("mock", "again").await.status;
                asked.fetch_add(1, Ordering::Relaxed);
                let known =
                    [StatusCode::OK, StatusCode::SERVICE_UNAVAILABLE, StatusCode::BAD_GATEWAY];
                assert!(known.contains(&status), "{status}");
            }
        }));
    }
    let killer = tokio::task::spawn_blocking({
        let (gateway, stop) = (Arc::clone(&gateway), Arc::clone(&stop));
        // No other worker is started before the storm is on, so the one that is there is its.
        let first = memory::worker_pids(&gateway);
        move || {
            for pid in first {
                kill(Pid::from_raw(pid), Signal::SIGKILL).unwrap();
            }
            while !stop.load(Ordering::Relaxed) {
                kill_worker(&gateway);
            }
        }
    });
    let began = Instant::now();
    let calm = others.iter().map(|tenant| {
        let client = gateway.client(tenant);
        tokio::spawn(async move {
            let began = Instant::now();
            assert_eq!(client.chat("mock", "hello").await.answer(), "hello");
            began.elapsed()
        })
    });
    let took: Vec<_> =
        futures_util::future::join_all(calm).await.into_iter().map(Result::unwrap).collect();
    let all = began.elapsed();
    stop.store(true, Ordering::Relaxed);
    killer.await.unwrap();
    for caller in callers {
        caller.await.unwrap();
    }
    assert!(asked.load(Ordering::Relaxed) > CALLERS, "there was a storm");
    // Well below the time after which a start is refused.
    assert!(all < Duration::from_secs(12), "{took:?}");
}

fn kill_worker(gateway: &Gateway) {
    let shown = gateway.json(&["tenants", "show", "storm"]);
    let Some(pid) = shown["worker"]["pid"].as_i64() else { return };
    // It may have ended of itself.
    let _gone = kill(Pid::from_raw(i32::try_from(pid).unwrap()), Signal::SIGKILL);
}

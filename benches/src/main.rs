//! `bench`: runs every measurement and prints one JSON document; `bench quick` takes less time,
//! `bench sandboxes`, `bench books`, `bench limits`, `bench trail`, `bench wake`, `bench rewrite`, `bench
//! archive` or `bench backup` is that member alone; the last three are no part of the whole, for they write much.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::as_conversions,
    clippy::cast_precision_loss,
    reason = "a benchmark fails by panicking and prints its result"
)]

use std::net::SocketAddr;
use std::time::Duration;

use benches::load::{self, Target};
use benches::{
    archive, backup, floor, limits, money, pairs, provider, rewrite, sockets, system, tools, trail,
    wake,
};
use serde_json::{Value, json};

/// How long each target is warmed up.
const WARM_UP: Duration = Duration::from_secs(1);

/// Callers at once in the closed loop.
const CONNECTIONS: usize = 32;

fn main() {
    let asked = |word: &str| std::env::args().any(|arg| arg == word);
    let quick = asked("quick");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let result = runtime.block_on(async {
        let members =
            ["sandboxes", "limits", "books", "trail", "wake", "rewrite", "archive", "backup"];
        let alone = members.into_iter().find(|it| asked(it));
        match alone {
            Some(name) => json!({"machine": machine(), name: member(name, quick).await}),
            None => measure(if quick { 2 } else { 8 }, quick).await,
        }
    });
    println!("{}", serde_json::to_string_pretty(&result).unwrap());
}

/// One member by its name.
async fn member(name: &str, quick: bool) -> Value {
    match name {
        "sandboxes" => sandboxes(quick).await,
        "limits" => json!(limits::compare(provider::start(), round(quick)).await),
        "books" => books(quick).await,
        "backup" if quick => backup::measure(provider::start(), 1, [128, 128, 512]).await,
        "backup" => backup::measure(provider::start(), 3, [256, 1024, 2048]).await,
        "archive" if quick => archive::measure(1, 64),
        "archive" => archive::measure(3, 1024),
        "rewrite" if quick => rewrite::measure(&[1000, 20_000], round(quick) * 4).await,
        "rewrite" => rewrite::measure(&[1000, 20_000, 200_000], round(quick) * 4).await,
        "wake" => wake::measure(if quick { 20 } else { 200 }).await,
        _ => audit_trail(quick).await,
    }
}

async fn measure(seconds: u64, quick: bool) -> Value {
    let time = Duration::from_secs(seconds);
    // First, while this process is small: starting a program as somebody else copies its tables.
    let sandboxes = sandboxes(quick).await;
    let provider = provider::start();
    let direct = Target { address: provider, token: None };
    let floor = Target { address: floor::start(provider), token: None };
    let system = system::System::start(provider);
    let gateway = system.tenant("bench");
    load::once(&gateway, &load::body("bench", false)).await;
    json!({
        "machine": machine(),
        "throughput": throughput(&system, [&direct, &floor, &gateway], time).await,
        "latencyAt1000PerSecond": latency([&direct, &floor, &gateway], time).await,
        "stream": streams([&direct, &gateway]).await,
        "pairUnary": {
            "one": pairs::unary(1, time).await,
            "thirtyTwo": pairs::unary(32, time).await,
        },
        "methodCalls": method_calls(&system, &gateway, time).await,
        "agentTurns": agent_turns(&gateway, time).await,
        "coldStart": system::cold_start(&system, if quick { 10 } else { 100 }).await,
        "sandboxes": sandboxes,
        "ledger": ledger(provider, quick).await,
        "memory": memories(provider, if quick { &[1, 10] } else { &[1, 50, 200] }).await,
    })
}

/// What limits, books and audit trail cost.
async fn ledger(provider: SocketAddr, quick: bool) -> Value {
    json!({
        "limits": limits::compare(provider, round(quick)).await,
        "books": books(quick).await,
        "trail": audit_trail(quick).await,
    })
}

/// How long each side of a comparison is under load, in each of its rounds.
const fn round(quick: bool) -> Duration {
    Duration::from_secs(if quick { 1 } else { 4 })
}

async fn sandboxes(quick: bool) -> Value {
    tools::measure(if quick { 30 } else { 200 }).await
}

/// Two entries a call: a million in all.
async fn books(quick: bool) -> Value {
    if quick { money::measure(30_000, 5000).await } else { money::measure(500_010, 50_000).await }
}

async fn audit_trail(quick: bool) -> Value {
    trail::measure(if quick { 640 } else { 6400 }).await
}

async fn throughput(system: &system::System, targets: [&Target; 3], time: Duration) -> Value {
    let body = load::body("bench", false);
    for target in targets {
        load::closed(target, &body, CONNECTIONS, WARM_UP).await;
    }
    let [direct, floor, gateway] = targets;
    let direct = load::closed(direct, &body, CONNECTIONS, time).await;
    let floor = load::closed(floor, &body, CONNECTIONS, time).await;
    let before = system.cpu();
    let through = load::closed(gateway, &body, CONNECTIONS, time).await;
    let used = system.cpu().saturating_sub(before);
    let requests = through.latency.count as f64;
    json!({
        "connections": CONNECTIONS,
        "direct": direct,
        "floor": floor,
        "gateway": through,
        "gatewayOverFloor": through.per_second / floor.per_second,
        "gatewayCpuMicrosPerRequest": used.as_secs_f64() * 1e6 / requests,
    })
}

async fn latency(targets: [&Target; 3], time: Duration) -> Value {
    let body = load::body("bench", false);
    let [direct, floor, gateway] = targets;
    let direct = load::paced(direct, &body, 1000, time).await;
    let floor = load::paced(floor, &body, 1000, time).await;
    let through = load::paced(gateway, &body, 1000, time).await;
    json!({
        "direct": direct.latency,
        "floor": floor.latency,
        "gateway": through.latency,
        "addedP50Us": through.latency.p50_us - direct.latency.p50_us,
        "addedP99Us": through.latency.p99_us - direct.latency.p99_us,
    })
}

/// Streams whose first chunk is timed one after the other.
const FIRSTS: usize = 21;

async fn streams(targets: [&Target; 2]) -> Value {
    let [direct_target, gateway_target] = targets;
    let direct = load::flood(direct_target, "flood", 50).await;
    let through = load::flood(gateway_target, "flood", 50).await;
    let one = |target: &Target| {
        let target = target.clone();
        async move {
            let mut firsts = Vec::new();
            for _ in 0..FIRSTS {
                firsts.push(load::flood(&target, "bench", 1).await.first_chunk.p50_us);
            }
            firsts.sort_by(f64::total_cmp);
            firsts.get(FIRSTS / 2).copied().unwrap_or_default()
        }
    };
    let (first_direct, first_through) = (one(direct_target).await, one(gateway_target).await);
    json!({
        "firstChunkOfOneShortStreamUs": {"direct": first_direct, "gateway": first_through},
        "streams": 50,
        "direct": direct,
        "gateway": through,
        "gatewayOverDirect": through.chunks_per_second / direct.chunks_per_second,
    })
}

/// Sockets at once, one call under way on each.
const SOCKETS: [usize; 2] = [1, 1000];

async fn method_calls(system: &system::System, gateway: &Target, time: Duration) -> Value {
    let echo = sockets::echo();
    let mut found = Vec::new();
    for count in SOCKETS {
        found.push(sockets::compare(echo, gateway, count, time).await);
    }
    let memory = system::memory(system).await;
    json!({"compared": found, "memoryAfterwards": memory})
}

async fn agent_turns(gateway: &Target, time: Duration) -> Value {
    json!(load::closed(gateway, &load::body("openclaw", false), 8, time).await)
}

/// Of a gateway that has done nothing else.
async fn memories(provider: SocketAddr, counts: &[usize]) -> Value {
    let system = system::System::start(provider);
    let mut tenants = 0;
    let mut found = Vec::new();
    for &count in counts {
        for n in tenants..count {
            let target = system.tenant(&format!("m{n}"));
            load::once(&target, &load::body("bench", false)).await;
        }
        tenants = count;
        found.push(system::memory(&system).await);
    }
    json!(found)
}

fn machine() -> Value {
    let cpuinfo = std::fs::read_to_string("/proc/cpuinfo").unwrap();
    let model = cpuinfo.lines().find_map(|line| line.strip_prefix("model name\t: "));
    json!({
        "cpu": model,
        "cores": std::thread::available_parallelism().unwrap().get(),
        "loadBefore": std::fs::read_to_string("/proc/loadavg").unwrap().trim(),
        "kernel": std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap().trim(),
    })
}

//! The hot path under limits on all levels beside the same without any, in turn in one run: two
//! gateways over one provider, of which only the one under load does anything.

use std::net::SocketAddr;
use std::time::Duration;

use serde::Serialize;
use serde_json::json;

use crate::load::{self, Outcome, Target};
use crate::system::System;

/// Callers at once in the closed loop.
const CONNECTIONS: usize = 32;

/// Rounds, each with both gateways; which of them comes first changes from round to round.
const ROUNDS: usize = 6;

/// How long each is warmed up.
const WARM_UP: Duration = Duration::from_secs(2);

/// More than any run uses: every limit is looked at, and none is reached.
const ROOM: u64 = 1_000_000_000_000;

/// Requests under limits beside requests without.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Compared {
    /// Requests at once.
    pub connections: usize,
    /// Quotas that each request is held against, those of the installation included.
    pub quotas: usize,
    /// Requests a second without limits, and with, round by round.
    pub rounds: Vec<(f64, f64)>,
    /// The mean of all rounds without limits.
    pub free_per_second: f64,
    /// The mean of all rounds with limits.
    pub limited_per_second: f64,
    /// The second over the first. The aim is 0.9 at least.
    pub limited_over_free: f64,
}

/// Quotas of the tenant, its token, its agent and its session.
fn quotas(token: &str) -> Vec<String> {
    let mut quotas = Vec::new();
    for (level, windows) in [
        (String::new(), &["minute", "hour", "day", "month"][..]),
        (format!("token:{token} "), &["minute", "day", "month"]),
        ("agent:* ".to_owned(), &["minute", "day", "month"]),
        ("session:* ".to_owned(), &["minute", "day"]),
    ] {
        for window in windows {
            for dimension in ["requests", "tokens", "costMicros"] {
                quotas.push(format!("{level}{dimension}/{window}={ROOM}"));
            }
        }
    }
    quotas
}

/// Measures both in turn, `time` each in each round.
pub async fn compare(provider: SocketAddr, time: Duration) -> Compared {
    let windows = ["minute", "hour", "day", "month"];
    let house: Vec<_> = windows.iter().map(|it| format!("tokens/{it}={ROOM}")).collect();
    let free = System::start_with(provider, &json!({}));
    let limited = System::start_with(provider, &json!({"quotas": house}));
    let free = (free.tenant("bench"), free);
    let limited = (limited.tenant("bench"), limited);
    let tokens = limited.1.json(&["tokens", "list", "bench"]);
    let own = quotas(tokens["tokens"][0]["id"].as_str().unwrap());
    let args = own.iter().flat_map(|quota| ["--quota", quota]);
    let args: Vec<_> = ["tenants", "limits", "bench"].into_iter().chain(args).collect();
    limited.1.json(&args);
    let body = load::body("bench", false);
    let run = async |target: &Target, time| -> Outcome {
        load::closed(target, &body, CONNECTIONS, time).await
    };
    for (target, _) in [&free, &limited] {
        run(target, WARM_UP).await;
    }
    let mut rounds = Vec::new();
    for round in 0..ROUNDS {
        let (first, second) = if round % 2 == 0 { (&free, &limited) } else { (&limited, &free) };
        let outcomes = (run(&first.0, time).await, run(&second.0, time).await);
        let (first, second) = (outcomes.0.per_second, outcomes.1.per_second);
        rounds.push(if round % 2 == 0 { (first, second) } else { (second, first) });
    }
    let mean = |of: fn(&(f64, f64)) -> f64| rounds.iter().map(of).sum::<f64>() / ROUNDS as f64;
    let (free, limited) = (mean(|it| it.0), mean(|it| it.1));
    Compared {
        connections: CONNECTIONS,
        quotas: own.len() + house.len(),
        rounds: rounds.clone(),
        free_per_second: free,
        limited_per_second: limited,
        limited_over_free: limited / free,
    }
}

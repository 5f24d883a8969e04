//! Wake: from a request to a sleeping tenant to the first byte of its answer, beside the same to one that is
//! awake, and beside the least that it can cost: a process in namespaces of its own, executed and gone.

use std::process::Command;
use std::time::Instant;

use serde_json::{Value, json};

use crate::load;
use crate::stats::Spread;
use crate::system::{self, System};

/// The namespaces of a worker, by the names that `unshare` has for them.
const NAMESPACES: [&str; 7] = ["--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup", "--fork"];

/// A dynamically linked program that does nothing, in the same namespaces as a worker, until it is reaped.
fn floor(rounds: usize) -> Spread {
    let one = || {
        let started = Instant::now();
        let status = Command::new("unshare").args(NAMESPACES).arg("/bin/true").status().unwrap();
        assert!(status.success());
        u64::try_from(started.elapsed().as_nanos()).unwrap()
    };
    Spread::of((0..rounds).map(|_| one()).collect())
}

/// All three in one run.
pub async fn measure(rounds: usize) -> Value {
    let floor = floor(rounds);
    let system = System::start(crate::provider::start());
    load::once(&system.tenant("warm-up"), &load::body("bench", false)).await;
    let found = system::cold_start(&system, rounds).await;
    json!({
        "floor": floor,
        "asleep": found.cold,
        "awake": found.warm,
        "asleepOverFloorP50": found.cold.p50_us / floor.p50_us,
        "asleepOverFloorP99": found.cold.p99_us / floor.p99_us,
    })
}

//! Many tenants on one machine, one message each at random times: all are answered, and when all sleep
//! they hold no memory.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tests::{Builder, memory, until};

/// Tenants; `TENANTS` says another number, as `make soak` does.
const MANY: usize = 100;

/// Between two messages on average.
const EACH: Duration = Duration::from_millis(80);

/// What the gateway's own processes may have grown by when all sleep, in bytes: a constant part for the
/// pieces that the allocator keeps, and for each tenant its log, its account and its latest lines.
const GROWTH: u64 = 6 << 20;
const GROWTH_EACH: u64 = 24 << 10;

/// Numbers that are spread evenly, the same in each run.
fn spread(n: usize, many: usize) -> Duration {
    // Knuth's multiplier: neighbours come out far apart.
    let mixed = u32::try_from(n).unwrap().wrapping_mul(2_654_435_761);
    let all = EACH * u32::try_from(many).unwrap();
    all.mul_f64(f64::from(mixed) / f64::from(u32::MAX))
}

pub(super) async fn live(many: usize) {
    let gateway = Arc::new(Builder::default().config("{ workers: { sleep: '1' } }").start());
    let tenants: Vec<_> = (0..many).map(|n| gateway.tenant(&format!("t{n}"))).collect();
    until("nobody is awake", || memory::workers(&gateway) == 0);
    let before = memory::held(&gateway);
    let asked = tenants.iter().enumerate().map(|(n, tenant)| {
        let client = gateway.client(tenant);
        tokio::spawn(async move {
            tokio::time::sleep(spread(n, many)).await;
            let began = Instant::now();
            let text = format!("message of {n}");
            assert!(client.chat("openclaw", &text).await.answer().contains(&text));
            began.elapsed()
        })
    });
    let mut took: Vec<_> =
        futures_util::future::join_all(asked).await.into_iter().map(Result::unwrap).collect();
    took.sort();
    let awake = memory::held(&gateway);
    until("all sleep", || memory::workers(&gateway) == 0);
    let most = before + GROWTH + GROWTH_EACH * u64::try_from(many).unwrap();
    until("the memory is given back", || memory::held(&gateway) <= most);
    let after = memory::held(&gateway);
    println!(
        "{many} tenants: answered in {:?} (median) and {:?} (longest); {} KiB before, {} KiB with the last awake, {} KiB when all sleep",
        took[many / 2],
        took[many - 1],
        before >> 10,
        awake >> 10,
        after >> 10,
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn many_tenants_are_answered_and_hold_no_memory_when_they_sleep() {
    let many = std::env::var("TENANTS").ok().and_then(|many| many.parse().ok());
    live(many.unwrap_or(MANY)).await;
}

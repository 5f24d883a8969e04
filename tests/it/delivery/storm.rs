//! Kills at random moments, while messages, hooks and times of jobs come: each is dealt with once.
//!
//! `KILLS` says how many; `make soak` has it do ten thousand.

pub(super) mod check;
pub(super) mod receiver;
pub(super) mod sender;

use std::hash::{BuildHasher as _, RandomState};
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;
use tests::{Builder, Farm, Gateway, Provider, memory};
use tokio_util::sync::CancellationToken;

use super::seen::announce_kills;
use check::Tally;
use receiver::Receiver;
use sender::Sender;

/// Kills of the short form.
const KILLS: u64 = 26;

/// Gateways at once in the long form: while one starts again the other is struck.
const GATEWAYS: u64 = 2;

/// Tenants of each.
const TENANTS: u64 = 4;

/// Events of one tenant that are on their way at once.
const SENDERS: usize = 3;

/// Kills of workers after which the supervisor's turn comes: three of each tenant, before it would be
/// parked.
const WORKERS: u64 = 3 * TENANTS;

/// Kills after which what was sent is looked at, and all begins anew: before a main session is longer
/// than what is read of it at once.
const ROUND: u64 = 10 * (WORKERS + 1);

/// The pause between two kills of one gateway at most, in milliseconds.
const PAUSE: u64 = 260;

/// One in so many kills of a supervisor is one of its launcher instead.
const LAUNCHERS: u64 = 8;

pub(crate) fn random(below: u64) -> u64 {
    RandomState::new().hash_one(()) % below
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_killed_each_event_is_dealt_with_once() {
    let asked = std::env::var("KILLS").ok().and_then(|kills| kills.parse().ok());
    let kills = asked.unwrap_or(KILLS);
    let farm = Arc::new(Farm::start().await);
    let left = Arc::new(AtomicU64::new(kills));
    let gateways = if kills > ROUND { GATEWAYS } else { 1 };
    let began = Instant::now();
    let all = (0..gateways).map(|_| tokio::spawn(rounds(Arc::clone(&farm), Arc::clone(&left))));
    let tallies = futures_util::future::join_all(all).await.into_iter().map(Result::unwrap);
    let all: Tally = tallies.sum();
    println!("{kills} kills in {:?}: {all:?}", began.elapsed());
    assert!(all.events() >= kills / 4 && all.ticks > 0, "too little came");
    assert!(all.asked_again > 0, "no kill cut anything off");
    assert!(all.given_up * 8 <= all.events() + all.ticks, "too much was given up");
}

/// Round after round, until no kills are left.
async fn rounds(farm: Arc<Farm>, left: Arc<AtomicU64>) -> Tally {
    let (mut all, take) =
        (Tally::default(), |left: u64| (left > 0).then(|| left.saturating_sub(ROUND)));
    while let Ok(before) = left.fetch_update(Ordering::AcqRel, Ordering::Acquire, take) {
        let (kills, began) = (before.min(ROUND), Instant::now());
        let tally = round(&farm, kills).await;
        println!("{kills} kills in {:?}, {} left: {tally:?}", began.elapsed(), before - kills);
        all += tally;
    }
    all
}

/// So many kills, and what became of everything that was sent meanwhile.
async fn round(farm: &Farm, kills: u64) -> Tally {
    let (provider, receiver) = (Provider::start().await, Receiver::start(farm.open()).await);
    let egress = json!({"egress": farm.config(&[format!("POST {}", receiver.url)])});
    let config = provider.config_with(egress);
    let mut gateway = Builder::default().config(config).listen(Ipv4Addr::new(127, 0, 0, 2)).start();
    announce(&gateway);
    let is_up = Arc::new(AtomicBool::new(true));
    let mut senders = Vec::new();
    for n in 0..TENANTS {
        let tenant = gateway.tenant(&format!("t{n}"));
        let sender = Sender::new(&gateway, tenant, &receiver.url, &is_up).await;
        senders.push(Arc::new(sender.ticking(&gateway).await));
    }
    let stop = CancellationToken::new();
    let sending: Vec<_> = senders
        .iter()
        .flat_map(|sender| [sender; SENDERS])
        .map(|sender| tokio::spawn(Arc::clone(sender).send(stop.clone())))
        .collect();
    for n in 1..=kills {
        tokio::time::sleep(Duration::from_millis(random(PAUSE))).await;
        // At the end as well: it forgets that a tenant is parked.
        if n.is_multiple_of(WORKERS + 1) || n == kills {
            is_up.store(false, Ordering::Release);
            tokio::task::block_in_place(|| strike(&mut gateway));
            is_up.store(true, Ordering::Release);
        } else {
            strike_worker(&gateway).await;
        }
    }
    stop.cancel();
    let mut sent = Vec::new();
    for sending in futures_util::future::join_all(sending).await {
        sent.push(sending.unwrap());
    }
    let mut tally = Tally::default();
    for (n, sender) in senders.iter().enumerate() {
        let sent = &sent[SENDERS * n..][..SENDERS];
        tally += check::tenant(&gateway, sender, (&receiver, false), sent).await;
    }
    let (posts, posted) = receiver.counts();
    tally.posted_again = posts - posted;
    tally.asked_again = provider.requests().saturating_sub(tally.turns());
    tally
}

/// What the log says when workers are killed while something is under way.
pub(super) fn announce(gateway: &Gateway) {
    announce_kills(gateway);
    for text in ["a timer", "is left too early", "worker not started"] {
        gateway.announce(text);
    }
}

/// Kills the supervisor or the launcher, and starts the gateway again.
fn strike(gateway: &mut Gateway) {
    if random(LAUNCHERS) == 0 {
        gateway.kill_launcher_and_restart();
    } else {
        gateway.kill_supervisor_and_restart();
    }
}

/// Kills one of the workers, as soon as there is one.
async fn strike_worker(gateway: &Gateway) {
    let began = Instant::now();
    loop {
        let workers = memory::worker_pids(gateway);
        let count = u64::try_from(workers.len()).unwrap();
        if count > 0 {
            let chosen = workers[usize::try_from(random(count)).unwrap()];
            // It may have gone in this moment.
            if kill(Pid::from_raw(chosen), Signal::SIGKILL).is_ok() {
                return;
            }
        }
        assert!(began.elapsed() < Duration::from_secs(40), "no worker comes");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

//! Many tenants with accounts at six networks, to whom people talk on all of them at once, while workers are
//! killed at random moments: every message has one answer, and answers keep their order.
//!
//! `TENANTS` says how many, `MESSAGES` how many there are in each conversation, `MINUTES` after how long
//! nobody says more, however few that were, `NETWORKS` at which networks where it is not all (`matrix,slack`),
//! `HOMES` among how many homeservers of Matrix the accounts there are divided, and `SEED` begins the same kills
//! again.

mod check;
mod talker;
mod town;

use std::collections::HashMap;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;
use tests::{Gateway, Tenant};
use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

use super::ground::Ground;
use crate::delivery::seen::{announce_kills, rpc};
use crate::delivery::storm::random;
use check::{Tally, settled};
use talker::Talker;
use town::Town;

/// Tenants and messages of the short form.
const TENANTS: usize = 3;
const MESSAGES: usize = 8;

/// Kills of one tenant's worker in a row: fewer than those after which it is parked.
const IN_A_ROW: usize = 3;

/// How long it is let alone then, so that they are no loop of crashes: a minute without one ends that, counted
/// from when the crash is noticed, which is when somebody wants the worker again.
const LET_ALONE: Duration = Duration::from_secs(150);

/// The pause between two kills, over all tenants, at most, in milliseconds: a worker that is killed is started
/// again, for which the machine is to have time.
const PAUSE: u64 = 2_000;

/// Tokens of a model's context, of which a quarter is a conversation's before it is compacted.
const CONTEXT: usize = 16_000;

/// Tenants whose accounts are made at once.
const AT_ONCE: usize = 4;

const MINUTE: Duration = Duration::from_mins(1);

/// Minutes for which they talk at most, where nothing is said of it: a day.
const LONGEST: u32 = 24 * 60;

fn asked(name: &str) -> Option<usize> {
    std::env::var(name).ok().and_then(|it| it.parse().ok())
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_doubled_or_out_of_order() {
    let tenants = asked("TENANTS").unwrap_or(TENANTS);
    let messages = asked("MESSAGES").unwrap_or(MESSAGES);
    let seed = asked("SEED").map_or_else(|| random(u64::MAX), |it| u64::try_from(it).unwrap());
    println!("SEED={seed}");
    let town = Arc::new(Town::start().await);
    let roots = town.roots();
    let roots: Vec<_> = roots.iter().map(|(network, root)| (*network, root.as_str())).collect();
    let ground = Arc::new(Ground::build(&roots).await);
    ground.provider.forget();
    announce(&ground.gateway);
    let began = Instant::now();
    let (tenants, talkers) = settle_in(&town, &ground, tenants).await;
    println!("{} conversations begin after {:?}", talkers.len(), began.elapsed());
    let began = Instant::now();
    let stop = CancellationToken::new();
    let killer =
        Killer { chance: Chance(seed), ground: Arc::clone(&ground), struck: HashMap::new() };
    let killing = tokio::spawn(killer.strike(tenants.clone(), stop.clone()));
    let (mut talkers, failed) = talk(&ground, talkers, messages).await;
    stop.cancel();
    let kills = killing.await.unwrap();
    println!("all is said after {:?}, with {kills} kills", began.elapsed());
    // What one that failed waits for may never come.
    for tenant in tenants.iter().filter(|_| failed.is_none()) {
        settled(&ground, tenant).await;
    }
    let all = tally(&ground, &mut talkers).await;
    let said: usize = talkers.iter().map(|it| it.said).sum();
    let again = ground.provider.billed().saturating_sub(said);
    println!("{} tenants: {kills} kills, {again} turns begun once more", tenants.len());
    if let Some(failed) = failed {
        std::panic::resume_unwind(failed.into_panic());
    }
    assert!(all.is_whole(), "{all}");
    assert!(kills >= TENANTS, "too few kills");
}

/// Tells of each network what became of all that was said, and gives the sum.
async fn tally(ground: &Ground, talkers: &mut [Talker]) -> Tally {
    let mut all = Tally::default();
    talkers.sort_by_key(|it| it.network);
    for of_one in talkers.chunk_by_mut(|one, other| one.network == other.network) {
        let mut tally = Tally::default();
        for talker in &mut *of_one {
            tally += talker.check(ground).await;
        }
        let said = of_one.iter().map(|it| it.said);
        let (least, sum) = (said.clone().min().unwrap_or_default(), said.sum::<usize>());
        let (network, accounts) = (of_one[0].network, of_one.len());
        println!("{network}: {accounts} accounts, {sum} messages, at least {least} each: {tally}");
        all += tally;
    }
    all
}

/// Lets all of them talk, until each has said so much, time is up or one has failed; gives the others, and that one.
async fn talk(
    ground: &Arc<Ground>,
    talkers: Vec<Talker>,
    messages: usize,
) -> (Vec<Talker>, Option<JoinError>) {
    let minutes = asked("MINUTES").map_or(LONGEST, |it| u32::try_from(it).unwrap());
    let stop = CancellationToken::new();
    let mut talking = JoinSet::new();
    for talker in talkers {
        talking.spawn(talker.talk(Arc::clone(ground), messages, stop.clone()));
    }
    let (mut ended, mut first) = (Vec::new(), None);
    let mut end = pin!(tokio::time::sleep(MINUTE * minutes));
    let mut clock = tokio::time::interval(MINUTE);
    loop {
        tokio::select! {
            talker = talking.join_next() => match talker {
                Some(Ok(talker)) => ended.push(talker),
                Some(Err(failed)) => {
                    stop.cancel();
                    first.get_or_insert(failed);
                }
                None => return (ended, first),
            },
            () = &mut end, if !stop.is_cancelled() => stop.cancel(),
            _ = clock.tick() => println!("{} turns", ground.provider.billed()),
        }
    }
}

/// Makes the tenants, their accounts, and who talks to each.
async fn settle_in(
    town: &Arc<Town>,
    ground: &Arc<Ground>,
    count: usize,
) -> (Vec<Tenant>, Vec<Talker>) {
    let all = futures_util::stream::iter(0..count).map(|n| {
        let (town, ground) = (Arc::clone(town), Arc::clone(ground));
        tokio::spawn(async move {
            let name = format!("t{n}");
            let tenant = tokio::task::block_in_place(|| ground.gateway.tenant(&name));
            remember_little(&ground, &tenant).await;
            let talkers = town.talkers(&ground, &tenant).await;
            (tenant, talkers)
        })
    });
    let all: Vec<_> = all.buffer_unordered(AT_ONCE).collect().await;
    let (tenants, talkers): (Vec<_>, Vec<_>) = all.into_iter().map(Result::unwrap).unzip();
    (tenants, talkers.into_iter().flatten().collect())
}

/// Has the tenant's conversations compacted early: what a message costs is not to grow with all that was said
/// before it.
async fn remember_little(ground: &Ground, tenant: &Tenant) {
    let settings =
        json!({"contextTokens": CONTEXT, "compaction": {"keepRecentTokens": CONTEXT / 16}});
    let raw = json!({"agents": {"defaults": settings}}).to_string();
    let hash = rpc(&ground.gateway, tenant, "config.get", json!({})).await["hash"].take();
    rpc(&ground.gateway, tenant, "config.patch", json!({"raw": raw, "baseHash": hash})).await;
}

/// What the log says when workers are killed while something is under way.
fn announce(gateway: &Gateway) {
    announce_kills(gateway);
    gateway.announce("worker not started");
    gateway.announce("worker not looked at");
}

/// Kills workers.
struct Killer {
    chance: Chance,
    ground: Arc<Ground>,
    /// How often each tenant's was killed in a row, and when last.
    struck: HashMap<String, (usize, Instant)>,
}

impl Killer {
    /// Kills workers of these tenants until it is told to stop; gives how many.
    async fn strike(mut self, tenants: Vec<Tenant>, stop: CancellationToken) -> usize {
        let mut kills = 0;
        loop {
            let pause = Duration::from_millis(self.chance.below(PAUSE));
            tokio::select! {
                () = stop.cancelled() => return kills,
                () = tokio::time::sleep(pause) => {}
            }
            let open: Vec<_> = tenants.iter().filter(|it| self.may(it)).collect();
            let Some(count) = u64::try_from(open.len()).ok().filter(|it| *it > 0) else { continue };
            let tenant = open[usize::try_from(self.chance.below(count)).unwrap()];
            if tokio::task::block_in_place(|| self.strike_one(tenant)) {
                kills += 1;
            }
        }
    }

    /// Whether its worker may be killed once more.
    fn may(&self, tenant: &Tenant) -> bool {
        let struck = self.struck.get(&tenant.id);
        struck.is_none_or(|(times, last)| *times < IN_A_ROW || last.elapsed() > LET_ALONE)
    }

    fn strike_one(&mut self, tenant: &Tenant) -> bool {
        let shown = self.ground.gateway.json(&["tenants", "show", &tenant.id]);
        let Some(pid) = shown["worker"]["pid"].as_i64() else { return false };
        // It may have gone in this moment.
        if kill(Pid::from_raw(i32::try_from(pid).unwrap()), Signal::SIGKILL).is_err() {
            return false;
        }
        let now = Instant::now();
        let (times, last) = self.struck.entry(tenant.id.clone()).or_insert((0, now));
        *times = if last.elapsed() > LET_ALONE { 1 } else { *times + 1 };
        *last = now;
        true
    }
}

/// Chance that is the same for the same seed: numbers as `SplitMix64` makes them.
struct Chance(u64);

impl Chance {
    fn below(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % below
    }
}

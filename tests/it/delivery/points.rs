//! Kills at each step between an event's arrival and its reply: a tracer kills the worker, or the
//! supervisor, as it enters a system call that writes, makes durable or sends, the first, the second and
//! so on. Whatever step it was, the event is dealt with once.
//!
//! The short form takes some of the steps, `POINTS=all` takes all.

mod tracer;

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;
use tests::{Builder, Farm, Gateway, Provider, is_alive};

use super::Victim;
use super::storm::receiver::Receiver;
use super::storm::sender::{Sender, Sent};
use super::storm::{announce, check, random};
use tracer::{Tracer, most};

/// The ways in: see [`Sender::by`].
const WAYS: [(u64, &str); 3] = [(0, "hook"), (1, "job"), (2, "chat")];

/// Steps of each way at which the short form kills. What a process does is not the same each time, so that
/// some are never reached.
const SOME: usize = 3;

/// How long after the last thing that happened a process has nothing more to do.
const QUIET: Duration = Duration::from_millis(500);

/// How long an event may take that nobody kills.
const PATIENCE: Duration = Duration::from_secs(20);

struct House {
    gateway: Gateway,
    sender: Arc<Sender>,
    is_up: Arc<AtomicBool>,
    provider: Provider,
    receiver: Receiver,
    sent: Vec<Sent>,
    events: u64,
}

impl House {
    async fn new(farm: &Farm) -> Self {
        let (provider, receiver) = (Provider::start().await, Receiver::start(farm.open()).await);
        let egress = json!({"egress": farm.config(&[format!("POST {}", receiver.url)])});
        let config = provider.config_with(egress);
        let builder = Builder::default().config(config).listen(Ipv4Addr::new(127, 0, 0, 3));
        let gateway = builder.start();
        announce(&gateway);
        // The gateway looks at its workers now and then, and a tracer is what it looks for.
        for text in ["confinement differs", "worker stopped, for it differs"] {
            gateway.announce(text);
        }
        let is_up = Arc::new(AtomicBool::new(true));
        let tenant = gateway.tenant("acme");
        let sender = Sender::new(&gateway, tenant, &receiver.url, &is_up).await;
        let sender = Arc::new(sender);
        Self { gateway, sender, is_up, provider, receiver, sent: Vec::new(), events: 0 }
    }

    /// Has one event dealt with while a process of this kind is traced. True where it was killed; with
    /// what it did.
    async fn one(
        &mut self,
        victim: Victim,
        way: u64,
        inject: Option<(&str, usize)>,
    ) -> (bool, Vec<String>) {
        // A worker is there, and what it does when it starts is done.
        let worker = self.gateway.worker_pid(&self.sender.tenant);
        let pid = match victim {
            Victim::Worker => worker,
            Victim::Supervisor => self.gateway.supervisor_pid(),
        };
        let tracer = tokio::task::block_in_place(|| Tracer::attach(pid, inject));
        self.events += 1;
        let (sender, n) = (Arc::clone(&self.sender), self.events);
        let sending = tokio::spawn(async move { sender.by(way, n).await });
        let is_killed = self.watch(pid, || sending.is_finished()).await;
        let lines = tokio::task::block_in_place(|| tracer.end());
        if is_killed && victim == Victim::Supervisor {
            self.is_up.store(false, Ordering::Release);
            tokio::task::block_in_place(|| self.gateway.gone_and_restart());
            self.is_up.store(true, Ordering::Release);
        }
        self.sent.push(sending.await.unwrap());
        (is_killed, lines)
    }

    /// Waits until the process is killed, or nothing happens any more.
    async fn watch(&self, pid: i32, is_sent: impl Fn() -> bool) -> bool {
        let (began, mut changed) = (Instant::now(), Instant::now());
        let mut seen = (self.provider.requests(), self.receiver.counts(), is_sent());
        let first = seen.0;
        while is_alive(pid) {
            let now = (self.provider.requests(), self.receiver.counts(), is_sent());
            if now != seen {
                (seen, changed) = (now, Instant::now());
            }
            if seen.0 > first && seen.2 && changed.elapsed() > QUIET {
                return false;
            }
            assert!(began.elapsed() < PATIENCE, "nothing comes of an event that nobody cuts off");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        true
    }

    async fn check(&mut self) {
        let sent = [std::mem::take(&mut self.sent)];
        let tally = check::tenant(&self.gateway, &self.sender, &self.receiver, &sent).await;
        assert_eq!(tally.given_up, 0, "one kill is nothing to give up for");
    }
}

async fn at_each_step_of(victim: Victim) {
    let is_all = std::env::var("POINTS").is_ok_and(|points| points == "all");
    let farm = Farm::start().await;
    let mut house = House::new(&farm).await;
    let (mut tried, mut reached) = (0, 0);
    for (way, name) in WAYS {
        // What is done the first time alone, as folders are made, is not of the event.
        house.one(victim, way, None).await;
        let (_, lines) = house.one(victim, way, None).await;
        house.check().await;
        let mut steps: Vec<_> = most(&lines)
            .into_iter()
            .flat_map(|(call, count)| (1..=count).map(move |nth| (call, nth)))
            .collect();
        assert!(steps.len() >= SOME, "{lines:#?}");
        let mut left = if is_all { usize::MAX } else { SOME };
        while left > 0 && !steps.is_empty() {
            let drawn = random(u64::try_from(steps.len()).unwrap());
            let (call, nth) = steps.swap_remove(usize::try_from(drawn).unwrap());
            let (is_killed, lines) = house.one(victim, way, Some((call, nth))).await;
            house.check().await;
            let last = lines.iter().rev().find(|line| line.contains(call));
            let last = last.map_or("", |line| line);
            println!("{name}, {victim:?}, {call} {nth}: {is_killed} {last}");
            tried += 1;
            reached += usize::from(is_killed);
            left -= usize::from(is_killed);
            if victim == Victim::Worker && is_killed {
                // It is forgiven, so that the next one does not wait for the end of a back-off.
                house.gateway.json(&["tenants", "restart", "acme"]);
            }
        }
        assert!(is_all || left == 0, "{name}: too few steps were reached");
    }
    println!("{victim:?}: killed at {reached} of {tried} steps");
    assert!(
        !is_all || reached * 3 >= tried * 2,
        "too few steps were reached: {reached} of {tried}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn at_whatever_step_the_worker_is_killed_the_event_is_dealt_with_once() {
    at_each_step_of(Victim::Worker).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn at_whatever_step_the_supervisor_is_killed_the_event_is_dealt_with_once() {
    at_each_step_of(Victim::Supervisor).await;
}

//! Kills at each step between an event's arrival and its reply: a tracer kills the worker, or the
//! supervisor, as it enters a system call that writes, makes durable or sends, the first, the second and
//! so on; or has its files refuse all such calls from that one on, as those of a disk do that is full or
//! has turned read-only. Whatever step it was, the event is dealt with once.
//!
//! The short form takes some of the steps, `POINTS=all` takes all.

pub(crate) mod tracer;

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
use tracer::{Fault, Step, Tracer, file_of, most};

/// The ways in: see [`Sender::by`].
const WAYS: [(u64, &str); 3] = [(0, "hook"), (1, "job"), (2, "chat")];

/// Steps of each way at which the short form kills. What a process does is not the same each time, so that
/// some are never reached.
const SOME: usize = 3;

/// How long after the last thing that happened a process has nothing more to do.
const QUIET: Duration = Duration::from_millis(500);

/// How long an event may take that nobody kills.
const PATIENCE: Duration = Duration::from_secs(20);

/// How long a process lives with files that refuse it.
const REFUSED: Duration = Duration::from_secs(2);

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

    /// Has one event dealt with while a process of this kind is traced. True where that step was reached;
    /// with what it did.
    async fn one(&mut self, victim: Victim, way: u64, step: Option<&Step>) -> (bool, Vec<String>) {
        // A worker is there, and what it does when it starts is done.
        let worker = self.gateway.worker_pid(&self.sender.tenant);
        let pid = match victim {
            Victim::Worker => worker,
            Victim::Supervisor => self.gateway.supervisor_pid(),
        };
        let tracer = tokio::task::block_in_place(|| Tracer::attach(pid, step));
        self.events += 1;
        let (sender, n) = (Arc::clone(&self.sender), self.events);
        let sending = tokio::spawn(async move { sender.by(way, n).await });
        let goes_on = step.is_some_and(|step| step.fault != Fault::Killed);
        let is_killed = self.watch(pid, goes_on, || sending.is_finished()).await;
        let lines = tokio::task::block_in_place(|| tracer.end());
        let is_refused = lines.iter().any(|line| line.contains("(INJECTED)"));
        if victim == Victim::Supervisor && (is_killed || is_refused) {
            self.is_up.store(false, Ordering::Release);
            tokio::task::block_in_place(|| self.start_again(is_killed));
            self.is_up.store(true, Ordering::Release);
        }
        self.sent.push(sending.await.unwrap());
        (is_killed || is_refused, lines)
    }

    fn start_again(&mut self, is_killed: bool) {
        if is_killed {
            self.gateway.gone_and_restart();
        } else {
            self.gateway.stop();
            self.gateway.restart();
        }
    }

    /// Waits until the process is killed, or nothing happens any more; or for a while, where it `goes_on` with
    /// what befalls it.
    async fn watch(&self, pid: i32, goes_on: bool, is_sent: impl Fn() -> bool) -> bool {
        let (began, mut changed) = (Instant::now(), Instant::now());
        let mut seen = (self.provider.requests(), self.receiver.counts(), is_sent());
        let first = seen.0;
        while is_alive(pid) {
            let now = (self.provider.requests(), self.receiver.counts(), is_sent());
            if now != seen {
                (seen, changed) = (now, Instant::now());
            }
            let is_done = seen.0 > first && seen.2 && changed.elapsed() > QUIET;
            if is_done || (goes_on && began.elapsed() > REFUSED) {
                return false;
            }
            assert!(began.elapsed() < PATIENCE, "nothing comes of an event that nobody cuts off");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        true
    }

    async fn check(&mut self, has_refused: bool) {
        let sent = [std::mem::take(&mut self.sent)];
        let receiver = (&self.receiver, has_refused);
        let tally = check::tenant(&self.gateway, &self.sender, receiver, &sent).await;
        assert!(tally.given_up == 0 || has_refused, "one kill is nothing to give up for");
    }
}

/// The steps that the process took.
pub(crate) fn steps(lines: &[String], fault: Fault) -> Vec<Step> {
    let mut files: Vec<_> =
        lines.iter().filter_map(|line| file_of(line)).map(str::to_owned).collect();
    files.sort_unstable();
    files.dedup();
    if fault == Fault::Killed {
        files.clear();
    }
    let counts = |line: &&String| fault == Fault::Killed || file_of(line).is_some();
    most(&lines.iter().filter(counts).collect::<Vec<_>>())
        .into_iter()
        .flat_map(|(call, count)| (1..=count).map(move |nth| (call, nth)))
        .map(|(call, nth)| Step { call, nth, fault, files: files.clone() })
        .collect()
}

async fn at_each_step_of(victim: Victim, fault: Fault) {
    let is_all = std::env::var("POINTS").is_ok_and(|points| points == "all");
    let farm = Farm::start().await;
    let mut house = House::new(&farm).await;
    if fault != Fault::Killed {
        // Whatever cannot be written is told of, by whoever it concerns.
        house.gateway.announce("");
    }
    let (mut tried, mut reached) = (0, 0);
    for (way, name) in WAYS {
        // What is done the first time alone, as folders are made, is not of the event.
        house.one(victim, way, None).await;
        let (_, lines) = house.one(victim, way, None).await;
        house.check(false).await;
        let mut steps = steps(&lines, fault);
        assert!(steps.len() >= SOME, "{lines:#?}");
        let mut left = if is_all { usize::MAX } else { SOME };
        while left > 0 && !steps.is_empty() {
            let drawn = random(u64::try_from(steps.len()).unwrap());
            let step = steps.swap_remove(usize::try_from(drawn).unwrap());
            let (is_reached, lines) = house.one(victim, way, Some(&step)).await;
            house.check(fault != Fault::Killed).await;
            let last = lines.iter().rev().find(|line| line.contains(step.call));
            let last = last.map_or("", |line| line);
            println!(
                "{name}, {victim:?}, {fault:?}, {} {}: {is_reached} {last}",
                step.call, step.nth
            );
            tried += 1;
            reached += usize::from(is_reached);
            left -= usize::from(is_reached);
            if victim == Victim::Worker && is_reached {
                // It is forgiven, so that the next one does not wait for the end of a back-off.
                house.gateway.json(&["tenants", "restart", "acme"]);
            }
        }
        assert!(is_all || left == 0, "{name}: too few steps were reached");
    }
    println!("{victim:?}: {fault:?} at {reached} of {tried} steps");
    assert!(
        !is_all || reached * 3 >= tried * 2,
        "too few steps were reached: {reached} of {tried}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn at_whatever_step_the_worker_is_killed_the_event_is_dealt_with_once() {
    at_each_step_of(Victim::Worker, Fault::Killed).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn at_whatever_step_the_supervisor_is_killed_the_event_is_dealt_with_once() {
    at_each_step_of(Victim::Supervisor, Fault::Killed).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn at_whatever_step_the_workers_disk_is_full_the_event_is_dealt_with_once() {
    at_each_step_of(Victim::Worker, Fault::Refused("ENOSPC")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn at_whatever_step_the_workers_disk_is_read_only_the_event_is_dealt_with_once() {
    at_each_step_of(Victim::Worker, Fault::Refused("EROFS")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn at_whatever_step_the_supervisors_disk_is_full_the_event_is_dealt_with_once() {
    at_each_step_of(Victim::Supervisor, Fault::Refused("ENOSPC")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn at_whatever_step_the_supervisors_disk_is_read_only_the_event_is_dealt_with_once() {
    at_each_step_of(Victim::Supervisor, Fault::Refused("EROFS")).await;
}

//! The inbox over a store that stops at any of its commits, as a crash has it: each event that was
//! acknowledged is dealt with, and none twice.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use records::store::Store as _;

use super::*;
use crate::testing::House;

mod bounds;
mod ends;

/// The inbox of the next run of the gateway.
async fn start(house: &House) -> Inbox {
    let inbox = Inbox::new(house.tenant.clone(), house.shared());
    for (_, row) in house.records.shelf_rows::<InboxRow>(SHELF).await.unwrap() {
        inbox.restore(row);
    }
    inbox
}

fn new<'a>(lane: &'a str, event: &'a str) -> New<'a> {
    let content = Bytes::from(event.to_owned());
    New { source: "test", account: "a", lane, event, content, is_acknowledged: false }
}

/// What was handed to workers: how often each event, in which order at first, and of which it is known
/// that they are dealt with.
#[derive(Debug, Default)]
struct Done(BTreeMap<String, usize>, Vec<String>, BTreeSet<String>);

impl Done {
    /// A worker is told where it may know an event, and is not asked for what it has dealt with.
    fn hand(&mut self, job: &Job, content: &Bytes) -> String {
        let event = String::from_utf8(content.to_vec()).unwrap();
        assert!(!self.2.contains(&event), "{event} is handed over after it was dealt with");
        let times = self.0.entry(event.clone()).or_default();
        assert!(*times == 0 || job.is_again, "{event} is handed over again as if it were new");
        *times += 1;
        if *times == 1 {
            self.1.push(event.clone());
        }
        event
    }

    fn times(&self, event: &str) -> usize {
        self.0.get(event).copied().unwrap_or_default()
    }
}

/// Hands over whatever has its turn, until nothing has or the store stops.
async fn drive(inbox: &Inbox, done: &mut Done) -> Result<(), Error> {
    loop {
        let jobs = inbox.begin().await?;
        if jobs.is_empty() {
            return inbox.tidy().await;
        }
        for mut job in jobs {
            let content = inbox.claim(&mut job, 7).await?.unwrap();
            let event = done.hand(&job, &content);
            assert!(inbox.given(&job, 7, Bytes::from("ok")));
            inbox.settled(&job.event_id, false, "").await?;
            done.2.insert(event);
        }
    }
}

/// Sends every event as a network does: again, until it is acknowledged.
async fn send(inbox: &Inbox, events: &[(&str, &str)], acknowledged: &mut Vec<String>) -> bool {
    for (lane, event) in events.iter().filter(|it| it.1 != "never") {
        if acknowledged.iter().any(|known| known == event) {
            continue;
        }
        if inbox.accept(new(lane, event)).await.is_err() {
            return false;
        }
        acknowledged.push((*event).to_owned());
    }
    true
}

async fn crash_at(commits: usize, last_counts: bool) -> bool {
    let events = [("x", "1"), ("x", "2"), ("y", "3"), ("x", "4")];
    let house = House::new(last_counts).await;
    house.stop_after(commits);
    let (mut done, mut acknowledged) = (Done::default(), Vec::new());
    let inbox = start(&house).await;
    let whole = send(&inbox, &events, &mut acknowledged).await
        && drive(&inbox, &mut done).await.is_ok()
        && !house.store.is_over();
    drop(inbox);
    house.stop_after(usize::MAX);
    let before = done.0.clone();
    let inbox = start(&house).await;
    drive(&inbox, &mut done).await.unwrap();
    // The one that was at a worker may have to be handed over a second time; all others are not.
    let repeated = before.keys().filter(|it| done.times(it) > 1).count();
    assert!(repeated <= 1, "a crash at {commits}: {done:?}");
    for event in &acknowledged {
        let least = done.times(event) >= 1;
        assert!(least, "{event} was acknowledged, then a crash at {commits}: {done:?}");
    }
    // Whoever has no answer sends again, also who has one and has forgotten it.
    acknowledged.clear();
    assert!(send(&inbox, &events, &mut acknowledged).await);
    drive(&inbox, &mut done).await.unwrap();
    for (_, event) in events {
        let most = 1 + usize::from(before.contains_key(event));
        let times = done.times(event);
        assert!((1..=most).contains(&times), "a crash at {commits}: {event} in {done:?}");
        assert!(!whole || times == 1, "without a crash: {event} in {done:?}");
    }
    let lane: Vec<_> = done.1.iter().filter(|it| *it != "3").cloned().collect();
    assert_eq!(lane, ["1", "2", "4"], "a crash at {commits}");
    assert!(inbox.list().await.unwrap().is_empty());
    whole
}

#[tokio::test(start_paused = true)]
async fn a_crash_at_any_commit_loses_nothing_and_repeats_nothing() {
    for last_counts in [false, true] {
        let mut commits = 1;
        while !crash_at(commits, last_counts).await {
            commits += 1;
            assert!(commits < 100);
        }
        assert!(commits > 8, "only {commits} commits");
    }
}

#[tokio::test(start_paused = true)]
async fn a_lost_worker_is_no_end_and_too_many_are() {
    let house = House::new(false).await;
    let inbox = start(&house).await;
    inbox.accept(new("x", "1")).await.unwrap();
    inbox.accept(new("x", "2")).await.unwrap();
    inbox.accept(new("y", "3")).await.unwrap();
    let mut handed = Vec::new();
    let mut over = Vec::new();
    for worker in 0..u64::from(MAX_ATTEMPTS) {
        tokio::time::advance(Duration::from_secs(400)).await;
        let jobs = inbox.begin().await.unwrap();
        for mut job in jobs {
            let content = inbox.claim(&mut job, worker).await.unwrap().unwrap();
            assert_eq!(job.is_again, worker > 0);
            handed.push(String::from_utf8(content.to_vec()).unwrap());
            if content == "1" {
                assert!(inbox.given(&job, worker, Bytes::new()));
            } else {
                inbox.failed(&job, Failure::Busy(Bytes::new(), "later".to_owned())).await.unwrap();
            }
        }
        over.extend(inbox.lost(worker));
    }
    assert_eq!(handed.iter().filter(|it| *it == "1").count(), 12);
    assert_eq!(over.len(), 1);
    inbox.give_up(over[0], "each time").await.unwrap();
    let listed = inbox.list().await.unwrap();
    let dead: Vec<_> = listed.iter().filter(|it| it.state == Standing::Dead).collect();
    assert_eq!((dead.len(), dead[0].event.as_str(), dead[0].why.as_str()), (1, "1", "each time"));
    // Neither a restart nor the event itself brings it back, but people do.
    let inbox = start(&house).await;
    let again = inbox.accept(new("x", "1")).await.unwrap();
    assert!(
        matches!(&again, Accepted::GivenUp { why, is_there: true } if why == "each time"),
        "{again:?}"
    );
    let id = event_of(&inbox, "1").await;
    inbox.retry(&id).await.unwrap();
    let mut done = Done::default();
    drive(&inbox, &mut done).await.unwrap();
    assert_eq!(done.times("1"), 1, "{done:?}");
}

#[tokio::test(start_paused = true)]
async fn what_comes_later_goes_to_no_new_worker_before_what_its_lost_worker_had() {
    let house = House::new(false).await;
    let inbox = start(&house).await;
    at_a_worker(&inbox).await;
    // The worker has ended, and the next one is there before anybody has noticed.
    inbox.accept(new("x", "2")).await.unwrap();
    inbox.accept(new("y", "3")).await.unwrap();
    let mut given = Vec::<Bytes>::new();
    for mut job in inbox.begin().await.unwrap() {
        given.extend(inbox.claim(&mut job, 2).await.unwrap());
    }
    assert_eq!(given, ["3"]);
    assert!(inbox.lost(1).is_empty());
    tokio::time::advance(Duration::from_secs(1)).await;
    let mut jobs = inbox.begin().await.unwrap();
    assert_eq!(inbox.claim(&mut jobs[0], 2).await.unwrap().unwrap(), "1");
    assert_eq!(jobs.len(), 1);
    assert!(inbox.given(&jobs[0], 2, Bytes::new()));
    // To the same worker it may go while that has the first one.
    let mut jobs = inbox.begin().await.unwrap();
    assert_eq!(inbox.claim(&mut jobs[0], 2).await.unwrap().unwrap(), "2");
    assert!(!jobs[0].is_again, "no worker had it before");
}

#[tokio::test(start_paused = true)]
async fn what_has_its_turn_when_a_worker_is_lost_goes_behind_what_that_had() {
    let house = House::new(false).await;
    let inbox = start(&house).await;
    at_a_worker(&inbox).await;
    inbox.accept(new("x", "2")).await.unwrap();
    let mut second = inbox.begin().await.unwrap().remove(0);
    // Its worker is on its way when it is noticed that the one before is gone.
    assert!(inbox.lost(1).is_empty());
    assert_eq!(inbox.claim(&mut second, 2).await.unwrap(), None);
    assert!(inbox.begin().await.unwrap().is_empty(), "the first one waits");
    tokio::time::advance(Duration::from_secs(1)).await;
    let mut given = Vec::<Bytes>::new();
    for _ in 0..2 {
        let mut jobs = inbox.begin().await.unwrap();
        assert_eq!(jobs.len(), 1);
        given.extend(inbox.claim(&mut jobs[0], 2).await.unwrap());
        assert_eq!(jobs[0].is_again, given.len() == 1, "only the first was at a worker");
        assert!(inbox.given(&jobs[0], 2, Bytes::new()));
    }
    assert_eq!(given, ["1", "2"]);
}

#[tokio::test(start_paused = true)]
async fn what_a_lost_worker_said_last_is_heard_while_the_next_one_comes() {
    let house = House::new(false).await;
    let inbox = start(&house).await;
    let job = at_a_worker(&inbox).await;
    assert!(inbox.lost(1).is_empty());
    tokio::time::advance(Duration::from_secs(1)).await;
    let mut again = inbox.begin().await.unwrap().remove(0);
    inbox.settled(&job.event_id, false, "").await.unwrap();
    assert_eq!(inbox.claim(&mut again, 2).await.unwrap(), None, "it is dealt with");
    assert!(inbox.list().await.unwrap().is_empty());
    assert!(matches!(inbox.accept(new("x", "1")).await.unwrap(), Accepted::Settled));
}

#[tokio::test(start_paused = true)]
async fn what_a_worker_took_before_its_end_was_noticed_is_not_left_with_it() {
    let house = House::new(false).await;
    let inbox = start(&house).await;
    inbox.accept(new("x", "1")).await.unwrap();
    let mut job = inbox.begin().await.unwrap().remove(0);
    inbox.claim(&mut job, 1).await.unwrap().unwrap();
    // It has answered and ended, and that it has ended is noticed first.
    assert!(inbox.lost(1).is_empty());
    assert!(!inbox.given(&job, 1, Bytes::new()), "nobody says again that it is lost");
    assert!(inbox.lost(1).is_empty());
    tokio::time::advance(Duration::from_secs(1)).await;
    let mut again = inbox.begin().await.unwrap().remove(0);
    // Workers have no order: their processes were made before anybody wanted one.
    assert_eq!(inbox.claim(&mut again, 0).await.unwrap().unwrap(), "1");
    assert!(again.is_again);
    assert!(inbox.given(&again, 0, Bytes::new()));
}

/// An event that the first worker has.
async fn at_a_worker(inbox: &Inbox) -> Job {
    inbox.accept(new("x", "1")).await.unwrap();
    let mut job = inbox.begin().await.unwrap().remove(0);
    inbox.claim(&mut job, 1).await.unwrap().unwrap();
    assert!(inbox.given(&job, 1, Bytes::new()));
    job
}

/// Hands an event to that worker, which takes it.
async fn give(inbox: &Inbox, job: &Job, worker: u64) {
    let mut job = job.clone();
    inbox.claim(&mut job, worker).await.unwrap().unwrap();
    assert!(inbox.given(&job, worker, Bytes::new()));
}

async fn event_of(inbox: &Inbox, event: &str) -> String {
    inbox.list().await.unwrap().into_iter().find(|it| it.event == event).unwrap().id
}

#[tokio::test(start_paused = true)]
async fn what_is_refused_at_once_leaves_nothing() {
    let house = House::new(false).await;
    let inbox = start(&house).await;
    let Accepted::New(mut waiter) = inbox.accept(new("x", "1")).await.unwrap() else {
        panic!("new");
    };
    let jobs = inbox.begin().await.unwrap();
    let refused = Failure::Refused(Bytes::from("no"), "no".to_owned());
    assert_eq!(inbox.failed(&jobs[0], refused).await.unwrap(), None);
    let told = waiter.wait_for(|it| *it != Progress::Pending).await.unwrap().clone();
    assert_eq!(told, Progress::Given(Bytes::from("no")));
    assert!(matches!(inbox.accept(new("x", "1")).await.unwrap(), Accepted::New(_)));
    let jobs = inbox.begin().await.unwrap();
    give(&inbox, &jobs[0], 1).await;
    inbox.lost(1);
    tokio::time::advance(Duration::from_secs(1)).await;
    // Who was told that it is kept is not told otherwise later: people see it.
    let jobs = inbox.begin().await.unwrap();
    let refused = Failure::Refused(Bytes::from("no"), "no".to_owned());
    assert_eq!(inbox.failed(&jobs[0], refused).await.unwrap().as_deref(), Some("no"));
    let id = event_of(&inbox, "1").await;
    inbox.discard(&id).await.unwrap();
    assert!(inbox.list().await.unwrap().is_empty());
    let again = inbox.accept(new("x", "1")).await.unwrap();
    assert!(matches!(again, Accepted::GivenUp { is_there: false, .. }), "{again:?}");
}

#[tokio::test(start_paused = true)]
async fn a_stuck_head_keeps_back_its_own_lane() {
    let house = House::new(false).await;
    let inbox = start(&house).await;
    for (lane, event) in [("x", "1"), ("x", "2"), ("y", "3")] {
        inbox.accept(new(lane, event)).await.unwrap();
    }
    let jobs = inbox.begin().await.unwrap();
    assert_eq!(jobs.len(), 2);
    assert!(inbox.begin().await.unwrap().is_empty());
    give(&inbox, &jobs[1], 1).await;
    assert!(inbox.begin().await.unwrap().is_empty(), "the head of x is being handed over");
    give(&inbox, &jobs[0], 1).await;
    assert_eq!(inbox.begin().await.unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn events_are_bounded_and_marks_outlive_a_clock_that_jumps() {
    let house = House::new(false).await;
    let inbox = start(&house).await;
    let mut done = Done::default();
    inbox.accept(new("x", "first")).await.unwrap();
    drive(&inbox, &mut done).await.unwrap();
    for step in [3_600_000, 40 * KEEP_MS] {
        house.clock.advance(step);
        inbox.accept(new("x", &step.to_string())).await.unwrap();
        drive(&inbox, &mut done).await.unwrap();
        assert!(matches!(inbox.accept(new("x", "first")).await.unwrap(), Accepted::Settled));
    }
    for n in 0..MAX_WAITING {
        inbox.accept(new("z", &format!("n{n}"))).await.unwrap();
    }
    let full = inbox.accept(new("z", "more")).await.unwrap_err();
    assert!(matches!(full, Error::Full { max: MAX_WAITING, .. }), "{full}");
    assert!(matches!(inbox.accept(new("z", "n0")).await.unwrap(), Accepted::Known(_)));
}

#[tokio::test]
async fn what_is_kept_is_sealed() {
    let house = House::new(false).await;
    let inbox = start(&house).await;
    inbox.accept(new("lane-of-ours", "words of ours")).await.unwrap();
    let (items, _) = house.store.range(b"inbox/", None, 100).await.unwrap();
    assert!(items.len() >= 3);
    for item in items {
        let shown = String::from_utf8_lossy(&item.value).into_owned();
        assert!(!shown.contains("of ours") && !shown.contains("lane-of-ours"), "{shown}");
    }
}

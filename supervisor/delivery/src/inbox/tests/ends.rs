//! How events end beside being dealt with: refused while somebody hears that they are kept, given up,
//! and gone.

use futures_util::FutureExt as _;

use super::*;

/// Hands over whatever has its turn, and has each refused for ever.
async fn refuse_all(inbox: &Inbox) {
    for job in inbox.begin().await.unwrap() {
        let refused = Failure::Refused(Bytes::new(), "no".to_owned());
        inbox.failed(&job, refused).await.unwrap();
    }
}

/// Events of which each was acknowledged and then given up.
pub(super) async fn give_up(inbox: &Inbox, events: impl IntoIterator<Item = New<'_>>) {
    for event in events {
        let id = crate::event_id(event.account, event.lane, event.event);
        inbox.accept(event).await.unwrap();
        assert!(inbox.acknowledge(&id));
        refuse_all(inbox).await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_being_removed_is_not_acknowledged() {
    let house = House::new(false).await;
    let inbox = start(&house).await;
    let Accepted::New(waiter) = inbox.accept(new("x", "1")).await.unwrap() else { panic!("new") };
    let id = event_of(&inbox, "1").await;
    let jobs = inbox.begin().await.unwrap();
    let held = house.store.held.lock().await;
    let failing = inbox.failed(&jobs[0], Failure::NoWorker("none".to_owned()));
    tokio::pin!(failing);
    assert!(failing.as_mut().now_or_never().is_none(), "the removal is being written");
    // The deadline of whoever brought it passes now.
    assert!(!inbox.acknowledge(&id), "told as kept, and then removed");
    drop(held);
    assert_eq!(failing.await.unwrap(), None);
    assert_eq!(*waiter.borrow(), Progress::Failed);
    assert!(inbox.list().await.unwrap().is_empty());
    // The other way round it stays.
    inbox.accept(new("x", "1")).await.unwrap();
    assert!(inbox.acknowledge(&id));
    let jobs = inbox.begin().await.unwrap();
    inbox.failed(&jobs[0], Failure::NoWorker("none".to_owned())).await.unwrap();
    assert_eq!(inbox.list().await.unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_is_said_to_be_kept_at_once_is_not_removed_whatever_becomes_of_it_first() {
    let none = || Failure::NoWorker("no room".to_owned());
    let busy = || Failure::Busy(Bytes::new(), "busy".to_owned());
    let refused = || Failure::Refused(Bytes::new(), "it cannot be read".to_owned());
    for (failure, state) in [(none(), "ready"), (busy(), "ready"), (refused(), "dead")] {
        let house = House::new(false).await;
        let inbox = start(&house).await;
        let event = New { is_acknowledged: true, ..new("x", "1") };
        inbox.accept(event).await.unwrap();
        let jobs = inbox.begin().await.unwrap();
        inbox.failed(&jobs[0], failure).await.unwrap();
        let left = inbox.list().await.unwrap();
        assert_eq!(left.len(), 1, "{state}");
        assert_eq!(left[0].state.name(), state);
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_waits_for_what_is_given_up_hears_so() {
    let house = House::new(false).await;
    let inbox = start(&house).await;
    let Accepted::New(mut waiter) = inbox.accept(new("x", "1")).await.unwrap() else {
        panic!("new");
    };
    let id = event_of(&inbox, "1").await;
    assert!(inbox.acknowledge(&id));
    refuse_all(&inbox).await;
    let told = waiter.wait_for(|it| *it != Progress::Pending).await.unwrap().clone();
    assert_eq!(told, Progress::GivenUp("no".to_owned()));
    for inbox in [&inbox, &start(&house).await] {
        inbox.tidy().await.unwrap();
        let again = inbox.accept(new("x", "1")).await.unwrap();
        assert!(matches!(&again, Accepted::GivenUp { why, is_there: true } if why == "no"));
        assert!(!inbox.acknowledge(&id));
    }
    inbox.retry(&id).await.unwrap();
    assert!(matches!(inbox.accept(new("x", "1")).await.unwrap(), Accepted::Known(_)));
}

#[tokio::test(start_paused = true)]
async fn records_that_fail_are_no_attempts() {
    let house = House::new(false).await;
    let inbox = start(&house).await;
    inbox.accept(new("x", "1")).await.unwrap();
    let jobs = inbox.begin().await.unwrap();
    inbox.failed(&jobs[0], Failure::Unknown("the first".to_owned())).await.unwrap();
    house.stop_after(0);
    for _ in 0..2 * MAX_ATTEMPTS {
        tokio::time::advance(Duration::from_secs(2)).await;
        let mut jobs = inbox.begin().await.unwrap();
        let job = jobs.first_mut().unwrap();
        let err = inbox.claim(job, 1).await.unwrap_err();
        assert!(matches!(err, Error::Records(_)), "{err}");
        inbox.failed(job, Failure::Records(err.to_string())).await.unwrap();
    }
    house.stop_after(usize::MAX);
    let listed = inbox.list().await.unwrap();
    assert_eq!((listed[0].state, listed[0].attempts), (Standing::Ready, 1), "{listed:?}");
    tokio::time::advance(Duration::from_secs(2)).await;
    let mut done = Done::default();
    drive(&inbox, &mut done).await.unwrap();
    assert_eq!(done.times("1"), 1);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_written_as_given_up_is_not() {
    let house = House::new(false).await;
    let inbox = start(&house).await;
    inbox.accept(new("x", "1")).await.unwrap();
    let id = event_of(&inbox, "1").await;
    assert!(inbox.acknowledge(&id));
    let jobs = inbox.begin().await.unwrap();
    house.stop_after(0);
    let refused = Failure::Refused(Bytes::new(), "no".to_owned());
    inbox.failed(&jobs[0], refused).await.unwrap_err();
    house.stop_after(usize::MAX);
    assert_eq!(inbox.list().await.unwrap()[0].state, Standing::Ready);
    tokio::time::advance(Duration::from_secs(2)).await;
    refuse_all(&inbox).await;
    assert_eq!(inbox.list().await.unwrap()[0].state, Standing::Dead);
    assert_eq!(
        house.records.shelf_rows::<InboxRow>(SHELF).await.unwrap()[0].1.dead_at,
        1_795_348_800_000
    );
}

#[tokio::test(start_paused = true)]
async fn what_goes_after_it_was_given_up_is_named_and_counted() {
    let house = House::new(false).await;
    let inbox = start(&house).await;
    let names: Vec<_> = (0..=MAX_DEAD).map(|n| format!("e{n}")).collect();
    give_up(&inbox, names.iter().map(|name| new(name, name))).await;
    assert!(inbox.is_untidy());
    let first = crate::event_id("a", "e0", "e0");
    let gone = inbox.evict().await.unwrap().unwrap();
    assert_eq!((&gone.id, gone.why.as_str()), (&first, "no"));
    assert_eq!(inbox.evict().await.unwrap(), None);
    assert!(!inbox.is_untidy());
    let evicted = &inbox.shared.totals().evicted;
    assert_eq!(evicted.load(std::sync::atomic::Ordering::Relaxed), 1);
    let again = inbox.accept(new("e0", "e0")).await.unwrap();
    assert!(matches!(again, Accepted::GivenUp { is_there: false, .. }), "{again:?}");
    // Neither a clock that jumps nor less than a month takes any away; a month does.
    house.clock.advance(2 * KEEP_DEAD_MS);
    tokio::time::advance(Duration::from_millis(KEEP_DEAD_MS - 1_000)).await;
    assert!(!inbox.is_untidy());
    tokio::time::advance(Duration::from_secs(2)).await;
    assert!(inbox.is_untidy());
    let mut left = MAX_DEAD;
    while let Some(gone) = inbox.evict().await.unwrap() {
        assert_eq!(gone.because, "it is too old");
        left -= 1;
    }
    assert_eq!(left, 0);
    assert!(inbox.list().await.unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn nothing_is_woken_for_what_waits_for_later() {
    let house = House::new(false).await;
    let inbox = start(&house).await;
    inbox.accept(new("x", "1")).await.unwrap();
    inbox.accept(new("x", "2")).await.unwrap();
    assert!(inbox.is_due());
    let jobs = inbox.begin().await.unwrap();
    assert!(!inbox.is_due(), "the head is being handed over");
    inbox.failed(&jobs[0], Failure::Unknown("?".to_owned())).await.unwrap();
    assert!(inbox.waits() && !inbox.is_due() && !inbox.is_untidy());
    tokio::time::advance(Duration::from_millis(100)).await;
    assert!(inbox.is_due());
    // That an event is dealt with is written without a worker.
    let jobs = inbox.begin().await.unwrap();
    house.stop_after(0);
    inbox.settled(&jobs[0].event_id, false, "").await.unwrap_err();
    house.stop_after(usize::MAX);
    let jobs = inbox.begin().await.unwrap();
    give(&inbox, &jobs[0], 1).await;
    assert!(inbox.is_untidy() && !inbox.is_due());
    inbox.tidy().await.unwrap();
    assert!(!inbox.is_untidy());
    // A restart: what is there is read without a worker, and is due only where it is not given up.
    let id = event_of(&inbox, "2").await;
    inbox.lost(1);
    inbox.settled(&id, false, "").await.unwrap();
    let seq = inbox.lock().of_key(&id).unwrap().row.seq;
    inbox.give_up(seq, "no").await.unwrap();
    let inbox = start(&house).await;
    assert!(inbox.is_untidy() && !inbox.is_due());
    inbox.tidy().await.unwrap();
    assert!(!inbox.is_untidy() && !inbox.is_due());
}

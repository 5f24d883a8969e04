//! What a few tenants take of the room of all, and one source of a tenant's turns.

use std::sync::atomic::Ordering;

use super::ends::give_up;
use super::*;
use crate::outbox::{Intent, Outbox};
use crate::{MAX_BYTES_OF_ALL, MAX_DEAD_BYTES_OF_ALL, MAX_WAITING_OF_ALL, SHARE};

#[tokio::test(start_paused = true)]
async fn a_tenant_has_its_share_whatever_others_have() {
    let house = House::new(false).await;
    let shared = house.shared();
    // As many as others may have together, by rows and by bytes.
    let totals = shared.totals();
    totals.waiting.store(MAX_WAITING_OF_ALL, Ordering::Relaxed);
    totals.bytes.store(MAX_BYTES_OF_ALL, Ordering::Relaxed);
    let inbox = Inbox::new(house.tenant.clone(), shared.clone());
    for n in 0..SHARE.rows {
        inbox.accept(new("x", &n.to_string())).await.unwrap();
    }
    let full = inbox.accept(new("x", "more")).await.unwrap_err();
    assert!(matches!(full, Error::Full { max: MAX_WAITING_OF_ALL, .. }), "{full}");
    let other = house.neighbour("other", 2).await;
    let inbox = Inbox::new(other.clone(), shared.clone());
    let large = |event| New { content: vec![7; SHARE.bytes / 2].into(), ..new("x", event) };
    inbox.accept(large("1")).await.unwrap();
    totals.waiting.store(0, Ordering::Relaxed);
    let full = inbox.accept(large("2")).await.unwrap_err();
    assert!(matches!(full, Error::Full { max: MAX_BYTES_OF_ALL, .. }), "{full}");
    // What workers send is held to the same bound, and has its share as well.
    let outbox = Outbox::new(other, shared.clone());
    let intent = |id: usize| Intent {
        id: id.to_string(),
        sink: "test".into(),
        place: String::new(),
        lane: String::new(),
        parts: vec![vec![b'x'; 100 << 10].into()],
        over: None,
    };
    outbox.submit(&intent(0)).await.unwrap();
    let mut full = None;
    for n in 1..10 {
        full = full.or(outbox.submit(&intent(n)).await.err());
    }
    assert!(matches!(full, Some(Error::Full { max: MAX_BYTES_OF_ALL, .. })), "{full:?}");
}

#[tokio::test(start_paused = true)]
async fn what_is_given_up_takes_no_room_of_what_waits() {
    let house = House::new(false).await;
    let inbox = start(&house).await;
    let names: Vec<_> = (0..5).map(|n| n.to_string()).collect();
    let large = |event| New { content: vec![7; 7 << 20].into(), ..new(event, event) };
    give_up(&inbox, names.iter().map(|name| large(name))).await;
    let totals = inbox.shared.totals();
    let read = || [&totals.waiting, &totals.bytes].map(|it| it.load(Ordering::Relaxed));
    assert_eq!(read(), [0, 0]);
    assert!(totals.dead_bytes.load(Ordering::Relaxed) > MAX_DEAD_BYTES);
    // The oldest goes where the tenant's own are too large, and no more than that.
    let gone = inbox.evict().await.unwrap().unwrap();
    assert_eq!(gone.id, crate::event_id("a", "0", "0"));
    assert_eq!(inbox.evict().await.unwrap(), None);
    // Where those of all are, each tenant keeps its share of them.
    give_up(&inbox, [new("last", "last")]).await;
    totals.dead_bytes.fetch_add(MAX_DEAD_BYTES_OF_ALL, Ordering::Relaxed);
    while inbox.evict().await.unwrap().is_some() {}
    let left: Vec<_> = inbox.list().await.unwrap().into_iter().map(|it| it.event).collect();
    assert_eq!(left, ["last"]);
    // Trying one again takes the room of what waits.
    inbox.retry(&event_of(&inbox, "last").await).await.unwrap();
    assert_eq!(read()[0], 1);
}

#[tokio::test(start_paused = true)]
async fn one_source_takes_no_turn_of_another() {
    let house = House::new(false).await;
    let inbox = start(&house).await;
    let hook = async |account, n: usize| {
        let name = format!("{account}{n}");
        inbox.accept(New { source: "hook", account, ..new(&name, &name) }).await.unwrap();
    };
    // One hook takes no turn of another of its tenant.
    for n in 0..=MAX_HANDING_OF_ONE {
        hook("hook:slow", n).await;
    }
    assert_eq!(inbox.begin().await.unwrap().len(), MAX_HANDING_OF_ONE);
    hook("hook:other", 0).await;
    assert_eq!(inbox.begin().await.unwrap().len(), 1);
    for n in 0..MAX_HANDING_OF_ONE {
        hook("hook:third", n).await;
    }
    let left = MAX_HANDING - MAX_HANDING_OF_ONE - 1;
    assert_eq!(inbox.begin().await.unwrap().len(), left);
    assert!(inbox.begin().await.unwrap().is_empty(), "no more hooks than at once");
    inbox.accept(new("x", "chat")).await.unwrap();
    let jobs = inbox.begin().await.unwrap();
    assert_eq!(
        jobs.iter().map(|it| &it.event_id).collect::<Vec<_>>(),
        [&crate::event_id("a", "x", "chat")]
    );
}

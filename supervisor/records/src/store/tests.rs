//! One suite over every implementation of the trait: what each promises, and a comparison of random
//! histories with a model that is too simple to be wrong.

mod model;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{FutureExt as _, StreamExt as _, future};
use types::ManualClock;

use super::*;
use crate::{MemoryStore, SledStore};

/// A store with the clock that it runs by, and the directory that it is in.
struct Subject {
    store: Box<dyn Store>,
    clock: Arc<ManualClock>,
    _dir: Option<tempfile::TempDir>,
}

fn memory() -> Subject {
    let clock = Arc::new(ManualClock::at(1000));
    let store = Box::new(MemoryStore::new(Arc::<ManualClock>::clone(&clock)));
    Subject { store, clock, _dir: None }
}

async fn sled() -> Subject {
    let clock = Arc::new(ManualClock::at(1000));
    let dir = tempfile::tempdir().unwrap();
    let store = SledStore::open(dir.path(), Arc::<ManualClock>::clone(&clock)).await.unwrap();
    Subject { store: Box::new(store), clock, _dir: Some(dir) }
}

/// Runs `check` over every implementation.
async fn check(check: impl AsyncFn(&dyn Store, &ManualClock)) {
    let memory = memory();
    check(&*memory.store, &memory.clock).await;
    let sled = sled().await;
    check(&*sled.store, &sled.clock).await;
}

fn b(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

fn put(key: &str, value: &str) -> Op {
    Op::put(b(key), b(value))
}

async fn done(store: &dyn Store, ops: Vec<Op>) -> Rev {
    match store.commit(Vec::new(), ops).await.unwrap() {
        Commit::Done(rev) => rev,
        Commit::Conflict(_) => panic!("a conflict without guards"),
    }
}

async fn keys(store: &dyn Store, prefix: &str, after: Option<&str>, limit: usize) -> Vec<String> {
    let after = after.map(str::as_bytes);
    let (items, _) = store.range(prefix.as_bytes(), after, limit).await.unwrap();
    items.into_iter().map(|item| String::from_utf8(item.key.into()).unwrap()).collect()
}

#[tokio::test]
async fn values_are_found_by_key_and_in_order() {
    check(async |store, _| {
        assert_eq!(store.get(b"a").await.unwrap(), None);
        let ops = ["b/2", "b/10", "a", "b", "c"].map(|key| put(key, key)).to_vec();
        let rev = done(store, ops).await;
        let item = Item { key: b("b/10"), value: b("b/10"), created: rev, modified: rev };
        assert_eq!(store.get(b"b/10").await.unwrap(), Some(item));
        assert_eq!(keys(store, "", None, 9).await, ["a", "b", "b/10", "b/2", "c"]);
        assert_eq!(keys(store, "b/", None, 9).await, ["b/10", "b/2"]);
        assert_eq!(keys(store, "b/", None, 1).await, ["b/10"]);
        assert_eq!(keys(store, "b/", Some("b/10"), 9).await, ["b/2"]);
        assert_eq!(keys(store, "b/", Some("a"), 9).await, ["b/10", "b/2"]);
        assert_eq!(keys(store, "b/", Some("c"), 9).await, [""; 0]);
        assert_eq!(keys(store, "b/", None, 0).await, [""; 0]);
        let next = done(store, vec![put("b/10", "new"), Op::DeletePrefix(b("b/2"))]).await;
        assert_eq!(next, rev + 1);
        let item = store.get(b"b/10").await.unwrap().unwrap();
        assert_eq!((item.created, item.modified, item.value), (rev, next, b("new")));
        assert_eq!(keys(store, "", None, 9).await, ["a", "b", "b/10", "c"]);
    })
    .await;
}

#[tokio::test]
async fn a_commit_happens_only_if_every_guard_holds() {
    check(async |store, _| {
        let rev = done(store, vec![put("a", "1")]).await;
        let next = done(store, vec![put("a", "2")]).await;
        let check = async |guards: Vec<Guard>, expected: Option<usize>| {
            let got = store.commit(guards.clone(), Vec::new()).await.unwrap();
            let expected = expected.map_or(Commit::Done(next), Commit::Conflict);
            assert_eq!(got, expected, "{guards:?}");
        };
        check(vec![], None).await;
        check(vec![Guard::Absent(b("b")), Guard::Created(b("a"), rev)], None).await;
        check(vec![Guard::Modified(b("a"), next)], None).await;
        check(vec![Guard::Absent(b("a"))], Some(0)).await;
        check(vec![Guard::Absent(b("b")), Guard::Modified(b("a"), rev)], Some(1)).await;
        check(vec![Guard::Created(b("a"), next)], Some(0)).await;
        check(vec![Guard::Created(b("b"), rev)], Some(0)).await;
        let guards = vec![Guard::Absent(b("a"))];
        let refused = store.commit(guards, vec![put("c", "1")]).await.unwrap();
        assert_eq!(refused, Commit::Conflict(0));
        assert_eq!(store.get(b"c").await.unwrap(), None);
        // A key that was deleted and made again is another one: an old owner's fence does not hold.
        done(store, vec![Op::Delete(b("a"))]).await;
        let again = done(store, vec![put("a", "3")]).await;
        let fence = store.commit(vec![Guard::Created(b("a"), rev)], Vec::new()).await.unwrap();
        assert_eq!(fence, Commit::Conflict(0));
        assert_eq!(store.get(b"a").await.unwrap().unwrap().created, again);
    })
    .await;
}

#[tokio::test]
async fn what_is_too_large_is_refused() {
    check(async |store, _| {
        let check = async |op: Op, ok: bool| {
            let got = store.commit(Vec::new(), vec![op]).await;
            let fits = !matches!(got, Err(Error::TooLarge { .. }));
            assert_eq!(fits, ok);
        };
        check(Op::put(b("k"), vec![7; MAX_VALUE]), true).await;
        check(Op::put(b("k"), vec![7; MAX_VALUE + 1]), false).await;
        check(Op::put(vec![b'k'; MAX_KEY], b("v")), true).await;
        check(Op::put(vec![b'k'; MAX_KEY + 1], b("v")), false).await;
        let many = vec![put("k", "v"); MAX_OPS + 1];
        store.commit(Vec::new(), many).await.unwrap_err();
        assert_eq!(store.get(b"k").await.unwrap().unwrap().value.len(), MAX_VALUE);
    })
    .await;
}

#[tokio::test]
async fn a_watch_sees_every_change_once_and_in_order() {
    check(async |store, _| {
        let first = done(store, vec![put("a/1", "1"), put("b", "1")]).await;
        let mut from_start = store.watch(b"a/", 0).await.unwrap();
        let mut from_now = store.watch(b"a/", first).await.unwrap();
        assert!(from_now.next().now_or_never().is_none());
        let next = done(store, vec![put("a/2", "2"), Op::Delete(b("a/1"))]).await;
        done(store, vec![Op::DeletePrefix(b("b")), Op::Delete(b("a/none"))]).await;
        let item = |key, rev| Item {
            key: b(key),
            value: b(key.strip_prefix("a/").unwrap()),
            created: rev,
            modified: rev,
        };
        let later = [Event::Put(item("a/2", next)), Event::Deleted { key: b("a/1"), at: next }];
        assert_eq!(from_start.next().await, Some(Event::Put(item("a/1", first))));
        for event in later {
            assert_eq!(from_start.next().await.as_ref(), Some(&event));
            assert_eq!(from_now.next().await, Some(event));
        }
        assert!(from_start.next().now_or_never().is_none());
    })
    .await;
}

#[tokio::test]
async fn a_watch_that_missed_changes_is_told_so() {
    check(async |store, _| {
        let mut slow = store.watch(b"", 0).await.unwrap();
        let commits = (0..1100).map(|_| done(store, vec![put("a", "1")]));
        let revs = future::join_all(commits).await;
        assert_eq!(slow.next().await, Some(Event::Compacted));
        assert_eq!(slow.next().await, None);
        let last = revs.iter().max().unwrap();
        let mut late = store.watch(b"", last - 1000).await.unwrap();
        let Some(Event::Put(item)) = late.next().await else { panic!("no change") };
        assert_eq!(item.modified, last - 999);
        // Large values are forgotten sooner: what is kept is bounded in bytes too.
        for _ in 0..100 {
            done(store, vec![Op::put(b("a"), vec![7; MAX_VALUE])]).await;
        }
        let mut late = store.watch(b"", *last).await.unwrap();
        assert_eq!(late.next().await, Some(Event::Compacted));
    })
    .await;
}

#[tokio::test]
async fn a_lease_takes_its_keys_along() {
    check(async |store, clock| {
        let leased = |key: &str, lease| Op::Put { key: b(key), value: b("v"), lease: Some(lease) };
        let short = store.lease(Duration::from_millis(100)).await.unwrap();
        let long = store.lease(Duration::from_millis(150)).await.unwrap();
        done(store, vec![leased("a", short), leased("b", short), leased("c", long)]).await;
        // Written again without a lease, or deleted and made again, a key stays.
        done(store, vec![put("b", "stays"), leased("d", long), Op::Delete(b("d"))]).await;
        let rev = done(store, vec![put("d", "stays")]).await;
        let mut changes = store.watch(b"", rev).await.unwrap();
        clock.advance(99);
        assert_eq!(keys(store, "", None, 9).await, ["a", "b", "c", "d"]);
        assert_eq!(store.keep_alive(long).await.unwrap(), Duration::from_millis(150));
        clock.advance(1);
        assert_eq!(keys(store, "", None, 9).await, ["b", "c", "d"]);
        assert_eq!(changes.next().await, Some(Event::Deleted { key: b("a"), at: rev + 1 }));
        store.keep_alive(short).await.unwrap_err();
        store.commit(Vec::new(), vec![leased("a", short)]).await.unwrap_err();
        store.revoke(long).await.unwrap();
        assert_eq!(keys(store, "", None, 9).await, ["b", "d"]);
        store.revoke(long).await.unwrap_err();
    })
    .await;
}

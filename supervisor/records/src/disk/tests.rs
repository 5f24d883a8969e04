//! What only a store on a disk can do wrong: reopening, damage, dumps, locks.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use futures_util::StreamExt as _;
use tempfile::tempdir;
use types::ManualClock;

use super::*;
use crate::store::{Commit, Event, Op, Rev, Store as _};

async fn open(dir: &Path) -> Result<SledStore, Error> {
    SledStore::open(dir, Arc::new(ManualClock::at(0))).await
}

async fn put(store: &SledStore, key: &str, value: &str) -> Rev {
    let op = Op::put(key.to_owned(), value.to_owned());
    match store.commit(Vec::new(), vec![op]).await.unwrap() {
        Commit::Done(rev) => rev,
        Commit::Conflict(_) => panic!("a conflict without guards"),
    }
}

async fn value(store: &SledStore, key: &str) -> Option<String> {
    let item = store.get(key.as_bytes()).await.unwrap()?;
    Some(String::from_utf8(item.value.into()).unwrap())
}

#[tokio::test]
async fn a_store_that_is_opened_again_is_as_it_was() {
    let dir = tempdir().unwrap();
    let store = open(dir.path()).await.unwrap();
    put(&store, "a", "1").await;
    let rev = put(&store, "a", "2").await;
    let lease = store.lease(Duration::from_mins(1)).await.unwrap();
    let leased = Op::Put { key: "l".into(), value: "1".into(), lease: Some(lease) };
    store.commit(Vec::new(), vec![leased]).await.unwrap();
    drop(store);
    let store = open(dir.path()).await.unwrap();
    let item = store.get(b"a").await.unwrap().unwrap();
    assert_eq!((item.created, item.modified), (rev - 1, rev));
    assert_eq!(value(&store, "l").await, None, "a lease of an earlier process has ended");
    assert_eq!(put(&store, "a", "3").await, rev + 3);
    let mut missed = store.watch(b"", rev).await.unwrap();
    assert_eq!(missed.next().await, Some(Event::Compacted));
    let mode = |path: &str| fs::metadata(dir.path().join(path)).unwrap().permissions().mode();
    assert_eq!(mode("dumps") & 0o777, 0o700);
}

#[tokio::test]
async fn a_watch_ends_with_its_store() {
    let dir = tempdir().unwrap();
    let store = open(dir.path()).await.unwrap();
    let mut watch = store.watch(b"", 0).await.unwrap();
    drop(store);
    assert_eq!(watch.next().await, None);
}

#[tokio::test]
async fn there_is_one_owner() {
    let dir = tempdir().unwrap();
    let store = open(dir.path()).await.unwrap();
    let second = open(dir.path()).await;
    assert!(matches!(second, Err(Error::Locked)), "{second:?}");
    put(&store, "a", "1").await;
}

/// Makes a store with two dumped values and one that came after the dump, and damages it.
async fn damaged(dir: &Path, damage: impl FnOnce(&Path)) {
    let store = open(dir).await.unwrap();
    put(&store, "a", "1").await;
    put(&store, "b/\u{1}\n", "\u{0}2\n").await;
    drop(store);
    damage(dir);
}

fn overwrite(dir: &Path, with: impl FnOnce(&mut Vec<u8>)) {
    let db = dir.join("sled/db");
    let mut bytes = fs::read(&db).unwrap();
    with(&mut bytes);
    fs::write(&db, bytes).unwrap();
}

#[tokio::test]
async fn a_damaged_database_is_rebuilt_from_the_newest_dump() {
    let check = async |name: &str, damage: fn(&Path)| {
        let dir = tempdir().unwrap();
        damaged(dir.path(), damage).await;
        let store = open(dir.path()).await.unwrap();
        assert_eq!(value(&store, "a").await.as_deref(), Some("1"), "{name}");
        assert_eq!(value(&store, "b/\u{1}\n").await.as_deref(), Some("\u{0}2\n"), "{name}");
        assert!(dir.path().join("damaged-1/db").exists(), "{name}");
        let rev = put(&store, "c", "3").await;
        assert!(rev > 1 << 32, "{name}: a revision may have come twice");
        drop(store);
        assert_eq!(value(&open(dir.path()).await.unwrap(), "c").await.as_deref(), Some("3"));
    };
    check("zeros", |dir| overwrite(dir, |bytes| bytes.fill(0))).await;
    check("noise", |dir| overwrite(dir, |bytes| bytes.iter_mut().for_each(|it| *it ^= 0x5a))).await;
    check("cut short", |dir| overwrite(dir, |bytes| bytes.truncate(100))).await;
    check("empty", |dir| overwrite(dir, Vec::clear)).await;
    check("the newest dump as well", |dir| {
        overwrite(dir, |bytes| bytes.fill(0));
        let dumps = dir.join("dumps");
        fs::copy(dumps.join(format!("{:020}.dump", 2)), dumps.join(format!("{:020}.dump", 9)))
            .unwrap();
    })
    .await;
}

#[tokio::test]
async fn half_made_snapshots_and_leftovers_do_no_harm() {
    let dir = tempdir().unwrap();
    damaged(dir.path(), |dir| {
        fs::write(dir.join("sled/snap.0000000000000FFF.generating"), b"half").unwrap();
        fs::create_dir(dir.join("sled.new")).unwrap();
        fs::write(dir.join("dumps/new"), b"half").unwrap();
    })
    .await;
    let store = open(dir.path()).await.unwrap();
    assert_eq!(value(&store, "a").await.as_deref(), Some("1"));
    assert!(!dir.path().join("damaged-1").exists());
}

#[tokio::test]
async fn a_lost_database_does_not_start_empty() {
    let dir = tempdir().unwrap();
    damaged(dir.path(), |dir| fs::remove_dir_all(dir.join("sled")).unwrap()).await;
    let store = open(dir.path()).await.unwrap();
    assert_eq!(value(&store, "a").await.as_deref(), Some("1"));
}

#[tokio::test]
async fn without_a_dump_damage_is_an_error() {
    let dir = tempdir().unwrap();
    damaged(dir.path(), |dir| {
        overwrite(dir, |bytes| bytes.fill(0));
        for dump in fs::read_dir(dir.join("dumps")).unwrap() {
            let path = dump.unwrap().path();
            let text = fs::read_to_string(&path).unwrap();
            fs::write(&path, text.replacen("sha256 ", "sha256 0", 1)).unwrap();
        }
    })
    .await;
    let opened = open(dir.path()).await;
    assert!(matches!(opened, Err(Error::Damaged { .. })), "{opened:?}");
    assert!(dir.path().join("sled/db").exists(), "nothing was moved or removed");
}

#[tokio::test]
async fn old_dumps_and_old_damage_are_not_kept_for_ever() {
    let dir = tempdir().unwrap();
    for round in 0..5 {
        let store = open(dir.path()).await.unwrap();
        put(&store, "a", &round.to_string()).await;
        drop(store);
        overwrite(dir.path(), |bytes| bytes.fill(0));
    }
    assert_eq!(value(&open(dir.path()).await.unwrap(), "a").await.as_deref(), Some("4"));
    assert_eq!(fs::read_dir(dir.path().join("dumps")).unwrap().count(), 3);
    let names = fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name());
    let damaged = names.filter(|name| name.to_str().unwrap().starts_with("damaged-"));
    assert_eq!(damaged.count(), 2);
}

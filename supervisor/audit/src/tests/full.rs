//! A disk without room: acts are refused, what has happened is kept, and it goes on by itself.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};

use super::*;
use crate::disk::{Disk, Files as OnDisk};

/// A disk that takes half of each write when it is full.
#[derive(Debug)]
struct Small {
    disk: OnDisk,
    full: Arc<AtomicBool>,
}

impl Disk for Small {
    fn append(&mut self, name: &str, lines: &[u8]) -> io::Result<()> {
        if self.full.load(Ordering::SeqCst) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.disk.append(name, lines)
    }

    fn put_head(&mut self, head: &[u8]) -> io::Result<()> {
        self.disk.put_head(head)
    }
}

fn audit(world: &World, full: &Arc<AtomicBool>, config: Config) -> Audit {
    let (dir, keys) = (world.trail(), world.dir.path().join("keys"));
    let key = SigningKey::load(&keys, &dir).unwrap();
    let start = start::recover(&dir, &key).unwrap();
    let disk = Small { disk: OnDisk::open(&dir).unwrap(), full: Arc::clone(full) };
    let metrics = Metrics::register(&mut Registry::default());
    let clock = Arc::<ManualClock>::clone(&world.clock);
    Audit::over(dir, key, start, Box::new(disk), (config, clock, metrics)).unwrap()
}

/// The same act until it is taken: the writer tries again every second.
async fn until_taken(audit: &Audit) -> Intent {
    loop {
        if let Ok(intent) = audit.intend(act("again")).await {
            return intent;
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn what_cannot_be_recorded_does_not_happen_until_there_is_room() {
    let (world, full) = (World::new(), Arc::new(AtomicBool::new(false)));
    let audit = audit(&world, &full, Config::default());
    let under_way = audit.intend(act("begun")).await.unwrap();
    full.store(true, Ordering::SeqCst);
    under_way.end(Ended::done()).await;
    let refused = audit.intend(act("refused")).await.unwrap_err();
    assert_eq!(refused, Unrecorded::Full);
    assert!(refused.to_string().contains("the disk is full"), "{refused}");
    assert_eq!(all(&audit).await.len(), 1);
    full.store(false, Ordering::SeqCst);
    until_taken(&audit).await.end(Ended::done()).await;
    audit.close().await;
    let records = all(&audit).await;
    let acts: Vec<_> = records.iter().map(|it| it.act.as_str()).collect();
    assert_eq!(acts, ["begun", trail::GAP, "begun", "again", "again", trail::CHECKPOINT]);
    assert!(records[1].count.unwrap() >= 1);
    assert!(world.verify().is_fine());
}

#[tokio::test]
async fn an_operator_who_wants_so_goes_on_without_records_and_is_told() {
    let (world, full) = (World::new(), Arc::new(AtomicBool::new(true)));
    let audit = audit(&world, &full, Config { fail_closed: false });
    for _ in 0..3 {
        audit.intend(act("unseen")).await.unwrap().end(Ended::done()).await;
    }
    full.store(false, Ordering::SeqCst);
    audit.close().await;
    let records = all(&audit).await;
    assert_eq!((records[0].act.as_str(), records[0].count), (trail::GAP, Some(3)));
    assert!(world.verify().is_fine());
}

//! Random histories, compared step by step with maps and a list of everything that ever happened.

use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

#[derive(Debug, Clone)]
enum Step {
    Commit { guards: Vec<(usize, Held)>, ops: Vec<Change> },
    Get(usize),
    Range { prefix: usize, after: Option<usize>, limit: usize },
    Lease(u64),
    KeepAlive(usize),
    Revoke(usize),
    Advance(u64),
}

#[derive(Debug, Clone)]
enum Held {
    Absent,
    Modified { stale: bool },
    Created { stale: bool },
}

#[derive(Debug, Clone)]
enum Change {
    Put { key: usize, value: u8, lease: Option<usize> },
    Delete(usize),
    DeletePrefix(usize),
}

const KEYS: [&str; 6] = ["a", "ab", "b/1", "b/2", "b/\u{ff}", "c"];
const PREFIXES: [&str; 5] = ["a", "ab", "b/", "", "d"];

#[derive(Debug, Clone)]
struct Row {
    item: Item,
    lease: Option<usize>,
}

#[derive(Debug, Default)]
struct Model {
    rows: BTreeMap<Bytes, Row>,
    rev: Rev,
    now: u64,
    /// The store's id, time to live and end of each lease ever made; no end once it has ended.
    leases: Vec<(LeaseId, u64, Option<u64>)>,
    events: Vec<(Rev, Event)>,
}

impl Model {
    fn expire(&mut self) {
        let now = self.now;
        let over = |end: Option<u64>| end.filter(|end| *end <= now);
        let mut due: Vec<_> = (0..self.leases.len())
            .filter_map(|lease| over(self.leases[lease].2).map(|end| (end, lease)))
            .collect();
        due.sort_unstable();
        for (_, lease) in due {
            self.end(lease);
        }
    }

    fn end(&mut self, lease: usize) {
        self.leases[lease].2 = None;
        let of_lease = self.rows.iter().filter(|(_, row)| row.lease == Some(lease));
        let keys: Vec<_> = of_lease.map(|(key, _)| key.clone()).collect();
        if !keys.is_empty() {
            self.rev += 1;
            for key in &keys {
                self.delete(key);
            }
        }
    }

    fn delete(&mut self, key: &Bytes) {
        if self.rows.remove(key).is_some() {
            self.events.push((self.rev, Event::Deleted { key: key.clone(), at: self.rev }));
        }
    }

    fn change(&mut self, change: &Change) {
        match change {
            Change::Put { key, value, lease } => {
                let key = b(KEYS[*key]);
                let created = self.rows.get(&key).map_or(self.rev, |row| row.item.created);
                let value = Bytes::from(vec![*value]);
                let item = Item { key: key.clone(), value, created, modified: self.rev };
                self.events.push((self.rev, Event::Put(item.clone())));
                self.rows.insert(key, Row { item, lease: *lease });
            }
            Change::Delete(key) => self.delete(&b(KEYS[*key])),
            Change::DeletePrefix(prefix) => {
                let prefix = PREFIXES[*prefix].as_bytes();
                let keys: Vec<_> =
                    self.rows.keys().filter(|key| key.starts_with(prefix)).cloned().collect();
                for key in &keys {
                    self.delete(key);
                }
            }
        }
    }

    fn guard(&self, key: usize, held: &Held) -> Guard {
        let key = b(KEYS[key]);
        let row = self.rows.get(&key);
        let rev = |rev: Option<Rev>, stale: bool| rev.unwrap_or(1) - Rev::from(stale);
        match held {
            Held::Absent => Guard::Absent(key),
            Held::Modified { stale } => {
                let rev = rev(row.map(|row| row.item.modified), *stale);
                Guard::Modified(key, rev)
            }
            Held::Created { stale } => {
                let rev = rev(row.map(|row| row.item.created), *stale);
                Guard::Created(key, rev)
            }
        }
    }

    async fn commit(&mut self, store: &dyn Store, guards: &[(usize, Held)], ops: &[Change]) {
        let guards: Vec<_> = guards.iter().map(|(key, held)| self.guard(*key, held)).collect();
        let item = |key: &Bytes| self.rows.get(key).map(|row| &row.item);
        let conflict = guards.iter().position(|guard| !guard.holds(item(guard.key())));
        let known = self.leases.len();
        // A lease that was never made cannot be named; one that has ended can.
        let ops: Vec<_> = ops
            .iter()
            .filter(|op| !matches!(op, Change::Put { lease: Some(it), .. } if *it >= known))
            .collect();
        let ended = ops.iter().any(
            |op| matches!(op, Change::Put { lease: Some(it), .. } if self.leases[*it].2.is_none()),
        );
        let got = store.commit(guards, ops.iter().map(|op| self.op(op)).collect()).await;
        if let Some(index) = conflict {
            assert_eq!(got.unwrap(), Commit::Conflict(index));
        } else if ended {
            assert!(matches!(got, Err(Error::NoLease)));
        } else {
            if !ops.is_empty() {
                self.rev += 1;
                for op in ops {
                    self.change(op);
                }
            }
            assert_eq!(got.unwrap(), Commit::Done(self.rev));
        }
    }

    fn op(&self, change: &Change) -> Op {
        match change {
            Change::Put { key, value, lease } => Op::Put {
                key: b(KEYS[*key]),
                value: Bytes::from(vec![*value]),
                lease: lease.map(|lease| self.leases[lease].0),
            },
            Change::Delete(key) => Op::Delete(b(KEYS[*key])),
            Change::DeletePrefix(prefix) => Op::DeletePrefix(b(PREFIXES[*prefix])),
        }
    }

    async fn step(&mut self, store: &dyn Store, clock: &ManualClock, step: &Step) {
        self.expire();
        match step {
            Step::Commit { guards, ops } => self.commit(store, guards, ops).await,
            Step::Get(key) => {
                let row = self.rows.get(KEYS[*key].as_bytes());
                let got = store.get(KEYS[*key].as_bytes()).await.unwrap();
                assert_eq!(got, row.map(|row| row.item.clone()));
            }
            Step::Range { prefix, after, limit } => {
                let prefix = PREFIXES[*prefix].as_bytes();
                let after = after.map(|key| KEYS[key].as_bytes());
                let rows = self.rows.values().map(|row| row.item.clone());
                let mine = rows.filter(|item| {
                    item.key.starts_with(prefix) && after.is_none_or(|after| &*item.key > after)
                });
                let got = store.range(prefix, after, *limit).await.unwrap();
                assert_eq!(got, (mine.take(*limit).collect(), self.rev));
            }
            Step::Lease(ttl) => {
                let id = store.lease(Duration::from_millis(*ttl)).await.unwrap();
                self.leases.push((id, *ttl, Some(self.now + ttl)));
            }
            Step::KeepAlive(lease) => self.keep_alive(store, *lease).await,
            Step::Revoke(lease) => self.revoke(store, *lease).await,
            Step::Advance(millis) => {
                self.now += millis;
                clock.advance(*millis);
            }
        }
    }

    async fn keep_alive(&mut self, store: &dyn Store, lease: usize) {
        let Some((id, ttl, end)) = self.leases.get_mut(lease) else { return };
        let got = store.keep_alive(*id).await;
        assert_eq!(got.ok(), end.map(|_| Duration::from_millis(*ttl)));
        *end = end.map(|_| self.now + *ttl);
    }

    async fn revoke(&mut self, store: &dyn Store, lease: usize) {
        let Some((id, _, end)) = self.leases.get(lease).copied() else { return };
        assert_eq!(store.revoke(id).await.is_ok(), end.is_some());
        if end.is_some() {
            self.end(lease);
        }
    }

    /// What a watch of `prefix` after `rev` must have seen by now.
    async fn watched(&mut self, store: &dyn Store, prefix: &str, after: Rev) {
        self.expire();
        let key = |event: &Event| match event {
            Event::Put(item) => item.key.clone(),
            Event::Deleted { key, .. } => key.clone(),
            Event::Compacted => Bytes::new(),
        };
        let expected: Vec<_> = self
            .events
            .iter()
            .filter(|(rev, event)| *rev > after && key(event).starts_with(prefix.as_bytes()))
            .map(|(_, event)| event.clone())
            .collect();
        let watch = store.watch(prefix.as_bytes(), after).await.unwrap();
        let got: Vec<_> = watch.take(expected.len()).collect().await;
        assert_eq!(got, expected);
    }
}

fn step() -> impl Strategy<Value = Step> {
    let key = 0..KEYS.len();
    let held = prop_oneof![
        Just(Held::Absent),
        any::<bool>().prop_map(|stale| Held::Modified { stale }),
        any::<bool>().prop_map(|stale| Held::Created { stale }),
    ];
    let change = prop_oneof![
        6 => (0..KEYS.len(), any::<u8>(), prop::option::weighted(0.3, 0..4_usize))
            .prop_map(|(key, value, lease)| Change::Put { key, value, lease }),
        2 => key.clone().prop_map(Change::Delete),
        1 => (0..PREFIXES.len()).prop_map(Change::DeletePrefix),
    ];
    let guards = vec((key.clone(), held), 0..3);
    prop_oneof![
        8 => (guards, vec(change, 0..5)).prop_map(|(guards, ops)| Step::Commit { guards, ops }),
        2 => key.clone().prop_map(Step::Get),
        3 => (0..PREFIXES.len(), prop::option::of(key), 0..5_usize)
            .prop_map(|(prefix, after, limit)| Step::Range { prefix, after, limit }),
        2 => (1..50_u64).prop_map(Step::Lease),
        1 => (0..4_usize).prop_map(Step::KeepAlive),
        1 => (0..4_usize).prop_map(Step::Revoke),
        2 => (1..40_u64).prop_map(Step::Advance),
    ]
}

async fn compare(subject: Subject, steps: &[Step], after: Rev) {
    let mut model = Model { now: 1000, ..Model::default() };
    for step in steps {
        model.step(&*subject.store, &subject.clock, step).await;
    }
    model.watched(&*subject.store, "b/", 0).await;
    model.watched(&*subject.store, "", after.min(model.rev)).await;
}

fn block_on(future: impl Future<Output = ()>) {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_all().build().unwrap().block_on(future);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(256) })]
    #[test]
    fn memory_is_as_the_model(steps in vec(step(), 1..60), after in 0..40_u64) {
        block_on(compare(memory(), &steps, after));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(24) })]
    #[test]
    fn sled_is_as_the_model(steps in vec(step(), 1..60), after in 0..40_u64) {
        block_on(async { compare(sled().await, &steps, after).await });
    }
}

//! One commit while it is being put together: later operations see what earlier ones did, and the
//! table sees nothing until all is there.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use super::{Engine, Stored, Table, data_key, encode};
use crate::Error;
use crate::store::{Event, Item, LeaseId, Op, Rev};

/// Rows to write, keys that move from one lease to another (0 for none), and what watchers see.
type Finished = (Vec<(Bytes, Option<Bytes>)>, Vec<(Bytes, LeaseId, LeaseId)>, Vec<Event>);

pub(super) struct Change<'a, T> {
    engine: &'a Engine<T>,
    rev: Rev,
    /// What each touched key was before the commit, and what it is after it.
    touched: BTreeMap<Bytes, (Option<Stored>, Option<Stored>)>,
    events: Vec<Event>,
}

impl<'a, T: Table> Change<'a, T> {
    pub(super) const fn new(engine: &'a Engine<T>, rev: Rev) -> Self {
        Self { engine, rev, touched: BTreeMap::new(), events: Vec::new() }
    }

    pub(super) fn add(&mut self, op: &Op) -> Result<(), Error> {
        match op {
            Op::Put { key, value, lease } => self.put(key, value, *lease),
            Op::Delete(key) => self.delete(key),
            Op::DeletePrefix(prefix) => {
                let stored = self.engine.every(prefix)?.into_iter().map(|stored| stored.item.key);
                let mine = self.touched.range(prefix.clone()..).map(|(key, _)| key.clone());
                let mine = mine.take_while(|key| key.starts_with(prefix));
                let keys: BTreeSet<_> = stored.chain(mine).collect();
                keys.iter().try_for_each(|key| self.delete(key))
            }
        }
    }

    pub(super) fn finish(self) -> Finished {
        let (mut writes, mut moves) = (Vec::new(), Vec::new());
        for (key, (before, after)) in self.touched {
            let lease = |stored: &Option<Stored>| stored.as_ref().map_or(0, |it| it.lease);
            if lease(&before) != lease(&after) {
                moves.push((key.clone(), lease(&before), lease(&after)));
            }
            match after {
                Some(after) => {
                    let (key, value) = encode(&after);
                    writes.push((key, Some(value)));
                }
                None => writes.push((data_key(&key), None)),
            }
        }
        (writes, moves, self.events)
    }

    fn put(&mut self, key: &Bytes, value: &Bytes, lease: Option<LeaseId>) -> Result<(), Error> {
        let (rev, now) = (self.rev, self.now(key)?);
        let created = now.as_ref().map_or(rev, |stored| stored.item.created);
        let item = Item { key: key.clone(), value: value.clone(), created, modified: rev };
        *now = Some(Stored { item: item.clone(), lease: lease.unwrap_or(0) });
        self.events.push(Event::Put(item));
        Ok(())
    }

    fn delete(&mut self, key: &Bytes) -> Result<(), Error> {
        if self.now(key)?.take().is_some() {
            self.events.push(Event::Deleted { key: key.clone(), at: self.rev });
        }
        Ok(())
    }

    /// What the key is at this point of the commit.
    fn now(&mut self, key: &Bytes) -> Result<&mut Option<Stored>, Error> {
        if !self.touched.contains_key(key) {
            let before = self.engine.stored(key)?;
            self.touched.insert(key.clone(), (before.clone(), before));
        }
        Ok(&mut self.touched.entry(key.clone()).or_default().1)
    }
}

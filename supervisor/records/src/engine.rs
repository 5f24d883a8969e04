//! What a store does, over any table of ordered bytes: guards, revisions, prefixes, leases, events.
//!
//! It is driven by one caller at a time and knows nothing of threads or disks.

mod change;

use std::sync::Arc;
use std::time::Duration;

use bytes::{BufMut as _, Bytes, BytesMut};
use types::Clock;

use crate::Error;
use crate::history::History;
use crate::leases::Leases;
use crate::store::{
    Commit, Event, Events, Guard, Item, LeaseId, MAX_KEY, MAX_OPS, MAX_RANGE, MAX_VALUE, Op, Rev,
};
use change::Change;

/// Ordered bytes on which an engine works. `apply` is atomic.
pub(crate) trait Table: Send {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, Error>;
    /// Up to `limit` entries that start with `prefix`, the first one after `after`.
    fn scan(
        &self,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<(Bytes, Bytes)>, Error>;
    /// Writes and, where there is no value, removes.
    fn apply(&mut self, writes: Vec<(Bytes, Option<Bytes>)>) -> Result<(), Error>;
}

/// The first byte of the key under which data and the engine's own figures are kept.
const DATA: u8 = b'd';
const REVISION: &[u8] = b"r";

/// Two revisions and a lease in front of each value.
const HEAD: usize = 24;

#[derive(Debug)]
pub(crate) struct Engine<T> {
    table: T,
    rev: Rev,
    leases: Leases,
    history: History,
    clock: Arc<dyn Clock>,
    /// Commits that are applied and not yet shown to watchers.
    unseen: Vec<(Rev, Vec<Event>)>,
    /// Whether the table has failed to take a change.
    is_broken: bool,
}

/// One stored value with what is known about it.
#[derive(Debug, Clone)]
pub(crate) struct Stored {
    pub(crate) item: Item,
    pub(crate) lease: LeaseId,
}

impl<T: Table> Engine<T> {
    /// An engine over what `table` holds. Keys that hung on leases of an earlier process go.
    pub(crate) fn new(table: T, clock: Arc<dyn Clock>) -> Result<Self, Error> {
        let rev = table.get(REVISION)?.and_then(|bytes| number(&bytes)).unwrap_or(0);
        let mut engine = Self::at(rev, table, clock);
        let orphans = engine.leased()?;
        if !orphans.is_empty() {
            engine.apply(&orphans.into_iter().map(Op::Delete).collect::<Vec<_>>())?;
        }
        Ok(engine)
    }

    /// An engine over a table that holds nothing of leases.
    pub(crate) fn at(rev: Rev, table: T, clock: Arc<dyn Clock>) -> Self {
        let (leases, history) = (Leases::default(), History::after(rev));
        Self { table, rev, leases, history, clock, unseen: Vec::new(), is_broken: false }
    }

    /// What it works on.
    pub(crate) const fn table_mut(&mut self) -> &mut T {
        &mut self.table
    }

    pub(crate) const fn rev(&self) -> Rev {
        self.rev
    }

    /// Whether there are changes that [`Engine::publish`] would show.
    pub(crate) const fn has_unseen(&self) -> bool {
        !self.unseen.is_empty()
    }

    /// Whether the table has failed to take a change: nothing more is to be promised of it.
    pub(crate) const fn is_broken(&self) -> bool {
        self.is_broken
    }

    /// Shows to watchers what was applied since the last time.
    pub(crate) fn publish(&mut self) {
        for (rev, events) in self.unseen.drain(..) {
            self.history.push(rev, events);
        }
    }

    /// Milliseconds until a lease ends.
    pub(crate) fn next_expiry(&self) -> Option<Duration> {
        let end = self.leases.next_end()?;
        Some(Duration::from_millis(end.saturating_sub(self.clock.now())))
    }

    /// Removes the keys of leases whose time is over.
    pub(crate) fn expire(&mut self) -> Result<(), Error> {
        for id in self.leases.due(self.clock.now()) {
            self.end_lease(id)?;
        }
        Ok(())
    }

    pub(crate) fn get(&self, key: &[u8]) -> Result<Option<Item>, Error> {
        Ok(self.stored(key)?.map(|stored| stored.item))
    }

    pub(crate) fn range(
        &self,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<(Vec<Item>, Rev), Error> {
        let after = after.map(data_key);
        let limit = limit.min(MAX_RANGE);
        let found = self.table.scan(&data_key(prefix), after.as_deref(), limit)?;
        let items = found.iter().filter_map(|(key, value)| decode(key, value));
        Ok((items.map(|stored| stored.item).collect(), self.rev))
    }

    pub(crate) fn commit(&mut self, guards: &[Guard], ops: &[Op]) -> Result<Commit, Error> {
        check(guards, ops)?;
        for (index, guard) in guards.iter().enumerate() {
            if !guard.holds(self.get(guard.key())?.as_ref()) {
                return Ok(Commit::Conflict(index));
            }
        }
        for op in ops {
            if let Op::Put { lease: Some(id), .. } = op
                && !self.leases.is_running(*id)
            {
                return Err(Error::NoLease);
            }
        }
        if !ops.is_empty() {
            self.apply(ops)?;
        }
        Ok(Commit::Done(self.rev))
    }

    /// A page of everything that is stored, after a key of the store.
    pub(crate) fn page(&self, after: Option<&[u8]>) -> Result<Vec<Stored>, Error> {
        let after = after.map(data_key);
        let rows = self.table.scan(&[DATA], after.as_deref(), MAX_RANGE)?;
        Ok(rows.iter().filter_map(|(key, value)| decode(key, value)).collect())
    }

    pub(crate) fn watch(&self, prefix: Bytes, after: Rev) -> Events {
        self.history.watch(prefix, after)
    }

    pub(crate) fn lease(&mut self, ttl: Duration) -> Result<LeaseId, Error> {
        self.leases.start(ttl, self.clock.now())
    }

    pub(crate) fn keep_alive(&mut self, id: LeaseId) -> Result<Duration, Error> {
        self.leases.keep_alive(id, self.clock.now())
    }

    pub(crate) fn revoke(&mut self, id: LeaseId) -> Result<(), Error> {
        if self.leases.is_running(id) { self.end_lease(id) } else { Err(Error::NoLease) }
    }

    fn end_lease(&mut self, id: LeaseId) -> Result<(), Error> {
        let keys = self.leases.end(id).unwrap_or_default();
        if keys.is_empty() {
            return Ok(());
        }
        self.apply(&keys.into_iter().map(Op::Delete).collect::<Vec<_>>())
    }

    fn apply(&mut self, ops: &[Op]) -> Result<(), Error> {
        let mut change = Change::new(self, self.rev + 1);
        for op in ops {
            change.add(op)?;
        }
        let (mut writes, moves, events) = change.finish();
        self.rev += 1;
        let (key, value) = revision_row(self.rev);
        writes.push((key, Some(value)));
        self.table.apply(writes).inspect_err(|_failed| self.is_broken = true)?;
        for (key, before, after) in moves {
            self.leases.detach(before, &key);
            self.leases.attach(after, key);
        }
        self.unseen.push((self.rev, events));
        Ok(())
    }

    fn stored(&self, key: &[u8]) -> Result<Option<Stored>, Error> {
        let key = data_key(key);
        Ok(self.table.get(&key)?.and_then(|value| decode(&key, &value)))
    }

    /// Every stored value that starts with `prefix`, a page at a time.
    fn every(&self, prefix: &[u8]) -> Result<Vec<Stored>, Error> {
        let (prefix, mut all) = (data_key(prefix), Vec::new());
        let mut after: Option<Bytes> = None;
        loop {
            let page = self.table.scan(&prefix, after.as_deref(), MAX_RANGE)?;
            all.extend(page.iter().filter_map(|(key, value)| decode(key, value)));
            if page.len() < MAX_RANGE {
                return Ok(all);
            }
            after = page.last().map(|(key, _)| key.clone());
        }
    }

    fn leased(&self) -> Result<Vec<Bytes>, Error> {
        let all = self.every(b"")?.into_iter();
        Ok(all.filter(|stored| stored.lease != 0).map(|stored| stored.item.key).collect())
    }
}

fn check(guards: &[Guard], ops: &[Op]) -> Result<(), Error> {
    if guards.len() + ops.len() > MAX_OPS {
        return Err(Error::TooLarge { what: "a commit", max: MAX_OPS });
    }
    let keys = guards.iter().map(Guard::key).chain(ops.iter().map(|op| match op {
        Op::Put { key, .. } | Op::Delete(key) | Op::DeletePrefix(key) => key,
    }));
    if keys.into_iter().any(|key| key.len() > MAX_KEY) {
        return Err(Error::TooLarge { what: "a key", max: MAX_KEY });
    }
    let large = |op: &Op| matches!(op, Op::Put { value, .. } if value.len() > MAX_VALUE);
    if ops.iter().any(large) {
        return Err(Error::TooLarge { what: "a value", max: MAX_VALUE });
    }
    Ok(())
}

/// The table's key of a key of the store.
pub(crate) fn data_key(key: &[u8]) -> Bytes {
    let mut bytes = BytesMut::with_capacity(key.len() + 1);
    bytes.put_u8(DATA);
    bytes.put_slice(key);
    bytes.freeze()
}

/// The row of the table that holds its revision.
pub(crate) fn revision_row(rev: Rev) -> (Bytes, Bytes) {
    (Bytes::from_static(REVISION), Bytes::copy_from_slice(&rev.to_be_bytes()))
}

/// The revision, where the row is the one that holds it.
pub(crate) fn revision_of(key: &[u8], value: &[u8]) -> Option<Rev> {
    if key == REVISION { number(value) } else { None }
}

pub(crate) fn encode(stored: &Stored) -> (Bytes, Bytes) {
    let item = &stored.item;
    let mut value = BytesMut::with_capacity(HEAD + item.value.len());
    value.put_u64(item.created);
    value.put_u64(item.modified);
    value.put_u64(stored.lease);
    value.put_slice(&item.value);
    (data_key(&item.key), value.freeze())
}

/// The stored value in a row of the table; none for rows that hold no data.
pub(crate) fn decode(key: &[u8], value: &[u8]) -> Option<Stored> {
    let (&DATA, key) = key.split_first()? else { return None };
    let (head, payload) = value.split_at_checked(HEAD)?;
    let mut numbers = head.chunks_exact(8).filter_map(number);
    let (created, modified, lease) = (numbers.next()?, numbers.next()?, numbers.next()?);
    let (key, value) = (Bytes::copy_from_slice(key), Bytes::copy_from_slice(payload));
    Some(Stored { item: Item { key, value, created, modified }, lease })
}

fn number(bytes: &[u8]) -> Option<u64> {
    bytes.try_into().ok().map(u64::from_be_bytes)
}

//! A store that lives as long as the process: for tests, and as the measure of the durable one.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use types::Clock;

use crate::Error;
use crate::engine::{Engine, Table};
use crate::shared::Seat;

/// A store in memory.
#[derive(Debug)]
pub struct MemoryStore(Mutex<Engine<Rows>>);

#[derive(Debug, Default)]
pub(crate) struct Rows(BTreeMap<Bytes, Bytes>);

impl MemoryStore {
    /// An empty store whose leases run by `clock`.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self(Mutex::new(Engine::at(0, Rows::default(), clock)))
    }
}

impl Seat for MemoryStore {
    type Rows = Rows;

    async fn run<R: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Engine<Rows>) -> Result<R, Error> + Send + 'static,
    ) -> Result<R, Error> {
        let mut engine = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        engine.expire()?;
        let result = job(&mut engine);
        engine.publish();
        result
    }
}

impl Table for Rows {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, Error> {
        Ok(self.0.get(key).cloned())
    }

    fn scan(
        &self,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<(Bytes, Bytes)>, Error> {
        let from = match after {
            Some(after) if after >= prefix => Bound::Excluded(after),
            _ => Bound::Included(prefix),
        };
        let rows = self.0.range::<[u8], _>((from, Bound::Unbounded));
        let mine = rows.take_while(|(key, _)| key.starts_with(prefix)).take(limit);
        Ok(mine.map(|(key, value)| (key.clone(), value.clone())).collect())
    }

    fn apply(&mut self, writes: Vec<(Bytes, Option<Bytes>)>) -> Result<(), Error> {
        for (key, value) in writes {
            match value {
                Some(value) => drop(self.0.insert(key, value)),
                None => drop(self.0.remove(&key)),
            }
        }
        Ok(())
    }
}

//! Entries by the digest of their secret: read without a lock, replaced as a whole.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use subtle::ConstantTimeEq as _;
use types::UnixMillis;

use crate::secret::{Digest, digest};
use crate::{MAX_PRESENTED, Unauthenticated};

/// What a table holds.
pub(crate) trait Entry {
    /// The digest of its secret.
    fn digest(&self) -> &Digest;
    /// When it ends.
    fn expires_at(&self) -> Option<UnixMillis>;
}

type Map<E> = HashMap<Digest, Arc<E>>;

#[derive(Debug)]
pub(crate) struct Table<E> {
    map: ArcSwap<Map<E>>,
    /// Held while a new map is made from the old one.
    writing: Mutex<()>,
}

impl<E> Default for Table<E> {
    fn default() -> Self {
        Self { map: ArcSwap::from_pointee(HashMap::new()), writing: Mutex::default() }
    }
}

impl<E: Entry> Table<E> {
    /// The entry of a presented secret.
    ///
    /// What is hashed is the whole text, so the work is the same whether or not any tenant, token
    /// or part of it exists.
    pub(crate) fn find(
        &self,
        presented: Option<&str>,
        now: UnixMillis,
    ) -> Result<Arc<E>, Unauthenticated> {
        let presented = presented.filter(|text| !text.is_empty());
        let presented = presented.ok_or(Unauthenticated::Missing)?;
        if presented.len() > MAX_PRESENTED {
            return Err(Unauthenticated::Wrong);
        }
        let digest = digest(presented);
        let map = self.map.load();
        let entry = map.get(&digest).ok_or(Unauthenticated::Wrong)?;
        if !bool::from(entry.digest().ct_eq(&digest)) {
            return Err(Unauthenticated::Wrong);
        }
        if entry.expires_at().is_some_and(|end| end <= now) {
            return Err(Unauthenticated::Expired);
        }
        Ok(Arc::clone(entry))
    }

    /// The entries as they are now.
    pub(crate) fn all(&self) -> Arc<Map<E>> {
        self.map.load_full()
    }

    /// Replaces the map by what `change` makes of a copy.
    pub(crate) fn change<T>(&self, change: impl FnOnce(&mut Map<E>) -> T) -> T {
        let writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut map = Map::clone(&self.map.load());
        let result = change(&mut map);
        self.map.store(Arc::new(map));
        drop(writing);
        result
    }
}

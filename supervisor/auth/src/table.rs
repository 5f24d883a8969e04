//! Entries by the digest of their secret: found without a lock, and changed one owner at a time.
//!
//! A change costs what its owner has and a small part of the whole, so that nobody's many entries
//! make everybody's changes slow.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Debug;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;
use subtle::ConstantTimeEq as _;
use types::UnixMillis;

use crate::secret::{Digest, digest};
use crate::{MAX_PRESENTED, Unauthenticated};

/// Parts of a table, one for each first byte of a digest: a change copies those that it touches.
const PARTS: usize = 1 << 8;

/// What a table holds.
pub(crate) trait Entry {
    /// Whose entries change together.
    type Owner: Debug + Clone + Eq + Hash;
    /// Whose it is.
    fn owner(&self) -> &Self::Owner;
    /// The digest of its secret.
    fn digest(&self) -> &Digest;
    /// When it ends.
    fn expires_at(&self) -> Option<UnixMillis>;
}

type Map<E> = HashMap<Digest, Arc<E>>;

#[derive(Debug)]
pub(crate) struct Table<E: Entry> {
    /// By the first byte of the digest, replaced as a whole.
    parts: Vec<ArcSwap<Map<E>>>,
    /// The same by owner, without owners of nothing. Held while entries change.
    owners: Mutex<HashMap<E::Owner, Map<E>>>,
}

impl<E: Entry> Default for Table<E> {
    fn default() -> Self {
        let parts = (0..PARTS).map(|_| ArcSwap::from_pointee(HashMap::new())).collect();
        Self { parts, owners: Mutex::default() }
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
        let part = self.parts.get(part_of(&digest));
        let entry = part.and_then(|part| part.load().get(&digest).map(Arc::clone));
        let entry = entry.ok_or(Unauthenticated::Wrong)?;
        if !bool::from(entry.digest().ct_eq(&digest)) {
            return Err(Unauthenticated::Wrong);
        }
        if entry.expires_at().is_some_and(|end| end <= now) {
            return Err(Unauthenticated::Expired);
        }
        Ok(entry)
    }

    /// Everybody's entries that `which` chooses.
    pub(crate) fn all(&self, which: impl Fn(&E) -> bool) -> Vec<Arc<E>> {
        let parts = self.parts.iter().map(ArcSwap::load_full);
        let chosen = |part: Arc<Map<E>>| {
            part.values().filter(|it| which(it)).map(Arc::clone).collect::<Vec<_>>()
        };
        parts.flat_map(chosen).collect()
    }

    /// The owner's entries that `which` chooses.
    pub(crate) fn of(&self, owner: &E::Owner, which: impl Fn(&E) -> bool) -> Vec<Arc<E>> {
        let owners = self.owners();
        let entries = owners.get(owner).into_iter().flat_map(HashMap::values);
        entries.filter(|it| which(it)).map(Arc::clone).collect()
    }

    /// Replaces the owner's entries by what `change` makes of a copy.
    pub(crate) fn change<T>(&self, owner: &E::Owner, change: impl FnOnce(&mut Map<E>) -> T) -> T {
        let mut owners = self.owners();
        let before = owners.get(owner).cloned().unwrap_or_default();
        let mut after = before.clone();
        let result = change(&mut after);
        let gone = before.keys().filter(|digest| !after.contains_key(*digest));
        let other = |digest: &Digest, entry: &Arc<E>| {
            before.get(digest).is_none_or(|before| !Arc::ptr_eq(before, entry))
        };
        let new = after.iter().filter(|(digest, entry)| other(digest, entry));
        self.replace(
            gone.map(|digest| (*digest, None))
                .chain(new.map(|(digest, entry)| (*digest, Some(Arc::clone(entry))))),
        );
        if after.is_empty() {
            owners.remove(owner);
        } else {
            owners.insert(owner.clone(), after);
        }
        result
    }

    /// Adds what the records hold, before anybody is let in.
    pub(crate) fn load(&self, entries: impl Iterator<Item = Arc<E>>) {
        let mut owners = self.owners();
        let entries: Vec<_> = entries.collect();
        for entry in &entries {
            let of_owner = owners.entry(entry.owner().clone()).or_default();
            of_owner.insert(*entry.digest(), Arc::clone(entry));
        }
        self.replace(entries.into_iter().map(|entry| (*entry.digest(), Some(entry))));
    }

    /// Writes or removes entries, each part once.
    fn replace(&self, changes: impl Iterator<Item = (Digest, Option<Arc<E>>)>) {
        let mut by_part: BTreeMap<usize, Vec<_>> = BTreeMap::new();
        for change in changes {
            by_part.entry(part_of(&change.0)).or_default().push(change);
        }
        for (part, changes) in by_part {
            let Some(part) = self.parts.get(part) else { continue };
            let mut map = Map::clone(&part.load());
            for (digest, entry) in changes {
                match entry {
                    Some(entry) => map.insert(digest, entry),
                    None => map.remove(&digest),
                };
            }
            part.store(Arc::new(map));
        }
    }

    fn owners(&self) -> MutexGuard<'_, HashMap<E::Owner, Map<E>>> {
        self.owners.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn part_of(digest: &Digest) -> usize {
    let [first, ..] = digest;
    usize::from(*first)
}

//! How many sub-agents run, of each session and in all.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Failure;

/// Sub-agents of one session at once.
const MAX_OF_SESSION: usize = 4;
/// Sub-agents of the tenant at once.
const MAX: usize = 8;

/// The sub-agents that run. Clones share them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Spawns(Arc<Mutex<Vec<String>>>);

/// A place for one sub-agent, given up when dropped.
#[derive(Debug)]
pub(super) struct Place {
    spawns: Spawns,
    parent: String,
}

impl Spawns {
    /// A place for a sub-agent of the session `parent`.
    pub(super) fn take(&self, parent: &str) -> Result<Place, Failure> {
        let mut parents = self.lock();
        let full = |what: String| Failure::Refused(format!("{what}; wait until one has ended."));
        if parents.len() >= MAX {
            return Err(full(format!("{MAX} sub-agents run already")));
        }
        if parents.iter().filter(|one| *one == parent).count() >= MAX_OF_SESSION {
            return Err(full(format!("{MAX_OF_SESSION} sub-agents of this session run already")));
        }
        parents.push(parent.to_owned());
        Ok(Place { spawns: self.clone(), parent: parent.to_owned() })
    }

    fn lock(&self) -> MutexGuard<'_, Vec<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut parents = self.spawns.lock();
        if let Some(at) = parents.iter().position(|one| *one == self.parent) {
            parents.swap_remove(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_bounded_and_given_back() {
        let spawns = Spawns::default();
        let mut places: Vec<_> = (0..4).map(|_| spawns.take("a").unwrap()).collect();
        let why = spawns.take("a").unwrap_err().to_string();
        assert!(why.starts_with("4 sub-agents of this session"), "{why}");
        places.extend((0..4).map(|_| spawns.take("b").unwrap()));
        let why = spawns.take("c").unwrap_err().to_string();
        assert!(why.starts_with("8 sub-agents run"), "{why}");
        places.remove(0);
        drop(spawns.take("a").unwrap());
        drop(places);
        assert!(spawns.lock().is_empty());
    }
}

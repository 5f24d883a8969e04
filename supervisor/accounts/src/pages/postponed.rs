//! What a visitor is to say again: what is said after it waits until it has come, so that nothing overtakes
//! it on its way.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use types::UnixMillis;

/// Visitors of whom that is known: one more may be overtaken, which is better than forgetting another.
const MAX_VISITORS: usize = 4096;

/// A page waits ever longer, up to so many times what it was told, and is late by so much at most; one that
/// does not come then has gone, and holds up nobody any more.
const MAX_TIMES: u32 = 5;
const LATE_MS: u64 = 10_000;

/// The least time after which it is worth while to ask again, in milliseconds.
const SOON_MS: u64 = 500;

/// The first message of each visitor that is to come again.
#[derive(Debug, Default)]
pub(crate) struct Postponed(Mutex<HashMap<String, First>>);

#[derive(Debug)]
struct First {
    id: String,
    /// How often it was told to.
    times: u32,
    /// When it may come, and until when it is waited for.
    from: UnixMillis,
    until: UnixMillis,
}

impl Postponed {
    /// After how many milliseconds a message may come, where it would overtake another.
    pub(crate) fn behind(&self, visitor: &str, id: &str, now: UnixMillis) -> Option<u64> {
        let mut all = self.all();
        let first = all.get(visitor)?;
        if first.until <= now {
            all.remove(visitor);
            return None;
        }
        let wait = first.from.saturating_sub(now).max(SOON_MS);
        (first.id != id).then_some(wait)
    }

    /// A message is to come again after so many milliseconds. Behind another it is not the first.
    pub(crate) fn put_off(&self, visitor: &str, id: &str, wait: u64, now: UnixMillis) {
        let mut all = self.all();
        let known = all.get(visitor).filter(|it| it.until > now);
        let times = match known {
            Some(first) if first.id != id => return,
            Some(first) => first.times.saturating_add(1).min(MAX_TIMES),
            None => 1,
        };
        if all.len() >= MAX_VISITORS && !all.contains_key(visitor) {
            all.retain(|_, first| first.until > now);
        }
        if all.len() >= MAX_VISITORS && !all.contains_key(visitor) {
            return;
        }
        let from = now.saturating_add(wait);
        let longest = wait.saturating_mul(times.into());
        let until = now.saturating_add(longest).saturating_add(LATE_MS);
        all.insert(visitor.to_owned(), First { id: id.to_owned(), times, from, until });
    }

    /// A message has come: it is kept, or never will be.
    pub(crate) fn come(&self, visitor: &str, id: &str) {
        let mut all = self.all();
        if all.get(visitor).is_some_and(|first| first.id == id) {
            all.remove(visitor);
        }
    }

    fn all(&self) -> MutexGuard<'_, HashMap<String, First>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_later_waits_until_what_was_said_before_has_come_again() {
        let postponed = Postponed::default();
        assert_eq!(postponed.behind("v", "m1", 0), None);
        postponed.put_off("v", "m1", 3_000, 0);
        assert_eq!(postponed.behind("v", "m2", 1_000), Some(2_000));
        assert_eq!(postponed.behind("other", "m2", 1_000), None, "nobody else waits");
        // It is not the first, whatever it was told.
        postponed.put_off("v", "m2", 60_000, 1_000);
        assert_eq!(postponed.behind("v", "m3", 3_000), Some(SOON_MS));
        assert_eq!(postponed.behind("v", "m1", 3_000), None, "it is its turn");
        postponed.put_off("v", "m1", 3_000, 3_000);
        assert_eq!(postponed.behind("v", "m2", 3_000), Some(3_000), "as it may not come yet");
        postponed.come("v", "m2");
        assert_eq!(postponed.behind("v", "m2", 6_000), Some(SOON_MS), "another has come");
        postponed.come("v", "m1");
        assert_eq!(postponed.behind("v", "m2", 6_000), None);
    }

    #[test]
    fn what_does_not_come_again_is_not_waited_for_for_ever() {
        let postponed = Postponed::default();
        let mut now = 0;
        for times in 1..8 {
            postponed.put_off("v", "m1", 3_000, now);
            let longest = 3_000 * times.min(5) + LATE_MS;
            assert!(postponed.behind("v", "m2", now + longest - 1).is_some(), "{times}");
            now += 3_000;
        }
        assert_eq!(postponed.behind("v", "m2", now + 15_000 + LATE_MS), None);
        postponed.put_off("v", "m2", 3_000, now + 60_000);
        assert!(postponed.behind("v", "m3", now + 60_000).is_some());
    }

    #[test]
    fn there_are_no_more_than_so_many() {
        let postponed = Postponed::default();
        for n in 0..=MAX_VISITORS {
            postponed.put_off(&format!("v{n}"), "m", 3_000, 0);
        }
        assert_eq!(postponed.all().len(), MAX_VISITORS);
        postponed.put_off("late", "m", 3_000, 60_000);
        assert_eq!(postponed.all().len(), 1, "those that are over make way");
    }
}

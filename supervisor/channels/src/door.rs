//! How often a stranger is answered and may try a code. Kept in memory: whoever is forgotten has waited
//! for a start of the gateway.

use std::collections::HashMap;

use types::UnixMillis;

/// How long what strangers did counts, in milliseconds.
const WINDOW_MS: u64 = 10 * 60_000;

/// Codes that one stranger may try in that time.
const TRIES: u32 = 5;

/// Codes that all strangers may try at one account in that time: as many as a hundred of them.
const TRIES_OF_ALL: u32 = 100 * TRIES;

/// Strangers who are answered at one account in that time: each once.
const ANSWERS_OF_ALL: u32 = 300;

/// Strangers who are remembered at one account.
const MAX_STRANGERS: usize = 4096;

/// What strangers have done at one account.
#[derive(Debug, Default)]
pub struct Door {
    strangers: HashMap<String, Stranger>,
    since: UnixMillis,
    tries: u32,
    answers: u32,
}

#[derive(Debug)]
struct Stranger {
    since: UnixMillis,
    tries: u32,
    is_answered: bool,
}

impl Door {
    /// Whether a stranger is answered now. Each is once in a while, and none hears of it otherwise.
    pub fn answers(&mut self, id: &str, now: UnixMillis) -> bool {
        if self.turn(now).answers >= ANSWERS_OF_ALL {
            return false;
        }
        let Some(stranger) = self.stranger(id, now) else { return false };
        let is_new = !std::mem::replace(&mut stranger.is_answered, true);
        self.answers += u32::from(is_new);
        is_new
    }

    /// Whether a stranger may try a code now.
    pub fn tries(&mut self, id: &str, now: UnixMillis) -> bool {
        if self.turn(now).tries >= TRIES_OF_ALL {
            return false;
        }
        let Some(stranger) = self.stranger(id, now) else { return false };
        let may = stranger.tries < TRIES;
        stranger.tries += u32::from(may);
        self.tries += u32::from(may);
        may
    }

    fn turn(&mut self, now: UnixMillis) -> &Self {
        if now.abs_diff(self.since) >= WINDOW_MS {
            (self.since, self.tries, self.answers) = (now, 0, 0);
            self.strangers.retain(|_, it| now.abs_diff(it.since) < WINDOW_MS);
        }
        self
    }

    /// What is remembered of one. `None` where so many are that nobody more can be.
    fn stranger(&mut self, id: &str, now: UnixMillis) -> Option<&mut Stranger> {
        let new = || Stranger { since: now, tries: 0, is_answered: false };
        let is_full = self.strangers.len() >= MAX_STRANGERS;
        if is_full && !self.strangers.contains_key(id) {
            return None;
        }
        let stranger = self.strangers.entry(id.to_owned()).or_insert_with(new);
        if now.abs_diff(stranger.since) >= WINDOW_MS {
            *stranger = new();
        }
        Some(stranger)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stranger_is_answered_once_and_tries_a_few_times() {
        let mut door = Door::default();
        assert!(door.answers("u1", 5));
        assert!(!door.answers("u1", 6));
        assert!(door.answers("u2", 6), "another is another");
        for _ in 0..TRIES {
            assert!(door.tries("u1", 7));
        }
        assert!(!door.tries("u1", 8));
        assert!(door.tries("u2", 8), "nobody keeps another from it");
        assert!(door.answers("u1", 5 + WINDOW_MS));
        assert!(door.tries("u1", 5 + WINDOW_MS));
    }

    #[test]
    fn a_crowd_is_answered_up_to_a_bound_and_forgotten() {
        let mut door = Door::default();
        let answered = (0..10_000).filter(|n| door.answers(&n.to_string(), 5)).count();
        assert_eq!(answered, usize::try_from(ANSWERS_OF_ALL).unwrap());
        let tried = (0..10_000).filter(|n| door.tries(&n.to_string(), 5)).count();
        assert_eq!(tried, usize::try_from(TRIES_OF_ALL).unwrap());
        assert!(door.strangers.len() <= MAX_STRANGERS);
        assert!(door.answers("late", 5 + WINDOW_MS));
        assert_eq!(door.strangers.len(), 1);
    }
}

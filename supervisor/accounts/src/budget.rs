//! How many events are taken in a minute: of one account, and of all together.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use types::UnixMillis;

/// Events of one account in a minute, where its policy does not say: more than people write.
const OF_ONE: u32 = 600;

/// Events of all accounts in a minute: as many as the store keeps durably beside everything else.
const OF_ALL: u32 = 60_000;

const MINUTE_MS: u64 = 60_000;

/// Counts the events of this minute; there are at most so many accounts in it as there are events.
#[derive(Debug, Default)]
pub(crate) struct Budget(Mutex<Window>);

#[derive(Debug, Default)]
struct Window {
    minute: u64,
    all: u32,
    by_account: HashMap<String, u32>,
}

impl Budget {
    /// Whether one event more of the account may be taken now.
    pub(crate) fn take(&self, account: &str, most: Option<u32>, now: UnixMillis) -> bool {
        let mut window = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let minute = now / MINUTE_MS;
        if window.minute != minute {
            *window = Window { minute, ..Window::default() };
        }
        if window.all >= OF_ALL {
            return false;
        }
        let count = window.by_account.entry(account.to_owned()).or_default();
        if *count >= most.unwrap_or(OF_ONE) {
            return false;
        }
        *count += 1;
        window.all += 1;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minute_has_so_many_and_the_next_has_as_many() {
        let budget = Budget::default();
        let taken = |account: &str, most, at| {
            (0..2 * OF_ONE).filter(|_| budget.take(account, most, at)).count()
        };
        assert_eq!(taken("a", Some(3), 5), 3);
        assert_eq!(taken("a", None, 5), 597, "of the same minute");
        assert_eq!(taken("b", None, 5), 600, "another's is another");
        assert_eq!(taken("a", Some(3), 5 + MINUTE_MS), 3);
        let all: usize =
            (0..2 * OF_ALL / OF_ONE).map(|n| taken(&n.to_string(), None, 1 << 30)).sum();
        assert_eq!(all, 60_000);
    }
}

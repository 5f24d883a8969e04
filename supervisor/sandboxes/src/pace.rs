//! How often refusals are written into a tenant's log: whoever is refused can ask again at once.

use std::time::Duration;

use tokio::time::Instant;

/// Refusals that are told in one minute, as of the way out.
const TOLD: u32 = 30;

const MINUTE: Duration = Duration::from_mins(1);

/// The refusals of this minute.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    began: Option<Instant>,
    told: u32,
    untold: u64,
}

impl Pace {
    /// Whether one more is told; and how many were not, where a minute with such has ended.
    pub(crate) fn next(&mut self, now: Instant) -> (bool, Option<u64>) {
        let mut missed = None;
        if self.began.is_none_or(|it| now.saturating_duration_since(it) >= MINUTE) {
            missed = (self.untold > 0).then_some(self.untold);
            *self = Self { began: Some(now), told: 0, untold: 0 };
        }
        let tell = self.told < TOLD;
        if tell {
            self.told += 1;
        } else {
            self.untold = self.untold.saturating_add(1);
        }
        (tell, missed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minute_has_so_many_and_the_next_says_how_many_were_left_out() {
        let (mut pace, now) = (Pace::default(), Instant::now());
        assert_eq!((0..100).filter(|_| pace.next(now).0).count(), 30);
        assert_eq!(pace.next(now + MINUTE), (true, Some(70)));
        assert_eq!(pace.next(now + MINUTE), (true, None));
    }
}

//! How long one waits for a worker in all while bytes go between it and us: one that has been taken over
//! must not hold a place for ever by a byte now and then. Only the time is counted in which it is waited
//! for.

use std::time::Duration;

use tokio::time::Instant;

/// The longest wait for one part.
const LONGEST: Duration = Duration::from_mins(2);
/// Bytes a second, below which the wait is used up in the end: slower than any disk.
const SLOWEST: u32 = 64 << 10;

/// What is left of one's patience.
#[derive(Debug)]
pub(crate) struct Patience {
    left: Duration,
    since: Option<Instant>,
}

impl Default for Patience {
    fn default() -> Self {
        Self { left: LONGEST, since: None }
    }
}

impl Patience {
    /// Until when it is waited, which begins now if it has not begun.
    pub(crate) fn until(&mut self) -> Instant {
        *self.since.get_or_insert_with(Instant::now) + self.left
    }

    /// So many bytes have come or gone.
    pub(crate) fn moved(&mut self, bytes: usize) {
        if let Some(since) = self.since.take() {
            self.left = self.left.saturating_sub(since.elapsed());
        }
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        let earned = Duration::from_secs(1).saturating_mul(bytes) / SLOWEST;
        self.left = self.left.saturating_add(earned).min(LONGEST);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Seconds until one who gets so many bytes every minute is out of patience; at most a day.
    async fn lasts(bytes: usize) -> u64 {
        let (mut patience, begun) = (Patience::default(), Instant::now());
        let minute = Duration::from_mins(1);
        while patience.until() > Instant::now() + minute && begun.elapsed().as_secs() < 86_400 {
            tokio::time::advance(minute).await;
            patience.moved(bytes);
        }
        (patience.until() - begun).as_secs()
    }

    #[tokio::test(start_paused = true)]
    async fn a_trickle_wears_it_out_and_a_flow_does_not() {
        assert_eq!(lasts(0).await, 120);
        assert_eq!(lasts(1).await, 120);
        assert!((200..300).contains(&lasts(2 << 20).await));
        assert!(lasts(4 << 20).await > 86_000);
    }

    #[tokio::test(start_paused = true)]
    async fn the_time_in_which_nobody_waits_is_not_counted() {
        let mut patience = Patience::default();
        patience.moved(1);
        tokio::time::advance(Duration::from_hours(1)).await;
        assert_eq!(patience.until(), Instant::now() + LONGEST);
    }
}

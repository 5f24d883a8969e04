//! Ages by which marks are removed. A clock that jumps must not make them old.

use tokio::time::Instant;
use types::UnixMillis;

/// A time that goes no faster than time passes: from the newest mark that was found, as the gateway
/// started, and never beyond what the clock says.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Age {
    newest: UnixMillis,
    since: Instant,
}

impl Age {
    /// From the newest mark that there is.
    pub(crate) fn from(newest: UnixMillis) -> Self {
        Self { newest, since: Instant::now() }
    }

    /// Before which a mark is `keep` milliseconds old, by every measure.
    pub(crate) fn before(&self, clock: UnixMillis, keep: u64) -> UnixMillis {
        let passed = u64::try_from(self.since.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.newest.saturating_add(passed).min(clock).saturating_sub(keep)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_jump_makes_nothing_old() {
        let age = Age::from(1_000_000);
        assert_eq!(age.before(1_000_000, 1_000), 999_000);
        assert_eq!(age.before(1_000_000 + 3_600_000, 1_000), 999_000, "an hour forward");
        assert_eq!(age.before(500_000, 1_000), 499_000, "backward");
        tokio::time::advance(Duration::from_secs(5)).await;
        assert_eq!(age.before(9_000_000, 1_000), 1_004_000);
    }
}

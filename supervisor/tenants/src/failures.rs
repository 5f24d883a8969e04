//! Failures of the records, as the log has them: where they are closed each event that waits fails, each
//! second. The first is told at once, and the others as a number.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use types::TenantId;

/// Between two lines.
const PAUSE: Duration = Duration::from_mins(1);

/// What was told, over all tenants.
#[derive(Debug, Default)]
pub(crate) struct Failures(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    told_at: Option<Instant>,
    untold: u64,
}

impl Failures {
    /// Tells of a failure, or counts it. A tenant that is gone has none.
    pub(crate) fn tell(&self, tenant: &TenantId, err: &delivery::Error, of: &'static str) {
        if err.is_gone() {
            return;
        }
        let error = types::Chain(err);
        if !matches!(err, delivery::Error::Records(_)) {
            // Of one event, and once.
            tracing::error!(%tenant, %error, of, "deliveries cannot be read or written");
        } else if let Some(others) = self.one_more(Instant::now()) {
            tracing::error!(%tenant, %error, of, others, "deliveries cannot be read or written");
        }
    }

    /// How many were not told of, where it is time to tell of them.
    pub(crate) fn rest(&self) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if state.untold > 0 && state.is_due(Instant::now()) {
            let others = std::mem::take(&mut state.untold);
            state.told_at = Some(Instant::now());
            drop(state);
            tracing::error!(others, "deliveries cannot be read or written, as before");
        }
    }

    fn one_more(&self, now: Instant) -> Option<u64> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !state.is_due(now) {
            state.untold = state.untold.saturating_add(1);
            return None;
        }
        state.told_at = Some(now);
        Some(std::mem::take(&mut state.untold))
    }
}

impl State {
    fn is_due(&self, now: Instant) -> bool {
        self.told_at.is_none_or(|at| now.duration_since(at) >= PAUSE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_thousand_failures_are_one_line_and_a_number() {
        let failures = Failures::default();
        let told = |times: u32| -> Vec<u64> {
            (0..times).filter_map(|_| failures.one_more(Instant::now())).collect()
        };
        assert_eq!(told(1000), [0]);
        tokio::time::advance(PAUSE.checked_sub(Duration::from_millis(1)).unwrap()).await;
        assert!(told(1).is_empty());
        tokio::time::advance(Duration::from_millis(1)).await;
        assert_eq!(told(3), [1000]);
        tokio::time::advance(PAUSE).await;
        failures.rest();
        assert!(told(1).is_empty(), "the rest was told");
    }
}

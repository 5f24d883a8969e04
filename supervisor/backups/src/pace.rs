//! How often a tenant may ask for backups and restores itself: each keeps the store and a worker busy.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use types::{TenantId, UnixMillis};

use crate::Error;

/// Of one tenant within the window.
const MOST: usize = 6;

/// The window.
const WINDOW_MS: u64 = 60 * 60 * 1000;

/// Tenants that are kept before those are forgotten that asked for nothing within the window.
const KEPT: usize = 1024;

#[derive(Debug, Default)]
pub(crate) struct Pace(Mutex<HashMap<TenantId, Vec<UnixMillis>>>);

impl Pace {
    pub(crate) fn take(&self, tenant: &TenantId, now: UnixMillis) -> Result<(), Error> {
        // One of a time that is yet to come is of a clock that was ahead.
        let recent = |at: &UnixMillis| now.abs_diff(*at) < WINDOW_MS;
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= KEPT && !all.contains_key(tenant) {
            all.retain(|_, times| times.iter().any(recent));
        }
        let times = all.entry(tenant.clone()).or_default();
        times.retain(recent);
        if times.len() >= MOST {
            let oldest = times.first().copied().unwrap_or(now);
            let left = WINDOW_MS.saturating_sub(now.saturating_sub(oldest));
            return Err(Error::TooOften { retry_after_s: left.div_ceil(1000).max(1) });
        }
        times.push(now);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenant_that_asks_too_often_waits_and_no_other_does() {
        let (pace, a, b) = (Pace::default(), "a".parse().unwrap(), "b".parse().unwrap());
        for _ in 0..MOST {
            pace.take(&a, 1000).unwrap();
        }
        let err = pace.take(&a, 2000).unwrap_err();
        assert!(matches!(err, Error::TooOften { retry_after_s: 3599 }), "{err}");
        pace.take(&b, 2000).unwrap();
        pace.take(&a, 1000 + WINDOW_MS).unwrap();
        for _ in 0..MOST {
            pace.take(&b, 1000 * WINDOW_MS).unwrap();
        }
        pace.take(&b, 3000).unwrap();
    }
}

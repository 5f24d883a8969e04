//! How often a tenant may change its settings, and one change of a tenant at a time.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, Weak};

use types::{TenantId, UnixMillis};

use crate::Settings;

/// Changes of one tenant in one window, as in `OpenClaw`.
pub const WRITES: u32 = 30;

/// The window, in milliseconds.
pub const WRITES_WINDOW: u64 = 60_000;

/// Tenants that are kept before those are forgotten that change nothing.
const KEPT: usize = 1024;

/// When a tenant's window began, and its changes since.
pub(crate) type Windows = HashMap<TenantId, (UnixMillis, u32)>;

/// The turns that somebody has or waits for.
pub(crate) type Turns = HashMap<TenantId, Weak<tokio::sync::Mutex<()>>>;

/// Too many changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many changes: {WRITES} in {} s are the limit", WRITES_WINDOW / 1000)]
pub struct Pace {
    /// Milliseconds until the next may be made.
    pub retry_after_ms: u64,
}

/// The right to change a tenant's settings and to tell of it; dropped, it is the next one's.
#[derive(Debug)]
pub struct Turn(#[expect(dead_code, reason = "held")] tokio::sync::OwnedMutexGuard<()>);

impl Settings {
    /// Counts one change.
    ///
    /// # Errors
    /// When there were too many already.
    pub fn pace(&self, tenant: &TenantId, now: UnixMillis) -> Result<(), Pace> {
        let mut windows = self.0.pace.lock().unwrap_or_else(PoisonError::into_inner);
        let is_open = |began: UnixMillis| now.saturating_sub(began) < WRITES_WINDOW;
        if windows.len() >= KEPT && !windows.contains_key(tenant) {
            windows.retain(|_, (began, _)| is_open(*began));
        }
        let window = windows.entry(tenant.clone()).or_insert((now, 0));
        if !is_open(window.0) {
            *window = (now, 0);
        }
        if window.1 >= WRITES {
            let end = window.0.saturating_add(WRITES_WINDOW);
            return Err(Pace { retry_after_ms: end.saturating_sub(now) });
        }
        window.1 = window.1.saturating_add(1);
        Ok(())
    }

    /// Waits until nobody else changes the tenant's settings: a worker that is told of changes
    /// must be told of the last one last.
    pub async fn turn(&self, tenant: &TenantId) -> Turn {
        let lock = {
            let mut turns = self.0.turns.lock().unwrap_or_else(PoisonError::into_inner);
            if turns.len() >= KEPT && !turns.contains_key(tenant) {
                turns.retain(|_, lock| lock.strong_count() > 0);
            }
            let found = turns.get(tenant).and_then(Weak::upgrade);
            let lock = found.unwrap_or_default();
            turns.insert(tenant.clone(), Arc::downgrade(&lock));
            lock
        };
        Turn(lock.lock_owned().await)
    }
}

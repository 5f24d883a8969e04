//! One change of a tenant's tokens at a time, so that records and table change in the same order.
//! Tenants do not wait for each other.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::OwnedMutexGuard;
use types::TenantId;

/// Tenants that are kept before those are forgotten that change nothing.
const KEPT: usize = 1024;

/// The turns that somebody has or waits for.
#[derive(Debug, Default)]
pub(crate) struct Turns(Mutex<HashMap<TenantId, Weak<tokio::sync::Mutex<()>>>>);

/// The right to change a tenant's tokens; dropped, it is the next one's.
#[derive(Debug)]
pub(crate) struct Turn(#[expect(dead_code, reason = "held")] OwnedMutexGuard<()>);

impl Turns {
    /// Waits until nobody else changes the tenant's tokens.
    pub(crate) async fn of(&self, tenant: &TenantId) -> Turn {
        let lock = {
            let mut turns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if turns.len() >= KEPT && !turns.contains_key(tenant) {
                turns.retain(|_, lock| lock.strong_count() > 0);
            }
            let lock: Arc<tokio::sync::Mutex<()>> =
                turns.get(tenant).and_then(Weak::upgrade).unwrap_or_default();
            turns.insert(tenant.clone(), Arc::downgrade(&lock));
            lock
        };
        Turn(lock.lock_owned().await)
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn tenants_wait_for_themselves_only_and_are_forgotten() {
        let turns = Turns::default();
        let id = |text: &str| text.parse::<TenantId>().unwrap();
        let (a, b) = (id("a"), id("b"));
        let first = turns.of(&a).await;
        assert!(turns.of(&a).now_or_never().is_none());
        assert!(turns.of(&b).now_or_never().is_some());
        drop(first);
        assert!(turns.of(&a).now_or_never().is_some());
        for number in 0..2 * KEPT {
            turns.of(&id(&format!("t{number}"))).await;
        }
        assert!(turns.0.lock().unwrap().len() <= KEPT);
    }
}

//! What happens to a tenant's tokens when the tenant is suspended, resumed or deleted.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use types::TenantId;

use crate::Auth;

/// The tenants whose requests are refused.
#[derive(Debug, Default)]
pub(crate) struct Suspended(Mutex<HashSet<TenantId>>);

impl Suspended {
    pub(crate) fn contains(&self, tenant: &TenantId) -> bool {
        self.change(|tenants| tenants.contains(tenant))
    }

    pub(crate) fn change<T>(&self, change: impl FnOnce(&mut HashSet<TenantId>) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Auth {
    /// Ends every connection of the tenant at once, and lets no caller do anything, until
    /// [`Auth::resume`]. Who calls is still known, so that they can be told.
    pub fn suspend(&self, tenant: &TenantId) {
        self.set_suspended(tenant, true);
    }

    /// Lets the tenant's callers in again.
    pub fn resume(&self, tenant: &TenantId) {
        self.set_suspended(tenant, false);
    }

    /// Ends every token of a tenant whose records are gone.
    ///
    /// It must come after the deletion: a token issued meanwhile is then ended too, and could not
    /// have come later. For an effect before that, [`Auth::suspend`] first.
    pub async fn forget(&self, tenant: &TenantId) {
        let turn = self.0.turns.of(tenant).await;
        let count = self.end(tenant, |_| true);
        self.0.suspended.change(|tenants| tenants.remove(tenant));
        drop(turn);
        tracing::info!(%tenant, count, "tokens of a deleted tenant ended");
    }

    fn set_suspended(&self, tenant: &TenantId, suspended: bool) {
        let replaced = self.0.tokens.change(tenant, |map| {
            // Inside the change, so that a token that is being written sees one or the other.
            self.0.suspended.change(|tenants| {
                if suspended { tenants.insert(tenant.clone()) } else { tenants.remove(tenant) }
            });
            map.values_mut()
                .filter(|entry| entry.suspended != suspended)
                .map(|entry| {
                    let renewed = Arc::new(entry.renewed(suspended));
                    std::mem::replace(entry, renewed)
                })
                .collect::<Vec<_>>()
        });
        for entry in replaced {
            entry.ended.cancel();
        }
    }
}

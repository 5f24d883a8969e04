//! The tenants by name: read without a lock on every request, written when one comes or goes.

use std::collections::BTreeMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use types::TenantId;

use crate::tenant::Tenant;

type Map = BTreeMap<TenantId, Arc<Tenant>>;

/// Every registered tenant.
#[derive(Debug, Default)]
pub(crate) struct Directory(ArcSwap<Map>);

impl Directory {
    pub(crate) fn find(&self, id: &TenantId) -> Option<Arc<Tenant>> {
        self.0.load().get(id).map(Arc::clone)
    }

    pub(crate) fn all(&self) -> Vec<Arc<Tenant>> {
        self.0.load().values().map(Arc::clone).collect()
    }

    /// Up to `limit` tenants whose ids come after `after`, in order.
    pub(crate) fn page(&self, after: Option<&TenantId>, limit: usize) -> Vec<Arc<Tenant>> {
        let from = after.map_or(std::ops::Bound::Unbounded, std::ops::Bound::Excluded);
        let range = (from, std::ops::Bound::Unbounded);
        self.0
            .load()
            .range::<TenantId, _>(range)
            .filter(|(_, it)| !it.is_ending())
            .take(limit)
            .map(|(_, it)| Arc::clone(it))
            .collect()
    }

    pub(crate) fn insert(&self, tenants: &[Arc<Tenant>]) {
        self.0.rcu(|map| {
            let mut map = Map::clone(map);
            map.extend(tenants.iter().map(|tenant| (tenant.id.clone(), Arc::clone(tenant))));
            map
        });
    }

    pub(crate) fn remove(&self, id: &TenantId) {
        self.0.rcu(|map| {
            let mut map = Map::clone(map);
            map.remove(id);
            map
        });
    }
}

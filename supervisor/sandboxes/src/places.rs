//! Places for programs: so many of each tenant, so many of all. Where all are taken, the next free
//! one goes to the tenant that has fewest, so that one tenant's storm starves nobody.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;
use types::TenantId;

use crate::Error;
use crate::bounds::PLACE;
use crate::error::Bound;

/// Places of one kind. Clones are the same.
#[derive(Debug, Clone)]
pub(crate) struct Places(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// Of one tenant, those that wait included.
    each: usize,
    total: usize,
    full: Bound,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    taken: usize,
    /// Of each tenant that has or waits for one: how many it has, and how many it waits for.
    tenants: BTreeMap<TenantId, (usize, usize)>,
    /// At most `each` of each tenant.
    waiting: VecDeque<(TenantId, oneshot::Sender<Place>)>,
}

/// One place, given back when dropped.
#[derive(Debug)]
pub(crate) struct Place {
    inner: Arc<Inner>,
    tenant: TenantId,
}

/// A wish for a place, taken back when dropped.
struct Wish<'a>(&'a Inner, &'a TenantId);

impl Places {
    /// So many of `each` tenant, of which too many are `full`, and so many of all.
    pub(crate) fn new(each: usize, total: usize, full: Bound) -> Self {
        Self(Arc::new(Inner { each, total, full, state: Mutex::default() }))
    }

    /// A place for one program of `tenant`; waits a while where only those of all are taken.
    pub(crate) async fn take(&self, tenant: &TenantId) -> Result<Place, Error> {
        let inner = &self.0;
        let given = {
            let mut state = inner.state();
            let of = state.tenants.get(tenant).copied().unwrap_or_default();
            if of.0 + of.1 >= inner.each {
                return Err(Error::Full(inner.full));
            }
            if state.taken < inner.total {
                state.taken += 1;
                state.tenants.entry(tenant.clone()).or_default().0 += 1;
                return Ok(Place { inner: Arc::clone(inner), tenant: tenant.clone() });
            }
            let (give, given) = oneshot::channel();
            state.tenants.entry(tenant.clone()).or_default().1 += 1;
            state.waiting.push_back((tenant.clone(), give));
            given
        };
        let _wish = Wish(inner, tenant);
        match tokio::time::timeout(PLACE, given).await {
            Ok(Ok(place)) => Ok(place),
            Ok(Err(_)) | Err(_) => Err(Error::Full(Bound::Total)),
        }
    }
}

impl Inner {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Who of those that wait is next: the first of the tenant that has fewest.
    fn next(&mut self) -> Option<(TenantId, oneshot::Sender<Place>)> {
        self.waiting.retain(|(_, give)| !give.is_closed());
        let has = |tenant: &TenantId| self.tenants.get(tenant).map_or(0, |it| it.0);
        let least = self.waiting.iter().enumerate().min_by_key(|(at, it)| (has(&it.0), *at));
        let at = least.map(|(at, _)| at)?;
        self.waiting.remove(at)
    }

    fn forget(&mut self, tenant: &TenantId) {
        if self.tenants.get(tenant) == Some(&(0, 0)) {
            self.tenants.remove(tenant);
        }
    }
}

impl Drop for Wish<'_> {
    fn drop(&mut self) {
        let mut state = self.0.state();
        if let Some(of) = state.tenants.get_mut(self.1) {
            of.1 = of.1.saturating_sub(1);
        }
        state.forget(self.1);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut state = self.inner.state();
        if let Some(of) = state.tenants.get_mut(&self.tenant) {
            of.0 = of.0.saturating_sub(1);
        }
        state.forget(&self.tenant);
        let Some((tenant, give)) = state.next() else {
            state.taken = state.taken.saturating_sub(1);
            return;
        };
        state.tenants.entry(tenant.clone()).or_default().0 += 1;
        drop(state);
        // Where nobody takes it any more, dropping it here passes it on.
        drop(give.send(Place { inner: Arc::clone(&self.inner), tenant }));
    }
}

#[cfg(test)]
mod tests {
    use futures_util::poll;

    use super::*;

    fn tenants() -> [TenantId; 3] {
        ["a", "b", "c"].map(|it| it.parse().unwrap())
    }

    #[tokio::test]
    async fn a_tenant_has_its_bound() {
        let [a, b, _] = tenants();
        let places = Places::new(2, 8, Bound::Commands);
        let one = places.take(&a).await.unwrap();
        let _two = places.take(&a).await.unwrap();
        assert!(matches!(places.take(&a).await, Err(Error::Full(Bound::Commands))));
        let _other = places.take(&b).await.unwrap();
        drop(one);
        let _again = places.take(&a).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn the_next_place_is_of_whoever_has_fewest() {
        let [a, b, c] = tenants();
        let places = Places::new(8, 3, Bound::Commands);
        let mut held = Vec::new();
        for _ in 0..3 {
            held.push(places.take(&a).await.unwrap());
        }
        let mut storm: Vec<_> = (0..5).map(|_| Box::pin(places.take(&a))).collect();
        for wish in &mut storm {
            assert!(poll!(wish).is_pending());
        }
        let (mut second, mut third) = (Box::pin(places.take(&b)), Box::pin(places.take(&c)));
        assert!(poll!(&mut second).is_pending() && poll!(&mut third).is_pending());
        held.pop();
        let _b = second.await.unwrap();
        held.pop();
        let _c = third.await.unwrap();
        held.pop();
        storm.remove(0).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn waiting_ends_and_leaves_nothing_behind() {
        let [a, b, c] = tenants();
        let places = Places::new(2, 1, Bound::Commands);
        let held = places.take(&a).await.unwrap();
        assert!(matches!(places.take(&b).await, Err(Error::Full(Bound::Total))));
        let mut given_up = Box::pin(places.take(&c));
        assert!(poll!(&mut given_up).is_pending());
        drop(given_up);
        drop(held);
        assert_eq!(places.0.state().taken, 0);
        assert!(places.0.state().tenants.is_empty());
        let _free = places.take(&b).await.unwrap();
    }
}

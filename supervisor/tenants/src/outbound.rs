//! Files that workers have set aside to be sent: asked for when they are sent, and held whole for so long.
//! What is in them is not looked at.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use proto::worker::OutboundRequest;
use tonic::Code;
use types::{Chain, TenantId};

use crate::Tenants;

/// Files that are held at once, each of another tenant: at most some hundred megabytes in all.
const MAX_HELD: usize = 16;

/// When whoever finds no room comes again, in milliseconds.
const BUSY_MS: u64 = 1_000;

/// How long a worker may take for a file, and to be started for it.
const PATIENCE: Duration = Duration::from_mins(1);

/// Why a file is not there that a worker has set aside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotHad {
    /// It never will be.
    Never(String),
    /// It may be later.
    Away(String),
    /// Others are held; ask again in so many milliseconds.
    Busy(u64),
}

/// Whose files are held.
#[derive(Debug, Default)]
pub(crate) struct Holders(Mutex<BTreeSet<TenantId>>);

/// The place of a tenant among them.
#[derive(Debug)]
struct Place {
    holders: Arc<Holders>,
    tenant: TenantId,
}

/// A file, with the place that it takes.
struct Held {
    bytes: Bytes,
    _place: Place,
}

impl Holders {
    fn lock(&self) -> MutexGuard<'_, BTreeSet<TenantId>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for a tenant that has none: one that is slow takes up no more than that.
    fn enter(self: &Arc<Self>, tenant: &TenantId) -> Option<Place> {
        let mut holders = self.lock();
        if holders.len() >= MAX_HELD || !holders.insert(tenant.clone()) {
            return None;
        }
        Some(Place { holders: Arc::clone(self), tenant: tenant.clone() })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.holders.lock().remove(&self.tenant);
    }
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Tenants {
    /// A file of `size` bytes that the tenant's worker has set aside under this id. The tenant has no other
    /// until it is dropped.
    ///
    /// # Errors
    /// When it is not there, cannot be had now, or others are held.
    pub async fn outbound(
        &self,
        tenant: &TenantId,
        id: &str,
        size: usize,
    ) -> Result<Bytes, NotHad> {
        let place = self.0.holders.enter(tenant).ok_or(NotHad::Busy(BUSY_MS))?;
        let had = tokio::time::timeout(PATIENCE, self.had(tenant, id, size)).await;
        let bytes =
            had.map_err(|_elapsed| NotHad::Away("the worker took too long".to_owned()))??;
        Ok(Bytes::from_owner(Held { bytes, _place: place }))
    }

    async fn had(&self, tenant: &TenantId, id: &str, size: usize) -> Result<Bytes, NotHad> {
        let away = |err: crate::Error| NotHad::Away(Chain(&err).to_string());
        let tenant = self.find(tenant).map_err(away)?;
        let (worker, pass) = tenant.ready(&self.0).await.map_err(away)?;
        let failed = |status: tonic::Status| {
            if status.code() == Code::NotFound {
                return NotHad::Never("the file is not there any more".to_owned());
            }
            NotHad::Away(worker.failure(status).public())
        };
        let mut parts =
            worker.outbound(OutboundRequest { id: id.to_owned() }).await.map_err(failed)?;
        let mut bytes = BytesMut::with_capacity(size);
        while let Some(part) = parts.message().await.map_err(failed)? {
            // What comes is bounded by what was said of it before, not by who sends it.
            if bytes.len().saturating_add(part.data.len()) > size {
                return Err(NotHad::Never("the file is not as it was".to_owned()));
            }
            bytes.extend_from_slice(&part.data);
        }
        drop(pass);
        if bytes.len() < size {
            return Err(NotHad::Never("the file is not as it was".to_owned()));
        }
        Ok(bytes.freeze())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenant_has_one_place_and_gives_it_back() {
        let holders = Arc::new(Holders::default());
        let id = |n: usize| -> TenantId { format!("t{n}").parse().unwrap() };
        let mut places: Vec<_> = (0..MAX_HELD).map(|n| holders.enter(&id(n)).unwrap()).collect();
        assert!(holders.enter(&id(MAX_HELD)).is_none(), "all are taken");
        drop(places.pop());
        assert!(holders.enter(&id(0)).is_none(), "it has one");
        assert!(holders.enter(&id(MAX_HELD)).is_some());
    }
}

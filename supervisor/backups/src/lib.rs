//! Backups of tenants: made, listed, restored, tried out and removed; when, and how long they are kept.
//!
//! What is in an archive is not looked at: confined workers make and unpack it. A store sees sealed
//! bytes only, and its names are made here of a tenant's and a backup's, never of anything a client says.

mod catalogue;
mod create;
mod drill;
mod error;
pub mod format;
mod id;
mod keyfile;
mod metrics;
mod pace;
mod plan;
mod prune;
mod reader;
mod restore;
mod retention;
pub mod roots;
mod schedule;
mod section;
pub mod store;
mod tenants;
#[cfg(test)]
mod testing;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use ::audit::Audit;
use alerts::Alerts;
use hub::Hub;
use prometheus_client::registry::Registry;
use records::Records;
use runtime::Tasks;
use serde::Serialize;
use settings::Settings;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use types::{Clock, TenantId, UnixMillis};
use zeroize::Zeroizing;

use format::keys::DataKey;
use metrics::Metrics;
use roots::Roots;
use store::Store;

pub use catalogue::Listed;
pub use drill::Drilled;
pub use error::Error;
pub use format::manifest::{AskedBy, Manifest};
pub use id::{BackupId, InvalidId};
pub use keyfile::{KeyFile, read as read_key};
pub use plan::{Every, InvalidEvery, Plan, Plans, Standing};
pub use prune::KEPT_OF_TENANT;
pub use restore::{Restore, Restored};
pub use retention::Keep;
pub use tenants::Live;

/// Backups and restores at once, where the operator says nothing: each keeps a worker and the line to
/// the store busy.
pub const PARALLEL: usize = 2;

/// Backups that may be kept of one tenant, without those that it has asked for itself.
pub const MAX_BACKUPS: usize = 1000;

/// Backups of all tenants. Clones are the same.
#[derive(Debug, Clone)]
pub struct Backups(Arc<Inner>);

/// What the operator says of backups.
#[derive(Debug, Clone, Default)]
pub struct Config {
    /// Where they lie; none where there is nowhere.
    pub store: Option<Arc<dyn Store>>,
    /// What old clients may name, as it is here.
    pub place: Place,
    /// When they are made and which are kept.
    pub plans: Plans,
    /// How many are made or restored at once; 0 for [`PARALLEL`].
    pub parallel: usize,
}

/// The store as old clients name it. They may say what is so, and nothing else.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Place {
    /// The bucket.
    pub bucket: Option<String>,
    /// The service.
    pub endpoint: Option<String>,
    /// Its region.
    pub region: Option<String>,
    /// What names begin with.
    pub prefix: Option<String>,
}

/// What [`Backups`] is made of.
#[derive(Debug)]
pub struct Parts<'a> {
    /// What the operator says.
    pub config: Config,
    /// The tenants.
    pub roots: Arc<dyn Roots>,
    /// Their records.
    pub records: Records,
    /// Their keys and secrets.
    pub settings: Settings,
    /// Where it is recorded what was done without being asked for.
    pub audit: Audit,
    /// How the operator hears of failures.
    pub alerts: Alerts,
    /// How tenants hear of theirs.
    pub hub: Hub,
    /// Where the time comes from.
    pub clock: Arc<dyn Clock>,
    /// The scope in which everything runs.
    pub tasks: Tasks,
    /// Where the metrics are shown.
    pub registry: &'a mut Registry,
}

#[derive(Debug)]
struct Inner {
    config: Config,
    roots: Arc<dyn Roots>,
    records: Records,
    settings: Settings,
    audit: Audit,
    alerts: Alerts,
    hub: Hub,
    clock: Arc<dyn Clock>,
    tasks: Tasks,
    metrics: Metrics,
    places: Arc<Semaphore>,
    running: Mutex<HashMap<TenantId, Arc<Running>>>,
    pace: pace::Pace,
    started_at: UnixMillis,
}

/// What is under way for one tenant.
#[derive(Debug)]
pub(crate) struct Running {
    act: &'static str,
    since: UnixMillis,
    bytes: AtomicU64,
}

/// The same, for people who look.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Progress {
    /// `backup`, `restore` or `verify`.
    pub act: &'static str,
    /// When it was begun.
    pub since: UnixMillis,
    /// Bytes of the archive until now.
    pub bytes: u64,
}

/// The right to do something with one tenant's backups, alone.
#[derive(Debug)]
pub(crate) struct Turn {
    inner: Arc<Inner>,
    tenant: TenantId,
    running: Arc<Running>,
    place: Option<OwnedSemaphorePermit>,
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.inner.running().remove(&self.tenant);
        // Whoever waits for it finds this tenant without a turn.
        drop(self.place.take());
    }
}

impl Running {
    pub(crate) fn moved(&self, bytes: usize) {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }
}

impl Inner {
    fn running(&self) -> std::sync::MutexGuard<'_, HashMap<TenantId, Arc<Running>>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn store(&self) -> Result<Arc<dyn Store>, Error> {
        self.config.store.clone().ok_or(Error::NoStore)
    }

    /// The tenant's own data key.
    pub(crate) async fn key(&self, tenant: &TenantId) -> Result<Arc<DataKey>, Error> {
        let key: Zeroizing<[u8; 32]> = match self.settings.backup_key(tenant).await {
            Ok(key) => key,
            Err(err) if err.is_gone() => return Err(Error::NoKey),
            Err(err) => return Err(Error::Settings(err)),
        };
        Ok(Arc::new(DataKey::new(key)))
    }

    /// Waits for a place among all; refuses where the tenant has one already.
    pub(crate) async fn turn(
        self: &Arc<Self>,
        tenant: &TenantId,
        act: &'static str,
    ) -> Result<Turn, Error> {
        if self.tasks.is_stopping() {
            return Err(Error::ShuttingDown);
        }
        let since = self.clock.now();
        let running = Arc::new(Running { act, since, bytes: AtomicU64::new(0) });
        match self.running().entry(tenant.clone()) {
            std::collections::hash_map::Entry::Occupied(_) => return Err(Error::Busy),
            std::collections::hash_map::Entry::Vacant(free) => {
                free.insert(Arc::clone(&running));
            }
        }
        // Made before it waits: whoever gives up waiting gives up the claim.
        let mut turn =
            Turn { inner: Arc::clone(self), tenant: tenant.clone(), running, place: None };
        let place = Arc::clone(&self.places).acquire_owned().await;
        turn.place = Some(place.map_err(|_closed| Error::ShuttingDown)?);
        Ok(turn)
    }
}

impl Backups {
    /// Undoes what was half done when the gateway was killed, and starts the schedule.
    ///
    /// # Errors
    /// When what is half done cannot be undone.
    pub async fn start(parts: Parts<'_>) -> Result<Self, Error> {
        let parallel = match parts.config.parallel {
            0 => PARALLEL,
            parallel => parallel,
        };
        let backups = Self(Arc::new(Inner {
            config: parts.config,
            roots: parts.roots,
            records: parts.records,
            settings: parts.settings,
            audit: parts.audit,
            alerts: parts.alerts,
            hub: parts.hub,
            started_at: parts.clock.now(),
            clock: parts.clock,
            tasks: parts.tasks,
            metrics: Metrics::register(parts.registry),
            places: Arc::new(Semaphore::new(parallel)),
            running: Mutex::default(),
            pace: pace::Pace::default(),
        }));
        restore::recover(&backups.0).await?;
        schedule::start(&backups);
        Ok(backups)
    }

    /// What is under way for a tenant.
    pub fn progress(&self, tenant: &TenantId) -> Option<Progress> {
        let running = self.0.running().get(tenant).map(Arc::clone)?;
        let bytes = running.bytes.load(Ordering::Relaxed);
        Some(Progress { act: running.act, since: running.since, bytes })
    }

    /// The store as old clients name it.
    pub fn place(&self) -> &Place {
        &self.0.config.place
    }

    /// One more backup or restore that a tenant itself asks for.
    ///
    /// # Errors
    /// When it asks too often.
    pub fn pace(&self, tenant: &TenantId) -> Result<(), Error> {
        self.0.pace.take(tenant, self.0.clock.now())
    }
}

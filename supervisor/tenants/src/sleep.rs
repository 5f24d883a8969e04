//! When workers sleep and when they are kept awake: each tenant's own policy, or the operator's.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use types::{Sleep, UnixMillis};

use crate::starts::Bounds;
use crate::tenant::{Cause, Tenant};
use crate::{Inner, admin, lifecycle, timers};

/// How long an idle worker may take to stop.
const DRAIN: Duration = Duration::from_secs(5);

/// How long after a warm worker could not be started it is tried again.
const WARM_AGAIN_MS: u64 = 5_000;

/// Starts at once for each processor where the operator says nothing: one waits for the launcher while
/// the other's worker works.
const STARTS_PER_PROCESSOR: usize = 2;

/// How long a request waits for its tenant's worker to be let in where the operator says nothing, in
/// seconds: less than clients wait for an answer.
const WAIT_S: u32 = 15;

/// How many workers there may be, and when they sleep, as the operator says.
#[derive(Debug, Clone, Copy, Default)]
pub struct Workers {
    /// What holds for tenants that have no policy of their own.
    pub sleep: Sleep,
    /// The most workers that are awake at once.
    pub max_awake: Option<usize>,
    /// The most memory of all workers together, in bytes.
    pub max_memory: Option<u64>,
    /// Memory of the machine that is left free, in bytes; a twentieth of it, at most 512 MiB, where
    /// nothing is said.
    pub min_available: Option<u64>,
    /// The most starts at once; twice the number of processors where nothing is said.
    pub starts_at_once: Option<usize>,
    /// How long a request waits for its tenant's worker to be let in, in seconds; 15 where nothing is
    /// said.
    pub wait_seconds: Option<u32>,
}

impl Workers {
    pub(crate) fn bounds(&self) -> Bounds {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        let usual = processors.saturating_mul(STARTS_PER_PROCESSOR);
        Bounds {
            at_once: self.starts_at_once.unwrap_or(usual).max(1),
            awake: self.max_awake.unwrap_or(usize::MAX).max(1),
            patience: Duration::from_secs(self.wait_seconds.unwrap_or(WAIT_S).into()),
        }
    }
}

impl Inner {
    /// The policy that holds for a tenant.
    pub(crate) fn sleep_of(&self, tenant: &Tenant) -> Sleep {
        tenant.row.load().limits.sleep.or(self.workers.sleep).or(Sleep::USUAL)
    }
}

/// Puts to sleep whoever has been idle for as long as its policy says.
pub(crate) fn idle(inner: &Arc<Inner>) {
    let now = inner.clock.now();
    for tenant in inner.directory.all() {
        let Sleep::After(seconds) = inner.sleep_of(&tenant) else { continue };
        let Some(since) = admin::idle_since(&tenant, now) else { continue };
        let is_over = now.saturating_sub(since) >= u64::from(seconds).saturating_mul(1000);
        // One that is about to be woken was perhaps started for that.
        if !is_over || tenant.timer.is_near(now, timers::LONGEST_LEAD_MS) {
            continue;
        }
        // Whoever holds the control is already moving the worker.
        if let Ok(control) = Arc::clone(&tenant.control).try_lock_owned() {
            let scope = Arc::clone(inner);
            drop(inner.tasks.spawn(async move {
                lifecycle::rest(&scope, &tenant, DRAIN).await;
                drop(control);
                last_out(&scope);
            }));
        }
    }
}

/// Gives memory back when the last worker has gone: nothing may happen for a long time.
pub(crate) fn last_out(inner: &Inner) {
    if inner.starts.counts() == (0, 0) {
        drop(tokio::task::spawn_blocking(sandbox::memory::trim));
    }
}

/// Starts whoever is to be always awake and is not.
pub(crate) fn warm(inner: &Arc<Inner>) {
    let now = inner.clock.now();
    for tenant in inner.directory.all() {
        if is_cold(inner, &tenant, now) && inner.starts.has_room() {
            tenant.warming.store(true, Ordering::Release);
            let scope = Arc::clone(inner);
            drop(inner.tasks.spawn(async move {
                // Whoever starts workers has logged why one does not start.
                let started = tenant.ready_for(&scope, Cause::Upkeep).await.is_ok();
                let again = if started { 0 } else { scope.clock.now() + WARM_AGAIN_MS };
                tenant.warm_again.store(again, Ordering::Relaxed);
                tenant.warming.store(false, Ordering::Release);
            }));
        }
    }
}

/// Whether a tenant's worker is to be awake, is not, and nothing speaks against starting it.
fn is_cold(inner: &Inner, tenant: &Tenant, now: UnixMillis) -> bool {
    inner.sleep_of(tenant) == Sleep::Warm
        && tenant.worker.load().as_ref().is_none_or(|worker| worker.is_gone())
        && tenant.busy.load().is_none()
        && !tenant.row.load().suspended
        && !tenant.warming.load(Ordering::Acquire)
        && tenant.warm_again.load(Ordering::Relaxed) <= now
        && tenant.parked_until.load(Ordering::Relaxed) <= now
        && !inner.tasks.is_stopping()
}

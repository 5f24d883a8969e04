//! Housekeeping once a second: timers ring, idle workers stop, what was used without a hold is written to
//! the books, and warnings are told.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use types::TenantId;

use crate::tenant::Tenant;
use crate::{Inner, Tenants, admin, launch, lifecycle, timers, warnings};

/// How often. Requests and bytes of at most this long are lost when the supervisor is killed.
const EVERY: Duration = Duration::from_secs(1);

/// How long an idle worker may take to stop.
const IDLE_DRAIN: Duration = Duration::from_secs(5);

pub(crate) fn start(tenants: &Tenants) {
    let inner = Arc::clone(&tenants.0);
    tenants.0.tasks.spawn_until_stopped(async move {
        let mut ticks = tokio::time::interval(EVERY);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let (mut bell, mut measured) = (timers::Bell::default(), None);
        loop {
            ticks.tick().await;
            timers::ring(&inner, &mut bell);
            sleep_idle(&inner);
            post_uses(&inner);
            warnings::tell(&inner);
            measure(&inner, &mut measured).await;
        }
    });
}

fn sleep_idle(inner: &Arc<Inner>) {
    let now = inner.clock.now();
    for tenant in inner.directory.all() {
        let Some(limit) = tenant.row.load().limits.idle_seconds else { continue };
        let Some(since) = admin::idle_since(&tenant, now) else { continue };
        if now.saturating_sub(since) >= u64::from(limit).saturating_mul(1000) {
            // Whoever holds the control is already moving the worker.
            if let Ok(control) = Arc::clone(&tenant.control).try_lock_owned() {
                drop(inner.tasks.spawn(async move {
                    lifecycle::drain(&tenant, IDLE_DRAIN).await;
                    drop(control);
                }));
            }
        }
    }
}

/// Writes down what was used without a hold since the last time.
fn post_uses(inner: &Inner) {
    let now = inner.clock.now();
    for tenant in inner.directory.all() {
        tenant.account.post_uses(now);
    }
}

/// Measures the memory of one worker, the next one each time: all of them at once would keep the
/// launcher from its other work.
async fn measure(inner: &Inner, last: &mut Option<TenantId>) {
    let all = inner.directory.all();
    let awake = all.iter().filter_map(|it| Some((&it.id, it.worker.load_full()?)));
    let awake: Vec<_> = awake.filter(|(_, worker)| !worker.is_gone()).collect();
    let next = awake.iter().find(|(id, _)| last.as_ref().is_none_or(|last| *id > last));
    let Some((id, worker)) = next.or_else(|| awake.first()) else { return };
    *last = Some((*id).clone());
    let (launcher, number) = (inner.launcher.clone(), worker.id);
    if let Ok(usage) = launch::blocking(move || launcher.usage(number)).await {
        worker.memory.store(usage.pss_bytes.unwrap_or(0), Ordering::Relaxed);
    }
}

impl Tenants {
    /// Ends every worker after what it has under way or at the deadline, and writes what was used.
    pub async fn shut_down(&self, deadline: Duration) {
        let mut drains = Vec::new();
        for tenant in self.0.directory.all() {
            drains.push(self.0.tasks.spawn(stop(tenant, deadline)));
        }
        for drain in drains {
            if let Err(err) = drain.await {
                tracing::error!(error = %types::Chain(&err), "a tenant did not stop");
            }
        }
        post_uses(&self.0);
    }
}

async fn stop(tenant: Arc<Tenant>, deadline: Duration) {
    let _control = tenant.control.lock().await;
    lifecycle::drain(&tenant, deadline).await;
    tenant.programs.close().await;
}

//! Housekeeping once a second: timers ring, idle workers stop, and what was used is written to the
//! records.

use std::sync::Arc;
use std::time::Duration;

use crate::tenant::Tenant;
use crate::{Error, Inner, Tenants, admin, lifecycle, timers};

/// How often. Usage of at most this long is lost when the supervisor is killed.
const EVERY: Duration = Duration::from_secs(1);

/// How long an idle worker may take to stop.
const IDLE_DRAIN: Duration = Duration::from_secs(5);

pub(crate) fn start(tenants: &Tenants) {
    let inner = Arc::clone(&tenants.0);
    tenants.0.tasks.spawn_until_stopped(async move {
        let mut ticks = tokio::time::interval(EVERY);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut bell = timers::Bell::default();
        loop {
            ticks.tick().await;
            timers::ring(&inner, &mut bell);
            sleep_idle(&inner);
            if let Err(err) = flush(&inner).await {
                tracing::error!(error = %types::Chain(&err), "usage not written; kept in memory");
            }
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

/// Writes what was used since the last time, in one commit.
pub(crate) async fn flush(inner: &Inner) -> Result<(), Error> {
    let tenants = inner.directory.all();
    let now = inner.clock.now();
    let deltas: Vec<_> = tenants
        .iter()
        .filter_map(|tenant| Some((Arc::clone(tenant), tenant.account.take_deltas(now)?)))
        .collect();
    if deltas.is_empty() {
        return Ok(());
    }
    let rows: Vec<_> = deltas.iter().map(|(tenant, delta)| (&tenant.id, delta)).collect();
    let written = inner.records.add_usage(&rows).await;
    written.map_err(|err| {
        for (tenant, delta) in &deltas {
            tenant.account.put_back(delta);
        }
        Error::Records(err)
    })
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
        if let Err(err) = flush(&self.0).await {
            tracing::error!(error = %types::Chain(&err), "usage not written");
        }
    }
}

async fn stop(tenant: Arc<Tenant>, deadline: Duration) {
    let _control = tenant.control.lock().await;
    lifecycle::drain(&tenant, deadline).await;
    tenant.programs.close().await;
}

//! Housekeeping once a second: events are handed over again, idle workers stop, warm ones are started, what
//! was used without a hold is written to the books, and warnings are told.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use types::TenantId;

use crate::tenant::Tenant;
use crate::{Inner, Tenants, deliveries, launch, lifecycle, outgoing, sleep, warnings};

/// How often. Requests and bytes of at most this long are lost when the supervisor is killed.
const EVERY: Duration = Duration::from_secs(1);

/// Workers whose memory is measured each time: each costs the launcher a fraction of a millisecond.
const MEASURED: usize = 8;

pub(crate) fn start(tenants: &Tenants) {
    let inner = Arc::clone(&tenants.0);
    tenants.0.tasks.spawn_until_stopped(async move {
        let mut ticks = tokio::time::interval(EVERY);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut measured = None;
        loop {
            ticks.tick().await;
            deliveries::look(&inner);
            outgoing::look(&inner);
            inner.failures.rest();
            sleep::idle(&inner);
            sleep::warm(&inner);
            post_uses(&inner);
            warnings::tell(&inner);
            for _ in 0..MEASURED {
                if !measure(&inner, &mut measured).await {
                    break;
                }
            }
        }
    });
}

/// Writes down what was used without a hold since the last time.
fn post_uses(inner: &Inner) {
    let now = inner.clock.now();
    for tenant in inner.directory.all() {
        tenant.account.post_uses(now);
    }
}

/// Measures the memory of one worker, the next one each time: all of them at once would keep the
/// launcher from its other work. False after the last one.
async fn measure(inner: &Inner, last: &mut Option<TenantId>) -> bool {
    let all = inner.directory.all();
    let awake = all.iter().filter_map(|it| Some((&it.id, it.worker.load_full()?)));
    let mut awake = awake.filter(|(_, worker)| !worker.is_gone());
    let next = awake.find(|(id, _)| last.as_ref().is_none_or(|last| *id > last));
    *last = next.as_ref().map(|(id, _)| (*id).clone());
    let Some((_, worker)) = next else { return false };
    let (launcher, number) = (inner.launcher.clone(), worker.id);
    if let Ok(usage) = launch::blocking(move || launcher.usage(number)).await {
        worker.memory.store(usage.pss_bytes.unwrap_or(0), Ordering::Relaxed);
    }
    true
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

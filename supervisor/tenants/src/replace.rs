//! Which of two roots a tenant has: the one that has taken the other's place, or the other.
//!
//! The launcher knows which is which, on the disk; a worker that starts and is verified, or is not,
//! decides. So it does not matter whether the gateway was killed in between.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use audit::{Act, Ended, Who};
use tokio::time::Instant;

use crate::tenant::Tenant;
use crate::{Inner, launch};

/// How long one waits for a worker that was killed, until its root is put aside.
const REAPED: Duration = Duration::from_secs(10);
/// How often one asks.
const AGAIN: Duration = Duration::from_millis(50);

/// A verified worker serves from the new root: the old one goes.
///
/// That is written down before anything of the old one is removed: records and root stay together,
/// and whoever is killed in between goes on here, whatever became of the worker.
pub(crate) async fn settle(inner: &Arc<Inner>, tenant: &Arc<Tenant>) {
    if let Err(err) = inner.records.decide_restore(&tenant.id).await {
        tracing::error!(tenant = %tenant.id, error = %types::Chain(&err), "a restore is not decided");
        return;
    }
    tenant.unsettled.store(false, Ordering::Release);
    decided(inner, tenant, "its new root stays");
    let (launcher, id, index) =
        (inner.launcher.clone(), tenant.id.clone(), tenant.row.load().index);
    match launch::blocking(move || launcher.settle(&id, index)).await {
        Ok(()) => {
            tracing::info!(tenant = %tenant.id, "the tenant's root was replaced");
            // What is killed or fails before this is done at the next start.
            if let Err(err) = inner.records.finish_restore(&tenant.id).await {
                let error = types::Chain(&err);
                tracing::error!(tenant = %tenant.id, error = %error, "a restore is not finished");
            }
        }
        // It only takes room, until the next one is staged or the gateway starts anew.
        Err(err) => {
            tracing::error!(tenant = %tenant.id, error = %types::Chain(&err), "the old root stays");
        }
    }
}

/// Which of the two it is, in the audit trail: after a kill nobody waits for it.
fn decided(inner: &Inner, tenant: &Tenant, which: &str) {
    let act = Act::new("backup.decide", Who::GATEWAY).of_tenant(tenant.id.as_str());
    inner.audit.note(act.on(which), Ended::done());
}

/// No worker serves from the new root: the old one comes back, unless one has served from it before.
/// Where that fails it is tried again when the gateway starts anew.
pub(crate) async fn revert(inner: &Arc<Inner>, tenant: &Arc<Tenant>) {
    match inner.records.is_restore_decided(&tenant.id).await {
        Ok(false) => {}
        Ok(true) => return settle(inner, tenant).await,
        Err(err) => {
            let error = types::Chain(&err);
            tracing::error!(tenant = %tenant.id, error = %error, "a restore is not undone");
            return;
        }
    }
    let by = Instant::now() + REAPED;
    let reverted = loop {
        let (launcher, id, index) =
            (inner.launcher.clone(), tenant.id.clone(), tenant.row.load().index);
        let reverted = launch::blocking(move || launcher.revert(&id, index)).await;
        // The worker that failed is being killed.
        let is_held = matches!(reverted, Err(sandbox::Error::Refused { .. }));
        if !is_held || Instant::now() >= by {
            break reverted;
        }
        tokio::time::sleep_until(Instant::now() + AGAIN).await;
    };
    // What is mounted is another disk now.
    tenant.prepared.store(false, Ordering::Release);
    match reverted {
        Ok(()) => {
            tenant.unsettled.store(false, Ordering::Release);
            tracing::warn!(tenant = %tenant.id, "the tenant's old root is back");
            decided(inner, tenant, "its old root is back");
            // What is killed before this is done at the next start.
            if let Err(err) = inner.records.undo_restore(&tenant.id).await {
                let error = types::Chain(&err);
                tracing::error!(tenant = %tenant.id, error = %error, "a restore is not undone");
            }
        }
        Err(err) => {
            tracing::error!(tenant = %tenant.id, error = %types::Chain(&err), "the old root is not back");
        }
    }
}

//! Backups that nobody asks for: made when they are due, also while the tenant's worker sleeps, and those
//! that were missed once when the gateway starts. Who has to know of a failure is told.

use std::sync::Arc;
use std::time::Duration;

use records::PlanRow;
use serde::Serialize;
use types::{TenantId, UnixMillis};

use crate::format::manifest::AskedBy;
use crate::id::BackupId;
use crate::{Backups, Error, Inner, create, plan, prune};

/// How often it is looked what is due.
const TICK: Duration = Duration::from_secs(10);

/// Ticks from one sweep of what killed gateways have left to the next: an hour.
const SWEEP_EVERY: u64 = 360;

/// What tenants and the operator are told.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Told<'a> {
    tenant: &'a TenantId,
    act: &'static str,
    ok: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    backup: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

pub(crate) fn start(backups: &Backups) {
    if backups.0.config.store.is_none() {
        return;
    }
    let inner = Arc::clone(&backups.0);
    let tasks = inner.tasks.clone();
    tasks.spawn_until_stopped(async move {
        let mut ticks = tokio::time::interval(TICK);
        let mut until_sweep = 0_u64;
        loop {
            ticks.tick().await;
            if until_sweep == 0 {
                until_sweep = SWEEP_EVERY;
                sweep(&inner).await;
            }
            until_sweep = until_sweep.saturating_sub(1);
            look(&inner).await;
        }
    });
}

async fn sweep(inner: &Inner) {
    for (tenant, _) in inner.roots.all() {
        if let Err(err) = prune::sweep(inner, &tenant).await {
            let error = types::Chain(&err);
            tracing::warn!(error = %error, "what is left in the store is not removed");
            // A store that fails for one fails for all; the next hour tries again.
            return;
        }
    }
}

/// Begins what is due, the most overdue first, as far as there are places.
async fn look(inner: &Arc<Inner>) {
    let free = inner.places.available_permits();
    if free == 0 || inner.tasks.is_stopping() {
        return;
    }
    let now = inner.clock.now();
    for (_, tenant) in overdue(inner, now).await.into_iter().take(free) {
        // Before it begins: a gateway that dies of it does not begin it again at once.
        let begun = inner.records.update_plan(&tenant, |row| row.last_begun = now).await;
        if let Err(err) = begun {
            tracing::error!(%tenant, error = %types::Chain(&err), "no schedule of backups");
            continue;
        }
        let (scope, inner) = (inner.tasks.clone(), Arc::clone(inner));
        drop(scope.spawn(async move { run(&inner, &tenant).await }));
    }
}

/// Every tenant whose backup is due and not under way, and since when: the one that has waited longest
/// comes first, so that none waits for ever where there are more than can be made.
pub(crate) async fn overdue(inner: &Inner, now: UnixMillis) -> Vec<(UnixMillis, TenantId)> {
    let mut all = Vec::new();
    for (tenant, created_at) in inner.roots.all() {
        let row = match inner.records.plan(&tenant).await {
            Ok(row) => row,
            Err(err) => {
                tracing::error!(%tenant, error = %types::Chain(&err), "no schedule of backups");
                continue;
            }
        };
        let holds = plan::over(inner, &tenant, &row);
        let due = plan::due(holds, &row, (&tenant, created_at), now).filter(|at| *at <= now);
        if let Some(at) = due.filter(|_| !inner.running().contains_key(&tenant)) {
            all.push((at, tenant));
        }
    }
    all.sort_unstable();
    all
}

async fn run(inner: &Arc<Inner>, tenant: &TenantId) {
    let made = create::create(inner, tenant, AskedBy::Schedule).await;
    if let Err(err) = &made {
        tracing::warn!(%tenant, error = %types::Chain(err), "a backup of the schedule was not made");
    }
    let failure = made.as_ref().err().map(|err| err.word().to_owned());
    let change = |row: &mut PlanRow| {
        row.failures = if failure.is_some() { row.failures.saturating_add(1) } else { 0 };
        row.last_failure.clone_from(&failure);
    };
    match inner.records.update_plan(tenant, change).await {
        // It was deleted meanwhile.
        Ok(_) | Err(records::Error::NotFound) => {}
        Err(err) => tracing::error!(%tenant, error = %types::Chain(&err), "no schedule of backups"),
    }
}

/// Tells the tenant how it ended, and the operator where it failed.
pub(crate) fn tell(
    inner: &Inner,
    tenant: &TenantId,
    act: &'static str,
    outcome: Result<&BackupId, &Error>,
) {
    let told = Told {
        tenant,
        act,
        ok: outcome.is_ok(),
        backup: outcome.ok().map(ToString::to_string),
        reason: outcome.err().map(Error::public),
    };
    if let (Some(event), Ok(payload)) = (api::events::event("backup"), serde_json::to_vec(&told)) {
        let session_key = String::new();
        inner.hub.publish(tenant, &hub::Message { event, payload: payload.into(), session_key });
    }
    if let Err(err) = outcome {
        inner.alert(tenant, act, err);
    }
}

impl Inner {
    /// Tells the operator of a failure, unless it is the caller's mistake.
    pub(crate) fn alert(&self, tenant: &TenantId, act: &'static str, err: &Error) {
        if err.is_callers() {
            return;
        }
        let reason = Some(err.public());
        let told = Told { tenant, act, ok: false, backup: None, reason };
        self.alerts.send("backup.failed", &told);
    }
}

//! Whether running workers still are what they were when they were started. A worker that is not is
//! stopped: nothing is routed to one that differs, and what has changed may be what guards the others.
//!
//! A running worker opens and closes files while it is looked at, so only one that differs twice in
//! a row differs.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use sandbox::Finding;
use types::TenantId;

use crate::tenant::Tenant;
use crate::worker::Worker;
use crate::{Error, Inner, Tenants, launch, lifecycle};

/// How often all running workers are looked at: a look costs tens of microseconds of the launcher.
const EVERY: Duration = Duration::from_mins(1);

/// Workers looked at together. The launcher answers one after another; more would only queue.
const AT_ONCE: usize = 4;

/// How a running worker is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// As ordered.
    Ok,
    /// As ordered, but its limits were changed since: its next start has them.
    Outdated,
    /// Not as ordered. It has been stopped.
    Differs,
    /// Not known: the look failed, and the worker did not end meanwhile.
    Unknown,
}

/// One running worker.
#[derive(Debug)]
pub struct Drift {
    /// Whose.
    pub tenant: TenantId,
    /// Its process id outside.
    pub pid: u32,
    /// How it is.
    pub standing: Standing,
    /// What differs.
    pub findings: Vec<Finding>,
}

impl Standing {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Ok, Self::Outdated, Self::Differs, Self::Unknown];

    /// In one word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Outdated => "outdated",
            Self::Differs => "differs",
            Self::Unknown => "unknown",
        }
    }
}

/// Looks at all running workers from now on.
pub(crate) fn start(tenants: &Tenants) {
    let scope = tenants.clone();
    tenants.0.tasks.spawn_until_stopped(async move {
        let mut ticks = tokio::time::interval(EVERY);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            drop(scope.drift().await);
        }
    });
}

impl Tenants {
    /// Looks at every running worker, and stops those that differ from what was ordered. Each was
    /// logged then.
    pub async fn drift(&self) -> Vec<Drift> {
        // One run at a time: two would only see each other's doing.
        let _alone = self.0.looking.lock().await;
        let awake = self.0.directory.all().into_iter().filter_map(|tenant| {
            let worker = tenant.worker.load_full().filter(|worker| !worker.is_gone())?;
            Some((tenant, worker))
        });
        let looks = awake.map(|(tenant, worker)| look(&self.0, tenant, worker));
        let mut all: Vec<Drift> = futures_util::stream::iter(looks)
            .buffer_unordered(AT_ONCE)
            .filter_map(ready)
            .collect()
            .await;
        all.sort_by(|a, b| a.tenant.cmp(&b.tenant));
        for standing in Standing::ALL {
            let count = all.iter().filter(|it| it.standing == standing).count();
            self.0.metrics.drift(standing.word(), count);
        }
        all
    }
}

async fn ready(drift: Option<Drift>) -> Option<Drift> {
    drift
}

/// None where the worker ended meanwhile.
async fn look(inner: &Arc<Inner>, tenant: Arc<Tenant>, worker: Arc<Worker>) -> Option<Drift> {
    let seen = match found(inner, &worker).await {
        Ok(findings) if findings.is_empty() => Ok(findings),
        Ok(_perhaps) => found(inner, &worker).await,
        Err(err) => Err(err),
    };
    let differs = seen.as_ref().is_ok_and(|findings| !findings.is_empty());
    if worker.is_gone() || (differs && worker.is_ending().await) {
        return None;
    }
    let (standing, findings) = match seen {
        Ok(findings) if findings.is_empty() => current(&tenant, &worker),
        Ok(findings) => {
            lifecycle::refuse(inner, &tenant, &worker, &findings).await;
            (Standing::Differs, findings)
        }
        Err(err) => {
            tracing::warn!(tenant = %tenant.id, error = %types::Chain(&err), "worker not looked at");
            (Standing::Unknown, Vec::new())
        }
    };
    Some(Drift { tenant: tenant.id.clone(), pid: worker.pid, standing, findings })
}

async fn found(inner: &Inner, worker: &Worker) -> Result<Vec<Finding>, Error> {
    launch::verify(inner, worker).await.map(|(_, findings)| findings)
}

/// Holds the limits that the worker has against those of the record.
fn current(tenant: &Tenant, worker: &Worker) -> (Standing, Vec<Finding>) {
    let (limits, ordered) = (&tenant.row.load().limits, &worker.expected);
    let pairs = [
        ("memory limit of the record", limits.memory_max, ordered.memory_max),
        ("pids limit of the record", limits.pids_max.into(), ordered.pids_max.into()),
        ("cpu limit of the record", limits.cpu_millis.into(), ordered.cpu_millis.into()),
    ];
    let changed = pairs.into_iter().filter(|(_, recorded, has)| recorded != has);
    let findings: Vec<_> = changed
        .map(|(what, recorded, has)| Finding {
            what,
            expected: recorded.to_string(),
            found: has.to_string(),
        })
        .collect();
    let standing = if findings.is_empty() { Standing::Ok } else { Standing::Outdated };
    (standing, findings)
}

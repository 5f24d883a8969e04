//! What the kernel says of one tenant's worker, beside what was ordered.

use std::sync::Arc;

use sandbox::{Expected, Facts, Finding, HostReport, WorkerUsage};
use types::TenantId;

use crate::worker::Worker;
use crate::{Error, Load, Tenants, launch};

/// One look at one worker.
#[derive(Debug)]
pub struct Inspection {
    /// The worker's process id outside.
    pub pid: u32,
    /// The worker's version.
    pub version: String,
    /// What the kernel says.
    pub facts: Facts,
    /// What was ordered.
    pub expected: Expected,
    /// Where the two differ; empty means verified.
    pub findings: Vec<Finding>,
    /// Landlock's ABI as the worker found it enforced from inside.
    pub landlock_abi: u32,
    /// Memory and CPU.
    pub usage: WorkerUsage,
}

impl Tenants {
    /// What a tenant's clients take of the gateway; none where there is no such tenant.
    pub fn load_of(&self, id: &TenantId) -> Option<Arc<Load>> {
        self.0.directory.find(id).map(|tenant| Arc::clone(&tenant.load))
    }

    /// What this machine gives and what it lacks.
    pub fn host_report(&self) -> &HostReport {
        &self.0.host_report
    }

    /// Looks at the tenant's worker now, starting one if it sleeps.
    ///
    /// # Errors
    /// When there is no such tenant, its worker does not start, or the launcher fails.
    pub async fn inspect(&self, id: &TenantId) -> Result<Inspection, Error> {
        let tenant = self.find(id)?;
        let (worker, _pass) = tenant.ready(&self.0).await?;
        self.look(&worker).await
    }

    /// Looks at a worker.
    pub(crate) async fn look(&self, worker: &Worker) -> Result<Inspection, Error> {
        let (facts, findings) = launch::verify(&self.0, worker).await?;
        let (launcher, number) = (self.0.launcher.clone(), worker.id);
        let usage =
            launch::blocking(move || launcher.usage(number)).await.map_err(Error::Launcher)?;
        Ok(Inspection {
            pid: worker.pid,
            version: worker.version.clone(),
            facts,
            expected: worker.expected.clone(),
            findings,
            landlock_abi: worker.landlock_abi,
            usage,
        })
    }
}

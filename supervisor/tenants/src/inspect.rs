//! What the kernel says of one tenant's worker, beside what was ordered.

use sandbox::{Expected, Facts, Finding, WorkerUsage};
use types::TenantId;

use crate::worker::Worker;
use crate::{Error, Tenants, launch};

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

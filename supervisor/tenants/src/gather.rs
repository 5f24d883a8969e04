//! What evidence of a tenant's boundary is made of: one look at its worker, and probes from inside.
//! What it means and who signs it is for others.

use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::sync::Arc;
use std::time::Duration;

use sandbox::probes::{Depth, Outcome, Outside, PROBES, Probe};
use types::{Chain, TenantId};

use crate::tenant::Tenant;
use crate::worker::Worker;
use crate::{Error, Inspection, Tenants, launch};

/// How long all probes of one tenant may take: a fifth of a second where nothing goes wrong.
const DEADLINE: Duration = Duration::from_secs(30);

/// What is said of a tenant that there is none of, so that something is reached for all the same.
const NOBODY: &str = "another-tenant";

/// What was seen of one tenant's boundary.
#[derive(Debug)]
pub struct Gathered {
    /// What the kernel says, read after the probes.
    pub inspection: Inspection,
    /// What the worker was ordered with.
    pub limits: Ordered,
    /// Every probe, at every depth at which a layer must refuse it.
    pub probes: Vec<Made>,
}

/// What a worker was ordered with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ordered {
    /// Memory in bytes.
    pub memory_max: u64,
    /// Processes and threads.
    pub pids_max: u32,
    /// CPU time in thousandths of a core.
    pub cpu_millis: u32,
}

/// One probe.
#[derive(Debug)]
pub struct Made {
    /// Which.
    pub probe: &'static Probe,
    /// Behind which layers.
    pub depth: Depth,
    /// What became of it, or why it was not made.
    pub outcome: Result<Outcome, String>,
}

impl Tenants {
    /// Has probes made inside the boundary of the tenant's worker and looks at it; starts a worker if
    /// it sleeps. `port` is one on which the gateway listens.
    ///
    /// # Errors
    /// When there is no such tenant, its worker does not start, somebody else gathers for the same
    /// tenant, or it takes too long.
    pub async fn gather(&self, id: &TenantId, port: u16) -> Result<Gathered, Error> {
        let tenant = self.find(id)?;
        let Ok(_alone) = tenant.gathering.try_lock() else { return Err(Error::Busy) };
        let (worker, _pass) = tenant.ready(&self.0).await?;
        let probes = tokio::time::timeout(DEADLINE, self.probe(&tenant, &worker, port)).await;
        let probes = probes.map_err(|_elapsed| Error::Timeout)??;
        let inspection = self.look(&worker).await?;
        let expected = &worker.expected;
        let limits = Ordered {
            memory_max: expected.memory_max,
            pids_max: expected.pids_max,
            cpu_millis: expected.cpu_millis,
        };
        Ok(Gathered { inspection, limits, probes })
    }

    /// One after another: each is a process of the tenant's, and counted to its limits.
    async fn probe(&self, of: &Tenant, worker: &Worker, port: u16) -> Result<Vec<Made>, Error> {
        // Somebody must listen, or nothing would be refused.
        let name = format!("openclawmu-{}-{}", std::process::id(), worker.id);
        let address = SocketAddr::from_abstract_name(&name).map_err(Error::Outside)?;
        let _listener = UnixListener::bind_addr(&address).map_err(Error::Outside)?;
        let outside = self.outside(of, name, port).map_err(Error::Outside)?;
        let outside = Arc::new(outside.seal().map_err(Error::Launcher)?);
        let mut made = Vec::new();
        for (index, probe) in PROBES.iter().enumerate() {
            for (depth, wanted) in [(Depth::Whole, probe.whole), (Depth::Beneath, probe.beneath)] {
                if wanted.is_empty() {
                    continue;
                }
                let (launcher, outside) = (self.0.launcher.clone(), Arc::clone(&outside));
                let number = worker.id;
                let ask = move || launcher.probe(number, (index, depth), &outside);
                let outcome = launch::blocking(ask).await;
                let outcome = outcome.map_err(|err| Chain(&err).to_string());
                made.push(Made { probe, depth, outcome });
            }
        }
        Ok(made)
    }

    /// Real things to reach for, of another tenant where there is one.
    fn outside(&self, of: &Tenant, abstract_name: String, port: u16) -> std::io::Result<Outside> {
        // The state directory, which the supervisor works in.
        let state = std::env::current_dir()?;
        let others = self.0.directory.all().into_iter().filter(|other| other.id != of.id);
        let (mut foreign, mut process) = (None, None);
        for other in others {
            foreign.get_or_insert_with(|| other.id.to_string());
            let running = other.worker.load_full().filter(|worker| !worker.is_gone());
            if let Some(worker) = running {
                (foreign, process) = (Some(other.id.to_string()), Some(worker.pid));
                break;
            }
        }
        let root = state.join("tenants").join(foreign.as_deref().unwrap_or(NOBODY));
        let text = |path: std::path::PathBuf| path.to_string_lossy().into_owned();
        Ok(Outside {
            foreign_file: text(root.join("agents/main/workspace/SOUL.md")),
            foreign_root: text(root),
            supervisor_file: text(state.join("keys/evidence.pk8")),
            socket: text(state.join("run/control.sock")),
            abstract_name,
            scratch: "/tenant".to_owned(),
            supervisor: std::process::id(),
            foreign: process.unwrap_or_else(std::process::id),
            port,
        })
    }
}

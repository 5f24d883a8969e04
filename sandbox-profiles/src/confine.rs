//! What a process takes away from itself: the worker before its runtime starts, a command before it
//! is executed, supervisor and launcher before they serve anybody.
//!
//! Every step reads back what it did and fails closed. What only the launcher can take away
//! (namespaces, mounts, ids, limits) is not here; here it is only checked. No environment, no
//! configuration and no build profile changes a step.

mod checks;
mod filter;
mod land;
mod probes;

pub use checks::{alone, descriptors, powerless, undumpable};
pub(crate) use filter::load as filter;
pub use filter::{launcher_filter, supervisor_filter, worker_filter};
pub(crate) use land::tools as landlock_tools;
pub use land::{abi as landlock_abi, landlock};
pub use probes::{probe_filter, probe_landlock};

use crate::Error;

/// What the worker found enforced, from inside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Confinement {
    /// Landlock's ABI as the kernel offers it; 0 where there is none.
    pub landlock_abi: u32,
    /// Attempts made after confinement and whether each was refused. All were: one that is not
    /// makes [`worker`] fail.
    pub probes: Vec<(&'static str, bool)>,
    /// What this kernel could not give, in words of the boundary report.
    pub degraded: Vec<&'static str>,
}

/// Confines the calling process as a worker. To be called first in `main`, with exactly the four
/// descriptors of a worker open and one thread.
///
/// # Errors
/// At the first step that fails or does not read back; the process must then end.
pub fn worker() -> Result<Confinement, Error> {
    undumpable()?;
    powerless()?;
    alone()?;
    descriptors()?;
    let abi = landlock()?;
    let mut probes = probe_landlock(abi);
    worker_filter()?;
    probes.extend(probe_filter());
    if let Some((probe, _)) = probes.iter().find(|(_, refused)| !refused) {
        return Err(Error::Unconfined {
            check: "probe",
            found: format!("{probe} was not refused"),
        });
    }
    Ok(Confinement { landlock_abi: abi, probes, degraded: degraded(abi) })
}

fn degraded(abi: u32) -> Vec<&'static str> {
    match abi {
        0 => vec!["landlock: absent"],
        1..land::ABI_REQUIRED => vec!["landlock: partial"],
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests;

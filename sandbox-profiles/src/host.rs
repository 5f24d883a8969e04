//! What this host can hold and what it cannot: the probe behind `doctor` and the boundary report.
//! It changes nothing on the host.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::cgroup::Layout;
use crate::disk::Disk;
use crate::ids::worker_uid;
use crate::mode::Mode;

mod probe;

pub(crate) use probe::{Seen, report};

/// One guarantee that this host does not give.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Degradation {
    /// A stable word, as the configuration's `require` names it.
    pub guarantee: String,
    /// Why it is missing here.
    pub reason: String,
    /// What an operator can do about it.
    pub remedy: String,
}

/// The host as the launcher found it at start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HostReport {
    /// The kernel's release.
    pub kernel: String,
    /// With or without root.
    pub mode: Mode,
    /// Where limits on memory, processes and CPU are set.
    pub cgroup: Layout,
    /// How a tenant's disk is bounded.
    pub disk: Disk,
    /// The version of the host's bubblewrap; only if a command was run in a sandbox made by it.
    #[serde(default)]
    pub bwrap: Option<String>,
    /// The kernel's Landlock level; zero is none.
    pub landlock_abi: u32,
    /// Whether an ordinary user may make user namespaces.
    pub user_namespaces: bool,
    /// SHA-256 of the worker binary, in hex; none without a launcher.
    pub worker_digest: Option<String>,
    /// The inode of the sealed copy that every worker executes; none without a launcher.
    pub worker_inode: Option<u64>,
    /// Name and inode of each namespace of the launcher and the supervisor.
    pub namespaces: BTreeMap<String, u64>,
    /// The supervisor's uid.
    pub supervisor_uid: u32,
    /// The supervisor's gid.
    pub supervisor_gid: u32,
    /// The first id of the reserved range.
    pub uid_base: u32,
    /// Guarantees that do not hold here; empty is the aim.
    pub degraded: Vec<Degradation>,
}

/// Every guarantee that a configuration can require, by the word of [`Degradation::guarantee`].
pub const GUARANTEES: [&str; 10] = [
    "distinct-uids",
    "tool-uids",
    "namespace-owner",
    "descriptors-seen",
    "disk-limit",
    "disk-pace",
    "cgroup-limits",
    "landlock",
    "user-namespaces",
    "state-directory",
];

impl HostReport {
    /// The host uid of the worker of the tenant with this index.
    pub fn worker_uid(&self, index: u32) -> u32 {
        match self.mode {
            Mode::Root => worker_uid(self.uid_base, index).unwrap_or(u32::MAX),
            Mode::Rootless => self.supervisor_uid,
        }
    }

    /// The host gid of the worker of the tenant with this index.
    pub fn worker_gid(&self, index: u32) -> u32 {
        match self.mode {
            Mode::Root => self.worker_uid(index),
            Mode::Rootless => self.supervisor_gid,
        }
    }
}

/// What this host would give to a gateway with this state directory, without a launcher.
pub fn probe(state_dir: &Path) -> HostReport {
    probe::run(state_dir)
}

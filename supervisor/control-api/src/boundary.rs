//! The boundary of one worker: what the kernel says that its process has got.
//!
//! Values were read from the kernel after the worker was confined. Three are not the kernel's words:
//! profile and digest of the filter, which the kernel only counts, and the ABI of Landlock, which the
//! worker found by trying. Scripts rely on the names.

use serde::{Deserialize, Serialize};
use types::TenantId;
use utoipa::ToSchema;

use crate::schema;

/// The boundary of one worker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Boundary {
    /// The tenant's id.
    #[schema(schema_with = schema::tenant_id)]
    pub tenant: TenantId,
    /// Whether nothing differs from what was ordered.
    pub verified: bool,
    /// What differs from what was ordered.
    pub findings: Vec<Finding>,
    /// `root` or `rootless`.
    pub mode: String,
    /// What is weaker on this machine than on one that gives everything.
    pub degraded: Vec<String>,
    /// The worker's process id outside.
    pub pid: u32,
    /// System call filter.
    pub seccomp: Seccomp,
    /// Whether no execution can add privilege.
    pub no_new_privs: bool,
    /// Capability sets, in hex.
    pub capabilities: Capabilities,
    /// Inodes of the worker's namespaces.
    pub namespaces: Namespaces,
    /// Inodes of the supervisor's namespaces; each differs from the worker's.
    pub supervisor_namespaces: Namespaces,
    /// `/proc/PID/uid_map`: user ids inside, outside, count.
    pub uid_map: String,
    /// `/proc/PID/gid_map`: group ids inside, outside, count.
    pub gid_map: String,
    /// Network interfaces that the worker can see.
    pub network_interfaces: Vec<String>,
    /// Sockets of internet protocols in the worker's network namespace, listening or not, by
    /// protocol with their count; where there is none, none listens.
    pub listening_sockets: Vec<String>,
    /// Mounts that the worker can see.
    pub mounts: Vec<Mount>,
    /// Open descriptors.
    pub descriptors: Vec<Descriptor>,
    /// Control group and its limits.
    pub cgroup: Cgroup,
    /// Resource limits.
    pub rlimits: Vec<Resource>,
    /// Landlock.
    pub landlock: Landlock,
    /// SHA-256 of the executable, in hex; null where it is not the copy that the launcher sealed.
    pub binary_digest: Option<String>,
    /// Proportional set size in bytes; null when it could not be read.
    pub pss_bytes: Option<u64>,
}

/// One difference between what was ordered and what the kernel says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Finding {
    /// What differs.
    pub what: String,
    /// What was ordered.
    pub expected: String,
    /// What the kernel says.
    pub found: String,
}

/// System call filter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Seccomp {
    /// 2 where a filter is in force.
    pub mode: u32,
    /// How many filters are in force.
    pub filters: u32,
    /// The name of the profile that this version loads.
    pub profile: String,
    /// SHA-256 of that profile's filter program, in hex.
    pub digest: String,
}

/// Capability sets, 16 hex digits each.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Capabilities {
    /// In force.
    pub effective: String,
    /// May be put in force.
    pub permitted: String,
    /// May ever be gained.
    pub bounding: String,
    /// Kept across execution.
    pub inheritable: String,
    /// Given on execution.
    pub ambient: String,
}

/// Inodes of the namespaces of one process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Namespaces {
    /// User and group ids.
    pub user: u64,
    /// Mounts.
    pub mnt: u64,
    /// Processes.
    pub pid: u64,
    /// Network.
    pub net: u64,
    /// System V IPC and message queues.
    pub ipc: u64,
    /// Host name.
    pub uts: u64,
    /// Control groups.
    pub cgroup: u64,
}

/// One mount.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Mount {
    /// Where it is, as the worker sees it.
    pub target: String,
    /// The type of the file system.
    pub fs_type: String,
    /// Options, as the kernel writes them.
    pub options: String,
}

/// One open descriptor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Descriptor {
    /// Its number.
    pub fd: u32,
    /// What it is, for example `socket`.
    pub kind: String,
}

/// Control group and its limits; null where the limit is not in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Cgroup {
    /// Its path in the hierarchy.
    pub path: Option<String>,
    /// Memory in bytes.
    pub memory_max: Option<u64>,
    /// Processes and threads.
    pub pids_max: Option<u64>,
    /// CPU time in thousandths of one core.
    pub cpu_max: Option<u64>,
}

/// One resource limit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Resource {
    /// The name, as the kernel writes it.
    pub name: String,
    /// The soft limit.
    pub soft: String,
    /// The hard limit.
    pub hard: String,
}

/// Landlock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Landlock {
    /// The ABI in force; 0 where the kernel has none.
    pub abi: u32,
}

#[cfg(test)]
#[path = "boundary/tests.rs"]
mod tests;

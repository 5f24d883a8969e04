//! What the kernel says of one process: collected by the launcher in the kernel's own words, parsed
//! by the supervisor.
//!
//! Collecting judges nothing and parsing trusts nothing: a text that has not the documented form
//! is an error, never a default. What the facts should be is in `verify`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

mod collect;
mod parse;

pub use collect::{collect, pss};
pub use parse::{Capabilities, Facts, Mount, Resource};

/// The namespaces that a worker has for itself, as `/proc/<pid>/ns` names them.
pub const NAMESPACES: [&str; 7] = ["user", "mnt", "pid", "net", "ipc", "uts", "cgroup"];

/// One look at one process, bounded in every part. Texts are as the kernel wrote them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawFacts {
    /// The process id outside.
    pub pid: u32,
    /// `/proc/<pid>/status`.
    pub status: String,
    /// `/proc/<pid>/uid_map`.
    pub uid_map: String,
    /// `/proc/<pid>/gid_map`.
    pub gid_map: String,
    /// `/proc/<pid>/setgroups`.
    pub setgroups: String,
    /// `/proc/<pid>/mountinfo`.
    pub mountinfo: String,
    /// `/proc/<pid>/limits`.
    pub limits: String,
    /// `/proc/<pid>/cgroup`, with paths as the launcher sees them.
    pub cgroup: String,
    /// `/proc/<pid>/oom_score_adj`.
    pub oom_score_adj: String,
    /// `/proc/<pid>/net/dev`.
    pub net_dev: String,
    /// `/proc/<pid>/net/sockstat`: how many sockets its network namespace has. The tables that list
    /// them cost milliseconds to read.
    pub sockstat: String,
    /// Each of [`NAMESPACES`].
    pub namespaces: BTreeMap<String, Namespace>,
    /// Open descriptors in order, at most [`Self::DESCRIPTORS_MAX`].
    pub descriptors: Vec<Descriptor>,
    /// How much of the descriptors that list shows.
    pub listing: Listing,
    /// Where `/proc/<pid>/exe` points.
    pub executable: String,
    /// The inode behind it.
    pub executable_inode: u64,
    /// Who owns `/proc/<pid>/status`: the process's own uid if it can be dumped and traced by it.
    pub owner: u32,
    /// Where `/proc/<pid>/root` and `/proc/<pid>/cwd` point.
    pub places: [String; 2],
    /// Who owns its `/tenant`; none where there is none.
    pub tenant_owner: Option<[u32; 2]>,
    /// The name of the cgroup leaf that was made for it, the last part of its path in each
    /// hierarchy; empty without. This and the next three are filled in by the launcher.
    pub leaf: String,
    /// The memory limit of its leaf as the controller's file says it, in bytes or `max`; empty
    /// without such a limit.
    pub memory_max: String,
    /// The process limit of its leaf, a number or `max`; empty without.
    pub pids_max: String,
    /// The CPU limit of its leaf as `cpu.max` writes it: quota or `max`, then period, in
    /// microseconds; empty without.
    pub cpu_max: String,
}

impl RawFacts {
    /// The most descriptors listed: a worker that has more open is reported as such, and a record
    /// of the launcher can hold that many.
    pub const DESCRIPTORS_MAX: usize = 256;
}

/// How much of a process's descriptors is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Listing {
    /// All of them.
    Complete,
    /// There were more than [`RawFacts::DESCRIPTORS_MAX`].
    Cut,
    /// None: the process may not be dumped and the launcher is not root. Then only the worker's own
    /// check at its start says what it holds.
    Hidden,
}

/// One namespace by inode, and the user namespace that owns it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Namespace {
    /// Its inode, the number in `user:[…]`.
    pub inode: u64,
    /// The owner's inode; of a user namespace, its parent's. 0 where the launcher cannot see it,
    /// which is so for the launcher's own.
    pub owner: u64,
}

/// One open descriptor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Descriptor {
    /// Its number.
    pub fd: u32,
    /// Where `/proc/<pid>/fd/<fd>` points, cut to 256 bytes. A file's name was chosen by the
    /// tenant: not for a log.
    pub link: String,
    /// The file's mode, kind included; this and the rest are 0 for what has no path.
    pub mode: u32,
    /// Major and minor of a device node; zeros otherwise.
    pub device: [u32; 2],
    /// The mount that the file was opened through, as `mountinfo` numbers it.
    pub mount: u64,
}

impl Descriptor {
    /// What it is, in one word that no tenant chose.
    pub fn kind(&self) -> &'static str {
        const KINDS: [(&str, &str); 6] = [
            ("socket:", "socket"),
            ("pipe:", "pipe"),
            ("anon_inode:[eventpoll]", "eventpoll"),
            ("anon_inode:[eventfd]", "eventfd"),
            ("/memfd:", "memfd"),
            ("anon_inode:", "anonymous"),
        ];
        if let Some((_, kind)) = KINDS.iter().find(|(prefix, _)| self.link.starts_with(prefix)) {
            return kind;
        }
        match self.mode & libc::S_IFMT {
            libc::S_IFREG => "file",
            libc::S_IFDIR => "directory",
            libc::S_IFCHR if self.device == [1, 3] => "null",
            libc::S_IFCHR => "device",
            _ => "other",
        }
    }

    /// The inode of a socket or pipe.
    pub fn inode(&self) -> Option<u64> {
        let (_, rest) = self.link.split_once(":[")?;
        rest.strip_suffix(']')?.parse().ok()
    }
}

#[cfg(test)]
mod tests;

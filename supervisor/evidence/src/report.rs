//! What a report says. Scripts and auditors rely on the names; a change of meaning is a new schema.

use std::collections::BTreeMap;

use control_api::{Boundary, Timestamp};
use serde::{Deserialize, Serialize};
use types::TenantId;

/// The number of this form of reports.
pub const SCHEMA: u32 = 1;

/// One look at one tenant's boundary.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Report {
    /// [`SCHEMA`].
    pub schema: u32,
    /// When it was made.
    pub at: Timestamp,
    /// Which installation: see [`crate::PublicKey::installation`].
    pub installation: String,
    /// Whose boundary.
    pub tenant: TenantId,
    /// Whether every layer is as declared and every probe was refused.
    pub verified: bool,
    /// What runs.
    pub versions: Versions,
    /// What of the machine the boundary depends on.
    pub host: Host,
    /// What this machine does not give.
    pub not_given: Vec<Lost>,
    /// What was ordered.
    pub declared: Declared,
    /// Layer by layer, what was declared and what there is.
    pub layers: Vec<Layer>,
    /// Attempts from inside, and what became of them.
    pub probes: Vec<Probe>,
    /// What the kernel says of the worker, as `tenants inspect` shows it.
    pub boundary: Boundary,
    /// SHA-256 over the ledger of the tenant's closed days, in hex; null where nothing is closed.
    pub ledger_digest: Option<String>,
    /// Where the audit log ended; null where there is none.
    pub audit_head: Option<AuditHead>,
}

/// Versions of everything that takes part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Versions {
    /// The gateway's.
    pub gateway: String,
    /// The worker's own word for its version.
    pub worker: String,
    /// The kernel's release.
    pub kernel: String,
    /// Bubblewrap's; null where commands are run without it.
    pub bwrap: Option<String>,
}

/// What of the machine the boundary depends on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Host {
    /// `root` or `rootless`.
    pub mode: String,
    /// `v2`, `hybrid`, or `none` where limits cannot be set.
    pub cgroup: String,
    /// The kernel's Landlock level; 0 is none.
    pub landlock_abi: u32,
    /// Whether an ordinary user may make user namespaces.
    pub user_namespaces: bool,
}

/// One guarantee that this machine does not give.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lost {
    /// A stable word.
    pub guarantee: String,
    /// Why.
    pub reason: String,
}

/// What was ordered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Declared {
    /// SHA-256 of each system call filter of this version, in hex, by its name.
    pub profiles: BTreeMap<String, String>,
    /// SHA-256 of the worker's program, in hex.
    pub binary_digest: Option<String>,
    /// Memory in bytes.
    pub memory_max: u64,
    /// Processes and threads.
    pub pids_max: u32,
    /// CPU time in thousandths of a core.
    pub cpu_millis: u32,
}

/// One layer of the boundary.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Layer {
    /// Its name.
    pub name: String,
    /// How it is.
    pub standing: Standing,
    /// What was declared.
    pub expected: String,
    /// What there is.
    pub found: String,
}

/// How a layer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Standing {
    /// As declared.
    Ok,
    /// Not there.
    Missing,
    /// There, and not as declared.
    Differs,
}

/// One attempt from inside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Probe {
    /// Its name.
    pub name: String,
    /// What was attempted.
    pub attempt: String,
    /// Behind which layers.
    pub depth: Depth,
    /// What a boundary that holds answers: names of errnos, or of the signal by which the filter
    /// ends a process.
    pub expected: Vec<String>,
    /// What it got: one such name, `ALLOWED`, or `NOT MADE` and why.
    pub outcome: String,
    /// What that means.
    pub held: Held,
}

/// Behind which layers an attempt was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Depth {
    /// All of them.
    Whole,
    /// All but the worker's own system call filter, which would have ended most attempts first.
    Beneath,
}

/// What an outcome means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Held {
    /// Refused as it should be.
    Refused,
    /// Not refused.
    Allowed,
    /// Refused otherwise than it should be.
    Otherwise,
    /// Not made: nothing is known.
    NotMade,
    /// Refused by a layer that this machine does not give.
    NotGiven,
}

/// Where the audit log ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuditHead {
    /// The number of its last entry.
    pub seq: u64,
    /// That entry's hash, in hex.
    pub hash: String,
}

impl Probe {
    /// What the outcome means, as anybody can tell who has the row and the machine.
    pub fn meaning(&self, landlock_abi: u32) -> Held {
        let expected = self.expected.contains(&self.outcome);
        let by_landlock = self.name == Self::BY_LANDLOCK;
        match self.outcome.as_str() {
            // An expectation that names success expects nothing.
            "ALLOWED" if by_landlock && landlock_abi == 0 => Held::NotGiven,
            "ALLOWED" => Held::Allowed,
            outcome if outcome.starts_with(Self::NOT_MADE) => Held::NotMade,
            _ if expected => Held::Refused,
            _ => Held::Otherwise,
        }
    }

    /// The beginning of the outcome of an attempt that was not made.
    pub const NOT_MADE: &'static str = "NOT MADE";

    /// The one attempt that nothing but Landlock refuses.
    pub const BY_LANDLOCK: &'static str = "own-device";
}

impl Standing {
    /// In one word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Missing => "missing",
            Self::Differs => "differs",
        }
    }
}

impl Held {
    /// In a few words.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Allowed => "ALLOWED",
            Self::Otherwise => "refused otherwise",
            Self::NotMade => "not made",
            Self::NotGiven => "not given by this machine",
        }
    }
}

impl Depth {
    /// In a few words.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Whole => "all layers",
            Self::Beneath => "without the filter",
        }
    }
}

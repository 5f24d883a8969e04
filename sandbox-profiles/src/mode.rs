//! Whether this gateway has the host's root, and within which ids it may choose its own.

use nix::unistd::geteuid;
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::sys::identity;

/// Ids from here up have meanings of their own in some kernels and tools.
pub(crate) const MAX_ID: u32 = 0x7FFF_0000;
/// Ids below are the host's own users.
const MIN_BASE: u32 = 65_536;

/// Capabilities that root mode cannot do without: ids of files and processes, capabilities, mounts.
pub(crate) const NEEDED: [(&str, u32); 5] =
    [("CHOWN", 0), ("SETGID", 6), ("SETUID", 7), ("SETPCAP", 8), ("SYS_ADMIN", 21)];

/// Whether the launcher has the host's root.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Every guarantee can be held: ids per tenant, cgroups, disk images.
    Root,
    /// The launcher is an ordinary user; see [`crate::HostReport::degraded`] for what that loses.
    Rootless,
}

/// Root or rootless, or neither: uid 0 without its powers would make every worker uid 0.
pub(crate) fn find(uid_base: Option<u32>) -> Result<Mode, Error> {
    if !geteuid().is_root() {
        return Ok(Mode::Rootless);
    }
    let missing: Vec<_> = NEEDED.iter().filter(|it| !identity::has(it.1)).map(|it| it.0).collect();
    let unusable = |reason: String| Err(Error::Unusable { reason });
    if !missing.is_empty() {
        return unusable(format!("uid 0 without the capabilities {}", missing.join(", ")));
    }
    if let Some(uid_base) = uid_base.filter(|it| !(MIN_BASE..MAX_ID).contains(it)) {
        return unusable(format!("the first uid {uid_base} is not from {MIN_BASE} to {MAX_ID}"));
    }
    Ok(Mode::Root)
}

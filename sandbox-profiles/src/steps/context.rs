//! What a process that is becoming a worker carries from step to step. It holds every descriptor
//! above those that a worker inherits, so that nothing can overwrite one.

use std::os::fd::{BorrowedFd, OwnedFd};

use types::TenantId;

use crate::fds;
use crate::host::Mode;
use crate::record::{Reader, Writer};

/// What the launcher hands to the fork, by reference: the fork has its own copies.
#[derive(Debug)]
pub(crate) struct Parts<'a> {
    pub(crate) mode: Mode,
    /// The namespaces that the process was born into.
    pub(crate) born: libc::c_int,
    /// Uid and gid of the launcher, for the map of a user namespace made at birth.
    pub(crate) ids: (u32, u32),
    /// The sealed worker binary.
    pub(crate) binary: BorrowedFd<'a>,
    pub(crate) null: BorrowedFd<'a>,
    /// This end of the pair with the launcher.
    pub(crate) sync: BorrowedFd<'a>,
    /// `cgroup.procs` of the leaf, in every hierarchy.
    pub(crate) cgroups: &'a [OwnedFd],
}

/// Whose worker it is to be.
#[derive(Debug)]
pub(crate) struct Ordered {
    pub(crate) tenant: String,
    pub(crate) pids_max: u32,
    /// What the tenant's root must turn out to be.
    pub(crate) device: u64,
    pub(crate) inode: u64,
    pub(crate) serve: OwnedFd,
    pub(crate) log: OwnedFd,
    pub(crate) host: OwnedFd,
    /// A detached mount of the tenant's root; without root the process makes it itself.
    pub(crate) mount: Option<OwnedFd>,
}

/// The state of one process on its way.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) mode: Mode,
    pub(crate) born: libc::c_int,
    pub(crate) ids: (u32, u32),
    pub(crate) binary: OwnedFd,
    pub(crate) null: OwnedFd,
    pub(crate) sync: OwnedFd,
    pub(crate) cgroups: Vec<OwnedFd>,
    /// Set once no mount made here can be seen outside.
    pub(crate) private: bool,
    /// The new root.
    pub(crate) root: Option<OwnedFd>,
    /// Serial number of the session keyring that was joined.
    pub(crate) keyring: Option<libc::c_long>,
    pub(crate) order: Option<Ordered>,
}

impl Context {
    /// Takes copies of the parts out of the way of descriptors 0 to 3.
    pub(crate) fn new(parts: &Parts<'_>) -> nix::Result<Self> {
        let cgroups = parts.cgroups.iter().map(fds::lifted).collect::<nix::Result<_>>()?;
        Ok(Self {
            mode: parts.mode,
            born: parts.born,
            ids: parts.ids,
            binary: fds::lifted(parts.binary)?,
            null: fds::lifted(parts.null)?,
            sync: fds::lifted(parts.sync)?,
            cgroups,
            private: false,
            root: None,
            keyring: None,
            order: None,
        })
    }
}

impl Ordered {
    /// The size of an order on the pair, in bytes.
    pub(crate) const SIZE: usize = 28 + TenantId::MAX;
    const MAGIC: u32 = 0x524F_4C43;

    /// The order as bytes; descriptors follow beside it.
    pub(crate) fn encode(tenant: &str, pids_max: u32, device: u64, inode: u64) -> Vec<u8> {
        let mut out = Writer::default();
        out.u32(Self::MAGIC);
        out.u32(pids_max);
        out.u64(device);
        out.u64(inode);
        out.text(tenant, TenantId::MAX);
        out.finish()
    }

    /// Reads what [`Self::encode`] wrote; none where it is anything else.
    pub(crate) fn decode(bytes: &[u8], fds: Vec<OwnedFd>) -> Option<Self> {
        let mut from = Reader::new(bytes);
        if from.u32().ok()? != Self::MAGIC {
            return None;
        }
        let (pids_max, device, inode) = (from.u32().ok()?, from.u64().ok()?, from.u64().ok()?);
        let tenant = from.text(TenantId::MAX).ok()?.to_owned();
        from.end().ok()?;
        let mut fds = fds.into_iter().map(|fd| fds::lifted(&fd).ok());
        let (serve, host, log) = (fds.next()??, fds.next()??, fds.next()??);
        let mount = fds.next().flatten();
        Some(Self { tenant, pids_max, device, inode, serve, log, host, mount })
    }
}

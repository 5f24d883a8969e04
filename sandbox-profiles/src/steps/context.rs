//! What a process that is becoming a worker or an init carries from step to step. It holds every
//! descriptor above those that are inherited, so that nothing can overwrite one.

use std::os::fd::{BorrowedFd, OwnedFd};

use nix::errno::Errno;
use types::AgentId;

use crate::cursor::{Reader, Writer};
use crate::disk;
use crate::mode::Mode;
use crate::record::Run;
use crate::{Backend, fds};

/// What a fork of the launcher becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum What {
    /// The worker of a tenant.
    Worker,
    /// The init of a sandbox.
    Sandbox(Backend),
}

impl What {
    /// How many of the descriptors that come with an order are inherited.
    pub(crate) const fn inherits(self) -> usize {
        match self {
            Self::Worker => 3,
            Self::Sandbox(_) => 5,
        }
    }
}

/// What the launcher hands to the fork, by reference: the fork has its own copies.
#[derive(Debug)]
pub(crate) struct Parts<'a> {
    pub(crate) what: What,
    pub(crate) mode: Mode,
    /// The namespaces that the process was born into.
    pub(crate) born: libc::c_int,
    /// Uid and gid of the launcher, for the map of a user namespace made at birth.
    pub(crate) ids: (u32, u32),
    /// The sealed worker binary.
    pub(crate) binary: BorrowedFd<'a>,
    /// The host's bubblewrap, where that is to be executed.
    pub(crate) bwrap: Option<BorrowedFd<'a>>,
    pub(crate) null: BorrowedFd<'a>,
    /// This end of the pair with the launcher.
    pub(crate) sync: BorrowedFd<'a>,
    /// `cgroup.procs` of the leaf, in every hierarchy.
    pub(crate) cgroups: &'a [OwnedFd],
}

/// What a directory of the tenant must turn out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) device: u64,
    pub(crate) inode: u64,
}

/// Whose worker or sandbox it is to be.
#[derive(Debug)]
pub(crate) struct Ordered {
    pub(crate) tenant: String,
    /// Only for a sandbox.
    pub(crate) agent: Option<String>,
    /// Only for a sandbox.
    pub(crate) run: Option<Run>,
    pub(crate) pids_max: u32,
    /// The directories of the tenant that are to be seen.
    pub(crate) found: Vec<Found>,
    /// What is inherited.
    pub(crate) inherited: Vec<OwnedFd>,
    /// Detached mounts of the directories; without root the process makes them itself.
    pub(crate) mounts: Vec<OwnedFd>,
}

/// What a process becomes a worker or an init with.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) what: What,
    pub(crate) mode: Mode,
    pub(crate) born: libc::c_int,
    pub(crate) ids: (u32, u32),
    pub(crate) binary: OwnedFd,
    pub(crate) bwrap: Option<OwnedFd>,
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
    /// Takes copies of the parts out of the way of the descriptors that are inherited.
    pub(crate) fn new(parts: &Parts<'_>) -> nix::Result<Self> {
        let cgroups = parts.cgroups.iter().map(fds::lifted).collect::<nix::Result<_>>()?;
        Ok(Self {
            what: parts.what,
            mode: parts.mode,
            born: parts.born,
            ids: parts.ids,
            binary: fds::lifted(parts.binary)?,
            bwrap: parts.bwrap.map(fds::lifted).transpose()?,
            null: fds::lifted(parts.null)?,
            sync: fds::lifted(parts.sync)?,
            cgroups,
            private: false,
            root: None,
            keyring: None,
            order: None,
        })
    }

    /// The new root, once it is made.
    pub(super) fn root(&self) -> nix::Result<&OwnedFd> {
        self.root.as_ref().ok_or(Errno::EINVAL)
    }
}

impl Ordered {
    /// The size of an order on the pair, in bytes.
    pub(crate) const SIZE: usize = 52 + disk::MAX_NAME + AgentId::MAX;
    /// The most descriptors that come with one: those of a sandbox, and two mounts.
    pub(crate) const DESCRIPTORS: usize = 7;
    /// The most directories of one order.
    const PLACES: usize = 2;
    const MAGIC: u32 = 0x524F_4C44;

    /// The order as bytes; descriptors follow beside it.
    pub(crate) fn encode(
        (tenant, agent): (&str, &str),
        run: Option<Run>,
        pids_max: u32,
        found: &[Found],
    ) -> Vec<u8> {
        let mut out = Writer::default();
        out.u32(Self::MAGIC);
        out.u32(pids_max);
        out.u32(run.map_or(0, Run::number));
        for place in 0..Self::PLACES {
            let Found { device, inode } =
                found.get(place).copied().unwrap_or(Found { device: 0, inode: 0 });
            out.u64(device);
            out.u64(inode);
        }
        out.text(tenant, disk::MAX_NAME);
        out.text(agent, AgentId::MAX);
        out.finish()
    }

    /// Reads what [`Self::encode`] wrote for a fork that becomes `what`; none where it is anything
    /// else.
    pub(crate) fn decode(bytes: &[u8], fds: Vec<OwnedFd>, what: What) -> Option<Self> {
        let mut from = Reader::new(bytes);
        if from.u32().ok()? != Self::MAGIC {
            return None;
        }
        let pids_max = from.u32().ok()?;
        let run = Run::from_number(from.u32().ok()?).ok()?;
        let mut found = Vec::new();
        for _ in 0..Self::PLACES {
            let place = Found { device: from.u64().ok()?, inode: from.u64().ok()? };
            found.extend((place.inode != 0).then_some(place));
        }
        let tenant = from.text(disk::MAX_NAME).ok()?.to_owned();
        let agent = from.text(AgentId::MAX).ok()?.to_owned();
        from.end().ok()?;
        let agent = (!agent.is_empty()).then_some(agent);
        let sandbox = matches!(what, What::Sandbox(_));
        if run.is_some() != sandbox || agent.is_some() != sandbox {
            return None;
        }
        let mut fds =
            fds.into_iter().map(|fd| fds::lifted(&fd)).collect::<Result<Vec<_>, _>>().ok()?;
        if fds.len() < what.inherits() {
            return None;
        }
        let mounts = fds.split_off(what.inherits());
        Some(Self { tenant, agent, run, pids_max, found, inherited: fds, mounts })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::program::Class;

    #[test]
    fn orders_cross_to_what_they_are_for_and_to_nothing_else() {
        let found = [Found { device: 1, inode: 2 }, Found { device: 1, inode: 3 }];
        let run = Run { backend: Backend::Native, class: Class::Terminal, egress: true };
        let sandbox = What::Sandbox(Backend::Native);
        let fds = |count: usize| (0..count).map(|_| fds::null().unwrap()).collect::<Vec<_>>();
        let bytes = Ordered::encode(("acme", "main"), Some(run), 9, &found);
        assert_eq!(bytes.len(), Ordered::SIZE);
        let order = Ordered::decode(&bytes, fds(7), sandbox).unwrap();
        assert_eq!((order.tenant.as_str(), order.agent.as_deref()), ("acme", Some("main")));
        assert_eq!((order.run, order.pids_max, order.found), (Some(run), 9, found.to_vec()));
        assert_eq!((order.inherited.len(), order.mounts.len()), (5, 2));
        assert!(Ordered::decode(&bytes, fds(7), What::Worker).is_none());
        assert!(Ordered::decode(&bytes, fds(4), sandbox).is_none());
        let bytes = Ordered::encode(("acme", ""), None, 9, &found[..1]);
        let order = Ordered::decode(&bytes, fds(3), What::Worker).unwrap();
        assert_eq!((order.found.len(), order.mounts.len()), (1, 0));
        assert!(Ordered::decode(&bytes, fds(5), sandbox).is_none());
    }
}

//! What turns a fork of the launcher into a worker or into the init of a sandbox, as one list that
//! is run in order. Each step fails closed; what a step takes away is read back in `checks` or seen
//! from outside in `verify`.
//!
//! The order and the reason for it: nothing of a tenant is named while the host is in sight, the
//! user namespace comes when every mount is made, and what needs a capability comes before the
//! step that gives it up.

use nix::errno::Errno;

mod bwrap;
mod checks;
mod child;
mod context;
mod identity;
mod join;
mod limits;
mod network;
mod root;
mod system;
mod tenant;

pub(crate) use bwrap::INIT;
pub(crate) use child::{Message, SYNC_GO, run};
pub(crate) use context::{Context, Found, Ordered, Parts, What};
pub(crate) use identity::map;
pub(crate) use join::{Joined, join};
pub(crate) use root::{DEVICES, device};

use crate::Backend;
use crate::mode::Mode;

/// How many seccomp filters a process has when the worker binary starts: the launcher's own,
/// which every child inherits.
pub const SECCOMP_FILTERS_BEFORE_EXEC: u32 = 1;

/// One step of confinement before exec. Without root, [`Step::Cgroup`], [`Step::Ids`] and
/// [`Step::NoNewPrivs`] find nothing left to do, and [`Step::UserNamespace`] is taken at birth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// A mount namespace, at birth.
    MountNamespace,
    /// A process namespace, at birth: the worker is its process 1.
    PidNamespace,
    /// A network namespace with nothing in it that is up, at birth.
    NetNamespace,
    /// A namespace for System V and message queues, at birth.
    IpcNamespace,
    /// A namespace for the host's name, at birth.
    UtsNamespace,
    /// A session of its own, no terminal, no blocked or ignored signal.
    Session,
    /// Into the leaf that bounds memory, processes and CPU.
    Cgroup,
    /// The leaf becomes all that is seen of the cgroups.
    CgroupNamespace,
    /// No mount made from here on is seen outside, nor the other way round.
    PrivateMounts,
    /// An empty root in memory.
    Root,
    /// The five devices that programs expect, and for a sandbox its own terminals.
    Devices,
    /// The host's programs, read-only, and the few files of `/etc` that they need. Sandboxes only.
    System,
    /// The processes of the sandbox, and no switch of the kernel. Sandboxes only.
    Proc,
    /// What `/proc` says of the machine is covered. Bubblewrap does it in the `/proc` that it
    /// makes.
    Masks,
    /// A place for files that end with the sandbox, of fixed size. Sandboxes only.
    Temporary,
    /// The empty root takes the place of the host's, which goes out of reach.
    PivotRoot,
    /// A host name that says nothing.
    HostName,
    /// The listener on a network of one's own, where the order says so. Sandboxes only.
    Loopback,
    /// Exactly the descriptors that were ordered.
    Descriptors,
    /// The tenant's directory, or two directories of it: the one thing that stays when written.
    Tenant,
    /// Nothing else can be written, executed or used as a device.
    ReadOnlyRoot,
    /// No supplementary group, and ids that mean one id of the host. Comes at birth without root.
    UserNamespace,
    /// No capability can ever be gained.
    BoundingSet,
    /// Uid 0 means nothing, locked.
    SecureBits,
    /// Uid and gid 1000.
    Ids,
    /// No capability is held.
    Capabilities,
    /// Killed when the launcher ends.
    ParentDeath,
    /// No program that is executed can add power.
    NoNewPrivs,
    /// Files are the owner's only.
    Umask,
    /// A session keyring of its own.
    Keyring,
    /// Descriptors, processes, locked memory, queues, core dumps.
    ResourceLimits,
}

/// Every step, in order. Production runs exactly this.
pub const STEPS: &[Step] = &[
    Step::MountNamespace,
    Step::PidNamespace,
    Step::NetNamespace,
    Step::IpcNamespace,
    Step::UtsNamespace,
    Step::Session,
    Step::Cgroup,
    Step::CgroupNamespace,
    Step::PrivateMounts,
    Step::Root,
    Step::Devices,
    Step::System,
    Step::Proc,
    Step::Masks,
    Step::Temporary,
    Step::PivotRoot,
    Step::HostName,
    Step::Loopback,
    Step::Descriptors,
    Step::Tenant,
    Step::ReadOnlyRoot,
    Step::UserNamespace,
    Step::BoundingSet,
    Step::SecureBits,
    Step::Ids,
    Step::Capabilities,
    Step::ParentDeath,
    Step::NoNewPrivs,
    Step::Umask,
    Step::Keyring,
    Step::ResourceLimits,
];

impl Step {
    /// The step's name in errors and reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::MountNamespace => "mount namespace",
            Self::PidNamespace => "pid namespace",
            Self::NetNamespace => "net namespace",
            Self::IpcNamespace => "ipc namespace",
            Self::UtsNamespace => "uts namespace",
            Self::Session => "session",
            Self::Cgroup => "cgroup",
            Self::CgroupNamespace => "cgroup namespace",
            Self::PrivateMounts => "private mounts",
            Self::Root => "root",
            Self::Devices => "devices",
            Self::System => "system",
            Self::Proc => "proc",
            Self::Masks => "proc masks",
            Self::Temporary => "temporary files",
            Self::PivotRoot => "pivot root",
            Self::HostName => "host name",
            Self::Loopback => "loopback",
            Self::Descriptors => "descriptors",
            Self::Tenant => "tenant directory",
            Self::ReadOnlyRoot => "read-only root",
            Self::UserNamespace => "user namespace",
            Self::BoundingSet => "bounding set",
            Self::SecureBits => "securebits",
            Self::Ids => "ids",
            Self::Capabilities => "capabilities",
            Self::ParentDeath => "parent death signal",
            Self::NoNewPrivs => "no new privileges",
            Self::Umask => "umask",
            Self::Keyring => "keyring",
            Self::ResourceLimits => "resource limits",
        }
    }

    /// Whether the step is one of a worker's launch.
    pub const fn is_for_workers(self) -> bool {
        self.is_for(What::Worker)
    }

    /// Whether the step is taken on the way to become `what`.
    const fn is_for(self, what: What) -> bool {
        if matches!(self, Self::System | Self::Proc | Self::Temporary | Self::Loopback) {
            return matches!(what, What::Sandbox(_));
        }
        !matches!(self, Self::Masks) || matches!(what, What::Sandbox(Backend::Native))
    }

    /// The flag that the step is at the process's birth, where it is one.
    const fn at_birth(self, mode: Mode) -> Option<libc::c_int> {
        match (self, mode) {
            (Self::MountNamespace, _) => Some(libc::CLONE_NEWNS),
            (Self::PidNamespace, _) => Some(libc::CLONE_NEWPID),
            (Self::NetNamespace, _) => Some(libc::CLONE_NEWNET),
            (Self::IpcNamespace, _) => Some(libc::CLONE_NEWIPC),
            (Self::UtsNamespace, _) => Some(libc::CLONE_NEWUTS),
            (Self::UserNamespace, Mode::Rootless) => Some(libc::CLONE_NEWUSER),
            _ => None,
        }
    }

    /// Whether the step needs to know whose worker or sandbox this will be.
    const fn needs_order(self) -> bool {
        matches!(self, Self::Loopback | Self::Descriptors | Self::Tenant | Self::ResourceLimits)
    }

    fn take(self, context: &mut Context) -> nix::Result<()> {
        if self.at_birth(context.mode).is_some() {
            return Ok(());
        }
        match self {
            Self::MountNamespace
            | Self::PidNamespace
            | Self::NetNamespace
            | Self::IpcNamespace
            | Self::UtsNamespace => Err(Errno::EINVAL),
            Self::Session => limits::session(context),
            Self::Cgroup => limits::enter_cgroup(context),
            Self::CgroupNamespace => limits::hide_cgroup(),
            Self::PrivateMounts => root::private_mounts(context),
            Self::Root => root::make(context),
            Self::Devices => root::devices(context),
            Self::System => system::programs(context),
            Self::Proc => system::proc(context),
            Self::Masks => system::mask(context),
            Self::Temporary => system::temporary(context),
            Self::PivotRoot => root::pivot(context),
            Self::HostName => root::host_name(context),
            Self::Loopback => network::listen(context),
            Self::Descriptors => child::place_descriptors(context),
            Self::Tenant => tenant::mount(context),
            Self::ReadOnlyRoot => root::read_only(context),
            Self::UserNamespace => identity::user_namespace(context),
            Self::BoundingSet => crate::sys::identity::drop_bounding(),
            Self::SecureBits => crate::sys::identity::lock_securebits(),
            Self::Ids => identity::become_inside(),
            Self::Capabilities => crate::sys::identity::drop_capabilities(),
            Self::ParentDeath => identity::die_with_parent(context),
            Self::NoNewPrivs => nix::sys::prctl::set_no_new_privs(),
            Self::Umask => limits::close_umask(),
            Self::Keyring => limits::fresh_keyring(context),
            Self::ResourceLimits => limits::resources(context),
        }
    }
}

/// The namespaces that a process is born into.
pub(crate) fn birth_flags(steps: &[Step], mode: Mode) -> libc::c_int {
    steps.iter().filter_map(|step| step.at_birth(mode)).fold(0, |flags, flag| flags | flag)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn position(step: Step) -> usize {
        STEPS.iter().position(|it| *it == step).unwrap()
    }

    #[test]
    fn what_must_come_before_what() {
        let check = |first, then| assert!(position(first) < position(then), "{first:?} {then:?}");
        check(Step::Cgroup, Step::CgroupNamespace);
        check(Step::PrivateMounts, Step::Root);
        check(Step::Proc, Step::Masks);
        check(Step::Devices, Step::Masks);
        check(Step::PivotRoot, Step::Descriptors);
        check(Step::Loopback, Step::UserNamespace);
        check(Step::ReadOnlyRoot, Step::UserNamespace);
        check(Step::UserNamespace, Step::BoundingSet);
        check(Step::BoundingSet, Step::SecureBits);
        check(Step::SecureBits, Step::Ids);
        check(Step::Ids, Step::Capabilities);
        check(Step::Ids, Step::ParentDeath);
        check(Step::Capabilities, Step::ParentDeath);
    }

    #[test]
    fn the_host_is_out_of_sight_before_a_tenant_is_named() {
        let first = STEPS.iter().position(|step| step.needs_order()).unwrap();
        assert!(position(Step::PivotRoot) < first);
    }

    #[test]
    fn every_step_is_listed_once_and_has_a_name_of_its_own() {
        let mut names: Vec<_> = STEPS.iter().map(|step| step.name()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), STEPS.len());
    }
}

//! Landlock for workers and commands: by object, not by name, so it holds even where the mount
//! namespace were wrong.
//!
//! It does not cover descriptors that are open already, nor stat, chmod and chown: those are the
//! business of the mount flags and of the seccomp list.
#![expect(unsafe_code, reason = "the landlock crate does not tell the kernel's ABI beforehand")]

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible as _, PathBeneath,
    PathFd, Ruleset, RulesetAttr as _, RulesetCreated, RulesetCreatedAttr as _, Scope,
    make_bitflags,
};
use nix::errno::Errno;

use crate::Error;

/// From this ABI on (Linux 6.12: files, truncation, devices, TCP, abstract sockets, signals) all of
/// it is demanded; below, what there is is used and the loss is named.
pub(super) const ABI_REQUIRED: u32 = 6;
/// What a worker may name beside its own directory.
const DEVICES: [(&str, bool); 4] =
    [("/dev/null", true), ("/dev/zero", false), ("/dev/random", false), ("/dev/urandom", false)];
/// What a command may do where.
const TOOLS: &[(&str, BitFlags<AccessFs>)] = &[
    ("/", make_bitflags!(AccessFs::{ReadDir})),
    ("/usr", make_bitflags!(AccessFs::{ReadFile | ReadDir | Execute})),
    ("/etc", make_bitflags!(AccessFs::{ReadFile | ReadDir})),
    ("/proc", make_bitflags!(AccessFs::{ReadFile | ReadDir})),
    ("/dev", make_bitflags!(AccessFs::{ReadFile | WriteFile | ReadDir})),
    ("/dev/pts", make_bitflags!(AccessFs::{ReadFile | WriteFile | ReadDir | IoctlDev})),
    ("/dev/tty", make_bitflags!(AccessFs::{ReadFile | WriteFile | IoctlDev})),
    ("/workspace", OWN),
    ("/home/agent", OWN),
    ("/tmp", TEMPORARY),
];
/// Everything but devices, which nobody here needs, and sockets and pipes with a name: in a
/// directory that two sandboxes see, one without a way out would have that of the other.
const OWN: BitFlags<AccessFs> = make_bitflags!(AccessFs::{
    ReadFile | ReadDir | WriteFile | Truncate | Execute | MakeReg | MakeDir | MakeSym | RemoveFile
        | RemoveDir | Refer
});
/// The sandbox's own, which no other sees.
const TEMPORARY: BitFlags<AccessFs> = make_bitflags!(AccessFs::{
    ReadFile | ReadDir | WriteFile | Truncate | Execute | MakeReg | MakeDir | MakeSym | RemoveFile
        | RemoveDir | Refer | MakeSock
});
/// `LANDLOCK_CREATE_RULESET_VERSION`.
const VERSION: u32 = 1;

/// Restricts the calling thread to `/tenant` and four devices, without TCP, without abstract
/// sockets and signals to the outside. Returns the kernel's ABI; 0 means that there is no Landlock
/// and nothing was done.
///
/// # Errors
/// When a path is missing, or the kernel has the ABI and does not enforce all of it.
pub fn landlock() -> Result<u32, Error> {
    let abi = abi();
    if abi == 0 {
        return Ok(0);
    }
    let mut rules = handled(abi, false).map_err(Error::Landlock)?;
    rules = allow(rules, "/tenant", tenant())?;
    for (path, writable) in DEVICES {
        let read: BitFlags<AccessFs> = AccessFs::ReadFile.into();
        rules = allow(rules, path, if writable { read | AccessFs::WriteFile } else { read })?;
    }
    rules.restrict_self().map_err(Error::Landlock)?;
    Ok(abi)
}

/// Restricts the calling thread to a sandbox's directories as they are meant: programs are read and
/// executed, the tenant's own and `/tmp` written, terminals used. Signals and abstract sockets end
/// at the thread and its children, so init is out of reach. There is no TCP but with a way out,
/// where the network is the sandbox's own.
pub(crate) fn tools(egress: bool) -> Result<u32, Error> {
    let abi = abi();
    if abi == 0 {
        return Ok(0);
    }
    let mut rules = handled(abi, egress).map_err(Error::Landlock)?;
    for (path, access) in TOOLS {
        rules = allow(rules, path, *access)?;
    }
    rules.restrict_self().map_err(Error::Landlock)?;
    Ok(abi)
}

/// Everything that the newest ABI known here can refuse is refused unless a rule allows it.
fn handled(abi: u32, tcp: bool) -> Result<RulesetCreated, landlock::RulesetError> {
    let mut rules = Ruleset::default();
    if abi >= ABI_REQUIRED {
        rules = rules
            .set_compatibility(CompatLevel::HardRequirement)
            .handle_access(AccessFs::from_all(ABI::V6))?
            .scope(Scope::from_all(ABI::V6))?;
        if !tcp {
            rules = rules.handle_access(AccessNet::from_all(ABI::V6))?;
        }
    }
    rules = rules
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(ABI::V10))?
        .scope(Scope::from_all(ABI::V10))?;
    if !tcp {
        rules = rules.handle_access(AccessNet::from_all(ABI::V10))?;
    }
    rules.create()
}

/// Files, directories and symbolic links, no execution, no device, no socket, no pipe with a name.
fn tenant() -> BitFlags<AccessFs> {
    make_bitflags!(AccessFs::{
        ReadFile | ReadDir | WriteFile | Truncate | MakeReg | MakeDir | MakeSym | RemoveFile
            | RemoveDir | Refer
    })
}

fn allow(
    rules: RulesetCreated,
    path: &'static str,
    access: BitFlags<AccessFs>,
) -> Result<RulesetCreated, Error> {
    let fd = PathFd::new(path).map_err(|source| Error::LandlockPath { path, source })?;
    rules.add_rule(PathBeneath::new(fd, access)).map_err(Error::Landlock)
}

/// The kernel's Landlock ABI; 0 where Landlock is absent or off.
pub fn abi() -> u32 {
    let (attributes, size) = (std::ptr::null::<u8>(), 0_usize);
    // SAFETY: with the version flag the kernel takes a null pointer and size 0 and makes nothing.
    let result =
        unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, attributes, size, VERSION) };
    Errno::result(result).ok().and_then(|abi| u32::try_from(abi).ok()).unwrap_or(0)
}

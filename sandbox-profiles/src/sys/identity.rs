//! Capabilities and securebits of the calling process: taken away, and read back.
#![expect(unsafe_code, reason = "capability calls without a safe wrapper")]

use nix::errno::Errno;

/// No power from uid 0, none kept over a change of uid, none raised as ambient; all locked.
pub(crate) const SECUREBITS: libc::c_int = libc::SECBIT_NOROOT
    | libc::SECBIT_NOROOT_LOCKED
    | libc::SECBIT_NO_SETUID_FIXUP
    | libc::SECBIT_NO_SETUID_FIXUP_LOCKED
    | libc::SECBIT_KEEP_CAPS_LOCKED
    | libc::SECBIT_NO_CAP_AMBIENT_RAISE
    | libc::SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED;

/// More capabilities than any kernel has; the kernel says where its own end.
const CAPABILITIES: std::ops::Range<libc::c_ulong> = 0..64;

const VERSION_3: u32 = 0x2008_0522;

/// Header of capget and capset: version and process, where 0 is the caller.
#[repr(C)]
struct Header {
    version: u32,
    pid: libc::c_int,
}

/// Effective, permitted and inheritable: first the low halves, then the high ones.
type Sets = [u32; 6];

/// Empties the bounding set and the ambient set, and reads both back.
pub(crate) fn drop_bounding() -> nix::Result<()> {
    for capability in CAPABILITIES {
        match prctl(libc::PR_CAPBSET_DROP, capability) {
            Err(Errno::EINVAL) => break,
            dropped => dropped?,
        };
        if prctl(libc::PR_CAPBSET_READ, capability)? != 0 {
            return Err(Errno::EPERM);
        }
    }
    prctl(libc::PR_CAP_AMBIENT, libc::c_ulong::from(libc::PR_CAP_AMBIENT_CLEAR_ALL.cast_unsigned()))
        .map(drop)
}

/// Gives up every capability but `kept`, in the bounding set as well; those that the process does
/// not have it does not get.
pub(crate) fn keep_only(kept: &[u32]) -> nix::Result<()> {
    for capability in CAPABILITIES {
        if kept.iter().any(|it| libc::c_ulong::from(*it) == capability) {
            continue;
        }
        match prctl(libc::PR_CAPBSET_DROP, capability) {
            Err(Errno::EINVAL) => break,
            dropped => dropped?,
        };
    }
    // The ones in use are all among the first 32.
    let mask = kept.iter().fold(0, |mask, it| mask | 1_u32.checked_shl(*it).unwrap_or(0));
    let [effective, permitted, ..] = get()?;
    set([effective & mask, permitted & mask, 0, 0, 0, 0])
}

/// Whether the calling process has this capability in effect.
pub(crate) fn has(capability: u32) -> bool {
    let bit = 1_u32.checked_shl(capability).unwrap_or(0);
    get().is_ok_and(|[effective, ..]| effective & bit != 0)
}

/// Sets and locks [`SECUREBITS`].
pub(crate) fn lock_securebits() -> nix::Result<()> {
    prctl(libc::PR_SET_SECUREBITS, libc::c_ulong::from(SECUREBITS.cast_unsigned())).map(drop)
}

/// Whether [`lock_securebits`] holds.
pub(crate) fn securebits_locked() -> bool {
    prctl(libc::PR_GET_SECUREBITS, 0) == Ok(SECUREBITS)
}

/// Empties the effective, permitted and inheritable sets.
pub(crate) fn drop_capabilities() -> nix::Result<()> {
    set([0; 6])
}

fn set(sets: Sets) -> nix::Result<()> {
    let header = header();
    // SAFETY: header and sets are live and of the layout of version 3.
    let result = unsafe { libc::syscall(libc::SYS_capset, &raw const header, sets.as_ptr()) };
    Errno::result(result).map(drop)
}

/// Whether all three sets are empty.
pub(crate) fn is_powerless() -> bool {
    get() == Ok([0; 6])
}

fn get() -> nix::Result<Sets> {
    let (mut header, mut sets) = (header(), [0_u32; 6]);
    // SAFETY: header and sets are live and of the layout of version 3.
    let result = unsafe { libc::syscall(libc::SYS_capget, &raw mut header, sets.as_mut_ptr()) };
    Errno::result(result)?;
    Ok(sets)
}

const fn header() -> Header {
    Header { version: VERSION_3, pid: 0 }
}

fn prctl(option: libc::c_int, value: libc::c_ulong) -> nix::Result<libc::c_int> {
    let unused: libc::c_ulong = 0;
    // SAFETY: the options used here take integers only.
    Errno::result(unsafe { libc::prctl(option, value, unused, unused, unused) })
}

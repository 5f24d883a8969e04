//! Loading a seccomp program. A filter cannot be taken off again, and children inherit it.
#![expect(unsafe_code, reason = "seccomp has no safe wrapper for a program made at build time")]

use nix::errno::Errno;

use crate::{Error, Profile};

/// Puts the worker's allow list on the calling thread, which must be the only one.
///
/// No log flag: the kernel logs a kill anyway, and with the flag a tenant could fill the kernel's
/// log with the refusals that make glibc fall back.
///
/// # Errors
/// When the kernel refuses the program.
pub fn worker_filter() -> Result<(), Error> {
    load(Profile::Worker)
}

/// Puts the supervisor's deny list on every thread of the process.
///
/// # Errors
/// When the kernel refuses the program or a thread has another filter.
pub fn supervisor_filter() -> Result<(), Error> {
    load_with(Profile::Supervisor, libc::SECCOMP_FILTER_FLAG_TSYNC)
}

/// Puts the launcher's deny list on every thread of the process, and so on all its children.
///
/// # Errors
/// When the kernel refuses the program or a thread has another filter.
pub fn launcher_filter() -> Result<(), Error> {
    load_with(Profile::Launcher, libc::SECCOMP_FILTER_FLAG_TSYNC)
}

/// Puts a program on the calling thread, which must be the only one.
pub(crate) fn load(profile: Profile) -> Result<(), Error> {
    load_with(profile, 0)
}

fn load_with(profile: Profile, flags: libc::c_ulong) -> Result<(), Error> {
    let failed = |source| Error::Confine { step: profile.name(), source };
    let code = profile.code();
    let len = u16::try_from(code.len()).map_err(|err| failed(std::io::Error::other(err)))?;
    let program = libc::sock_fprog { len, filter: code.as_ptr().cast_mut() };
    // SAFETY: the program points at constants of `len` instructions, which the kernel only reads.
    let result = unsafe {
        libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, flags, &raw const program)
    };
    match Errno::result(result) {
        Ok(0) => Ok(()),
        Ok(thread) => Err(Error::Unconfined {
            check: profile.name(),
            found: format!("thread {thread} has another filter"),
        }),
        Err(err) => Err(failed(err.into())),
    }
}

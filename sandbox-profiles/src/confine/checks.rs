//! What must hold before a worker confines itself further: the launcher's part, seen from inside
//! and without `/proc`.
#![expect(unsafe_code, reason = "prctl, poll and unshare have no safe wrapper that fits")]

use std::io;
use std::os::fd::{BorrowedFd, RawFd};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};
use nix::sys::stat::{SFlag, fstat};

use crate::Error;
use crate::sys::identity;

/// A worker's descriptors: what each is and how the kernel calls that kind.
const DESCRIPTORS: [(RawFd, SFlag); 4] =
    [(0, SFlag::S_IFSOCK), (1, SFlag::S_IFCHR), (2, SFlag::S_IFIFO), (3, SFlag::S_IFSOCK)];
/// The limit on open files that a worker is started with; nothing may be open up to it.
const DESCRIPTORS_MAX: RawFd = 1024;
/// More capabilities than the kernel's 64-bit sets can hold do not exist.
const CAPABILITIES_MAX: libc::c_ulong = 64;

/// Makes the process untraceable and without core dumps, and reads that back.
///
/// # Errors
/// When the kernel refuses or the flag does not stick.
pub fn undumpable() -> Result<(), Error> {
    const STEP: &str = "undumpable";
    prctl(libc::PR_SET_DUMPABLE, 0, STEP)?;
    expect(STEP, prctl(libc::PR_GET_DUMPABLE, 0, STEP)?, 0)
}

/// Checks that every capability set is empty, the bounding set included, and that `no_new_privs`
/// is set.
///
/// # Errors
/// When any capability is left or privilege could be gained.
pub fn powerless() -> Result<(), Error> {
    const STEP: &str = "powerless";
    expect(STEP, prctl(libc::PR_GET_NO_NEW_PRIVS, 0, STEP)?, 1)?;
    for capability in 0..CAPABILITIES_MAX {
        match prctl_raw(libc::PR_CAPBSET_READ, capability) {
            Ok(held) => expect("bounding set", held, 0)?,
            Err(Errno::EINVAL) => break,
            Err(err) => return Err(Error::Confine { step: STEP, source: err.into() }),
        }
    }
    if !identity::is_powerless() {
        return Err(Error::Unconfined { check: STEP, found: "a capability".to_owned() });
    }
    Ok(())
}

/// Checks that the process has one thread and shares its memory with nobody: the filter that is
/// loaded next binds only the calling thread.
///
/// # Errors
/// When there is another thread.
pub fn alone() -> Result<(), Error> {
    // SAFETY: CLONE_VM alone changes nothing; the kernel only checks that the caller is alone.
    let result = unsafe { libc::unshare(libc::CLONE_VM) };
    match Errno::result(result) {
        Ok(_) => Ok(()),
        Err(Errno::EINVAL) => {
            Err(Error::Unconfined { check: "alone", found: "another thread".to_owned() })
        }
        Err(err) => Err(Error::Confine { step: "alone", source: err.into() }),
    }
}

/// Checks that exactly the descriptors 0 to 3 are open and that each is of its kind.
///
/// # Errors
/// When one is missing, of another kind, or one more is open.
pub fn descriptors() -> Result<(), Error> {
    const STEP: &str = "descriptors";
    let failed = |source: Errno| Error::Confine { step: STEP, source: source.into() };
    for (fd, kind) in DESCRIPTORS {
        // SAFETY: the number is only looked up by fstat, which answers EBADF where it is not open.
        let borrowed = unsafe { BorrowedFd::borrow_raw(fd) };
        let found = SFlag::from_bits_truncate(fstat(borrowed).map_err(failed)?.st_mode);
        if found & SFlag::S_IFMT != kind {
            return Err(Error::Unconfined { check: STEP, found: format!("{fd} is {found:?}") });
        }
    }
    match first_open(4..DESCRIPTORS_MAX)? {
        None => Ok(()),
        Some(fd) => Err(Error::Unconfined { check: STEP, found: format!("{fd} is open") }),
    }
}

fn first_open(numbers: std::ops::Range<RawFd>) -> Result<Option<RawFd>, Error> {
    let failed = |source| Error::Confine { step: "descriptors", source };
    let mut asked: Vec<_> = numbers.map(|fd| libc::pollfd { fd, events: 0, revents: 0 }).collect();
    let count = libc::nfds_t::try_from(asked.len()).map_err(|err| failed(io::Error::other(err)))?;
    // SAFETY: the pointer and the count describe the vector, which outlives the call.
    let result = unsafe { libc::poll(asked.as_mut_ptr(), count, 0) };
    match Errno::result(result) {
        Ok(_) => Ok(asked.iter().find(|it| it.revents & libc::POLLNVAL == 0).map(|it| it.fd)),
        // The limit on open files is below the number asked for: ask one by one.
        Err(Errno::EINVAL) => Ok(asked.iter().map(|it| it.fd).find(|fd| is_open(*fd))),
        Err(err) => Err(failed(err.into())),
    }
}

fn is_open(fd: RawFd) -> bool {
    // SAFETY: the number is only looked up by fcntl, which answers EBADF where it is not open.
    let borrowed = unsafe { BorrowedFd::borrow_raw(fd) };
    fcntl(borrowed, FcntlArg::F_GETFD) != Err(Errno::EBADF)
}

fn prctl(option: libc::c_int, value: libc::c_ulong, step: &'static str) -> Result<i32, Error> {
    prctl_raw(option, value).map_err(|err| Error::Confine { step, source: err.into() })
}

/// A `prctl` whose arguments are plain numbers.
pub(super) fn prctl_raw(option: libc::c_int, value: libc::c_ulong) -> Result<i32, Errno> {
    let none: libc::c_ulong = 0;
    // SAFETY: the options used here take numbers; no memory is passed.
    Errno::result(unsafe { libc::prctl(option, value, none, none, none) })
}

fn expect(check: &'static str, found: i32, wanted: i32) -> Result<(), Error> {
    if found == wanted {
        return Ok(());
    }
    Err(Error::Unconfined { check, found: found.to_string() })
}

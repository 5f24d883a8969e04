//! The two sockets that a worker is born with. Each is taken once, by the worker's `main`.
#![expect(unsafe_code, reason = "inherited descriptor numbers become owned sockets")]

use std::io;
use std::os::fd::{BorrowedFd, FromRawFd as _, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};

use nix::sys::socket::{SockType, getsockopt, sockopt};

/// Where the worker serves the supervisor.
const SERVE: RawFd = 0;

/// Where the worker calls the host's services.
const HOST: RawFd = 3;

static TAKEN: AtomicBool = AtomicBool::new(false);

/// The sockets on which the worker serves and on which it calls, in this order.
///
/// # Errors
/// When they were taken before, or are not the sockets that the launcher gives to a worker.
pub fn sockets() -> io::Result<(UnixStream, UnixStream)> {
    if TAKEN.swap(true, Ordering::SeqCst) {
        return Err(io::ErrorKind::ResourceBusy.into());
    }
    check(SERVE)?;
    check(HOST)?;
    Ok((own(SERVE), own(HOST)))
}

fn check(fd: RawFd) -> io::Result<()> {
    // SAFETY: the descriptor is borrowed for one call only; a closed number is reported as EBADF.
    let borrowed = unsafe { BorrowedFd::borrow_raw(fd) };
    if getsockopt(&borrowed, sockopt::SockType)? == SockType::Stream {
        Ok(())
    } else {
        Err(io::Error::new(io::ErrorKind::InvalidInput, "an inherited socket is no stream"))
    }
}

fn own(fd: RawFd) -> UnixStream {
    // SAFETY: `TAKEN` makes this the one owner, and `check` saw that the number is an open socket.
    let owned = unsafe { OwnedFd::from_raw_fd(fd) };
    owned.into()
}

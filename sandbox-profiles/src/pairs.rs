//! The descriptors between the supervisor and one worker, made so that nothing but bytes crosses.
#![expect(unsafe_code, reason = "SO_PASSRIGHTS has no safe wrapper")]

use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::net::UnixStream;

use nix::fcntl::OFlag;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};

/// `SO_PASSRIGHTS` of Linux 6.16, which `libc` does not name yet.
const SO_PASSRIGHTS: libc::c_int = 83;

/// A stream pair, non-blocking and closed at exec from birth. Where the kernel can (6.16), it
/// refuses to carry descriptors; elsewhere the worker's filter has no call that sends them and the
/// supervisor reads with a call that drops them.
///
/// # Errors
/// When the process or the machine is out of descriptors.
pub fn pair() -> io::Result<(UnixStream, UnixStream)> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let (near, far) = socketpair(AddressFamily::Unix, SockType::Stream, None, flags)?;
    refuse_descriptors(&near)?;
    refuse_descriptors(&far)?;
    Ok((near.into(), far.into()))
}

/// The reading and the writing end of a log pipe. Both ends are non-blocking: a supervisor that
/// does not read makes the worker lose lines, not stand still.
///
/// # Errors
/// When the process or the machine is out of descriptors.
pub fn log_pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(nix::unistd::pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK)?)
}

fn refuse_descriptors(socket: &OwnedFd) -> io::Result<()> {
    let off: libc::c_int = 0;
    let size = libc::socklen_t::try_from(size_of_val(&off)).map_err(io::Error::other)?;
    // SAFETY: the pointer is to a live c_int and the length is its size.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            SO_PASSRIGHTS,
            (&raw const off).cast(),
            size,
        )
    };
    match nix::errno::Errno::result(result) {
        Ok(_) | Err(nix::errno::Errno::ENOPROTOOPT) => Ok(()),
        Err(err) => Err(err.into()),
    }
}

#[cfg(test)]
mod tests {
    use std::io::IoSlice;

    use nix::errno::Errno;
    use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};

    use super::*;

    #[test]
    fn descriptors_are_not_carried() {
        let (near, _far) = pair().unwrap();
        let fds = [near.as_raw_fd()];
        let sent = sendmsg::<()>(
            near.as_raw_fd(),
            &[IoSlice::new(b"x")],
            &[ControlMessage::ScmRights(&fds)],
            MsgFlags::empty(),
            None,
        );
        let kernel = nix::sys::utsname::uname().unwrap();
        let newer = kernel
            .release()
            .to_string_lossy()
            .split('.')
            .take(2)
            .map(str::to_owned)
            .collect::<Vec<_>>();
        let version: Vec<u32> = newer.iter().map(|part| part.parse().unwrap()).collect();
        if version >= vec![6, 16] {
            assert_eq!(sent, Err(Errno::EPERM));
        }
    }
}

//! Records with descriptors over a `SOCK_SEQPACKET` pair, and where descriptors are put before a
//! program is executed. It does not know what a record means.
#![expect(unsafe_code, reason = "received descriptor numbers become owned descriptors")]

use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd as _, OwnedFd, RawFd};
use std::time::Duration;

use nix::cmsg_space;
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl, open};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{
    AddressFamily, ControlMessage, ControlMessageOwned, MsgFlags, SockFlag, SockType, recvmsg,
    sendmsg, socketpair,
};
use nix::sys::stat::{Mode, SFlag, fstat, makedev};

/// The most descriptors that the kernel carries with one record. There is always room for that
/// many: those that did not fit would stay open with nobody to close them.
const MAX_DESCRIPTORS: usize = 253;

/// Descriptors that must survive until exec live from here up, out of the way of 0 to 3.
const HIGH: RawFd = 64;

/// Two ends over which records keep their bounds; end of file means the far process is gone.
pub(crate) fn record_pair() -> nix::Result<(OwnedFd, OwnedFd)> {
    socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)
}

/// Sends one record whole, with copies of `fds`.
pub(crate) fn send(socket: impl AsFd, bytes: &[u8], fds: &[&OwnedFd]) -> io::Result<()> {
    send_as(socket, bytes, fds, MsgFlags::MSG_NOSIGNAL)
}

/// Sends one record whole, with copies of `fds`, if there is room for it.
pub(crate) fn send_now(socket: impl AsFd, bytes: &[u8], fds: &[&OwnedFd]) -> io::Result<()> {
    send_as(socket, bytes, fds, MsgFlags::MSG_NOSIGNAL | MsgFlags::MSG_DONTWAIT)
}

fn send_as(socket: impl AsFd, bytes: &[u8], fds: &[&OwnedFd], flags: MsgFlags) -> io::Result<()> {
    let raw: Vec<RawFd> = fds.iter().map(|fd| fd.as_raw_fd()).collect();
    let rights = [ControlMessage::ScmRights(&raw)];
    let control = if raw.is_empty() { &[][..] } else { &rights[..] };
    let socket = socket.as_fd().as_raw_fd();
    let sent = sendmsg::<()>(socket, &[IoSlice::new(bytes)], control, flags, None)?;
    if sent == bytes.len() { Ok(()) } else { Err(io::ErrorKind::WriteZero.into()) }
}

/// Receives one record of at most `max` bytes and at most `fds` descriptors.
///
/// # Errors
/// `UnexpectedEof` when the far end is gone, `InvalidData` when there was more than that.
pub(crate) fn receive(
    socket: impl AsFd,
    max: usize,
    fds: usize,
) -> io::Result<(Vec<u8>, Vec<OwnedFd>)> {
    let mut bytes = vec![0; max];
    let mut control = cmsg_space!([RawFd; MAX_DESCRIPTORS]);
    let mut slice = [IoSliceMut::new(&mut bytes)];
    let socket = socket.as_fd().as_raw_fd();
    let flags = MsgFlags::MSG_CMSG_CLOEXEC;
    let message = recvmsg::<()>(socket, &mut slice, Some(&mut control), flags)?;
    // Owned first, so that whatever is wrong with the record closes them.
    let received: Vec<OwnedFd> = message.cmsgs()?.flat_map(owned).collect();
    let cut = message.flags.intersects(MsgFlags::MSG_TRUNC | MsgFlags::MSG_CTRUNC);
    let length = message.bytes;
    if cut || received.len() > fds {
        return Err(io::ErrorKind::InvalidData.into());
    }
    if length == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    bytes.truncate(length);
    Ok((bytes, received))
}

fn owned(message: ControlMessageOwned) -> Vec<OwnedFd> {
    let ControlMessageOwned::ScmRights(raw) = message else { return Vec::new() };
    // SAFETY: the kernel has just made these descriptors for this process; nobody else owns them.
    raw.into_iter().map(|fd| unsafe { OwnedFd::from_raw_fd(fd) }).collect()
}

/// Waits until `fd` is readable or has hung up; false when the time is over.
pub(crate) fn readable(fd: impl AsFd, within: Duration) -> nix::Result<bool> {
    let timeout = PollTimeout::try_from(within).unwrap_or(PollTimeout::MAX);
    let mut fds = [PollFd::new(fd.as_fd(), PollFlags::POLLIN)];
    loop {
        match poll(&mut fds, timeout) {
            Err(Errno::EINTR) => {}
            ready => return Ok(ready? > 0),
        }
    }
}

/// Whether the far end of a pair is gone.
pub(crate) fn hung_up(fd: impl AsFd) -> nix::Result<bool> {
    let mut fds = [PollFd::new(fd.as_fd(), PollFlags::empty())];
    poll(&mut fds, PollTimeout::ZERO)?;
    let [state] = fds;
    Ok(state.revents().is_some_and(|events| events.contains(PollFlags::POLLHUP)))
}

/// A copy above the numbers that a worker inherits, closed at exec.
pub(crate) fn lifted(fd: impl AsFd) -> nix::Result<OwnedFd> {
    let raw = fcntl(fd, FcntlArg::F_DUPFD_CLOEXEC(HIGH))?;
    // SAFETY: fcntl has just made this descriptor; nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(raw) })
}

/// Takes a descriptor that the process was started with, once, and has it closed at exec.
pub(crate) fn adopt(number: RawFd) -> nix::Result<OwnedFd> {
    // SAFETY: the number is only looked up here, which answers EBADF where it is not open.
    let borrowed = unsafe { BorrowedFd::borrow_raw(number) };
    fcntl(borrowed, FcntlArg::F_SETFD(nix::fcntl::FdFlag::FD_CLOEXEC))?;
    // SAFETY: it is open, and each number is taken by one caller before anything else is opened.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

/// Closes every descriptor from `first` up but those in `kept`.
///
/// The process must be a forked child that never returns to code that owns what is closed.
pub(crate) fn close_all_but(first: RawFd, kept: &[BorrowedFd<'_>]) -> nix::Result<()> {
    let mut kept: Vec<RawFd> = kept.iter().map(BorrowedFd::as_raw_fd).collect();
    kept.sort_unstable();
    let mut next = first;
    for fd in kept.into_iter().filter(|fd| *fd >= first) {
        close_range(next, fd.saturating_sub(1))?;
        next = fd.saturating_add(1);
    }
    close_range(next, RawFd::MAX)
}

fn close_range(first: RawFd, last: RawFd) -> nix::Result<()> {
    if first > last {
        return Ok(());
    }
    // SAFETY: the caller promises that nothing uses the descriptors in this range any more.
    let result = unsafe {
        libc::syscall(libc::SYS_close_range, first.cast_unsigned(), last.cast_unsigned(), 0_u32)
    };
    Errno::result(result).map(drop)
}

/// The null device, opened here and now, after a look at what the name leads to.
pub(crate) fn null() -> nix::Result<OwnedFd> {
    let flags = OFlag::O_RDWR | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let null = open("/dev/null", flags, Mode::empty())?;
    let stat = fstat(&null)?;
    let right = SFlag::from_bits_truncate(stat.st_mode).contains(SFlag::S_IFCHR)
        && stat.st_rdev == makedev(1, 3);
    if right { Ok(null) } else { Err(Errno::ENODEV) }
}

/// Makes `fd` known as number `at` too, kept open at exec. Whatever was there is closed.
pub(crate) fn place(fd: impl AsFd, at: RawFd) -> nix::Result<()> {
    // SAFETY: dup2 replaces `at`, which belongs to nobody: 0 to 3 are below every lifted one.
    Errno::result(unsafe { libc::dup2(fd.as_fd().as_raw_fd(), at) }).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_keep_their_bounds_and_carry_descriptors() {
        let (near, far) = record_pair().unwrap();
        send(&near, b"one", &[]).unwrap();
        send(&near, b"two", &[&near, &near]).unwrap();
        assert_eq!(receive(&far, 16, 4).unwrap().0, b"one");
        let (bytes, fds) = receive(&far, 16, 4).unwrap();
        assert_eq!((bytes.as_slice(), fds.len()), (&b"two"[..], 2));
    }

    #[test]
    fn too_much_of_anything_is_refused() {
        let (near, far) = record_pair().unwrap();
        let five = [&near; 5];
        let check = |bytes: &[u8], fds: &[&OwnedFd], expected: io::ErrorKind| {
            send(&near, bytes, fds).unwrap();
            assert_eq!(receive(&far, 3, 1).unwrap_err().kind(), expected);
        };
        check(b"four", &[], io::ErrorKind::InvalidData);
        check(b"one", &five[..2], io::ErrorKind::InvalidData);
        check(b"one", &five, io::ErrorKind::InvalidData);
        check(b"one", &[&near; MAX_DESCRIPTORS], io::ErrorKind::InvalidData);
        drop(near);
        assert_eq!(receive(&far, 3, 1).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        assert!(hung_up(&far).unwrap());
    }
}

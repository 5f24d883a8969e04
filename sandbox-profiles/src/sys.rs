//! System calls that no crate of ours wraps, each as one small safe function. There is no policy
//! here: who calls what, and in which order, is `steps` and `launcher`.
#![expect(unsafe_code, reason = "system calls without a safe wrapper")]

use std::os::fd::{AsFd, AsRawFd as _, FromRawFd as _, OwnedFd, RawFd};

use nix::errno::Errno;
use nix::sys::signal::{SigSet, SigmaskHow, Signal, sigprocmask};
use nix::unistd::Pid;

pub(crate) mod identity;
pub(crate) mod mounts;
pub(crate) mod pty;

/// Takes ownership of a descriptor that a system call has just returned.
fn own(result: libc::c_long) -> nix::Result<OwnedFd> {
    let raw = RawFd::try_from(Errno::result(result)?).map_err(|_range| Errno::EBADF)?;
    // SAFETY: the kernel has just made this descriptor for this process; nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(raw) })
}

/// Which side of [`clone3`] one is on.
#[derive(Debug)]
pub(crate) enum Side {
    /// The new process.
    Child,
    /// The caller.
    Parent(Child),
}

/// A new process, as its parent knows it.
#[derive(Debug)]
pub(crate) struct Child {
    /// Its process id here.
    pub(crate) pid: Pid,
    /// A handle that never means another process.
    pub(crate) pidfd: OwnedFd,
}

/// Forks with `flags`; signals that were handled are at their defaults in the child.
///
/// The process must have one thread: then the child, which gets a copy of everything, may go on
/// using the allocator.
pub(crate) fn clone3(flags: libc::c_int) -> nix::Result<Side> {
    // Wider than libc's int for it.
    const CLEAR_SIGHAND: u64 = 0x1_0000_0000;
    let mut raw: RawFd = -1;
    let address = (&raw mut raw).expose_provenance();
    let flags = u64::from((flags | libc::CLONE_PIDFD).cast_unsigned()) | CLEAR_SIGHAND;
    let exit_signal = u64::from(libc::SIGCHLD.cast_unsigned());
    // flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls
    let pidfd = u64::try_from(address).map_err(|_range| Errno::EFAULT)?;
    let args: [u64; 8] = [flags, pidfd, 0, 0, exit_signal, 0, 0, 0];
    // SAFETY: args is a clone_args of its first version's size; without CLONE_VM the child has a
    // copy of this stack, and pidfd points to a live integer.
    let result = unsafe { libc::syscall(libc::SYS_clone3, args.as_ptr(), size_of_val(&args)) };
    match i32::try_from(Errno::result(result)?).map_err(|_range| Errno::EOVERFLOW)? {
        0 => Ok(Side::Child),
        pid => {
            let pidfd = own(raw.into())?;
            Ok(Side::Parent(Child { pid: Pid::from_raw(pid), pidfd }))
        }
    }
}

/// This process and what it starts wait for a core instead of taking one from who just runs.
pub(crate) fn yielding() -> nix::Result<()> {
    let none = libc::sched_param { sched_priority: 0 };
    // SAFETY: reads one live structure.
    Errno::result(unsafe { libc::sched_setscheduler(0, libc::SCHED_BATCH, &raw const none) })
        .map(drop)
}

/// Ends this process at once, without running what the parent registered for its own end.
pub(crate) fn end(code: i32) -> ! {
    // SAFETY: _exit takes any code and does not return.
    unsafe { libc::_exit(code) }
}

/// Sends signal `number` to the process that `pidfd` means; one that is gone is no error.
pub(crate) fn kill(pidfd: impl AsFd, number: libc::c_int) -> nix::Result<()> {
    let (fd, info) = (pidfd.as_fd().as_raw_fd(), std::ptr::null::<libc::siginfo_t>());
    // SAFETY: a null siginfo is allowed and means "as kill does".
    let result = unsafe { libc::syscall(libc::SYS_pidfd_send_signal, fd, number, info, 0_u32) };
    match Errno::result(result) {
        Ok(_) | Err(Errno::ESRCH) => Ok(()),
        Err(err) => Err(err),
    }
}

/// Gives every signal its default disposition and blocks none.
pub(crate) fn reset_signals() -> nix::Result<()> {
    for signal in Signal::iterator() {
        if matches!(signal, Signal::SIGKILL | Signal::SIGSTOP) {
            continue;
        }
        let default = nix::sys::signal::SigHandler::SigDfl;
        // SAFETY: the default disposition runs no code of ours.
        unsafe { nix::sys::signal::signal(signal, default) }?;
    }
    sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::empty()), None)
}

/// Leaves the inherited session keyring for a fresh, anonymous one; gives its serial number.
pub(crate) fn join_session_keyring() -> nix::Result<libc::c_long> {
    const JOIN_SESSION_KEYRING: libc::c_int = 1;
    let anonymous = std::ptr::null::<libc::c_char>();
    // SAFETY: a null name asks for an anonymous keyring.
    let result = unsafe { libc::syscall(libc::SYS_keyctl, JOIN_SESSION_KEYRING, anonymous) };
    Errno::result(result)
}

/// One ioctl whose argument is an integer.
pub(crate) fn ioctl_int(
    fd: impl AsFd,
    request: libc::Ioctl,
    value: libc::c_ulong,
) -> nix::Result<libc::c_int> {
    // SAFETY: callers pass requests whose argument is an integer, never a pointer.
    Errno::result(unsafe { libc::ioctl(fd.as_fd().as_raw_fd(), request, value) })
}

/// One ioctl whose argument is a structure of plain integers, given as words.
pub(crate) fn ioctl_words<const N: usize>(
    fd: impl AsFd,
    request: libc::Ioctl,
    words: &mut [u64; N],
) -> nix::Result<libc::c_int> {
    // SAFETY: callers pass an array at least as long as the structure that the request names.
    Errno::result(unsafe { libc::ioctl(fd.as_fd().as_raw_fd(), request, words.as_mut_ptr()) })
}

/// Brings up the loopback device of the network that `socket` is in. It has its address already.
pub(crate) fn raise_loopback(socket: impl AsFd) -> nix::Result<()> {
    // SAFETY: all zero is a valid ifreq.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(b"lo") {
        *to = from.cast_signed();
    }
    request.ifr_ifru.ifru_flags =
        libc::c_short::try_from(libc::IFF_UP).map_err(|_range| Errno::EINVAL)?;
    let fd = socket.as_fd().as_raw_fd();
    // SAFETY: the request reads one ifreq, which is live for the call.
    Errno::result(unsafe { libc::ioctl(fd, libc::SIOCSIFFLAGS, &raw const request) }).map(drop)
}

/// Locks a directory for this open file and its copies, without waiting. The lock goes with the
/// last copy, so it outlives a fork and not the process.
pub(crate) fn lock(fd: impl AsFd) -> nix::Result<()> {
    // SAFETY: flock takes integers only.
    Errno::result(unsafe { libc::flock(fd.as_fd().as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB) })
        .map(drop)
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// By itself, with this code.
    Exited(i32),
    /// By this signal.
    Signaled(i32),
}

/// Reaps the child that `pidfd` means, waiting for its end.
pub(crate) fn reap(pidfd: impl AsFd) -> nix::Result<End> {
    let id = pidfd.as_fd().as_raw_fd().cast_unsigned();
    wait(libc::P_PIDFD, id, libc::WEXITED)?.ok_or(Errno::EAGAIN)
}

/// Reaps the child with this number if it has ended.
pub(crate) fn try_reap(pid: Pid) -> nix::Result<Option<End>> {
    wait(libc::P_PID, pid.as_raw().cast_unsigned(), libc::WEXITED | libc::WNOHANG)
}

/// Reaps some child that has ended.
pub(crate) fn reap_any() -> nix::Result<Option<(Pid, End)>> {
    match wait_for(libc::P_ALL, 0, libc::WEXITED | libc::WNOHANG) {
        Err(Errno::ECHILD) => Ok(None),
        ended => ended,
    }
}

fn wait(kind: libc::idtype_t, id: libc::id_t, options: libc::c_int) -> nix::Result<Option<End>> {
    Ok(wait_for(kind, id, options)?.map(|(_, end)| end))
}

fn wait_for(
    kind: libc::idtype_t,
    id: libc::id_t,
    options: libc::c_int,
) -> nix::Result<Option<(Pid, End)>> {
    // SAFETY: all zero is a valid siginfo, and means that there is nothing to tell.
    let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
    // SAFETY: info is live for the call.
    Errno::result(unsafe { libc::waitid(kind, id, &raw mut info, options) })?;
    // SAFETY: after waitid the fields of a child's end are set, or zero as before.
    let pid = unsafe { info.si_pid() };
    // SAFETY: as for the number above.
    let status = unsafe { info.si_status() };
    let end = match info.si_code {
        libc::CLD_EXITED => End::Exited(status),
        _ => End::Signaled(status),
    };
    Ok((pid != 0).then_some((Pid::from_raw(pid), end)))
}

//! The steps on processes made for it: a filter that is on cannot be taken off.
#![expect(unsafe_code, reason = "a fork and raw calls in it")]

use nix::errno::Errno;
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, fork};

use super::*;

/// The outcome that stands for success.
const DONE: i32 = 0;
const EPERM: i32 = libc::EPERM;

/// Confines a fork and makes one call in it; gives what ended the fork, by `errno` if it ended
/// itself.
fn under(confine: fn() -> Result<(), Error>, call: &[libc::c_long]) -> WaitStatus {
    let mut args = [0; 7];
    args[..call.len()].copy_from_slice(call);
    let [number, a0, a1, a2, a3, a4, a5] = args;
    // SAFETY: the fork makes system calls only, before it ends without unwinding.
    match unsafe { fork() }.unwrap() {
        ForkResult::Parent { child } => waitpid(child, None).unwrap(),
        ForkResult::Child => {
            let ready = nix::sys::prctl::set_no_new_privs().is_ok() && confine().is_ok();
            // SAFETY: every call here takes numbers or null pointers.
            let result = unsafe { libc::syscall(number, a0, a1, a2, a3, a4, a5) };
            let outcome = if result < 0 { Errno::last_raw() } else { DONE };
            // SAFETY: ends the fork at once.
            unsafe { libc::_exit(if ready { outcome } else { 255 }) }
        }
    }
}

fn check(confine: fn() -> Result<(), Error>, call: &[libc::c_long], outcome: i32) {
    let ended = under(confine, call);
    assert!(matches!(ended, WaitStatus::Exited(_, code) if code == outcome), "{call:?}: {ended:?}");
}

fn check_killed(confine: fn() -> Result<(), Error>, call: &[libc::c_long]) {
    let ended = under(confine, call);
    assert!(matches!(ended, WaitStatus::Signaled(_, Signal::SIGSYS, _)), "{call:?}: {ended:?}");
}

#[test]
fn the_supervisor_gives_up_programs_processes_and_mounts() {
    let filter: fn() -> Result<(), Error> = supervisor_filter;
    check_killed(filter, &[libc::SYS_execve]);
    check_killed(filter, &[libc::SYS_execveat]);
    check(filter, &[libc::SYS_clone3], libc::ENOSYS);
    for number in [
        libc::SYS_fork,
        libc::SYS_vfork,
        libc::SYS_clone,
        libc::SYS_unshare,
        libc::SYS_setns,
        libc::SYS_mount,
        libc::SYS_umount2,
        libc::SYS_move_mount,
        libc::SYS_ptrace,
        libc::SYS_process_vm_readv,
        libc::SYS_bpf,
        libc::SYS_io_uring_setup,
        libc::SYS_kexec_load,
        libc::SYS_init_module,
        libc::SYS_keyctl,
    ] {
        check(filter, &[number], EPERM);
    }
    let stream = i64::from(libc::SOCK_STREAM);
    for family in [libc::AF_UNIX, libc::AF_INET, libc::AF_INET6] {
        check(filter, &[libc::SYS_socket, family.into(), stream], DONE);
    }
    for family in [libc::AF_PACKET, libc::AF_VSOCK, libc::AF_ALG] {
        check(filter, &[libc::SYS_socket, family.into(), stream], libc::EAFNOSUPPORT);
    }
    check(filter, &[libc::SYS_getpid], DONE);
}

#[test]
fn the_launcher_gives_up_the_network_and_the_kernels_insides() {
    let filter: fn() -> Result<(), Error> = launcher_filter;
    let stream = i64::from(libc::SOCK_STREAM);
    check(filter, &[libc::SYS_socket, libc::AF_UNIX.into(), stream], DONE);
    // For the listener of a sandbox, in a network of its own.
    check(filter, &[libc::SYS_socket, libc::AF_INET.into(), stream], DONE);
    let others = [libc::SOCK_DGRAM, libc::SOCK_RAW].map(|kind| (libc::AF_INET, i64::from(kind)));
    let families = [libc::AF_INET6, libc::AF_NETLINK, libc::AF_PACKET, libc::AF_VSOCK];
    for (family, kind) in families.map(|family| (family, stream)).into_iter().chain(others) {
        check(filter, &[libc::SYS_socket, family.into(), kind], libc::EAFNOSUPPORT);
    }
    let ioctl = |request: u64| [libc::SYS_ioctl, -1, i64::try_from(request).unwrap()];
    check(filter, &ioctl(libc::SIOCSIFFLAGS), libc::EBADF);
    for request in [libc::SIOCSIFADDR, libc::SIOCSIFHWADDR, libc::SIOCADDRT] {
        check(filter, &ioctl(request), EPERM);
    }
    for number in [libc::SYS_setns, libc::SYS_ptrace, libc::SYS_bpf, libc::SYS_pidfd_getfd] {
        check(filter, &[number], EPERM);
    }
    let join = i64::from(libc::KEYCTL_JOIN_SESSION_KEYRING);
    check(filter, &[libc::SYS_keyctl, join], DONE);
    check(filter, &[libc::SYS_keyctl, 0], EPERM);
    check(filter, &[libc::SYS_unshare, 0], DONE);
}

#[test]
fn a_worker_dies_of_what_is_not_on_its_list() {
    let filter: fn() -> Result<(), Error> = worker_filter;
    check(filter, &[libc::SYS_getpid], DONE);
    check(filter, &[libc::SYS_clone3], libc::ENOSYS);
    for number in [libc::SYS_socket, libc::SYS_execve, libc::SYS_kill, libc::SYS_getuid] {
        check_killed(filter, &[number]);
    }
}

/// A test has more descriptors, threads and power than a worker may start with.
#[test]
fn what_is_not_a_worker_is_refused() {
    let refused = |result: Result<(), Error>| matches!(result, Err(Error::Unconfined { .. }));
    assert!(refused(descriptors()));
    assert!(refused(powerless()));
    let (held, release) = std::sync::mpsc::channel::<()>();
    let other = std::thread::spawn(move || release.recv());
    assert!(refused(alone()));
    drop(held);
    other.join().unwrap().unwrap_err();
}

//! Attempts that must fail in a confined worker. Landlock cannot be seen from outside, so it is
//! proved from inside; the filter's default kills, so only its one soft refusal is tried.
#![expect(unsafe_code, reason = "the attempts are raw system calls")]

use std::ffi::CStr;

use nix::errno::Errno;

use super::checks::prctl_raw;

/// After Landlock, before the filter. Without Landlock only the attempts that need none are made.
pub fn probe_landlock(abi: u32) -> Vec<(&'static str, bool)> {
    let mut probes = vec![("mount", mount() == Errno::EPERM), ("become uid 0", become_root())];
    if abi >= 1 {
        probes.push(("read the root directory", open(c"/") == Errno::EACCES));
        probes.push(("open a device without a rule", open(c"/dev/full") == Errno::EACCES));
    }
    if abi >= 4 {
        probes.push(("bind a TCP port", bind()));
    }
    probes
}

/// After the filter.
pub fn probe_filter() -> Vec<(&'static str, bool)> {
    vec![
        ("run without a filter", prctl_raw(libc::PR_GET_SECCOMP, 0) == Ok(2)),
        ("be dumped", prctl_raw(libc::PR_GET_DUMPABLE, 0) == Ok(0)),
        ("clone3", clone3() == Errno::ENOSYS),
    ]
}

/// The error of the last call; `UnknownErrno` stands for success.
fn outcome(result: libc::c_long) -> Errno {
    if result < 0 { Errno::last() } else { Errno::UnknownErrno }
}

fn open(path: &CStr) -> Errno {
    let flags = libc::O_RDONLY | libc::O_CLOEXEC;
    // SAFETY: the path ends in NUL. A descriptor that this should yield ends with the process.
    let result = unsafe { libc::open(path.as_ptr(), flags) };
    outcome(result.into())
}

fn mount() -> Errno {
    let (none, data) = (c"none".as_ptr(), std::ptr::null());
    // SAFETY: all strings end in NUL and the data pointer may be null for a tmpfs.
    let result = unsafe { libc::mount(none, c"/tenant".as_ptr(), c"tmpfs".as_ptr(), 0, data) };
    outcome(result.into())
}

fn become_root() -> bool {
    // SAFETY: takes numbers only; it would change the uid of this process if it were allowed.
    let result = unsafe { libc::syscall(libc::SYS_setresuid, 0, 0, 0) };
    matches!(outcome(result), Errno::EINVAL | Errno::EPERM)
}

/// Whether a TCP port is out of reach: the launcher's filter has no such socket, else Landlock
/// refuses to bind it.
fn bind() -> bool {
    let address = libc::sockaddr_in {
        sin_family: 2, // AF_INET
        sin_port: 0,
        sin_addr: libc::in_addr { s_addr: 0 },
        sin_zero: [0; 8],
    };
    let size: libc::socklen_t = 16;
    // SAFETY: takes numbers only.
    let socket = unsafe { libc::socket(libc::AF_INET, libc::SOCK_STREAM | libc::SOCK_CLOEXEC, 0) };
    if socket < 0 {
        return true;
    }
    // SAFETY: the address lives on this stack and is 16 bytes long.
    let result = unsafe { libc::bind(socket, (&raw const address).cast(), size) };
    let refused = outcome(result.into()) == Errno::EACCES;
    // SAFETY: the descriptor was made above and is used by nobody else.
    let closed = unsafe { libc::close(socket) };
    refused && closed == 0
}

fn clone3() -> Errno {
    let (arguments, size) = (std::ptr::null::<u8>(), 0_usize);
    // SAFETY: a kernel without the filter refuses size 0 before it looks at the pointer.
    outcome(unsafe { libc::syscall(libc::SYS_clone3, arguments, size) })
}

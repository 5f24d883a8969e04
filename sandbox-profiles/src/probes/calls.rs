//! Raw system calls, as probes make them: past the C library, so that the number and the arguments
//! are those of the table.
#![expect(unsafe_code, reason = "probes are raw system calls")]

use std::ffi::CStr;

use nix::errno::Errno;

/// A call with up to six words; what is left out is 0. Pointers are to what lives over the call.
pub(super) fn call(number: libc::c_long, given: &[usize]) -> Result<usize, Errno> {
    let mut words = [0; 6];
    words.iter_mut().zip(given).for_each(|(word, value)| *word = *value);
    let [first, second, third, fourth, fifth, sixth] = words;
    // SAFETY: callers pass numbers and addresses of live values; one that succeeds wrongly ends with
    // this process, which holds nothing and does nothing else.
    let result = unsafe { libc::syscall(number, first, second, third, fourth, fifth, sixth) };
    Errno::result(result).map(|it| usize::try_from(it).unwrap_or(usize::MAX))
}

/// A number as a register holds it.
pub(super) fn int(number: libc::c_int) -> usize {
    isize::try_from(number).unwrap_or(-1).cast_unsigned()
}

/// A process id as a register holds it.
pub(super) fn id(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// The address of a path.
pub(super) fn text(path: &CStr) -> usize {
    path.as_ptr().expose_provenance()
}

/// The address of a structure.
pub(super) fn memory<T>(value: &[T]) -> usize {
    value.as_ptr().expose_provenance()
}

/// Opens a path as the host names it.
pub(super) fn open(path: &CStr, flags: libc::c_int) -> Result<(), Errno> {
    let flags = int(flags | libc::O_CLOEXEC);
    call(libc::SYS_openat, &[int(libc::AT_FDCWD), text(path), flags]).map(drop)
}

/// Makes a socket and connects it, without waiting. A connection that is under way has found a way.
pub(super) fn connect(family: libc::c_int, address: &[u8]) -> Result<(), Errno> {
    let kind = int(libc::SOCK_STREAM | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK);
    let socket = call(libc::SYS_socket, &[int(family), kind])?;
    match call(libc::SYS_connect, &[socket, memory(address), address.len()]) {
        Ok(_) | Err(Errno::EINPROGRESS | Errno::EAGAIN) => Ok(()),
        Err(errno) => Err(errno),
    }
}

/// An address of IPv4.
pub(super) fn inet(host: [u8; 4], port: u16) -> Vec<u8> {
    [&family(libc::AF_INET)[..], &port.to_be_bytes(), &host, &[0; 8]].concat()
}

/// A Unix address: a path, or a name after a zero byte.
pub(super) fn unix(path: &[u8]) -> Vec<u8> {
    [&family(libc::AF_UNIX)[..], path].concat()
}

fn family(family: libc::c_int) -> [u8; 2] {
    u16::try_from(family).unwrap_or(0).to_ne_bytes()
}

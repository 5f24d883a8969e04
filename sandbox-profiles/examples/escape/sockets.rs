//! Addresses and sockets as the kernel takes them.

use nix::errno::Errno;

use crate::calls::call;

/// An address as the kernel reads it.
pub(crate) type Address = Vec<u8>;

pub(crate) fn inet(host: [u8; 4], port: usize) -> Address {
    let mut address = family(libc::AF_INET);
    address.extend(u16::try_from(port).unwrap_or(80).to_be_bytes());
    address.extend(host);
    address.extend([0; 8]);
    address
}

/// The beginning of an address of that family.
pub(crate) fn family(family: libc::c_int) -> Address {
    u16::try_from(family).unwrap_or(0).to_ne_bytes().to_vec()
}

pub(crate) fn socket(
    family: libc::c_int,
    kind: libc::c_int,
    protocol: libc::c_int,
) -> Result<(), Errno> {
    call!(libc::SYS_socket, family, kind, protocol).map(drop)
}

//! The one way out of a sandbox: a listener inside its own network, made here and given away. Who
//! accepts on it and what may pass is the supervisor's business.

use std::net::{Ipv4Addr, TcpListener};
use std::os::fd::OwnedFd;

use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};

use super::{Context, Message};
use crate::{fds, sys};

/// Where programs in the sandbox find the proxy.
const PORT: u16 = 3128;

pub(super) fn listen(context: &mut Context) -> nix::Result<()> {
    let order = context.order.as_ref().ok_or(Errno::EINVAL)?;
    if !order.run.is_some_and(|run| run.egress) {
        return Ok(());
    }
    // In the host's own network this would be a listener of the host.
    if context.born & libc::CLONE_NEWNET == 0 {
        return Err(Errno::EPERM);
    }
    let any = socket(AddressFamily::Inet, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)?;
    sys::raise_loopback(&any)?;
    let failed = |err: std::io::Error| Errno::from_raw(err.raw_os_error().unwrap_or(libc::EIO));
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, PORT)).map_err(failed)?;
    listener.set_nonblocking(true).map_err(failed)?;
    let listener = OwnedFd::from(listener);
    fds::send(&context.sync, &Message::Listener.encode(), &[&listener]).map_err(|_err| Errno::EPIPE)
}

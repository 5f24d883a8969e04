//! The near end of a terminal, read and written without blocking.

use std::io;
use std::os::fd::{AsFd as _, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// A terminal's master.
#[derive(Debug)]
pub(crate) struct Master(AsyncFd<OwnedFd>);

impl Master {
    /// Takes a master.
    pub(crate) fn new(fd: OwnedFd) -> io::Result<Self> {
        let flags = OFlag::from_bits_retain(fcntl(&fd, FcntlArg::F_GETFL)?);
        fcntl(&fd, FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK))?;
        #[expect(
            deprecated,
            reason = "its replacement is unsafe, and an OwnedFd is what it asks for"
        )]
        Ok(Self(AsyncFd::new(fd)?))
    }

    /// What the program has printed; nothing at its end.
    pub(crate) async fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = |fd: &OwnedFd| match nix::unistd::read(fd, buffer) {
            // What a terminal says when nobody has it open any more.
            Err(Errno::EIO) => Ok(0),
            read => read.map_err(io::Error::from),
        };
        let mut read = read;
        self.0.async_io(Interest::READABLE, |fd| read(fd)).await
    }

    /// Types some of `bytes`, and says how many.
    pub(crate) async fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        let write = |fd: &OwnedFd| nix::unistd::write(fd, bytes).map_err(io::Error::from);
        self.0.async_io(Interest::WRITABLE, write).await
    }

    /// Changes its size.
    pub(crate) fn resize(&self, (columns, rows): (u16, u16)) -> io::Result<()> {
        sandbox::resize(self.0.get_ref().as_fd(), columns, rows)
    }
}

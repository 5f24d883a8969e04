//! The standard input as bytes as they come. It is read only when there is something to read: a read
//! that waits in a thread of its own would keep the program from ending.

use std::io;
use std::os::fd::OwnedFd;

use bytes::Bytes;
use control_api::MAX_TYPED;
use nix::unistd::read;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// See the module.
pub(super) enum Keys {
    /// A terminal or a pipe.
    Ready(AsyncFd<OwnedFd>),
    /// A file, which never waits.
    File(OwnedFd),
}

impl Keys {
    #[expect(
        deprecated,
        reason = "what it warns of, a descriptor closed behind its back, an owned one cannot have"
    )]
    pub(super) fn open() -> io::Result<Self> {
        use std::os::fd::AsFd as _;
        let input = io::stdin().as_fd().try_clone_to_owned()?;
        match AsyncFd::with_interest(input.try_clone()?, Interest::READABLE) {
            Ok(ready) => Ok(Self::Ready(ready)),
            // What the kernel cannot wait for never makes anybody wait.
            Err(err) if err.kind() == io::ErrorKind::PermissionDenied => Ok(Self::File(input)),
            Err(err) => Err(err),
        }
    }

    /// The next bytes; none at the end.
    pub(super) async fn next(&mut self) -> io::Result<Option<Bytes>> {
        let mut buffer = vec![0; MAX_TYPED];
        let count = match self {
            Self::File(input) => read(&*input, &mut buffer)?,
            Self::Ready(input) => {
                let mut ready = input.readable().await?;
                let count = read(input.get_ref(), &mut buffer)?;
                // The next wait asks the kernel anew: one read takes all that was there.
                ready.clear_ready();
                drop(ready);
                count
            }
        };
        buffer.truncate(count);
        Ok((count > 0).then(|| buffer.into()))
    }
}

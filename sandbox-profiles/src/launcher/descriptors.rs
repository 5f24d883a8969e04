//! What may be handed to a worker or a sandbox: descriptors of known kinds, none of which leads to
//! a directory or to a file that has a name.

use std::os::fd::{AsRawFd as _, OwnedFd};

use nix::fcntl::{FcntlArg, OFlag, SealFlag, fcntl};
use nix::sys::socket::{SockType, UnixAddr, getsockname, getsockopt, sockopt};
use nix::sys::stat::{SFlag, fstat};
use nix::sys::statfs::fstatfs;
use nix::unistd::{Uid, fchown};

use crate::sealed::SEALS;

/// The type of the file system of pipes without a name.
const PIPEFS_MAGIC: i64 = 0x5049_5045;

/// Two stream sockets and the writing end of a pipe.
pub(super) fn are_of_a_worker(serve: &OwnedFd, host: &OwnedFd, log: &OwnedFd) -> bool {
    let is_written = fcntl(log, FcntlArg::F_GETFL)
        .is_ok_and(|flags| OFlag::from_bits_truncate(flags) & OFlag::O_ACCMODE == OFlag::O_WRONLY);
    let are_pairs = [serve, host].into_iter().all(|fd| is_pair(fd, SockType::Stream));
    are_pairs && is_pipe(log) && is_written
}

/// Three pipes, the status pair, and a file that nobody can change.
pub(super) fn are_of_a_sandbox(fds: &[OwnedFd]) -> bool {
    match fds {
        [stdin, stdout, stderr, status, spec] => {
            [stdin, stdout, stderr].into_iter().all(is_pipe)
                && is_pair(status, SockType::SeqPacket)
                && is_sealed(spec)
        }
        _ => false,
    }
}

/// Gives pipes to whoever is to use them: a program opens its own by the names in `/dev`, and they
/// are their maker's.
pub(super) fn give(fds: &[OwnedFd], to: Uid) -> nix::Result<()> {
    let pipes = fds.iter().filter(|fd| is_pipe(fd));
    for pipe in pipes {
        fchown(pipe, Some(to), None)?;
    }
    Ok(())
}

/// One with a name is a file of somebody's, and would be given away with the pipe.
fn is_pipe(fd: &OwnedFd) -> bool {
    let of_pipes = |fd| fstatfs(fd).is_ok_and(|it| it.filesystem_type().0 == PIPEFS_MAGIC);
    kind(fd) == Some(SFlag::S_IFIFO) && of_pipes(fd)
}

fn is_pair(fd: &OwnedFd, wanted: SockType) -> bool {
    kind(fd) == Some(SFlag::S_IFSOCK)
        && getsockopt(fd, sockopt::SockType) == Ok(wanted)
        && getsockname::<UnixAddr>(fd.as_raw_fd())
            .is_ok_and(|address| address.path().is_none() && address.as_abstract().is_none())
}

/// A file that nobody can change.
pub(super) fn is_sealed(fd: &OwnedFd) -> bool {
    let seals = fcntl(fd, FcntlArg::F_GET_SEALS).map(SealFlag::from_bits_retain);
    kind(fd) == Some(SFlag::S_IFREG) && seals.is_ok_and(|seals| seals.contains(SEALS))
}

fn kind(fd: &OwnedFd) -> Option<SFlag> {
    let stat = fstat(fd).ok()?;
    Some(SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT)
}

#[cfg(test)]
mod tests {
    use nix::fcntl::open;
    use nix::sys::stat::Mode;
    use nix::unistd::{mkfifo, pipe};

    use super::*;
    use crate::fds;

    #[test]
    fn only_pipes_without_a_name_are_pipes() {
        let check = |fd: &OwnedFd, wanted: bool| assert_eq!(is_pipe(fd), wanted, "{fd:?}");
        let (near, far) = pipe().unwrap();
        check(&near, true);
        check(&far, true);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("named");
        mkfifo(&path, Mode::S_IRWXU).unwrap();
        check(&open(&path, OFlag::O_RDWR, Mode::empty()).unwrap(), false);
        check(&fds::null().unwrap(), false);
        check(&fds::record_pair().unwrap().0, false);
    }
}

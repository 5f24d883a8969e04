//! Using up what others need, as far as one short attempt can tell; `loads.rs` does it at length.

use std::fs::{self, File};
use std::io::Write as _;

use libc::{O_NOCTTY, O_RDWR};
use nix::errno::Errno;

use crate::calls::{attempts, call};

/// One piece of disk, in bytes.
const PIECE: usize = 1 << 20;
/// Pieces that `/tmp` must not hold.
const TMP_PIECES: usize = 256;
/// Descriptors that no process may have at once.
const DESCRIPTORS: usize = 70_000;
/// Terminals that no sandbox may have at once.
const TERMINALS: usize = 64;
/// Pipes of the largest size that no sandbox may have at once.
const PIPES: usize = 512;
/// Empty files that `/tmp` must not hold.
const FILES: usize = 200_000;

attempts! {
    "res.tmp_fill" "ENOSPC/EDQUOT/ENOMEM/SIGKILL" |_| {
        let filled = fill("/tmp/escape-fill", TMP_PIECES);
        drop(fs::remove_file("/tmp/escape-fill"));
        filled
    };
    "res.tmp_inodes" "ENOSPC/EDQUOT/ENOMEM/SIGKILL" |_| {
        fs::create_dir_all("/tmp/escape-inodes").map_err(|err| failed(&err))?;
        let made = (0..FILES).try_for_each(|number| File::create(format!("/tmp/escape-inodes/{number}")).map(drop));
        drop(fs::remove_dir_all("/tmp/escape-inodes"));
        made.map_err(|err| failed(&err))
    };
    "res.fd_exhaust" "EMFILE" |_| (0..DESCRIPTORS).try_for_each(|_| open_kept());
    "res.pty_exhaust" "ENOENT/EMFILE/ENOSPC/EIO/EACCES/EPERM" |_| (0..TERMINALS).try_for_each(|_| call!(libc::SYS_openat, libc::AT_FDCWD, c"/dev/ptmx", O_RDWR | O_NOCTTY).map(drop));
    "res.pipe_buffers" "EPERM/EMFILE/ENOSYS/SIGSYS" |_| (0..PIPES).try_for_each(|_| {
        let mut pair = [0_i32; 2];
        call!(libc::SYS_pipe2, pair.as_mut_ptr(), 0)?;
        pair.iter().try_for_each(|fd| call!(libc::SYS_fcntl, *fd, libc::F_SETPIPE_SZ, 1 << 20).map(drop))
    });
    "res.huge_pages" "EPERM/ENOMEM/EINVAL/ENOSYS/SIGSYS" |_| call!(libc::SYS_mmap, 0, 1 << 30, 3, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_HUGETLB, -1, 0).map(drop);
    "res.core_dump" "EPERM" |_| {
        let mut limits = [1_u64; 2];
        call!(libc::SYS_prlimit64, 0, libc::RLIMIT_CORE, 0, limits.as_mut_ptr())?;
        if limits == [0, 0] { Err(Errno::EPERM) } else { Ok(()) }
    };
}

/// The errno of what a library call met.
pub(crate) fn failed(err: &std::io::Error) -> Errno {
    Errno::from_raw(err.raw_os_error().unwrap_or(0))
}

/// Writes that many pieces to a file.
pub(crate) fn fill(path: &str, pieces: usize) -> Result<(), Errno> {
    let mut file = File::create(path).map_err(|err| failed(&err))?;
    let piece = vec![1; PIECE];
    (0..pieces).try_for_each(|_| file.write_all(&piece)).map_err(|err| failed(&err))
}

fn open_kept() -> Result<(), Errno> {
    call!(libc::SYS_openat, libc::AT_FDCWD, c"/dev/null", O_RDWR).map(drop)
}

//! Pseudo-terminals: opened in the calling process's own `/dev`, sized, and told from other things.
#![expect(unsafe_code, reason = "terminal calls whose arguments are structures")]

use std::os::fd::{AsFd, AsRawFd as _, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sys::stat::{Mode, SFlag, fstat, makedev};

use super::{ioctl_int, own};

/// `TIOCGPTPEER`: opens the other side, by descriptor and not by name.
const GET_PEER: libc::Ioctl = 0x5441;

/// A new terminal of this size: its master and its slave, neither of them anybody's controlling
/// terminal, both closed at exec.
pub(crate) fn open_pair(cols: u16, rows: u16) -> nix::Result<(OwnedFd, OwnedFd)> {
    let flags = OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
    let master = open("/dev/ptmx", flags, Mode::empty())?;
    let unlock: libc::c_int = 0;
    // SAFETY: the request reads one int, which is live for the call.
    Errno::result(unsafe { libc::ioctl(master.as_raw_fd(), libc::TIOCSPTLCK, &raw const unlock) })?;
    let flags = libc::c_ulong::try_from(flags.bits()).map_err(|_range| Errno::EINVAL)?;
    let slave = own(ioctl_int(&master, GET_PEER, flags)?.into())?;
    resize(&master, cols, rows)?;
    Ok((master, slave))
}

/// Whether `fd` is the master of a terminal.
pub(crate) fn is_master(fd: impl AsFd) -> bool {
    let is_device = fstat(fd.as_fd()).is_ok_and(|stat| {
        SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT == SFlag::S_IFCHR
            && stat.st_rdev == makedev(5, 2)
    });
    let mut number: libc::c_uint = 0;
    // SAFETY: the request writes one unsigned int, which is live for the call.
    let asked = unsafe { libc::ioctl(fd.as_fd().as_raw_fd(), libc::TIOCGPTN, &raw mut number) };
    is_device && asked == 0
}

/// Sets the size.
pub(crate) fn resize(master: impl AsFd, cols: u16, rows: u16) -> nix::Result<()> {
    let size = libc::winsize { ws_row: rows, ws_col: cols, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: the request reads one winsize, which is live for the call.
    let result =
        unsafe { libc::ioctl(master.as_fd().as_raw_fd(), libc::TIOCSWINSZ, &raw const size) };
    Errno::result(result).map(drop)
}

/// Makes the terminal the controlling one of the calling process, which leads its session and has
/// none.
pub(crate) fn control(slave: impl AsFd) -> nix::Result<()> {
    ioctl_int(slave, libc::TIOCSCTTY, 0).map(drop)
}

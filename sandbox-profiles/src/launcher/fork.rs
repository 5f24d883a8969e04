//! The one fork that goes on in this program: the supervisor. Workers are forked in `spare`.
#![expect(unsafe_code, reason = "fork")]

use nix::errno::Errno;
use nix::sys::prctl;
use nix::sys::signal::Signal;
use nix::unistd::{ForkResult, Pid, fork, getpid, getppid};

/// Which process one is in.
#[derive(Debug)]
pub(super) enum Forked {
    Supervisor,
    Launcher(Pid),
}

/// Forks the supervisor, which dies with the launcher.
pub(super) fn supervisor() -> nix::Result<Forked> {
    let launcher = getpid();
    // SAFETY: the process has one thread, so the child may go on as if it were the parent.
    match unsafe { fork() }? {
        ForkResult::Parent { child } => Ok(Forked::Launcher(child)),
        ForkResult::Child => {
            prctl::set_pdeathsig(Signal::SIGKILL)?;
            if getppid() == launcher { Ok(Forked::Supervisor) } else { Err(Errno::EOWNERDEAD) }
        }
    }
}

//! Init while the command runs: it passes on signals, reaps, and ends with the command or with the
//! supervisor, whichever is first. With its end the kernel ends everything else in the sandbox.

use std::os::fd::{AsFd, OwnedFd};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, killpg};
use nix::sys::signalfd::SignalFd;
use nix::unistd::Pid;

use super::{Refusal, Started};
use crate::program::{Said, Told};
use crate::sys::{self, End};
use crate::{confine, fds};

/// How a shell says that a program was ended by a signal.
const SIGNALED: i32 = 128;

/// Reports that the command is ready, lets it run, and gives how it ended.
pub(super) fn until_the_end(status: &OwnedFd, started: Started) -> Said {
    match watch(status, started) {
        Ok(End::Exited(code)) => Said::Ended { code, signal: None },
        Ok(End::Signaled(signal)) => {
            Said::Ended { code: SIGNALED.saturating_add(signal), signal: Some(signal) }
        }
        Err(Refusal { step, errno }) => Said::Refused { step, errno },
    }
}

fn watch(status: &OwnedFd, started: Started) -> Result<End, Refusal> {
    let Started { command, sync, master, children, profile } = started;
    // The command's ends must have no other holder, or nobody would see it close them.
    let mut kept = vec![status.as_fd(), sync.as_fd(), children.as_fd(), command.pidfd.as_fd()];
    kept.extend(master.as_ref().map(AsFd::as_fd));
    fds::close_all_but(0, &kept).map_err(Refusal::at("descriptors"))?;
    confine::filter(profile)?;
    let (bytes, _) =
        fds::receive(&sync, Said::MAX, 0).map_err(|_gone| Refusal::new("command", Errno::ESRCH))?;
    match Said::decode(&bytes) {
        Some(Said::Ready) => {}
        Some(Said::Refused { step, errno }) => return Err(Refusal { step, errno }),
        _ => return Err(Refusal::new("command", Errno::EPROTO)),
    }
    let gone = |_err| Refusal::new("status", Errno::EPIPE);
    let sent: Vec<&OwnedFd> = master.iter().collect();
    fds::send(status, &Said::Ready.encode(), &sent).map_err(gone)?;
    drop(master);
    attend(status, &sync, &children, command.pid)
}

fn attend(
    status: &OwnedFd,
    sync: &OwnedFd,
    children: &SignalFd,
    command: Pid,
) -> Result<End, Refusal> {
    loop {
        let mut waited = [
            PollFd::new(children.as_fd(), PollFlags::POLLIN),
            PollFd::new(status.as_fd(), PollFlags::POLLIN),
        ];
        match poll(&mut waited, PollTimeout::NONE) {
            Ok(_) => {}
            Err(Errno::EINTR) => continue,
            Err(errno) => return Err(Refusal::new("wait", errno)),
        }
        let [ended, told] = waited.map(|it| it.any().unwrap_or(false));
        if ended && let Some(end) = reap(children, command).map_err(Refusal::at("reap"))? {
            return Ok(end);
        }
        if told {
            obey(status, sync, command)?;
        }
    }
}

/// Reaps whoever has ended, and says how the command has, if it has.
fn reap(children: &SignalFd, command: Pid) -> nix::Result<Option<End>> {
    while children.read_signal()?.is_some() {}
    let mut end = None;
    while let Some((pid, how)) = sys::reap_any()? {
        if pid == command {
            end = Some(how);
        }
    }
    Ok(end)
}

fn obey(status: &OwnedFd, sync: &OwnedFd, command: Pid) -> Result<(), Refusal> {
    let (bytes, _) = fds::receive(status, Told::MAX, 0)
        .map_err(|_gone| Refusal::new("supervisor", Errno::EPIPE))?;
    match Told::decode(&bytes) {
        // A command that cannot hear it has ended, which is noticed by itself.
        Some(Told::Go) => match fds::send(sync, &Told::Go.encode(), &[]) {
            Ok(()) | Err(_) => Ok(()),
        },
        Some(Told::Signal(number)) => {
            let signal = Signal::try_from(number).map_err(Refusal::at("signal"))?;
            match killpg(command, signal) {
                Ok(()) | Err(Errno::ESRCH) => Ok(()),
                Err(errno) => Err(Refusal::new("signal", errno)),
            }
        }
        None => Err(Refusal::new("supervisor", Errno::EPROTO)),
    }
}

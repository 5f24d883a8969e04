//! The launcher's loop: one request at a time, signals passed on, and at the end nothing left.

use std::os::fd::{AsFd as _, OwnedFd};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, SigmaskHow, Signal, kill, sigprocmask};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::unistd::{Pid, fchdir};

use super::answer::Desk;
use super::resources::Resources;
use super::start;
use crate::mode::Mode;
use crate::process::complain;
use crate::record::{Reply, Request, Verdict};
use crate::sys::{self, End};
use crate::{Error, confine, fds, privilege};

/// A spare process is made when nothing was asked for this long: a launch has just been answered,
/// and the cores are the new worker's.
const IDLE: Duration = Duration::from_millis(20);
/// A supervisor that has closed its socket is about to end; one that does not is stuck.
const LAST_GRACE: Duration = Duration::from_secs(30);
/// Malformed records that are logged one by one.
const COMPLAINTS: u64 = 20;
/// How a shell says that a program was ended by a signal.
const SIGNALED: i32 = 128;

/// The signals that are read instead of taken, and what was blocked before.
#[derive(Debug)]
pub(super) struct Signals {
    read: SigSet,
    before: SigSet,
}

/// Blocks the signals that the loop reads; before the fork, so that none is lost.
pub(super) fn block_signals() -> nix::Result<Signals> {
    let read: SigSet = [Signal::SIGCHLD, Signal::SIGTERM, Signal::SIGINT].into_iter().collect();
    let mut before = SigSet::empty();
    sigprocmask(SigmaskHow::SIG_BLOCK, Some(&read), Some(&mut before))?;
    Ok(Signals { read, before })
}

impl Signals {
    /// What the child does with its copy.
    pub(super) fn restore(&self) -> nix::Result<()> {
        sigprocmask(SigmaskHow::SIG_SETMASK, Some(&self.before), None)
    }
}

/// Runs until the supervisor has ended.
pub(super) fn run(
    resources: Resources,
    socket: OwnedFd,
    signals: &Signals,
    supervisor: Pid,
) -> Result<ExitCode, Error> {
    let signals =
        SignalFd::with_flags(&signals.read, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)
            .map_err(start("read signals"))?;
    fchdir(resources.disks.tenants()).map_err(start("enter the directory of tenants"))?;
    if resources.mode == Mode::Rootless {
        // Only root may load a filter without. Workers inherit it, so their own step changes
        // nothing then.
        nix::sys::prctl::set_no_new_privs().map_err(start("give up new privileges"))?;
    } else {
        privilege::become_launcher().map_err(start("give up capabilities"))?;
    }
    confine::launcher_filter()?;
    let mut office = Office {
        socket: Some(socket),
        signals,
        supervisor,
        refused: 0,
        deadline: None,
        desk: Desk::new(resources),
    };
    let ended = office.attend();
    office.desk.close();
    ended
}

struct Office {
    /// None once the supervisor has closed its end.
    socket: Option<OwnedFd>,
    signals: SignalFd,
    supervisor: Pid,
    /// Records that were not of the agreed form.
    refused: u64,
    /// When a supervisor without a socket is killed.
    deadline: Option<Instant>,
    desk: Desk,
}

impl Office {
    fn attend(&mut self) -> Result<ExitCode, Error> {
        loop {
            let (signaled, asked) = self.wait()?;
            if signaled && let Some(code) = self.take_signals().map_err(start("read a signal"))? {
                return Ok(code);
            }
            if signaled {
                self.desk.sweep();
            }
            if asked {
                self.answer();
            } else if !signaled && self.socket.is_some() {
                self.desk.make_spare();
            }
            if self.deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                complain("the supervisor did not end; killing it");
                kill(self.supervisor, Signal::SIGKILL).map_err(start("kill the supervisor"))?;
                self.deadline = None;
            }
        }
    }

    /// Whether there are signals and whether there is a request.
    fn wait(&self) -> Result<(bool, bool), Error> {
        let idle = self.desk.wants_spare() && self.socket.is_some();
        let within = if idle { Some(IDLE) } else { self.deadline.map(until) };
        let timeout = within.map_or(PollTimeout::NONE, |within| {
            PollTimeout::try_from(within).unwrap_or(PollTimeout::MAX)
        });
        let mut fds = vec![PollFd::new(self.signals.as_fd(), PollFlags::POLLIN)];
        fds.extend(self.socket.as_ref().map(|it| PollFd::new(it.as_fd(), PollFlags::POLLIN)));
        match poll(&mut fds, timeout) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(err) => return Err(start("wait for a request")(err)),
        }
        let mut ready = fds.iter().map(|it| it.any().unwrap_or(false));
        Ok((ready.next().unwrap_or(false), ready.next().unwrap_or(false)))
    }

    /// The supervisor's exit code, once it has ended; later signals are left unread then, for its
    /// process id may be another's.
    fn take_signals(&mut self) -> nix::Result<Option<ExitCode>> {
        while let Some(signal) = self.signals.read_signal()? {
            // From a terminal the kernel has sent it to the whole group, the supervisor included.
            let by_terminal = signal.ssi_code > 0;
            let signal = Signal::try_from(signal.ssi_signo.cast_signed())?;
            if signal == Signal::SIGCHLD {
                if let Some(code) = self.reap()? {
                    return Ok(Some(code));
                }
            } else if !by_terminal {
                kill(self.supervisor, signal)?;
            }
        }
        Ok(None)
    }

    /// How the supervisor has ended, if it has. Workers are reaped when they are asked about.
    fn reap(&self) -> nix::Result<Option<ExitCode>> {
        let code = match sys::try_reap(self.supervisor)? {
            None => return Ok(None),
            Some(End::Exited(code)) => code,
            Some(End::Signaled(signal)) => {
                complain(&format!("the supervisor was ended by signal {signal}"));
                SIGNALED.saturating_add(signal)
            }
        };
        Ok(Some(ExitCode::from(u8::try_from(code).unwrap_or(u8::MAX))))
    }

    fn answer(&mut self) {
        let Some(socket) = &self.socket else { return };
        let (bytes, received) = match fds::receive(socket, Request::SIZE + 1, Request::DESCRIPTORS)
        {
            Ok(request) => request,
            Err(err) if err.kind() == std::io::ErrorKind::InvalidData => (Vec::new(), Vec::new()),
            Err(_gone) => return self.hang_up(),
        };
        let (reply, sent) = match Request::decode(&bytes) {
            Ok(request) => {
                let number = request.number;
                let (reply, sent) = self.desk.answer(&request, received);
                (Reply { number, ..reply }, sent)
            }
            Err(err) => {
                self.refused = self.refused.saturating_add(1);
                // The first ones say what is wrong; a flood is not to fill the log.
                if self.refused <= COMPLAINTS || self.refused.is_power_of_two() {
                    complain(&format!("refused record {}: {err}", self.refused));
                }
                (Reply::other(Verdict::Refused, 0, &err.to_string()), Vec::new())
            }
        };
        let sent: Vec<&OwnedFd> = sent.iter().collect();
        // One request is answered at a time, so a reply always has room; a supervisor that leaves
        // replies lying does not hold up the launcher.
        if fds::send_now(socket, &reply.encode(), &sent).is_err() {
            self.hang_up();
        }
    }

    /// Without its socket the supervisor can do nothing for its workers any more.
    fn hang_up(&mut self) {
        self.socket = None;
        self.deadline = Some(Instant::now() + LAST_GRACE);
        self.desk.kill_all();
    }
}

fn until(deadline: Instant) -> Duration {
    deadline.saturating_duration_since(Instant::now())
}

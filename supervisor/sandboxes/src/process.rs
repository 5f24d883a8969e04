//! One sandbox from the order to make it until nothing of it is left: its descriptors, what its init
//! says, and its end. Reads and writes nothing of what the program says.

use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use nix::fcntl::OFlag;
use prometheus_client::encoding::EncodeLabelValue;
use runtime::{Pass, Tasks};
use sandbox::program::{self, Said, Spec};
use sandbox::{RunFds, RunOrder};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::net::unix::pipe;

use crate::Error;
use crate::bounds::READY;
use crate::launch::{Launch, blocking};
use crate::metrics::Counted;
use crate::places::Place;

/// How a program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelValue)]
pub(crate) enum Cause {
    /// By itself.
    Exit,
    /// By a signal that was not ours.
    Signal,
    /// It took too long.
    Timeout,
    /// It wanted more memory than it may have.
    Memory,
    /// It printed more than is passed on.
    Output,
    /// Somebody ended it.
    Stopped,
    /// Its sandbox failed.
    Failed,
}

impl Cause {
    /// The word on the wire and in the log.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Exit => "exit",
            Self::Signal => "signal",
            Self::Timeout => "timeout",
            Self::Memory => "memory",
            Self::Output => "output",
            Self::Stopped => "stopped",
            Self::Failed => "failed",
        }
    }

    /// What it was in truth, where the kernel has killed for want of memory. A command that ended
    /// well in spite of it has ended by itself.
    pub(crate) const fn with(self, oom_kills: u64, code: i32) -> Self {
        match self {
            Self::Exit if code == 0 => self,
            Self::Exit | Self::Signal | Self::Failed if oom_kills > 0 => Self::Memory,
            Self::Exit
            | Self::Signal
            | Self::Failed
            | Self::Timeout
            | Self::Memory
            | Self::Output
            | Self::Stopped => self,
        }
    }

    /// What failed.
    pub(crate) const fn detail(self) -> &'static str {
        if matches!(self, Self::Failed) { "the sandbox ended before its command" } else { "" }
    }
}

/// The code of a program that was killed, as shells have it.
pub(crate) const KILLED: i32 = 128 + 9;

/// How long after a sandbox was killed and found not gone one asks again.
const AGAIN: Duration = Duration::from_millis(500);

/// What is held as long as anything of a sandbox is left.
#[derive(Debug)]
#[expect(dead_code, reason = "held")]
pub(crate) struct Held {
    /// The right to run, for which whoever closes the tenant's programs waits.
    pub(crate) pass: Pass,
    /// The place among others.
    pub(crate) place: Place,
    /// The place in the count.
    pub(crate) counted: Counted,
}

/// A sandbox that was made. Dropped, it is ended.
#[derive(Debug)]
pub(crate) struct Process {
    leash: Leash,
    status: AsyncFd<OwnedFd>,
}

/// The near ends of a program's descriptors.
#[derive(Debug)]
pub(crate) struct Pipes {
    pub(crate) stdin: pipe::Sender,
    pub(crate) stdout: pipe::Receiver,
    pub(crate) stderr: pipe::Receiver,
}

/// A sandbox that is ready, with what it was made with.
#[derive(Debug)]
pub(crate) struct Ready {
    pub(crate) process: Process,
    pub(crate) pipes: Pipes,
    /// The terminal's master, where one was asked for.
    pub(crate) master: Option<OwnedFd>,
    /// The socket on which its way out is served, where it has one.
    pub(crate) listener: Option<OwnedFd>,
}

/// What a sandbox came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Finish {
    pub(crate) cpu: Duration,
    /// How often the kernel killed for want of memory.
    pub(crate) oom_kills: u64,
}

/// The hold on a sandbox: whatever becomes of its owner, it is ended.
#[derive(Debug)]
struct Leash {
    launch: Arc<dyn Launch>,
    tasks: Tasks,
    id: u64,
    held: Option<Held>,
}

/// Who makes the sandbox, and in which scope it is ended.
#[derive(Debug, Clone)]
pub(crate) struct Maker {
    pub(crate) launch: Arc<dyn Launch>,
    pub(crate) tasks: Tasks,
}

impl Maker {
    /// Makes a sandbox and waits until its init is ready to run the program; it waits for
    /// [`Process::go`] then.
    pub(crate) async fn make(
        &self,
        order: RunOrder,
        spec: &Spec,
        held: Held,
    ) -> Result<Ready, Error> {
        let (pipes, fds, status) = descriptors(spec).map_err(Error::Descriptors)?;
        let maker = self.clone();
        // Held before it is handed over: where the wish was given up meanwhile, nobody takes what is
        // handed over, and dropping it ends the sandbox.
        let made = blocking(&self.launch, move |launch| {
            let started = launch.run(&order, fds)?;
            let (launch, tasks) = (maker.launch, maker.tasks);
            let leash = Leash { launch, tasks, id: started.id, held: Some(held) };
            Ok((leash, started.listener))
        });
        let (leash, listener) = made.await.map_err(launcher_error)?;
        let process = Process { leash, status };
        match tokio::time::timeout(READY, process.said()).await {
            Ok(Some((Said::Ready, master))) => Ok(Ready { process, pipes, master, listener }),
            Ok(Some((Said::Refused { step, errno }, _))) => {
                Err(Error::Refused { step, source: std::io::Error::from_raw_os_error(errno) })
            }
            Ok(Some((Said::Ended { .. }, _)) | None) | Err(_) => Err(Error::NotReady),
        }
    }
}

impl Process {
    /// Its number, never reused.
    pub(crate) const fn id(&self) -> u64 {
        self.leash.id
    }

    /// Has the program begin.
    pub(crate) fn go(&self) -> Result<(), Error> {
        program::go(self.status.get_ref().as_fd()).map_err(Error::Descriptors)
    }

    /// Sends a signal to the program's process group. Where its init is gone, so is the program.
    pub(crate) fn signal(&self, number: i32) {
        if let Err(err) = program::signal(self.status.get_ref().as_fd(), number) {
            tracing::debug!(id = self.id(), error = %types::Chain(&err), "a signal is not sent");
        }
    }

    /// Waits for the program's end: its code or signal, or `None` where its init ended without a
    /// word. Dropping the future loses nothing.
    pub(crate) async fn ended(&self) -> Option<(i32, Option<i32>)> {
        loop {
            match self.said().await {
                Some((Said::Ended { code, signal }, _)) => return Some((code, signal)),
                Some((Said::Ready, _)) => {}
                Some((Said::Refused { .. }, _)) | None => return None,
            }
        }
    }

    /// Ends what is left of it, and says what it used. What it was held with is given back when the
    /// caller drops it.
    pub(crate) async fn finish(mut self) -> (Finish, Option<Held>) {
        self.leash.end().await
    }

    /// The next that its init says; `None` at its end, or where it says what it cannot.
    async fn said(&self) -> Option<(Said, Option<OwnedFd>)> {
        let read = self.status.async_io(Interest::READABLE, |fd| program::receive(fd.as_fd()));
        match read.await {
            Ok(said) => said,
            Err(err) => {
                tracing::debug!(id = self.id(), error = %types::Chain(&err), "an init's word is unreadable");
                None
            }
        }
    }
}

impl Leash {
    async fn end(&mut self) -> (Finish, Option<Held>) {
        let Some(held) = self.held.take() else { return (Finish::default(), None) };
        // Of its own: whoever waits for the end may be dropped, and the end must come.
        let (launch, id) = (Arc::clone(&self.launch), self.id);
        let ending = self.tasks.spawn(end(launch, id, held));
        let ended = ending.await.ok();
        ended.map_or_else(Default::default, |(finish, held)| (finish, Some(held)))
    }
}

impl Drop for Leash {
    fn drop(&mut self) {
        if let Some(held) = self.held.take() {
            drop(self.tasks.spawn(end(Arc::clone(&self.launch), self.id, held)));
        }
    }
}

async fn end(launch: Arc<dyn Launch>, id: u64, held: Held) -> (Finish, Held) {
    // What was used is known only as long as the sandbox is there to ask about.
    let cpu = blocking(&launch, move |launch| Ok(launch.usage(id)?.cpu_micros)).await;
    let cpu = cpu.map(Duration::from_micros).unwrap_or_default();
    let mut told = false;
    let finish = loop {
        match blocking(&launch, move |launch| launch.kill(id)).await {
            Ok(exit) => break Finish { cpu, oom_kills: exit.oom_kills },
            // Killed, and still there: its place stays taken until it is not.
            Err(sandbox::Error::Dying) => {
                if !std::mem::replace(&mut told, true) {
                    tracing::warn!(id, "a sandbox was killed and is not gone yet");
                }
                tokio::time::sleep_until(tokio::time::Instant::now() + AGAIN).await;
            }
            Err(err) => {
                tracing::error!(id, error = %types::Chain(&err), "a sandbox is not ended");
                break Finish::default();
            }
        }
    };
    (finish, held)
}

type Descriptors = (Pipes, RunFds, AsyncFd<OwnedFd>);

fn descriptors(spec: &Spec) -> std::io::Result<Descriptors> {
    let pipe = || nix::unistd::pipe2(OFlag::O_CLOEXEC).map_err(std::io::Error::from);
    let (stdin, near_stdin) = pipe()?;
    let (near_stdout, stdout) = pipe()?;
    let (near_stderr, stderr) = pipe()?;
    let pipes = Pipes {
        stdin: pipe::Sender::from_owned_fd(near_stdin)?,
        stdout: pipe::Receiver::from_owned_fd(near_stdout)?,
        stderr: pipe::Receiver::from_owned_fd(near_stderr)?,
    };
    let (near_status, status) = program::status_pair()?;
    #[expect(deprecated, reason = "its replacement is unsafe, and an OwnedFd is what it asks for")]
    let near_status = AsyncFd::with_interest(near_status, Interest::READABLE)?;
    let spec = program::seal(spec)?;
    Ok((pipes, RunFds { stdin, stdout, stderr, status, spec }, near_status))
}

/// What the launcher's failure means for whoever asked.
fn launcher_error(err: sandbox::Error) -> Error {
    if matches!(err, sandbox::Error::NoWorkspace) {
        return Error::NoAgent;
    }
    tracing::error!(error = %types::Chain(&err), "a sandbox is not made");
    Error::Launcher(err)
}

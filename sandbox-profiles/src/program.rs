//! What a sandbox's init is told and what it says: the command as a sealed file in memory, and
//! records on a pair of sockets. Nothing here starts anything.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use serde::{Deserialize, Serialize};

use crate::{fds, sys};

mod spec;

pub use spec::{InvalidSpec, seal};
pub(crate) use spec::{decode, read};

/// The signals that may be sent to a command.
const SIGNALS: std::ops::RangeInclusive<i32> = 1..=31;

/// For whom a command runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Class {
    /// A command of an agent, with or without a terminal.
    Command,
    /// A terminal that a person types into.
    Terminal,
}

/// What makes the sandbox. The guarantees are the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Backend {
    /// The launcher alone.
    Native,
    /// The host's bubblewrap, inside what the launcher makes.
    Bwrap,
}

/// A command, exactly as it was approved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spec {
    /// The program and its arguments. A program without a slash is looked for in the `PATH` of
    /// `env`.
    pub argv: Vec<String>,
    /// The whole environment.
    pub env: Vec<(String, String)>,
    /// An absolute path inside the sandbox.
    pub cwd: String,
    /// Columns and rows of a terminal in place of the three standard descriptors.
    pub terminal: Option<(u16, u16)>,
    /// Words of `argv` that name files, and what the files must be.
    pub files: Vec<Bound>,
    /// What one process may use.
    pub limits: Rlimits,
    /// Must be the order's.
    pub class: Class,
    /// Must be the order's.
    pub egress: bool,
}

/// A file that the command line names, and what it must be when the command is run.
///
/// Every such file is read and compared before init says that it is ready, and the command is
/// refused where one is another. One of them is frozen as well: the program, where word 0 is bound,
/// and otherwise the script, which is the first bound word of a command line that begins with an
/// interpreter. What is executed then is a sealed copy, whatever becomes of the name: a program
/// keeps its word 0, a script's word becomes `/proc/self/fd/N`.
///
/// All others are only checked, for commands such as `gcc main.c` or `rm notes` need the name:
/// their content is compared once more right before the program is executed, which is not when the
/// program opens them. Another sandbox of the same tenant can write in between.
///
/// A bound program is named by a path, not looked for in `PATH`, and if it is a script its
/// interpreter is one of the system's, for that is not bound. An interpreter such as `/usr/bin/env`
/// looks for another one in the command's own `PATH`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bound {
    /// Which word of `argv` names it, from zero.
    pub argument: u32,
    /// The digest of its content.
    pub sha256: [u8; 32],
}

/// Limits of each process, beside those of the sandbox as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rlimits {
    /// CPU time in seconds.
    pub cpu_seconds: u64,
    /// Bytes of the largest file that may be written.
    pub file_size: u64,
    /// Descriptors.
    pub open_files: u64,
    /// Processes and threads of the sandbox.
    pub processes: u64,
}

/// What init says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    /// Everything is checked and confined; the command is executed on [`go`].
    Ready,
    /// The command is not run.
    Refused {
        /// What failed, in a few words.
        step: String,
        /// What the kernel said.
        errno: i32,
    },
    /// The command has ended, and everything that it left behind ends now.
    Ended {
        /// Its exit code; 128 and the signal's number where a signal ended it.
        code: i32,
        /// The signal that ended it.
        signal: Option<i32>,
    },
}

/// What init is told while it waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Told {
    /// Execute the command.
    Go,
    /// Send this signal to the command's process group.
    Signal(i32),
}

impl Said {
    /// The largest record, in bytes.
    pub(crate) const MAX: usize = 256;

    pub(crate) fn encode(&self) -> Vec<u8> {
        match self {
            Self::Ready => vec![0],
            Self::Refused { step, errno } => {
                let step = step.bytes().take(Self::MAX - 5);
                [1].into_iter().chain(errno.to_le_bytes()).chain(step).collect()
            }
            Self::Ended { code, signal } => {
                let numbers = [code.to_le_bytes(), signal.unwrap_or(0).to_le_bytes()];
                [2].into_iter().chain(numbers.into_iter().flatten()).collect()
            }
        }
    }

    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        match bytes.split_first()? {
            (0, []) => Some(Self::Ready),
            (1, rest) => {
                let (errno, step) = rest.split_first_chunk()?;
                let step = String::from_utf8_lossy(step).into_owned();
                Some(Self::Refused { step, errno: i32::from_le_bytes(*errno) })
            }
            (2, rest) => {
                let (code, rest) = rest.split_first_chunk()?;
                let signal = i32::from_le_bytes(rest.try_into().ok()?);
                let signal = (signal != 0).then_some(signal);
                Some(Self::Ended { code: i32::from_le_bytes(*code), signal })
            }
            _ => None,
        }
    }
}

impl Told {
    /// The largest record, in bytes.
    pub(crate) const MAX: usize = 5;

    pub(crate) fn encode(self) -> Vec<u8> {
        match self {
            Self::Go => vec![0],
            Self::Signal(number) => [1].into_iter().chain(number.to_le_bytes()).collect(),
        }
    }

    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        match bytes.split_first()? {
            (0, []) => Some(Self::Go),
            (1, rest) => {
                let number = i32::from_le_bytes(rest.try_into().ok()?);
                SIGNALS.contains(&number).then_some(Self::Signal(number))
            }
            _ => None,
        }
    }
}

/// Our end of the status pair, which does not block, and init's, which does.
///
/// # Errors
/// When the process or the machine is out of descriptors.
pub fn status_pair() -> io::Result<(OwnedFd, OwnedFd)> {
    let (ours, inits) = fds::record_pair()?;
    fcntl(&ours, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    Ok((ours, inits))
}

/// What init says next, and the terminal's master where it comes with it; none at the end.
///
/// # Errors
/// `WouldBlock` when it has said nothing yet; `InvalidData` when it says what no init says, or
/// sends a descriptor that is no terminal's master.
pub fn receive(status: impl AsFd) -> io::Result<Option<(Said, Option<OwnedFd>)>> {
    let (bytes, received) = match fds::receive(status, Said::MAX, 1) {
        Err(err) if is_end(&err) => return Ok(None),
        received => received?,
    };
    let said = Said::decode(&bytes).ok_or(io::ErrorKind::InvalidData)?;
    let master = received.into_iter().next();
    let expected = master.as_ref().is_none_or(|it| said == Said::Ready && sys::pty::is_master(it));
    if expected { Ok(Some((said, master))) } else { Err(io::ErrorKind::InvalidData.into()) }
}

fn is_end(err: &io::Error) -> bool {
    matches!(err.kind(), io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset)
}

/// Lets the command be executed.
///
/// # Errors
/// When init is gone.
pub fn go(status: impl AsFd) -> io::Result<()> {
    fds::send_now(status, &Told::Go.encode(), &[])
}

/// Sends a signal to the command's process group. One that the command ignores changes nothing.
///
/// # Errors
/// `InvalidInput` for a number that is no signal; otherwise when init is gone.
pub fn signal(status: impl AsFd, number: i32) -> io::Result<()> {
    if !SIGNALS.contains(&number) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    fds::send_now(status, &Told::Signal(number).encode(), &[])
}

/// Gives a terminal another size, which its foreground process is told by SIGWINCH.
///
/// # Errors
/// When `master` is no terminal.
pub fn resize(master: impl AsFd, cols: u16, rows: u16) -> io::Result<()> {
    Ok(sys::pty::resize(master, cols, rows)?)
}

#[cfg(test)]
mod tests;

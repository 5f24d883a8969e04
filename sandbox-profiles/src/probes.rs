//! Attempts that are made from inside a running worker's boundary, to show that they fail: what is
//! attempted, in which process, and what became of it. A probe is a process of its own that the
//! launcher puts beside the worker; the worker takes no part in it and is not trusted with it.
//!
//! A probe has no channel to answer on. It answers by the code that it exits with, or by the signal
//! that ends it, and both are the kernel's word.

use std::ffi::OsString;
use std::os::fd::{OwnedFd, RawFd};
use std::os::unix::fs::FileExt as _;
use std::process::ExitCode;

use nix::errno::Errno;

use crate::{Error, confine, fds};

mod attempts;
mod calls;
mod outside;

pub use attempts::PROBES;
pub use outside::Outside;

/// What the launcher calls a process of the worker's program that is to be a probe.
pub(crate) const NAME: &str = "openclawmu-probe";

/// What a probe inherits after the four descriptors of a worker: what there is to reach for.
const OUTSIDE: RawFd = 4;

/// The longest description of the outside that is read, in bytes: ten short names and paths.
const OUTSIDE_MAX: usize = 16 << 10;

/// A probe exits with this much more than the errno that it got; just this much means that it got
/// what it reached for. Nothing else that ends a program, a panic among it, exits with such a code.
const BASE: u8 = 102;

/// The largest errno of Linux.
const ERRNO_MAX: i32 = 133;

/// What one process attempts.
#[derive(Debug)]
pub struct Probe {
    /// A stable word.
    pub name: &'static str,
    /// What is attempted, for people.
    pub what: &'static str,
    /// Outcomes of a boundary that holds, from a process confined as the worker is: names of
    /// errnos, and of the signal by which the system call filter ends a process.
    pub whole: &'static [&'static str],
    /// The same without the worker's own system call filter; empty where only that filter holds.
    pub beneath: &'static [&'static str],
    /// Whether it is Landlock that refuses; a kernel without it cannot.
    pub needs_landlock: bool,
    /// The attempt itself, in the calling process.
    pub attempt: fn(&Outside) -> Result<(), Errno>,
}

/// How much of the worker's boundary a probe is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// All of it: the process confines itself by the very function by which a worker does.
    Whole,
    /// All but the worker's own system call filter, so that the layers beneath it are seen to hold
    /// as well. Only our own program is ever in such a process, for the length of one attempt.
    Beneath,
}

/// What became of a probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It got what it reached for.
    Allowed,
    /// The kernel refused, with this errno.
    Refused(i32),
    /// The system call filter ended the process.
    Filtered,
    /// It was not made: the process ended otherwise, before or in the middle.
    NotMade,
}

/// One of [`PROBES`] at one depth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Chosen {
    pub(crate) index: usize,
    pub(crate) depth: Depth,
}

impl Chosen {
    /// What a record says of it; none beyond what one can say.
    pub(crate) fn number(self) -> Option<u32> {
        let half = u32::try_from(self.index).ok()?.checked_mul(2)?;
        half.checked_add(u32::from(self.depth == Depth::Beneath))
    }

    /// What a number says; none where it names no probe.
    pub(crate) fn from_number(number: u32) -> Option<Self> {
        let index = usize::try_from(number / 2).ok()?;
        let depth = if number.is_multiple_of(2) { Depth::Whole } else { Depth::Beneath };
        PROBES.get(index).map(|_| Self { index, depth })
    }

    /// The words by which the process knows what it is for.
    pub(crate) fn words(self) -> [String; 2] {
        let depth = if self.depth == Depth::Whole { "whole" } else { "beneath" };
        [self.index.to_string(), depth.to_owned()]
    }

    fn from_words(index: &str, depth: &str) -> Option<Self> {
        let depth = match depth {
            "whole" => Depth::Whole,
            "beneath" => Depth::Beneath,
            _ => return None,
        };
        let index = index.parse().ok().filter(|index| *index < PROBES.len())?;
        Some(Self { index, depth })
    }
}

impl Outcome {
    /// What the end of a probe's process means.
    pub(crate) fn of(signaled: bool, number: i32) -> Self {
        if signaled {
            return if number == libc::SIGSYS { Self::Filtered } else { Self::NotMade };
        }
        // A program that was executed in the probe's place, and went well.
        if number == 0 {
            return Self::Allowed;
        }
        match number.checked_sub(i32::from(BASE)) {
            Some(0) => Self::Allowed,
            Some(errno @ 1..=ERRNO_MAX) => Self::Refused(errno),
            _ => Self::NotMade,
        }
    }

    /// The outcome in one word: `ALLOWED`, the name of an errno, `SIGSYS` or `NOT MADE`.
    pub fn word(self) -> String {
        match self {
            Self::Allowed => "ALLOWED".to_owned(),
            Self::Filtered => "SIGSYS".to_owned(),
            Self::NotMade => "NOT MADE".to_owned(),
            Self::Refused(errno) => {
                let text = Errno::from_raw(errno).to_string();
                text.split(':').next().unwrap_or_default().to_owned()
            }
        }
    }
}

impl Probe {
    /// Makes the attempt in the calling process, confined or not, and gives the code to exit with.
    pub fn make(&self, outside: &Outside) -> u8 {
        match (self.attempt)(outside) {
            Ok(()) => BASE,
            Err(errno) => {
                let errno = std::io::Error::from(errno).raw_os_error();
                errno.and_then(|it| u8::try_from(it).ok()?.checked_add(BASE)).unwrap_or(1)
            }
        }
    }
}

/// Whether a process with these arguments is to be a probe.
pub fn is_asked(arguments: impl IntoIterator<Item = OsString>) -> bool {
    arguments.into_iter().next().is_some_and(|word| word == NAME)
}

/// Confines the process and makes one attempt. To be called first in `main`.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let words: Vec<OsString> = arguments.into_iter().collect();
    attempt(&words).map_or(ExitCode::FAILURE, ExitCode::from)
}

fn attempt(words: &[OsString]) -> Option<u8> {
    let [_, index, depth] = words else { return None };
    let chosen = Chosen::from_words(index.to_str()?, depth.to_str()?)?;
    let probe = PROBES.get(chosen.index)?;
    let outside = read(fds::adopt(OUTSIDE).ok()?)?;
    confine(chosen.depth).ok()?;
    Some(probe.make(&outside))
}

/// From its beginning: the file is one for all probes, and so is the place that it was read to.
fn read(outside: OwnedFd) -> Option<Outside> {
    let mut bytes = vec![0; OUTSIDE_MAX];
    let length = std::fs::File::from(outside).read_at(&mut bytes, 0).ok()?;
    bytes.truncate(length);
    Outside::decode(&bytes).ok()
}

fn confine(depth: Depth) -> Result<(), Error> {
    if depth == Depth::Whole {
        return confine::worker().map(drop);
    }
    confine::undumpable()?;
    confine::powerless()?;
    confine::alone()?;
    confine::descriptors()?;
    confine::landlock().map(drop)
}

#[cfg(test)]
mod tests;

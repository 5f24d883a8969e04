//! The first process of a sandbox and the last of our code in it: it reads the command, confines
//! and executes it as a child, reaps whatever that leaves behind, and says how it ended. It is
//! small, has one thread, and trusts the command with nothing.

use std::ffi::OsString;
use std::os::fd::{AsFd as _, OwnedFd, RawFd};
use std::process::ExitCode;

use nix::errno::Errno;
use nix::sys::signal::{SigSet, SigmaskHow, Signal, sigprocmask};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::unistd::getpid;

use crate::program::{Class, Said, Spec, decode, read};
use crate::steps::{INIT, Message};
use crate::sys::{self, Side, pty};
use crate::{Error, Profile, confine, fds};

mod command;
mod files;
mod watch;

use files::Frozen;

/// What init inherits after the three standard descriptors, which are the command's.
const STATUS: RawFd = 3;
const SPEC: RawFd = 4;
/// Nothing from here up is init's own when it starts, but for bubblewrap's.
const FIRST_FREE: RawFd = 5;

/// Why the command is not run.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Refusal {
    step: String,
    errno: i32,
}

impl Refusal {
    fn new(step: &str, errno: Errno) -> Self {
        let errno = std::io::Error::from(errno).raw_os_error().unwrap_or(0);
        Self { step: step.to_owned(), errno }
    }

    /// For use with `map_err`.
    fn at(step: &'static str) -> impl Fn(Errno) -> Self {
        move |errno| Self::new(step, errno)
    }
}

impl From<Error> for Refusal {
    fn from(err: Error) -> Self {
        let (step, errno) = if let Error::Confine { step, source } = &err {
            ((*step).to_owned(), source.raw_os_error())
        } else {
            (types::Chain(&err).to_string(), None)
        };
        Self { step, errno: errno.unwrap_or(libc::EPERM) }
    }
}

/// What init was started as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Ordered {
    class: Class,
    egress: bool,
    /// The pair with the launcher, which bubblewrap passes on.
    sync: Option<RawFd>,
}

/// Whether a process with these arguments is to be an init. Only the launcher starts processes of
/// this binary, and it chooses their arguments alone.
pub fn is_asked(arguments: impl IntoIterator<Item = OsString>) -> bool {
    // Bubblewrap cannot give the program another name than its path.
    arguments.into_iter().take(2).any(|word| word == INIT)
}

/// Runs one command. To be called first in `main`.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let Ok(status) = fds::adopt(STATUS) else { return ExitCode::FAILURE };
    let said = match start(&arguments.into_iter().collect::<Vec<_>>()) {
        Ok(started) => watch::until_the_end(&status, started),
        Err(Refusal { step, errno }) => Said::Refused { step, errno },
    };
    // With nobody to tell there is nothing left to do either.
    match fds::send(&status, &said.encode(), &[]) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_gone) => ExitCode::FAILURE,
    }
}

/// A command that is confined and waits.
#[derive(Debug)]
struct Started {
    command: sys::Child,
    /// The pair with it; it closes when the command is executed.
    sync: OwnedFd,
    master: Option<OwnedFd>,
    children: SignalFd,
    profile: Profile,
}

fn start(arguments: &[OsString]) -> Result<Started, Refusal> {
    let ordered = ordered(arguments).ok_or_else(|| Refusal::new("arguments", Errno::EINVAL))?;
    if let Some(sync) = ordered.sync {
        let sync = fds::adopt(sync).map_err(Refusal::at("pair with the launcher"))?;
        fds::send(&sync, &Message::Started.encode(), &[])
            .map_err(|_gone| Refusal::new("pair with the launcher", Errno::EPIPE))?;
        // Closed with the rest below, and by nobody before.
        drop(sync);
    }
    let spec = fds::adopt(SPEC).map_err(Refusal::at("spec"))?;
    fds::close_all_but(FIRST_FREE, &[]).map_err(Refusal::at("descriptors"))?;
    confine::undumpable()?;
    confine::powerless()?;
    if getpid().as_raw() != 1 {
        return Err(Refusal::new("process namespace", Errno::EPERM));
    }
    let bytes = read(spec.as_fd()).map_err(|_err| Refusal::new("spec", Errno::EIO))?;
    drop(spec);
    let spec = decode(&bytes)
        .map_err(|err| Refusal { step: format!("spec: {}", err.0), errno: libc::EINVAL })?;
    if (spec.class, spec.egress) != (ordered.class, ordered.egress) {
        return Err(Refusal::new("spec: another class than ordered", Errno::EINVAL));
    }
    let frozen = files::freeze(&spec)?;
    // A command that sleeps and wakes, as one that writes line after line, would otherwise push aside
    // the gateway each time. The command's filter lets it take nothing back.
    sys::yielding().map_err(Refusal::at("scheduling"))?;
    fork(&spec, frozen.as_ref())
}

fn fork(spec: &Spec, frozen: Option<&Frozen>) -> Result<Started, Refusal> {
    let terminal = spec.terminal.map(|(cols, rows)| pty::open_pair(cols, rows)).transpose();
    let (master, slave) = terminal.map_err(Refusal::at("terminal"))?.unzip();
    let children: SigSet = [Signal::SIGCHLD].into_iter().collect();
    sigprocmask(SigmaskHow::SIG_BLOCK, Some(&children), None).map_err(Refusal::at("signals"))?;
    let children = SignalFd::with_flags(&children, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)
        .map_err(Refusal::at("signals"))?;
    let (near, far) = fds::record_pair().map_err(Refusal::at("pair"))?;
    let profile = Profile::of(spec.egress);
    match sys::clone3(0).map_err(Refusal::at("fork"))? {
        Side::Child => {
            drop((near, master));
            command::run(spec, frozen, slave.as_ref(), &far, profile)
        }
        Side::Parent(command) => Ok(Started { command, sync: near, master, children, profile }),
    }
}

fn ordered(arguments: &[OsString]) -> Option<Ordered> {
    let mut words = arguments.iter().map(|word| word.to_str());
    words.find(|word| *word == Some(INIT))?;
    let class = match words.next()?? {
        "command" => Class::Command,
        "terminal" => Class::Terminal,
        _ => return None,
    };
    let egress = match words.next()?? {
        "closed" => false,
        "egress" => true,
        _ => return None,
    };
    let sync = match words.next() {
        Some(word) => Some(word?.parse().ok()?),
        None => None,
    };
    words.next().is_none().then_some(Ordered { class, egress, sync })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<OsString> {
        text.split(' ').map(OsString::from).collect()
    }

    #[test]
    fn only_the_launchers_words_make_an_init() {
        let check = |text: &str, wanted| assert_eq!(ordered(&words(text)), wanted, "{text}");
        let command = Ordered { class: Class::Command, egress: false, sync: None };
        check("openclawmu-init command closed", Some(command));
        let terminal = Ordered { class: Class::Terminal, egress: true, sync: Some(6) };
        check("/proc/self/fd/5 openclawmu-init terminal egress 6", Some(terminal));
        for wrong in [
            "openclawmu-worker",
            "openclawmu-init",
            "openclawmu-init command",
            "openclawmu-init person closed",
            "openclawmu-init command open",
            "openclawmu-init command closed x",
            "openclawmu-init command closed 6 7",
        ] {
            check(wrong, None);
        }
        assert!(is_asked(words("openclawmu-init command closed")));
        assert!(is_asked(words("/proc/self/fd/5 openclawmu-init")));
        assert!(!is_asked(words("openclawmu-worker")));
    }
}

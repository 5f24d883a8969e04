//! A hostile worker: started as the worker binary, it confines itself as a worker does and then
//! makes the one attempt that it is told over descriptor 0.
//!
//! It writes `NAME OUTCOME` to descriptor 2, where the outcome is the name of an errno or
//! `ALLOWED`, or it dies by SIGSYS or SIGKILL, which whoever started it sees. With `--list` it
//! prints each attempt with the outcomes that are accepted, and attempts nothing. `skip=STEP`
//! leaves out one step of its own confinement by putting the public parts together without it;
//! there is no switch in them.
#![expect(unsafe_code, reason = "attempts are raw system calls")]

use std::io::{self, Read as _, Write as _};
use std::os::fd::FromRawFd as _;
use std::process::ExitCode;

use sandbox::confine;

mod calls;
mod files;
mod kernel;
mod network;
mod processes;
mod resources;
mod sockets;

use calls::{Attempt, Outside};

/// One step of a worker's own confinement, and Landlock's ABI where it is that step.
type Own = (&'static str, fn() -> Result<u32, sandbox::Error>);

/// An order is one short line.
const ORDER_MAX: u64 = 4096;

fn main() -> ExitCode {
    if sandbox::probes::is_asked(std::env::args_os()) {
        return sandbox::probes::run(std::env::args_os());
    }
    let done = if std::env::args().nth(1).as_deref() == Some("--list") { list() } else { serve() };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(err) => {
            drop(say(&format!("refused {err}")));
            ExitCode::FAILURE
        }
    }
}

fn attempts() -> impl Iterator<Item = &'static Attempt> {
    [files::ATTEMPTS, processes::ATTEMPTS, kernel::ATTEMPTS, network::ATTEMPTS, resources::ATTEMPTS]
        .into_iter()
        .flatten()
}

fn list() -> Result<(), Box<dyn std::error::Error>> {
    let mut out = io::stdout().lock();
    for attempt in attempts() {
        writeln!(out, "{} {}", attempt.name, attempt.accepted)?;
    }
    Ok(())
}

fn serve() -> Result<(), Box<dyn std::error::Error>> {
    let order = order()?;
    let mut words = order.split_whitespace();
    let name = words.next().unwrap_or_default();
    let outside: Outside = words.collect();
    let (abi, refused) = confine_without(outside.get("skip"))?;
    if name == "hold" {
        std::fs::write("/tenant/secret", outside.get("secret"))?;
        say(&format!("hold {abi} {refused}"))?;
        return wait();
    }
    let attempt = attempts().find(|it| it.name == name).ok_or("no such attempt")?;
    let outcome = (attempt.make)(&outside);
    Ok(say(&format!("{name} {}", calls::named(outcome)))?)
}

/// Landlock's ABI, and whether all probes were refused, as a worker reports them.
fn confine_without(skip: &str) -> Result<(u32, bool), sandbox::Error> {
    let all = |probes: &[(&str, bool)]| probes.iter().all(|(_, refused)| *refused);
    if skip.is_empty() {
        let done = confine::worker()?;
        return Ok((done.landlock_abi, all(&done.probes)));
    }
    let steps: [Own; 6] = [
        ("undumpable", || confine::undumpable().map(|()| 0)),
        ("powerless", || confine::powerless().map(|()| 0)),
        ("alone", || confine::alone().map(|()| 0)),
        ("descriptors", || confine::descriptors().map(|()| 0)),
        ("landlock", confine::landlock),
        ("seccomp", || confine::worker_filter().map(|()| 0)),
    ];
    let mut abi = 0;
    for (name, step) in steps {
        abi += if name == skip { 0 } else { step()? };
    }
    Ok((abi, all(&confine::probe_filter())))
}

/// Reads the order; the socket is non-blocking from birth.
fn order() -> io::Result<String> {
    let mut line = String::new();
    // SAFETY: descriptor 0 is this process's by the contract of its start, and nothing else uses
    // it.
    let socket = unsafe { std::fs::File::from_raw_fd(0) };
    let mut socket = std::mem::ManuallyDrop::new(socket);
    let mut byte = [0];
    while u64::try_from(line.len()).is_ok_and(|it| it < ORDER_MAX) {
        match socket.read(&mut byte) {
            Ok(0) => break,
            Ok(_) if byte == *b"\n" => break,
            Ok(_) => line.extend(byte.map(char::from)),
            Err(err) if err.kind() == io::ErrorKind::WouldBlock => readable()?,
            Err(err) => return Err(err),
        }
    }
    Ok(line)
}

/// Answers each line until there are no more: a neighbour that is being served.
fn wait() -> Result<(), Box<dyn std::error::Error>> {
    while !order()?.is_empty() {
        say("pong")?;
    }
    Ok(())
}

fn readable() -> io::Result<()> {
    let mut asked = libc::pollfd { fd: 0, events: libc::POLLIN, revents: 0 };
    // SAFETY: one live pollfd.
    let ready = unsafe { libc::poll(&raw mut asked, 1, -1) };
    if ready < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

fn say(line: &str) -> io::Result<()> {
    io::stderr().write_all(format!("{line}\n").as_bytes())
}

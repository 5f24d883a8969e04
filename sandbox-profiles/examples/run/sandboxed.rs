//! One command under the hands of a supervisor that relays, waits and kills.

use std::io::{Read as _, Write as _};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd::{pipe2, read, write};
use sandbox::program::{self, Bound, Rlimits, Said, Spec, go, receive, seal, status_pair};
use sandbox::{Launcher, RunFds, RunOrder, Started};

use crate::Failure;
use crate::order::Order;
use crate::worker::{INDEX, TENANT};

/// Bytes that are passed on at once.
const CHUNK: usize = 64 << 10;
/// What an HTTP client gets from the listener here, which is no proxy.
const ANSWER: &[u8] = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 3\r\n\r\nno\n";

/// Runs the command as often as ordered and prints what the last run wrote; its exit code.
pub(crate) fn run(launcher: &Launcher, order: &Order) -> Result<u8, Failure> {
    let mut code = 0;
    let mut times: Vec<[Duration; 4]> = Vec::new();
    for _ in 0..order.times {
        // The launcher makes a process ahead when nothing is asked for a while.
        poll(&mut [], PollTimeout::from(order.pause))?;
        let last = once(launcher, order, order.times == 1)?;
        code = last.0;
        times.push(last.1);
    }
    if order.times > 1 {
        for (index, what) in ["started", "ready", "ended", "reaped"].into_iter().enumerate() {
            let mut all: Vec<_> = times.iter().filter_map(|it| it.get(index).copied()).collect();
            all.sort_unstable();
            let at = |share: usize| all.get(all.len() * share / 100).copied().unwrap_or_default();
            let [p50, p99] = [at(50), at(99)].map(|it| it.as_micros());
            writeln!(std::io::stdout(), "{what}: p50 {p50} us, p99 {p99} us")?;
        }
    }
    Ok(code)
}

/// Runs what standard input asks for, line by line, and answers each with the time of its parts. Stops
/// at a command that fails.
pub(crate) fn run_lines(launcher: &Launcher, mut order: Order) -> Result<(), Failure> {
    // Standard input is no command's here.
    order.times = 0;
    for line in std::io::stdin().lines() {
        order.argv = serde_json::from_str(&line?)?;
        let (code, times) = once(launcher, &order, false)?;
        if code != 0 {
            return Err(format!("{:?} ended with {code}", order.argv).into());
        }
        let nanos = times.map(|it| it.as_nanos());
        writeln!(std::io::stdout(), "{}", serde_json::to_string(&nanos)?)?;
    }
    Ok(())
}

/// The exit code, and how long after the order each part was done.
fn once(launcher: &Launcher, order: &Order, shown: bool) -> Result<(u8, [Duration; 4]), Failure> {
    let begin = Instant::now();
    let (status, far_status) = status_pair()?;
    let (stdin, near_stdin) = pipe2(OFlag::O_CLOEXEC)?;
    let (near_stdout, stdout) = pipe2(OFlag::O_CLOEXEC)?;
    let stderr = stdout.try_clone()?;
    let fds = RunFds { stdin, stdout, stderr, status: far_status, spec: seal(&spec(order)?)? };
    let started = launcher.run(&limits(order)?, fds)?;
    let at_start = begin.elapsed();
    let said = hear(&status)?;
    let at_ready = begin.elapsed();
    let ended = match said {
        Some((Said::Ready, master)) => {
            go(&status)?;
            let ends = match master {
                Some(master) => [master.try_clone()?, master],
                None => [near_stdin, near_stdout],
            };
            relay(&started, &status, ends, order)?
        }
        other => other.map(|it| it.0),
    };
    let at_end = begin.elapsed();
    let exit = launcher.kill(started.id)?;
    let times = [at_start, at_ready, at_end, begin.elapsed()];
    match ended {
        Some(Said::Ended { code, signal }) => {
            if let (Some(signal), true) = (signal, shown) {
                let kills = exit.oom_kills;
                writeln!(std::io::stderr(), "run: signal {signal}, {kills} for memory")?;
            }
            Ok((u8::try_from(code).unwrap_or(u8::MAX), times))
        }
        Some(Said::Refused { step, errno }) => Err(format!("init refused: {step}, {errno}").into()),
        Some(Said::Ready) | None => Err("init ended without a word".into()),
    }
}

fn limits(order: &Order) -> Result<RunOrder, Failure> {
    Ok(RunOrder {
        tenant: TENANT.parse()?,
        index: INDEX,
        agent: "main".parse()?,
        backend: order.backend,
        class: order.class,
        egress: order.egress,
        memory_max: order.memory_max,
        pids_max: order.pids_max,
        cpu_millis: 2000,
    })
}

fn spec(order: &Order) -> Result<Spec, Failure> {
    let digest = |argument: &u32| -> Result<Bound, Failure> {
        let word = usize::try_from(*argument).ok().and_then(|it| order.argv.get(it));
        let name = word.ok_or("no such word")?.rsplit('/').next().unwrap_or_default();
        let file = order.copies.iter().find(|it| it.ends_with(name)).ok_or("not copied")?;
        let digest = ring::digest::digest(&ring::digest::SHA256, &std::fs::read(file)?);
        Ok(Bound { argument: *argument, sha256: digest.as_ref().try_into()? })
    };
    Ok(Spec {
        argv: order.argv.clone(),
        env: order.env.clone(),
        cwd: order.cwd.clone(),
        terminal: order.terminal,
        files: order.bound.iter().map(digest).collect::<Result<_, _>>()?,
        limits: Rlimits {
            cpu_seconds: 60,
            file_size: 1 << 30,
            open_files: 256,
            processes: u64::from(order.pids_max),
        },
        class: order.class,
        egress: order.egress,
    })
}

/// What init says, and a terminal's master.
type Heard = (Said, Option<OwnedFd>);

/// Waits for what init says next.
fn hear(status: &OwnedFd) -> Result<Option<Heard>, Failure> {
    let mut waited = [PollFd::new(status.as_fd(), PollFlags::POLLIN)];
    poll(&mut waited, PollTimeout::NONE)?;
    Ok(receive(status)?)
}

/// Passes bytes on until init says how the command ended.
fn relay(
    started: &Started,
    status: &OwnedFd,
    [input, output]: [OwnedFd; 2],
    order: &Order,
) -> Result<Option<Said>, Failure> {
    let (stdin, shown) = (std::io::stdin(), order.times == 1);
    let mut signal = order.signal;
    let (mut input, mut output, mut ended) = (shown.then_some(input), Some(output), None);
    while output.is_some() || ended.is_none() {
        let [from_output, from_status, from_stdin, from_listener] = readable([
            output.as_ref().map(AsFd::as_fd),
            ended.is_none().then_some(status.as_fd()),
            input.as_ref().map(|_| stdin.as_fd()),
            started.listener.as_ref().map(AsFd::as_fd),
        ])?;
        if from_output && !pass_on(output.as_ref(), shown)? {
            output = None;
        }
        if from_output && let Some(number) = signal.take() {
            program::signal(status, number)?;
        }
        if from_status {
            ended = Some(receive(status)?.map(|it| it.0));
        }
        if from_stdin && !feed(input.as_ref())? {
            input = None;
        }
        if from_listener && let Some(listener) = &started.listener {
            answer(listener)?;
        }
    }
    Ok(ended.flatten())
}

fn readable(fds: [Option<BorrowedFd<'_>>; 4]) -> nix::Result<[bool; 4]> {
    let mut waited: Vec<_> =
        fds.iter().flatten().map(|fd| PollFd::new(*fd, PollFlags::POLLIN)).collect();
    poll(&mut waited, PollTimeout::NONE)?;
    let mut ready = waited.iter().map(|it| it.any().unwrap_or(false));
    Ok(fds.map(|fd| fd.is_some() && ready.next().unwrap_or(false)))
}

/// Shows what the command writes; false at the end.
fn pass_on(output: Option<&OwnedFd>, shown: bool) -> Result<bool, Failure> {
    let Some(output) = output else { return Ok(false) };
    let mut bytes = vec![0; CHUNK];
    let count = match read(output, &mut bytes) {
        // A terminal ends so.
        Ok(0) | Err(Errno::EIO) => return Ok(false),
        count => count?,
    };
    if shown {
        std::io::stdout().write_all(bytes.get(..count).unwrap_or_default())?;
    }
    Ok(true)
}

/// Gives the command what comes from standard input; false at the end, or when it reads no more.
fn feed(input: Option<&OwnedFd>) -> Result<bool, Failure> {
    let Some(input) = input else { return Ok(false) };
    let mut bytes = vec![0; CHUNK];
    let count = read(std::io::stdin(), &mut bytes)?;
    let given = write(input, bytes.get(..count).unwrap_or_default());
    Ok(count > 0 && given.is_ok())
}

/// Accepts one connection of a command and refuses what it asks for.
fn answer(listener: &OwnedFd) -> Result<(), Failure> {
    let listener = std::net::TcpListener::from(listener.try_clone()?);
    let (mut client, _) = listener.accept()?;
    client.set_nonblocking(false)?;
    let mut asked = [0; 1024];
    let count = client.read(&mut asked)?;
    if count > 0 {
        client.write_all(ANSWER)?;
    }
    Ok(())
}

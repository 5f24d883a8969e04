//! Starts a launcher, launches and ends workers, and prints one line of JSON: how long it takes,
//! what verification finds, and what is left behind on the host when all has ended.
//!
//! `cycle STATE_DIR WORKER [COUNT] [PAUSE_MILLIS] [WITHOUT_STEP]`; with a step of confinement left
//! out it stops at the first finding or failure.

use std::io::{BufRead as _, BufReader, IoSlice, Read as _, Write as _};
use std::os::fd::{AsFd, AsRawFd as _, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, ExitCode, Stdio};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{ControlMessage, MsgFlags, recv, sendmsg};
use sandbox::{
    CgroupLayout, Expected, Facts, HostReport, Launcher, Mode, Options, Order, STEPS, Side,
    WorkerFds, pairs,
};
use serde_json::{Value, json};
use types::TenantId;

type Failure = Box<dyn std::error::Error>;

const DISK_MAX: u64 = 64 << 20;
/// Cycles after which the launcher has opened whatever it keeps open.
const WARM: usize = 3;
/// Records of the right size that mean nothing.
const GARBAGE: usize = 3000;
/// First argument of the process that is to be the launcher.
const INNER: &str = "--inner";

fn main() -> ExitCode {
    let result = match std::env::args().nth(1).as_deref() {
        Some(INNER) => inner(),
        _ => outer(),
    };
    match result {
        Ok(code) => code,
        Err(err) => {
            let text = format!("cycle: {}\n", types::Chain(err.as_ref()));
            drop(std::io::stderr().write_all(text.as_bytes()));
            ExitCode::FAILURE
        }
    }
}

/// Runs the launcher as a child, and looks at the host when it has ended.
fn outer() -> Result<ExitCode, Failure> {
    let state_dir = PathBuf::from(std::env::args().nth(1).ok_or("no state directory")?);
    std::fs::create_dir_all(&state_dir)?;
    let state_dir = state_dir.canonicalize()?;
    // Whatever loses its parent becomes our child, where it is seen.
    nix::sys::prctl::set_child_subreaper(true)?;
    let mut launcher = start()?;
    let mut lines = BufReader::new(launcher.stdout.take().ok_or("no output")?).lines();
    let mut sizes = Vec::new();
    let mut line = "{}".to_owned();
    while let Some(next) = lines.next().transpose()? {
        line = next;
        sizes.push(std::fs::read_dir(format!("/proc/{}/fd", launcher.id()))?.count());
        launcher.stdin.as_mut().ok_or("no input")?.write_all(b"\n")?;
    }
    let ended = launcher.wait()?;
    let mut report: Value = serde_json::from_str(&line)?;
    let left = json!({
        "processes": orphans(),
        "mounts": mentions("/proc/self/mountinfo", &state_dir)?,
        "cgroups": cgroups(launcher.id())?,
        "loopDevices": loops(&state_dir)?,
        "launcherDescriptors": sizes.last().zip(sizes.first()).map(|(last, first)| last - first),
    });
    if let Value::Object(report) = &mut report {
        report.insert("left".to_owned(), left);
    }
    std::io::stdout().write_all(format!("{report}\n").as_bytes())?;
    Ok(if ended.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

#[expect(clippy::disallowed_methods, reason = "the example starts itself, unconfined")]
fn start() -> Result<Child, Failure> {
    let mut command = std::process::Command::new(std::env::current_exe()?);
    command.arg(INNER).args(std::env::args().skip(1));
    Ok(command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?)
}

fn orphans() -> usize {
    use nix::sys::wait::wait;
    std::iter::from_fn(|| wait().ok()).count()
}

fn mentions(file: &str, state_dir: &Path) -> Result<usize, Failure> {
    let path = state_dir.to_string_lossy().into_owned();
    Ok(std::fs::read_to_string(file)?.lines().filter(|line| line.contains(&path)).count())
}

fn cgroups(launcher: u32) -> Result<usize, Failure> {
    let name = format!("openclawmu-{launcher}");
    let (mut found, mut open) = (0, vec![PathBuf::from("/sys/fs/cgroup")]);
    while let Some(directory) = open.pop() {
        for entry in std::fs::read_dir(directory)?.filter_map(Result::ok) {
            found += usize::from(*entry.file_name() == *name);
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                open.push(entry.path());
            }
        }
    }
    Ok(found)
}

fn loops(state_dir: &Path) -> Result<usize, Failure> {
    let mut found = 0;
    for entry in std::fs::read_dir("/sys/block")? {
        let file = entry?.path().join("loop/backing_file");
        found += if file.exists() { mentions(&file.to_string_lossy(), state_dir)? } else { 0 };
    }
    Ok(found)
}

fn inner() -> Result<ExitCode, Failure> {
    let mut arguments = std::env::args().skip(2);
    let mut argument = || arguments.next();
    let state_dir = PathBuf::from(argument().ok_or("no state directory")?).canonicalize()?;
    let worker = PathBuf::from(argument().ok_or("no worker")?);
    let count: usize = argument().map_or(Ok(100), |it| it.parse())?;
    let pause = argument().map_or(Ok(0), |it| it.parse())?;
    let steps = match argument() {
        Some(left_out) => {
            let kept = STEPS.iter().copied().filter(|step| step.name() != left_out);
            kept.collect::<Vec<_>>().leak()
        }
        None => STEPS,
    };
    let options = Options { state_dir: state_dir.clone(), worker, uid_base: None, steps };
    match sandbox::split(options)? {
        Side::Launcher(code) => Ok(code),
        Side::Supervisor { launcher: socket, uid_base } => {
            sandbox::become_supervisor(uid_base, &state_dir)?;
            let mut findings = if steps == STEPS { garbage(&socket)? } else { Vec::new() };
            let launcher = Launcher::new(socket);
            findings.extend(refusals(&launcher)?);
            supervise(&launcher, count, Duration::from_millis(pause), findings)?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// One worker's times, in microseconds.
struct Times {
    launched: u128,
    ready: u128,
    facts: u128,
    killed: u128,
}

fn supervise(
    launcher: &Launcher,
    count: usize,
    pause: Duration,
    mut findings: Vec<String>,
) -> Result<(), Failure> {
    let host = launcher.host()?;
    let tenant: TenantId = "cycle".parse()?;
    let before = Instant::now();
    let disk = launcher.prepare(&tenant, 0, DISK_MAX)?.disk;
    let prepared = before.elapsed().as_micros();
    let mut all = Vec::new();
    while all.len() < count && findings.is_empty() {
        if all.len() == WARM {
            let settled = Duration::from_millis(500);
            idle(settled)?;
            say("{}")?;
        }
        let (times, found) = cycle(launcher, &host, &tenant)?;
        all.push(times);
        findings = found;
        idle(pause)?;
    }
    let before = Instant::now();
    launcher.erase(&tenant, 0)?;
    let erased = before.elapsed().as_micros();
    idle(Duration::from_millis(500))?;
    let report = json!({
        "host": host,
        "disk": disk,
        "preparedMicros": prepared,
        "erasedMicros": erased,
        "launchedMicros": spread(&all, |it| it.launched),
        "readyMicros": spread(&all, |it| it.ready),
        "factsMicros": spread(&all, |it| it.facts),
        "killedMicros": spread(&all, |it| it.killed),
        "findings": findings,
    });
    say(&report.to_string())
}

/// Sends what no client sends. Every record must be answered, and with a refusal.
fn garbage(socket: &OwnedFd) -> Result<Vec<String>, Failure> {
    let mut findings = Vec::new();
    let mut state = 1_u64;
    for length in (1..200).chain(std::iter::repeat_n(88, GARBAGE)) {
        let mut record: Vec<u8> = Vec::with_capacity(length);
        if length % 2 == 0 {
            // As a true record of one kind or another begins.
            record.extend(b"CLMU\x01\0");
            record.extend([state.to_le_bytes()[7] % 8, 0]);
        }
        while record.len() < length {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            record.extend(state.to_le_bytes().iter().skip(6).map(|byte| byte & 0x83));
        }
        record.truncate(length);
        let fds = [socket.as_raw_fd(); 4];
        let rights = [ControlMessage::ScmRights(fds.get(..length % 5).unwrap_or(&[]))];
        let slices = [IoSlice::new(&record)];
        sendmsg::<()>(socket.as_raw_fd(), &slices, &rights, MsgFlags::empty(), None)?;
        let mut reply = [0; 4096];
        let size = recv(socket.as_raw_fd(), &mut reply, MsgFlags::empty())?;
        if size < 56 || reply.get(6..8) != Some(&[3, 0]) {
            findings.push(format!("garbage was answered: {record:?}"));
        }
    }
    Ok(findings)
}

/// Asks for what the launcher must not do, with well-formed records.
fn refusals(launcher: &Launcher) -> Result<Vec<String>, Failure> {
    let tenant: TenantId = "cycle".parse()?;
    let order = |index, memory_max| Order {
        tenant: tenant.clone(),
        index,
        memory_max,
        pids_max: 16,
        cpu_millis: 500,
        root: sandbox::Root::Live,
    };
    let file = || std::fs::File::open("/dev/null").map(OwnedFd::from);
    let wrong = || Ok::<_, Failure>(WorkerFds { serve: file()?, host: file()?, log: file()? });
    let right = || -> Result<_, Failure> {
        let (serve, host, log) = (pairs::pair()?.0, pairs::pair()?.0, pairs::log_pipe()?.1);
        Ok(WorkerFds { serve: serve.into(), host: host.into(), log })
    };
    launcher.prepare(&tenant, 0, DISK_MAX)?;
    // Without root all tenants have one id, so an index means nothing.
    let apart = launcher.host()?.mode == Mode::Root;
    let other = || Ok::<_, Failure>(launcher.launch(&order(1, 64 << 20), right()?).is_ok());
    let attempts = [
        ("wrong descriptors", launcher.launch(&order(0, 64 << 20), wrong()?).is_ok()),
        ("another tenant's index", apart && other()?),
        ("no memory", launcher.launch(&order(0, 0), right()?).is_ok()),
        ("another index's disk", apart && launcher.prepare(&tenant, 1, DISK_MAX).is_ok()),
        ("no disk", launcher.prepare(&tenant, 0, 0).is_ok()),
        ("an unknown worker's end", launcher.kill(77).is_ok()),
        ("an unknown worker's facts", launcher.facts(77).is_ok()),
    ];
    let done = attempts.iter().filter(|(_, done)| *done);
    Ok(done.map(|(what, _)| format!("not refused: {what}")).collect())
}

/// Prints a line and waits until it has been taken note of.
fn say(line: &str) -> Result<(), Failure> {
    std::io::stdout().write_all(format!("{line}\n").as_bytes())?;
    std::io::stdin().read_line(&mut String::new())?;
    Ok(())
}

fn cycle(
    launcher: &Launcher,
    host: &HostReport,
    tenant: &TenantId,
) -> Result<(Times, Vec<String>), Failure> {
    let (mut serve, far_serve) = pairs::pair()?;
    let (_host, far_host) = pairs::pair()?;
    let (log, far_log) = pairs::log_pipe()?;
    let expected = Expected {
        host: host.clone(),
        index: 0,
        memory_max: 64 << 20,
        pids_max: 16,
        cpu_millis: 500,
        serve_inode: inode(&far_serve)?,
        host_inode: inode(&far_host)?,
        log_inode: inode(&far_log)?,
        landlock_abi: host.landlock_abi,
        probes_refused: true,
    };
    let order = Order {
        tenant: tenant.clone(),
        index: 0,
        memory_max: expected.memory_max,
        pids_max: expected.pids_max,
        cpu_millis: expected.cpu_millis,
        root: sandbox::Root::Live,
    };
    let fds = WorkerFds { serve: far_serve.into(), host: far_host.into(), log: far_log };
    let start = Instant::now();
    let worker = launcher.launch(&order, fds)?;
    let executed = start.elapsed().as_micros();
    let confined = await_ready(&mut serve);
    let ready = start.elapsed().as_micros();
    let mut findings = Vec::new();
    if let Err(err) = confined {
        findings.push(format!("not ready: {err}; {}", drain(log)));
    }
    let before = Instant::now();
    let raw = launcher.facts(worker.id);
    let facts = before.elapsed().as_micros();
    match raw.and_then(|raw| Facts::parse(&raw)) {
        Ok(facts) => findings.extend(
            sandbox::verify(&facts, &expected)
                .into_iter()
                .map(|it| format!("{}: expected {}, found {}", it.what, it.expected, it.found)),
        ),
        Err(err) => findings.push(types::Chain(&err).to_string()),
    }
    if launcher.usage(worker.id)?.cpu_micros == 0 && host.cgroup != CgroupLayout::None {
        findings.push("no CPU time".to_owned());
    }
    let before = Instant::now();
    let exit = launcher.kill(worker.id)?;
    let killed = before.elapsed().as_micros();
    if exit.status != sandbox::Status::Signaled(9) {
        findings.push(format!("{exit:?}"));
    }
    Ok((Times { launched: executed, ready, facts, killed }, findings))
}

fn inode(fd: impl AsFd) -> Result<u64, Failure> {
    Ok(nix::sys::stat::fstat(fd)?.st_ino)
}

fn await_ready(serve: &mut UnixStream) -> Result<(), Failure> {
    let timeout = PollTimeout::try_from(Duration::from_secs(5))?;
    poll(&mut [PollFd::new(serve.as_fd(), PollFlags::POLLIN)], timeout)?;
    let mut byte = [0];
    if serve.read(&mut byte)? == 1 { Ok(()) } else { Err("it ended".into()) }
}

fn drain(log: OwnedFd) -> String {
    let mut text = String::new();
    // What cannot be read is missing from a message that is about something else.
    drop(std::fs::File::from(log).read_to_string(&mut text));
    text
}

fn idle(pause: Duration) -> Result<(), Failure> {
    poll(&mut [], PollTimeout::try_from(pause)?)?;
    Ok(())
}

fn spread(all: &[Times], of: impl Fn(&Times) -> u128) -> Value {
    let mut sorted: Vec<u128> = all.iter().map(of).collect();
    sorted.sort_unstable();
    let at = |percent: usize| sorted.get((sorted.len() * percent / 100).min(sorted.len() - 1));
    json!({ "p50": at(50), "p90": at(90), "p99": at(99), "max": sorted.last() })
}

//! What takes longer than one attempt: a load on what all share, and what a driver watches from
//! outside. Each is bounded in time and number, and tells how often it was refused and by what.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::{FileExt as _, PermissionsExt as _, symlink};
use std::path::Path;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use serde_json::{Value, json};

use crate::calls::{Outside, call, named};
use crate::resources::{failed, fill};

/// Processes of a bomb at most, should nothing refuse them.
const FORKS_MAX: usize = 20_000;
/// Pieces of 1 MiB that a bomb touches at most.
const MEMORY_MAX: usize = 16 << 10;
/// Files of 8 MiB on a disk at most, and those pieces in one.
const FILES_MAX: usize = 4096;
const PIECES: usize = 8;
/// A piece of memory or output, in bytes.
const PIECE: usize = 1 << 20;
/// How long a load lasts unless told, in seconds.
const SECONDS: usize = 5;
/// After so many exchanges of a race it looks whether it is to end.
const STOP_EVERY: u64 = 16;
/// How long what stays behind would stay, in seconds.
const BEHIND: u64 = 600;

/// Runs the load of that name and tells how it went.
pub(crate) fn run(name: &str, outside: &Outside) -> Value {
    let told = outside.get("seconds").parse().unwrap_or(SECONDS);
    let end = Instant::now() + Duration::from_secs(u64::try_from(told).unwrap_or(1));
    match name {
        "forks" => forks(end),
        "memory" => memory(),
        "disk" => disk(outside.get("folder"), end),
        "output" => output(outside.number("mib")),
        "lines" => lines(end),
        "spin" => spin(end),
        "daemon" => daemon(outside.get("mark")),
        "race" => race(outside, end),
        "kill" => told_as("kill", call!(libc::SYS_kill, -1, libc::SIGKILL).map(drop)),
        other => json!({"load": other, "unknown": true}),
    }
}

fn told_as(load: &str, outcome: Result<(), Errno>) -> Value {
    json!({"load": load, "outcome": named(outcome)})
}

/// Children that make children, all of which stay.
fn forks(end: Instant) -> Value {
    let (mut made, mut refused, mut why) = (0, 0, Errno::UnknownErrno);
    while Instant::now() < end && made < FORKS_MAX {
        match fork() {
            Ok(0) => {
                // A child of a bomb makes one more, and stays.
                fork().unwrap_or_default();
                pause(BEHIND)
            }
            Ok(_) => made += 1,
            Err(err) => {
                (refused, why) = (refused + 1, err);
                std::thread::yield_now();
            }
        }
    }
    json!({"load": "forks", "made": made, "refused": refused, "outcome": named(if refused > 0 { Err(why) } else { Ok(()) })})
}

/// Touches ever more memory: it ends by a signal, or it says what refused it.
fn memory() -> Value {
    for _ in 0..MEMORY_MAX {
        match call!(libc::SYS_mmap, 0, PIECE, 3, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, -1, 0) {
            Err(err) => return told_as("memory", Err(err)),
            Ok(piece) => {
                let start = std::ptr::with_exposed_provenance_mut::<u8>(piece);
                // SAFETY: the kernel just mapped that many writable bytes there.
                unsafe { start.write_bytes(1, PIECE) };
            }
        }
    }
    told_as("memory", Ok(()))
}

/// Fills a folder until it is refused, gives it back, and begins again.
fn disk(folder: &str, end: Instant) -> Value {
    let (mut rounds, mut outcome) = (0, Ok(()));
    let path = |number| format!("{folder}/escape-fill-{number}");
    while Instant::now() < end {
        outcome = (0..FILES_MAX).try_for_each(|number| fill(&path(number), PIECES));
        let left =
            (0..FILES_MAX).take_while(|number| fs::remove_file(path(*number)).is_ok()).count();
        rounds += 1;
        if left == 0 {
            break;
        }
    }
    json!({"load": "disk", "rounds": rounds, "outcome": named(outcome)})
}

/// So many MiB of output, in lines.
fn output(mib: usize) -> Value {
    let mut piece = b"0123456789abcde\n".repeat(PIECE / 16);
    piece.truncate(PIECE);
    let mut out = io::stdout().lock();
    let written = (0..mib).try_for_each(|_| out.write_all(&piece)).map_err(|err| failed(&err));
    told_as("output", written)
}

/// A line on standard error as often as it is taken.
fn lines(end: Instant) -> Value {
    let mut count = 0;
    while Instant::now() < end {
        let line = format!("ERROR a line that says nothing, number {count}\n");
        if let Err(err) = io::stderr().write_all(line.as_bytes()) {
            return told_as("lines", Err(failed(&err)));
        }
        count += 1;
    }
    json!({"load": "lines", "count": count})
}

/// Eight processes that do nothing, as fast as they can.
fn spin(end: Instant) -> Value {
    for _ in 0..8 {
        if fork() == Ok(0) {
            while Instant::now() < end {}
            pause(0);
        }
    }
    while Instant::now() < end {}
    json!({"load": "spin"})
}

/// Leaves a process behind in a session of its own, whose name is `mark`.
fn daemon(mark: &str) -> Value {
    let Ok(first) = fork() else { return told_as("daemon", Err(Errno::last())) };
    if first == 0 {
        call!(libc::SYS_setsid).unwrap_or_default();
        if fork() == Ok(0) {
            let name = std::ffi::CString::new(mark).unwrap_or_default();
            call!(libc::SYS_prctl, libc::PR_SET_NAME, name.as_c_str(), 0, 0, 0).unwrap_or_default();
            for fd in 0..3 {
                call!(libc::SYS_close, fd).unwrap_or_default();
            }
            pause(BEHIND);
        }
        pause(0);
    }
    told_as("daemon", Ok(()))
}

/// Puts another file and the right one in the place of a file by turns, as fast as it can, until
/// something named `stop` is there.
fn race(outside: &Outside, end: Instant) -> Value {
    let swapped = swap(outside, end).map_err(|err| failed(&err));
    swapped.map_or_else(
        |err| told_as("race", Err(err)),
        |swaps| json!({"load": "race", "swaps": swaps}),
    )
}

fn swap(outside: &Outside, end: Instant) -> io::Result<u64> {
    let (file, stop) = (outside.get("file"), outside.get("stop"));
    let (good, other) = (format!("{file}.good"), format!("{file}.with"));
    for (from, own) in [(outside.get("good"), &good), (outside.get("with"), &other)] {
        // What an earlier race left may be the very file that is exchanged.
        fs::remove_file(own).or_else(missing)?;
        fs::copy(from, own)?;
        fs::set_permissions(own, fs::Permissions::from_mode(0o755))?;
    }
    // From here on the file is its own, which it may overwrite.
    Side::File(good.clone()).place(file)?;
    let (good, other) = match outside.get("how") {
        "rewrite" => (Side::Content(fs::read(&good)?), Side::Content(fs::read(&other)?)),
        "link" => (Side::File(good), Side::Link(other)),
        _ => (Side::File(good), Side::File(other)),
    };
    let mut swaps = 0_u64;
    while Instant::now() < end && (!swaps.is_multiple_of(STOP_EVERY) || !Path::new(stop).exists()) {
        other.place(file)?;
        good.place(file)?;
        swaps += 1;
    }
    Ok(swaps)
}

fn missing(err: io::Error) -> io::Result<()> {
    if err.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(err) }
}

/// What takes a file's place: another file, a symbolic link to one, or what is written into the file
/// that is there.
enum Side {
    File(String),
    Link(String),
    Content(Vec<u8>),
}

impl Side {
    fn place(&self, file: &str) -> io::Result<()> {
        let next = format!("{file}.next");
        match self {
            Self::File(own) => fs::hard_link(own, &next)?,
            Self::Link(own) => symlink(own, &next)?,
            Self::Content(content) => {
                return File::options().write(true).open(file)?.write_all_at(content, 0);
            }
        }
        fs::rename(&next, file)
    }
}

/// The child's id, 0 in the child.
fn fork() -> Result<libc::pid_t, Errno> {
    // SAFETY: this process has one thread.
    Errno::result(unsafe { libc::fork() })
}

/// Waits that long without a word and ends.
fn pause(seconds: u64) -> ! {
    let time = libc::timespec { tv_sec: i64::try_from(seconds).unwrap_or(0), tv_nsec: 0 };
    call!(libc::SYS_nanosleep, &raw const time, 0).unwrap_or_default();
    // SAFETY: ends the child without what the parent registered.
    unsafe { libc::_exit(0) }
}

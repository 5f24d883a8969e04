//! What takes longer than one attempt: a load on what all share, and what a driver watches from
//! outside. Each is bounded in time and number, and tells how often it was refused and by what.

use std::fs;
use std::io::Write as _;
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
        "race" => race(outside.get("file"), outside.get("with"), end),
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
    let mut out = std::io::stdout().lock();
    let written = (0..mib).try_for_each(|_| out.write_all(&piece)).map_err(|err| failed(&err));
    told_as("output", written)
}

/// A line on standard error as often as it is taken.
fn lines(end: Instant) -> Value {
    let mut count = 0;
    while Instant::now() < end {
        let line = format!("ERROR a line that says nothing, number {count}\n");
        if let Err(err) = std::io::stderr().write_all(line.as_bytes()) {
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

/// Exchanges two files as fast as it can, and lets a symbolic link stand in for the first between.
fn race(file: &str, with: &str, end: Instant) -> Value {
    let (kept, mut swaps) = (format!("{file}.kept"), 0_u64);
    while Instant::now() < end {
        let swapped = fs::rename(file, &kept)
            .and_then(|()| std::os::unix::fs::symlink(with, file))
            .and_then(|()| fs::rename(&kept, file));
        if let Err(err) = swapped {
            return told_as("race", Err(failed(&err)));
        }
        swaps += 1;
    }
    json!({"load": "race", "swaps": swaps})
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

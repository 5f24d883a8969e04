//! Using up what others need: processes, memory, disk, descriptors.

use std::fs::File;
use std::io::Write as _;

use libc::{O_CREAT, O_RDWR, O_WRONLY};
use nix::errno::Errno;

use crate::calls::{Outside, attempts, call, open};

/// Threads that no worker may have at once.
const THREADS: usize = 4096;
/// Stack of one such thread, in bytes.
const STACK: usize = 16 << 10;
/// One piece of memory or disk, in bytes.
const PIECE: usize = 1 << 20;
/// Files that no tenant may have at once.
const FILES: usize = 400_000;
/// Descriptors that no process may have at once.
const DESCRIPTORS: usize = 4096;

attempts! {
    "res.fork_bomb" "SIGSYS" |_| (0..THREADS).try_for_each(|_| call!(libc::SYS_fork).map(drop));
    "res.thread_bomb" "EAGAIN" |_| threads();
    "res.memory_bomb" "SIGKILL/ENOMEM" |it| memory(it);
    "res.disk_fill" "ENOSPC/EDQUOT" |it| disk(it);
    "res.one_large_file" "ENOSPC/EDQUOT/EFBIG" |it| large_file(it);
    "res.inode_fill" "ENOSPC/EDQUOT" |_| files();
    "res.tmp_fill" "ENOENT/EROFS/EACCES" |_| open(c"/tmp/fill", O_WRONLY | O_CREAT);
    "res.root_fill" "EROFS/EACCES" |_| open(c"/fill", O_WRONLY | O_CREAT);
    "res.fd_exhaust" "EMFILE" |_| (0..DESCRIPTORS).try_for_each(|_| open(c"/dev/null", O_RDWR));
    "res.pty_exhaust" "ENOENT" |_| open(c"/dev/ptmx", O_RDWR);
    "res.pipe_buffers" "SIGSYS" |_| call!(libc::SYS_fcntl, 2, libc::F_SETPIPE_SZ, 1 << 20).map(drop);
    "res.lease" "SIGSYS" |_| call!(libc::SYS_fcntl, 0, libc::F_SETLEASE, 0).map(drop);
    "res.socketpair_flood" "EMFILE" |_| (0..DESCRIPTORS).try_for_each(|_| {
        call!(libc::SYS_socketpair, libc::AF_UNIX, libc::SOCK_STREAM, 0, [0_i32; 2].as_mut_ptr()).map(drop)
    });
}

fn failed(err: &std::io::Error) -> Errno {
    Errno::from_raw(err.raw_os_error().unwrap_or(0))
}

fn threads() -> Result<(), Errno> {
    let mut all = Vec::new();
    for _ in 0..THREADS {
        let thread = std::thread::Builder::new().stack_size(STACK).spawn(std::thread::park);
        all.push(thread.map_err(|err| failed(&err))?);
    }
    Ok(())
}

/// Touches twice the memory that the worker was given.
fn memory(outside: &Outside) -> Result<(), Errno> {
    let mut held = Vec::new();
    for _ in 0..outside.number("memory_mib").saturating_mul(2) {
        let piece =
            call!(libc::SYS_mmap, 0, PIECE, 3, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, -1, 0)?;
        let start = std::ptr::with_exposed_provenance_mut::<u8>(piece);
        // SAFETY: the kernel just mapped that many writable bytes there.
        unsafe { start.write_bytes(1, PIECE) };
        held.push(piece);
    }
    Ok(())
}

fn large_file(outside: &Outside) -> Result<(), Errno> {
    fill("/tenant/large", outside.number("disk_mib").saturating_mul(2))
}

/// Writes twice the disk that the tenant was given, in files of 8 MiB: a limit on one file's size
/// is no limit on the disk.
fn disk(outside: &Outside) -> Result<(), Errno> {
    let files = outside.number("disk_mib").div_ceil(4);
    (0..files).try_for_each(|number| fill(&format!("/tenant/fill-{number}"), 8))
}

fn fill(path: &str, pieces: usize) -> Result<(), Errno> {
    let mut file = File::create(path).map_err(|err| failed(&err))?;
    let piece = vec![1; PIECE];
    (0..pieces).try_for_each(|_| file.write_all(&piece)).map_err(|err| failed(&err))
}

fn files() -> Result<(), Errno> {
    let make = |number| File::create(format!("/tenant/inode-{number}")).map(drop);
    (0..FILES).try_for_each(make).map_err(|err| failed(&err))
}

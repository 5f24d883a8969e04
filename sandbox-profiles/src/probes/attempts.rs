//! The table of attempts: one row each, with what must become of it.

use libc::{O_DIRECTORY, O_RDONLY, O_WRONLY};
use nix::errno::Errno;

use super::Probe;
use super::calls::{call, connect, id, inet, int, memory, open, text, unix};
use super::outside::path;

/// `PTRACE_SEIZE`, which stops nobody.
const SEIZE: libc::c_int = 0x4206;
/// `KEYCTL_GET_KEYRING_ID` of the user's keyring, made where there is none.
const KEYRING: [libc::c_int; 3] = [0, -4, 1];
/// Size of the structure by which a map of the kernel is made, in bytes, and of one that counts.
const BPF_SIZE: usize = 72;
const PERF_SIZE: usize = 64;

/// What the worker's filter does to a call that it does not list.
const FILTER: &[&str] = &["SIGSYS"];
/// What is out of reach by name.
const ABSENT: &[&str] = &["ENOENT", "EACCES"];
/// Another's process, which cannot be named and could not be touched.
const NOBODY: &[&str] = &["EPERM", "ESRCH"];
/// A network with nothing in it, and Landlock before it.
const NO_NETWORK: &[&str] = &["EACCES", "ENETUNREACH", "ECONNREFUSED", "EADDRNOTAVAIL"];
const NO_POWER: &[&str] = &["EPERM", "EACCES"];

/// Shortens one row.
macro_rules! probes {
    ($($name:literal $what:literal $whole:expr, $beneath:expr, $landlock:literal, $make:expr;)+) => {
        /// Every probe.
        pub const PROBES: &[Probe] = &[$(Probe {
            name: $name,
            what: $what,
            whole: $whole,
            beneath: $beneath,
            needs_landlock: $landlock,
            attempt: $make,
        }),+];
    };
}

probes! {
    "foreign-file" "open a file of another tenant" ABSENT, ABSENT, false,
        |it| open(&path(&it.foreign_file), O_RDONLY);
    "foreign-root" "list the root of another tenant" ABSENT, ABSENT, false,
        |it| open(&path(&it.foreign_root), O_RDONLY | O_DIRECTORY);
    "supervisor-file" "open a file of the supervisor" ABSENT, ABSENT, false,
        |it| open(&path(&it.supervisor_file), O_RDONLY);
    "path-upwards" "leave the root by going up" ABSENT, ABSENT, false,
        |_| open(c"/../../../../etc/shadow", O_RDONLY);
    "proc-sys" "write a switch of the kernel" ABSENT, ABSENT, false,
        |_| open(c"/proc/sys/kernel/core_pattern", O_WRONLY);
    "own-device" "open a device that no rule gives" &["EACCES"], &["EACCES"], true,
        |_| open(c"/dev/full", O_RDONLY);
    "gateway-port" "connect to the gateway's own port" FILTER, NO_NETWORK, false,
        |it| connect(libc::AF_INET, &inet([127, 0, 0, 1], it.port));
    "network" "connect to an address outside" FILTER, NO_NETWORK, false,
        |_| connect(libc::AF_INET, &inet([192, 0, 2, 1], 443));
    "raw-socket" "make a raw socket" FILTER, &["EAFNOSUPPORT", "EPERM"], false,
        |_| call(libc::SYS_socket, &[int(libc::AF_INET), int(libc::SOCK_RAW), int(libc::IPPROTO_ICMP)]).map(drop);
    "unix-socket" "connect to the control socket by its path" FILTER, ABSENT, false,
        |it| connect(libc::AF_UNIX, &unix(it.socket.as_bytes()));
    "abstract-socket" "connect to an abstract socket" FILTER, &["EPERM", "ECONNREFUSED"], false,
        |it| connect(libc::AF_UNIX, &unix(format!("\0{}", it.abstract_name).as_bytes()));
    "trace-supervisor" "trace the supervisor" FILTER, NOBODY, false,
        |it| another(it.supervisor, |id| call(libc::SYS_ptrace, &[int(SEIZE), id]));
    "trace-foreign" "trace another tenant's worker" FILTER, NOBODY, false,
        |it| another(it.foreign, |id| call(libc::SYS_ptrace, &[int(SEIZE), id]));
    "read-memory" "read the supervisor's memory" FILTER, NOBODY, false,
        |it| another(it.supervisor, |id| call(libc::SYS_process_vm_readv, &[id]));
    "signal-supervisor" "signal the supervisor" FILTER, NOBODY, false,
        |it| another(it.supervisor, |id| call(libc::SYS_kill, &[id]));
    "signal-foreign" "signal another tenant's worker" FILTER, NOBODY, false,
        |it| another(it.foreign, |id| call(libc::SYS_kill, &[id]));
    "mount" "mount a file system" FILTER, NO_POWER, false,
        |it| {
            let at = path(&it.scratch);
            call(libc::SYS_mount, &[text(c"none"), text(&at), text(c"tmpfs")])?;
            call(libc::SYS_umount2, &[text(&at), int(libc::MNT_DETACH)]).map(drop)
        };
    "device-node" "make a device" FILTER, NO_POWER, false,
        |it| {
            let node = path(&format!("{}/openclawmu-probe", it.scratch));
            let mode = id(libc::S_IFCHR | 0o600);
            call(libc::SYS_mknodat, &[int(libc::AT_FDCWD), text(&node), mode, 0x0103])?;
            call(libc::SYS_unlinkat, &[int(libc::AT_FDCWD), text(&node)]).map(drop)
        };
    "user-namespace" "make a user namespace, with power in it" FILTER, &[], false,
        |_| call(libc::SYS_unshare, &[int(libc::CLONE_NEWUSER)]).map(drop);
    "become-root" "become uid 0" FILTER, &["EINVAL", "EPERM"], false,
        |_| call(libc::SYS_setresuid, &[0, 0, 0]).map(drop);
    "execute" "execute a program" FILTER, ABSENT, false,
        |_| call(libc::SYS_execve, &[text(c"/usr/bin/true")]).map(drop);
    "bpf" "load something into the kernel" FILTER, &["EPERM"], false, |_| bpf();
    "keyring" "use the keyring of its user" FILTER, &["EPERM"], false,
        |_| call(libc::SYS_keyctl, &KEYRING.map(int)).map(drop);
    "perf" "count events of the machine" FILTER, NO_POWER, false, |_| perf();
}

/// Where the number means the probe itself, there is nobody else of that number to reach.
fn another(process: u32, reach: fn(usize) -> Result<usize, Errno>) -> Result<(), Errno> {
    if std::process::id() == process { Err(Errno::ESRCH) } else { reach(id(process)).map(drop) }
}

/// A small array, the plainest map there is.
fn bpf() -> Result<(), Errno> {
    let mut attributes = [0_u32; BPF_SIZE / 4];
    attributes.iter_mut().zip([2, 4, 4, 1]).for_each(|(to, from)| *to = from);
    call(libc::SYS_bpf, &[0, memory(&attributes), BPF_SIZE]).map(drop)
}

/// The clock of the whole first processor, counted in software: others' time as well.
fn perf() -> Result<(), Errno> {
    let mut attributes = [0_u32; PERF_SIZE / 4];
    let size = u32::try_from(PERF_SIZE).unwrap_or(0);
    attributes.iter_mut().zip([1, size]).for_each(|(to, from)| *to = from);
    let (everybody, first, alone) = (int(-1), 0, int(-1));
    call(libc::SYS_perf_event_open, &[memory(&attributes), everybody, first, alone]).map(drop)
}

//! What a sandbox sees of a system: the host's programs, a generated `/etc`, its own processes and
//! a place for temporary files. All of it is the same for every tenant.

use std::ffi::{CStr, CString};
use std::os::fd::OwnedFd;

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag, OpenHow, openat, openat2};
use nix::sys::stat::{Mode, SFlag, fstat, mkdirat};
use nix::unistd::symlinkat;

use super::root::file;
use super::{Context, What};
use crate::Backend;
use crate::disk::beneath;
use crate::sys::mounts;

/// Nothing can be written, and neither devices nor set-id programs mean anything.
const FIXED: u64 = libc::MOUNT_ATTR_RDONLY | libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NODEV;

/// Where programs look for what is in `/usr`.
const LINKS: [(&str, &str); 4] =
    [("bin", "usr/bin"), ("sbin", "usr/sbin"), ("lib", "usr/lib"), ("lib64", "usr/lib64")];

/// The generated files: one user, one host, no name server.
const FILES: [(&str, &str); 6] = [
    (
        "etc/passwd",
        "agent:x:1000:1000:agent:/home/agent:/bin/bash\nnobody:x:65534:65534:nobody:/:/usr/sbin/nologin\n",
    ),
    ("etc/group", "agent:x:1000:\nnogroup:x:65534:\n"),
    ("etc/hosts", "127.0.0.1 localhost sandbox\n::1 localhost\n"),
    ("etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files\n"),
    ("etc/resolv.conf", ""),
    ("etc/host.conf", "multi on\n"),
];

/// What is seen of the host's `/etc`, where the host has it: what the linker, TLS libraries and
/// Debian's choices of programs need. Private keys beside the certificates are not.
const BOUND: [&str; 6] = [
    "etc/alternatives",
    "etc/ld.so.cache",
    "etc/mime.types",
    "etc/pki/ca-trust",
    "etc/ssl/certs",
    "etc/ssl/openssl.cnf",
];

/// What `/proc` says of the whole machine, or of every process's keys, is covered.
/// What programs ask of it stays: `cpuinfo`, `filesystems`, `loadavg`, `meminfo`, `stat`, `uptime`
/// and `version`.
const MASKED: [&str; 40] = [
    "acpi",
    "asound",
    "buddyinfo",
    "bus",
    "cgroups",
    "cmdline",
    "config.gz",
    "diskstats",
    "driver",
    "fs",
    "interrupts",
    "iomem",
    "ioports",
    "irq",
    "kallsyms",
    "kcore",
    "key-users",
    "keys",
    "kmsg",
    "kpagecgroup",
    "kpagecount",
    "kpageflags",
    "latency_stats",
    "locks",
    "misc",
    "modules",
    "pagetypeinfo",
    "partitions",
    "pressure",
    "sched_debug",
    "scsi",
    "slabinfo",
    "softirqs",
    "swaps",
    "sysrq-trigger",
    "timer_list",
    "timer_stats",
    "vmallocinfo",
    "vmstat",
    "zoneinfo",
];

/// Bytes and files of `/tmp`, which the sandbox's memory limit counts as well.
const TEMPORARY_SIZE: &CStr = c"64m";
const TEMPORARY_INODES: &CStr = c"16384";

pub(super) fn programs(context: &mut Context) -> nix::Result<()> {
    let root = context.root()?;
    bind(root, "usr")?;
    for (name, target) in LINKS {
        symlinkat(target, root, name)?;
    }
    for (name, content) in FILES {
        file(root, name, content.as_bytes())?;
    }
    for name in BOUND {
        match bind(root, name) {
            // Another distribution has it elsewhere.
            Ok(()) | Err(Errno::ENOENT | Errno::ENOTDIR | Errno::ELOOP) => {}
            Err(err) => return Err(err),
        }
    }
    Ok(())
}

/// Binds a file or directory of the host on the same place of the new root, unchangeable.
fn bind(root: &OwnedFd, name: &str) -> nix::Result<()> {
    let flags = OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let source = openat(AT_FDCWD, format!("/{name}").as_str(), flags, Mode::empty())?;
    let is_directory = match kind(&source)? {
        SFlag::S_IFDIR => true,
        SFlag::S_IFREG => false,
        _ => return Err(Errno::ELOOP),
    };
    let tree = mounts::clone_tree(&source)?;
    mounts::restrict(&tree, FIXED)?;
    let mut above = name.match_indices('/').filter_map(|(end, _)| name.get(..end));
    above.try_for_each(|directory| make_directory(root, directory))?;
    if is_directory {
        make_directory(root, name)?;
    } else {
        file(root, name, b"")?;
    }
    let point = CString::new(name).map_err(|_nul| Errno::EINVAL)?;
    mounts::attach(&tree, root, &point)
}

fn make_directory(root: &OwnedFd, name: &str) -> nix::Result<()> {
    match mkdirat(root, name, Mode::from_bits_truncate(0o755)) {
        Ok(()) | Err(Errno::EEXIST) => Ok(()),
        Err(err) => Err(err),
    }
}

fn kind(fd: &OwnedFd) -> nix::Result<SFlag> {
    Ok(SFlag::from_bits_truncate(fstat(fd)?.st_mode) & SFlag::S_IFMT)
}

pub(super) fn proc(context: &mut Context) -> nix::Result<()> {
    // The kernel lets bubblewrap have a `/proc` of its own only where it sees this one whole and
    // writable.
    let attributes = match context.what {
        What::Sandbox(Backend::Bwrap) => mounts::INERT,
        What::Worker | What::Sandbox(Backend::Native) => mounts::INERT | libc::MOUNT_ATTR_RDONLY,
    };
    let proc = mounts::make(c"proc", &[], attributes)?;
    mounts::attach(&proc, context.root()?, c"proc")
}

pub(super) fn mask(context: &mut Context) -> nix::Result<()> {
    let root = context.root()?;
    for (name, is_directory) in masked(root)? {
        let cover = if is_directory {
            let options =
                [(c"size", Some(c"4k")), (c"nr_inodes", Some(c"1")), (c"mode", Some(c"555"))];
            mounts::make(c"tmpfs", &options, mounts::INERT)?
        } else {
            mounts::clone_tree(openat(root, "dev/null", OFlag::O_PATH, Mode::empty())?)?
        };
        mounts::restrict(&cover, mounts::INERT | libc::MOUNT_ATTR_RDONLY)?;
        let point = CString::new(format!("proc/{name}")).map_err(|_nul| Errno::EINVAL)?;
        mounts::attach(&cover, root, &point)?;
    }
    Ok(())
}

/// What this kernel has of [`MASKED`], and whether it is a directory.
pub(super) fn masked(root: &OwnedFd) -> nix::Result<Vec<(&'static str, bool)>> {
    let mut found = Vec::new();
    for name in MASKED {
        let how = OpenHow::new().flags(OFlag::O_PATH | OFlag::O_CLOEXEC).resolve(beneath());
        match openat2(root, format!("proc/{name}").as_str(), how) {
            Ok(fd) => found.push((name, kind(&fd)? == SFlag::S_IFDIR)),
            Err(Errno::ENOENT) => {}
            Err(err) => return Err(err),
        }
    }
    Ok(found)
}

pub(super) fn temporary(context: &mut Context) -> nix::Result<()> {
    let options = [
        (c"size", Some(TEMPORARY_SIZE)),
        (c"nr_inodes", Some(TEMPORARY_INODES)),
        (c"mode", Some(c"1777")),
    ];
    let attributes = libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NODEV;
    let tree = mounts::make(c"tmpfs", &options, attributes)?;
    mounts::attach(&tree, context.root()?, c"tmp")
}

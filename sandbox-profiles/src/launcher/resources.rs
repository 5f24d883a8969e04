//! Everything the launcher uses, opened by descriptor before the supervisor exists. Nothing of the
//! host is looked up by name afterwards but the five devices, whose numbers are checked each time.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::OwnedFd;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{OFlag, open as open_path, openat};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::stat::{Mode, SFlag, fchmod, fstat, mkdirat};
use nix::unistd::{getegid, geteuid};

use super::{Options, idmap, start};
use crate::cgroup::{Cgroups, Pace};
use crate::disk::{self, Disks};
use crate::host::{self, HostReport};
use crate::ids::{self, Ids};
use crate::sealed::sealed;
use crate::{Error, Step, mode, steps, sys};

/// A worker binary is a few megabytes; a larger file is something else.
const BINARY_MAX: u64 = 512 << 20;
/// Where every distribution has it.
const BWRAP: &str = "/usr/bin/bwrap";
/// The type of file system that `/proc` must be.
const PROC_SUPER_MAGIC: i64 = 0x9fa0;

/// The launcher's means.
#[derive(Debug)]
pub(super) struct Resources {
    pub(super) mode: mode::Mode,
    pub(super) ids: Ids,
    pub(super) steps: &'static [Step],
    /// The sealed copy of the worker binary.
    pub(super) binary: OwnedFd,
    /// The host's bubblewrap, until it turns out to be unusable.
    pub(super) bwrap: Option<OwnedFd>,
    /// Whether tools have an id of their own.
    pub(super) tool_uids: bool,
    pub(super) proc: OwnedFd,
    pub(super) cgroups: Cgroups,
    pub(super) disks: Disks,
    pub(super) report: HostReport,
}

/// Opens everything.
pub(super) fn open(options: &Options) -> Result<Resources, Error> {
    let mode = mode::find(options.uid_base)?;
    let ids = ids::claim(&options.state_dir, options.uid_base, mode)?;
    raise_descriptors().map_err(start("raise the limit on descriptors"))?;
    let proc = proc()?;
    for (name, number) in steps::DEVICES {
        drop(steps::device(name, (1, number)).map_err(start("open the devices"))?);
    }
    let (binary, digest) = binary(&options.worker)?;
    let tenants = tenants(&options.state_dir)?;
    let formatter = if mode == mode::Mode::Root && disk::images_are_possible() {
        disk::find_formatter()
    } else {
        None
    };
    let cgroups = Cgroups::open();
    let pace = Pace::open(&cgroups);
    let is_paced = pace.is_kept();
    let disks = Disks::open(tenants, mode, ids.base, formatter, pace);
    let tool_uids = mode == mode::Mode::Root && have_tool_uids(&proc, &disks)?;
    let inode = fstat(&binary).map_err(start("look at the worker binary"))?.st_ino;
    let report = host::report(&host::Seen {
        mode,
        uid_base: ids.base,
        cgroup: cgroups.layout(),
        cgroup_reason: cgroups.reason(),
        disk: disks.kind(),
        is_paced,
        tool_uids,
        binary: Some((digest, inode)),
    });
    Ok(Resources {
        mode,
        ids,
        steps: options.steps,
        binary,
        bwrap: bwrap(),
        tool_uids,
        proc,
        cgroups,
        disks,
        report,
    })
}

/// One descriptor a worker, two sockets and a pipe each in the supervisor: the usual soft limit
/// of 1024 would be the limit on tenants.
fn raise_descriptors() -> nix::Result<()> {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard)
}

fn proc() -> Result<OwnedFd, Error> {
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let proc = open_path("/proc", flags, Mode::empty()).map_err(start("open /proc"))?;
    let kind = nix::sys::statfs::fstatfs(&proc).map_err(start("look at /proc"))?.filesystem_type();
    if kind.0 == PROC_SUPER_MAGIC {
        Ok(proc)
    } else {
        Err(Error::Unusable { reason: "/proc is not the kernel's".to_owned() })
    }
}

/// Whether tenants' files can be shown to tools as theirs. The images made here can; of another
/// file system one has to ask.
fn have_tool_uids(proc: &OwnedFd, disks: &Disks) -> Result<bool, Error> {
    Ok(disks.kind() == disk::Disk::Image
        || idmap::is_possible(proc, disks.tenants(), disks.owner(0)?))
}

/// The host's bubblewrap, where it is one that only root can have put there.
fn bwrap() -> Option<OwnedFd> {
    let flags = OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let program = open_path(BWRAP, flags, Mode::empty()).ok()?;
    let stat = fstat(&program).ok()?;
    let mode = Mode::from_bits_truncate(stat.st_mode);
    let is_file = SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT == SFlag::S_IFREG;
    let of_root = stat.st_uid == 0 && !mode.intersects(Mode::S_IWGRP | Mode::S_IWOTH);
    // A set-id one would be another program than the one that was tried out.
    let plain = !mode.intersects(Mode::S_ISUID | Mode::S_ISGID);
    (is_file && of_root && plain).then_some(program)
}

/// Copies the worker binary into memory that nobody can write, or read by its descriptor's mode:
/// a process that runs it is not dumpable, and no file can be exchanged under it.
fn binary(path: &Path) -> Result<(OwnedFd, String), Error> {
    let failed = |source: io::Error| Error::Failed {
        what: format!("copy the worker binary {}", path.display()),
        source,
    };
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(failed)?;
    file.take(BINARY_MAX).read_to_end(&mut bytes).map_err(failed)?;
    let mode = Mode::from_bits_truncate(0o111);
    let copy = sealed(c"openclawmu-worker", &bytes, mode).map_err(failed)?;
    let digest = ring::digest::digest(&ring::digest::SHA256, &bytes);
    let mut hex = String::new();
    for byte in digest.as_ref() {
        write!(hex, "{byte:02x}").map_err(|err| failed(io::Error::other(err)))?;
    }
    Ok((copy, hex))
}

/// The directory of tenant roots: the launcher's alone, and one launcher's at a time.
fn tenants(state_dir: &Path) -> Result<OwnedFd, Error> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW;
    let state =
        open_path(state_dir, flags, Mode::empty()).map_err(start("open the state directory"))?;
    match mkdirat(&state, "tenants", Mode::S_IRWXU) {
        Ok(()) | Err(Errno::EEXIST) => {}
        Err(err) => return Err(start("make the directory of tenants")(err)),
    }
    let tenants = openat(&state, "tenants", flags, Mode::empty())
        .map_err(start("open the directory of tenants"))?;
    let stat = fstat(&tenants).map_err(start("look at the directory of tenants"))?;
    if (stat.st_uid, stat.st_gid) != (geteuid().as_raw(), getegid().as_raw()) {
        return Err(Error::Unusable {
            reason: format!("the directory of tenants belongs to uid {}", stat.st_uid),
        });
    }
    fchmod(&tenants, Mode::S_IRWXU).map_err(start("close the directory of tenants"))?;
    match sys::lock(&tenants) {
        Ok(()) => Ok(tenants),
        Err(Errno::EWOULDBLOCK) => Err(Error::Unusable {
            reason: "another gateway runs on this state directory".to_owned(),
        }),
        Err(err) => Err(start("lock the directory of tenants")(err)),
    }
}

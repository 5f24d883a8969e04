//! Everything the launcher uses, opened by descriptor before the supervisor exists. Nothing of the
//! host is looked up by name afterwards but the five devices, whose numbers are checked each time.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, SealFlag, fcntl, open as open_path, openat};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::stat::{Mode, fchmod, fstat, mkdirat};
use nix::unistd::{getegid, geteuid};

use super::{Options, start};
use crate::cgroup::Cgroups;
use crate::disk::{self, Disks};
use crate::host::{self, HostReport};
use crate::ids::{self, Ids};
use crate::{Error, Step, privilege, steps, sys};

/// A worker binary is a few megabytes; a larger file is something else.
const BINARY_MAX: u64 = 512 << 20;
/// The type of file system that `/proc` must be.
const PROC_SUPER_MAGIC: i64 = 0x9fa0;

/// The launcher's means.
#[derive(Debug)]
pub(super) struct Resources {
    pub(super) mode: host::Mode,
    pub(super) ids: Ids,
    pub(super) steps: &'static [Step],
    /// The sealed copy of the worker binary.
    pub(super) binary: OwnedFd,
    pub(super) proc: OwnedFd,
    pub(super) cgroups: Cgroups,
    pub(super) disks: Disks,
    pub(super) report: HostReport,
}

/// Opens everything.
pub(super) fn open(options: &Options) -> Result<Resources, Error> {
    let mode = privilege::mode(options.uid_base)?;
    let ids = ids::claim(&options.state_dir, options.uid_base, mode)?;
    raise_descriptors().map_err(start("raise the limit on descriptors"))?;
    let proc = proc()?;
    for (name, number) in steps::DEVICES {
        drop(steps::device(name, number).map_err(start("open the devices"))?);
    }
    let (binary, digest) = binary(&options.worker)?;
    let tenants = tenants(&options.state_dir)?;
    let formatter = if mode == host::Mode::Root && disk::images_are_possible() {
        disk::find_formatter()
    } else {
        None
    };
    let disks = Disks::open(tenants, mode, ids.base, formatter);
    let cgroups = Cgroups::open();
    let inode = fstat(&binary).map_err(start("look at the worker binary"))?.st_ino;
    let report = host::report(&host::Seen {
        mode,
        uid_base: ids.base,
        cgroup: cgroups.layout(),
        cgroup_reason: cgroups.reason(),
        disk: disks.kind(),
        binary: Some((digest, inode)),
    });
    Ok(Resources { mode, ids, steps: options.steps, binary, proc, cgroups, disks, report })
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
    let copy = sealed(&bytes).map_err(failed)?;
    let digest = ring::digest::digest(&ring::digest::SHA256, &bytes);
    let mut hex = String::new();
    for byte in digest.as_ref() {
        write!(hex, "{byte:02x}").map_err(|err| failed(io::Error::other(err)))?;
    }
    Ok((copy, hex))
}

fn sealed(bytes: &[u8]) -> io::Result<OwnedFd> {
    let flags = MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING;
    // Kernels before 6.3 do not know the flag that asks for an executable one, and need none.
    let executable = MFdFlags::from_bits_retain(libc::MFD_EXEC);
    let name = c"openclawmu-worker";
    let fd = match memfd_create(name, flags | executable) {
        Err(Errno::EINVAL) => memfd_create(name, flags)?,
        fd => fd?,
    };
    let file = File::from(fd);
    file.write_all_at(bytes, 0)?;
    fchmod(&file, Mode::from_bits_truncate(0o111))?;
    let seals = SealFlag::F_SEAL_WRITE
        | SealFlag::F_SEAL_SHRINK
        | SealFlag::F_SEAL_GROW
        | SealFlag::F_SEAL_SEAL;
    fcntl(file.as_fd(), FcntlArg::F_ADD_SEALS(seals))?;
    Ok(file.into())
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

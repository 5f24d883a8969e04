//! Making a tenant's image: a sparse file, formatted by the host's mke2fs under an id that can
//! reach nothing but that file. The result is taken as it is only when mke2fs says success.

use std::ffi::CString;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::Path;
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, RenameFlags, openat, renameat2};
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::stat::{Mode, fchmod, fstat};
use nix::unistd::{
    Gid, Uid, UnlinkatFlags, execveat, fchown, fsync, ftruncate, setgroups, setresgid, setresuid,
    unlinkat,
};

use super::{Owner, failed, image};
use crate::sys::{self, End, Side};
use crate::{Error, fds};

/// Where Debian and the other distributions keep it; nothing else is searched.
const PATHS: [&str; 3] = ["/usr/sbin/mke2fs", "/sbin/mke2fs", "/usr/bin/mke2fs"];
/// Formatting takes milliseconds, for the file is sparse.
const DEADLINE: Duration = Duration::from_mins(1);
/// One inode for each this many bytes, as mke2fs has it by default.
const BYTES_PER_INODE: u64 = 16 << 10;
/// A small disk still holds a tenant's folders; a large one does not drown in inode tables.
const INODES: (u64, u64) = (2048, 1 << 20);
/// Percent of the disk that tools cannot fill, so that the worker goes on writing its journal.
const RESERVED: &str = "5";
/// The formatter's own memory, in bytes.
const MEMORY_MAX: u64 = 1 << 30;

/// The host's formatter, opened once.
pub(crate) fn find() -> Option<OwnedFd> {
    let flags = OFlag::O_PATH | OFlag::O_CLOEXEC;
    PATHS.iter().find_map(|path| nix::fcntl::open(Path::new(path), flags, Mode::empty()).ok())
}

/// Makes the tenant's image where there is none yet.
pub(super) fn ensure(
    tenants: &OwnedFd,
    tenant: &str,
    formatter: &OwnedFd,
    owner: Owner,
    max: u64,
) -> Result<(), Error> {
    let name = image::name(tenant);
    let flags = OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    match openat(tenants, name.as_str(), flags, Mode::empty()) {
        Ok(_exists) => return Ok(()),
        Err(Errno::ENOENT) => {}
        Err(err) => return Err(failed("look for the tenant's disk", err)),
    }
    let draft = format!("{name}.new");
    let made = make(tenants, &draft, formatter, owner, max / image::BLOCK * image::BLOCK);
    let made = made.and_then(|()| {
        let flags = RenameFlags::RENAME_NOREPLACE;
        renameat2(tenants, draft.as_str(), tenants, name.as_str(), flags)
    });
    made.map_err(|err| failed("make the tenant's disk", err))
}

fn make(
    tenants: &OwnedFd,
    draft: &str,
    formatter: &OwnedFd,
    owner: Owner,
    size: u64,
) -> nix::Result<()> {
    match unlinkat(tenants, draft, UnlinkatFlags::NoRemoveDir) {
        Ok(()) | Err(Errno::ENOENT) => {}
        Err(err) => return Err(err),
    }
    let flags = OFlag::O_RDWR | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_CLOEXEC;
    let file = openat(tenants, draft, flags, Mode::S_IRUSR | Mode::S_IWUSR)?;
    let length = libc::off_t::try_from(size).map_err(|_range| Errno::EFBIG)?;
    ftruncate(&file, length)?;
    fchown(&file, Some(owner.tools), Some(owner.gid))?;
    run(formatter, &file, owner, size)?;
    fchown(&file, Some(Uid::from_raw(0)), Some(Gid::from_raw(0)))?;
    fchmod(&file, Mode::S_IRUSR | Mode::S_IWUSR)?;
    if fstat(&file)?.st_size != length {
        return Err(Errno::EIO);
    }
    fsync(&file)
}

fn run(formatter: &OwnedFd, file: &OwnedFd, owner: Owner, size: u64) -> nix::Result<()> {
    let arguments = arguments(owner, size)?;
    match sys::clone3(0)? {
        Side::Child => {
            let failed = child(formatter, file, owner, &arguments);
            sys::end(if failed.is_err() { 126 } else { 127 })
        }
        Side::Parent(child) => {
            if !fds::readable(&child.pidfd, DEADLINE)? {
                sys::kill(&child.pidfd, libc::SIGKILL)?;
            }
            match sys::reap(&child.pidfd)? {
                End::Exited(0) => Ok(()),
                End::Exited(126) => Err(Errno::ENOEXEC),
                End::Exited(_) | End::Signaled(_) => Err(Errno::EIO),
            }
        }
    }
}

fn arguments(owner: Owner, size: u64) -> nix::Result<Vec<CString>> {
    let inodes = (size / BYTES_PER_INODE).clamp(INODES.0, INODES.1);
    let extended = format!(
        "lazy_itable_init=1,lazy_journal_init=1,nodiscard,root_owner={}:{}",
        owner.uid, owner.gid
    );
    let (block, inodes) = (image::BLOCK.to_string(), inodes.to_string());
    [
        "mke2fs",
        "-q",
        "-F",
        "-t",
        "ext4",
        "-b",
        &block,
        "-m",
        RESERVED,
        "-N",
        &inodes,
        "-J",
        "size=4",
        "-E",
        &extended,
        "/proc/self/fd/3",
    ]
    .into_iter()
    .map(|argument| CString::new(argument).map_err(|_nul| Errno::EINVAL))
    .collect()
}

/// Never returns but with the error that kept it from becoming the formatter.
fn child(
    formatter: &OwnedFd,
    file: &OwnedFd,
    owner: Owner,
    arguments: &[CString],
) -> nix::Result<std::convert::Infallible> {
    let (formatter, file) = (fds::lifted(formatter)?, fds::lifted(file)?);
    let null = fds::lifted(nix::fcntl::open("/dev/null", OFlag::O_RDWR, Mode::empty())?)?;
    for at in 0..3 {
        fds::place(&null, at)?;
    }
    fds::place(&file, 3)?;
    fds::close_all_but(4, &[formatter.as_fd()])?;
    sys::reset_signals()?;
    nix::sys::prctl::set_pdeathsig(nix::sys::signal::Signal::SIGKILL)?;
    for (resource, max) in [
        (Resource::RLIMIT_CPU, DEADLINE.as_secs()),
        (Resource::RLIMIT_AS, MEMORY_MAX),
        (Resource::RLIMIT_CORE, 0),
        (Resource::RLIMIT_NOFILE, 64),
    ] {
        setrlimit(resource, max, max)?;
    }
    setgroups(&[])?;
    setresgid(owner.gid, owner.gid, owner.gid)?;
    setresuid(owner.tools, owner.tools, owner.tools)?;
    nix::sys::prctl::set_no_new_privs()?;
    execveat::<_, _, CString>(&formatter, c"", arguments, &[], AtFlags::AT_EMPTY_PATH)
}

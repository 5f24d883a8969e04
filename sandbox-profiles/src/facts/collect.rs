//! Reads the facts out of `/proc`, once through, into bounded texts. Run by the launcher, which may
//! look into every worker.
#![expect(unsafe_code, reason = "statx and NS_GET_USERNS have no safe wrapper")]

use std::collections::BTreeMap;
use std::ffi::{CStr, CString};
use std::fmt::Write as _;
use std::io;
use std::os::fd::{AsFd, AsRawFd as _, FromRawFd as _, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat, readlinkat};
use nix::sys::stat::{Mode, fstat, fstatat};

use super::{Descriptor, Listing, NAMESPACES, Namespace, RawFacts};
use crate::Error;

/// The longest text read of one file: a worker's status and mounts are a quarter of it.
const TEXT_MAX: usize = 8192;
/// The longest link kept of one descriptor.
const LINK_MAX: usize = 256;
/// `NS_GET_USERNS`, `_IO(0xb7, 1)`.
const NS_GET_USERNS: libc::Ioctl = 0xb701;

/// Looks at the process `pid`. The caller must hold the process unreaped, so that the number means
/// the same process throughout; the cgroup limits are left empty for it to fill in.
///
/// # Errors
/// When a file cannot be read or is longer than any worker's can be.
pub fn collect(pid: u32) -> Result<RawFacts, Error> {
    let process = Process::open(pid)?;
    let (descriptors, listing) = process.descriptors()?;
    let (executable, executable_inode) = process.executable()?;
    Ok(RawFacts {
        pid,
        status: process.text("status")?,
        uid_map: process.text("uid_map")?,
        gid_map: process.text("gid_map")?,
        setgroups: process.text("setgroups")?,
        mountinfo: process.text("mountinfo")?,
        limits: process.text("limits")?,
        cgroup: process.text("cgroup")?,
        oom_score_adj: process.text("oom_score_adj")?,
        net_dev: process.text("net/dev")?,
        sockstat: process.text("net/sockstat")?,
        namespaces: process.namespaces()?,
        descriptors,
        listing,
        executable,
        executable_inode,
        owner: process.owner()?,
        places: [process.link("root")?, process.link("cwd")?],
        tenant_owner: process.tenant_owner()?,
        leaf: String::new(),
        memory_max: String::new(),
        pids_max: String::new(),
        cpu_max: String::new(),
    })
}

/// The proportional set size of the process in bytes: private memory and its share of the rest.
/// Slower than [`collect`], for the kernel walks every page table.
///
/// # Errors
/// When the file cannot be read or has not the documented form.
pub fn pss(pid: u32) -> Result<u64, Error> {
    const FILE: &str = "smaps_rollup";
    let text = Process::open(pid)?.text(FILE)?;
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:"));
    let kilobytes = line.and_then(|rest| rest.trim().strip_suffix(" kB"));
    let bytes = kilobytes.and_then(|it| it.parse::<u64>().ok()).and_then(|it| it.checked_mul(1024));
    bytes.ok_or(Error::Malformed { what: FILE })
}

struct Process {
    pid: u32,
    folder: OwnedFd,
}

impl Process {
    fn open(pid: u32) -> Result<Self, Error> {
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let folder = nix::fcntl::open(format!("/proc/{pid}").as_str(), flags, Mode::empty());
        let folder = folder.map_err(|err| Error::Facts { pid, what: ".", source: err.into() })?;
        Ok(Self { pid, folder })
    }

    fn failed(&self, what: &'static str, source: impl Into<io::Error>) -> Error {
        Error::Facts { pid: self.pid, what, source: source.into() }
    }

    fn file(&self, path: &str, flags: OFlag) -> Result<OwnedFd, Errno> {
        openat(&self.folder, path, flags | OFlag::O_CLOEXEC, Mode::empty())
    }

    /// One buffer and no question about its size: the kernel writes most of these files anew for
    /// each look at them.
    fn text(&self, what: &'static str) -> Result<String, Error> {
        let file = self.file(what, OFlag::O_RDONLY).map_err(|err| self.failed(what, err))?;
        let mut text = vec![0; TEXT_MAX];
        let mut length = 0;
        while let Some(room) = text.get_mut(length..).filter(|room| !room.is_empty()) {
            match nix::unistd::read(&file, room) {
                Ok(0) => {
                    text.truncate(length);
                    return String::from_utf8(text).map_err(|err| {
                        self.failed(what, io::Error::new(io::ErrorKind::InvalidData, err))
                    });
                }
                Ok(more) => length += more,
                Err(err) => return Err(self.failed(what, err)),
            }
        }
        Err(Error::Malformed { what })
    }

    fn link(&self, what: &'static str) -> Result<String, Error> {
        link(&self.folder, what).map_err(|err| self.failed(what, err))
    }

    fn executable(&self) -> Result<(String, u64), Error> {
        const WHAT: &str = "exe";
        let stat = fstatat(&self.folder, WHAT, AtFlags::empty());
        Ok((self.link(WHAT)?, stat.map_err(|err| self.failed(WHAT, err))?.st_ino))
    }

    /// The kernel gives the files of a process that may not be dumped to root.
    fn owner(&self) -> Result<u32, Error> {
        let stat = fstatat(&self.folder, "status", AtFlags::empty());
        Ok(stat.map_err(|err| self.failed("status", err))?.st_uid)
    }

    fn namespaces(&self) -> Result<BTreeMap<String, Namespace>, Error> {
        let named = |name: &'static str| {
            let found = self.namespace(&format!("ns/{name}"));
            found.map(|it| (name.to_owned(), it)).map_err(|err| self.failed(name, err))
        };
        NAMESPACES.into_iter().map(named).collect()
    }

    fn namespace(&self, path: &str) -> Result<Namespace, Errno> {
        let namespace = self.file(path, OFlag::O_RDONLY)?;
        // SAFETY: the request takes no argument and gives a new descriptor or an error.
        let owner = unsafe { libc::ioctl(namespace.as_raw_fd(), NS_GET_USERNS) };
        let owner = match Errno::result(owner) {
            // SAFETY: the kernel just made this descriptor and nobody else owns it.
            Ok(owner) => fstat(unsafe { OwnedFd::from_raw_fd(owner) })?.st_ino,
            // The caller's own user namespace: its owner is out of the caller's sight.
            Err(Errno::EPERM) => 0,
            Err(err) => return Err(err),
        };
        Ok(Namespace { inode: fstat(&namespace)?.st_ino, owner })
    }

    fn descriptors(&self) -> Result<(Vec<Descriptor>, Listing), Error> {
        const WHAT: &str = "fd";
        let folder = match self.file(WHAT, OFlag::O_RDONLY | OFlag::O_DIRECTORY) {
            Ok(folder) => folder,
            Err(Errno::EACCES) => return Ok((Vec::new(), Listing::Hidden)),
            Err(err) => return Err(self.failed(WHAT, err)),
        };
        let mut numbers = self.numbers(&folder)?;
        numbers.sort_unstable();
        let cut = numbers.len() > RawFacts::DESCRIPTORS_MAX;
        let listing = if cut { Listing::Cut } else { Listing::Complete };
        numbers.truncate(RawFacts::DESCRIPTORS_MAX);
        let mut all = Vec::with_capacity(numbers.len());
        let mut name = String::new();
        for fd in numbers {
            name.clear();
            write!(name, "{fd}").map_err(|err| self.failed(WHAT, io::Error::other(err)))?;
            match descriptor(&folder, fd, &name) {
                Ok(descriptor) => all.push(descriptor),
                // Closed since the list was read: a running worker opens and closes files.
                Err(Errno::ENOENT) => {}
                Err(err) => return Err(self.failed(WHAT, err)),
            }
        }
        Ok((all, listing))
    }

    fn numbers(&self, folder: &OwnedFd) -> Result<Vec<u32>, Error> {
        let again = folder.try_clone().map_err(|err| self.failed("fd", err))?;
        let mut entries = nix::dir::Dir::from_fd(again).map_err(|err| self.failed("fd", err))?;
        let mut numbers = Vec::new();
        for entry in entries.iter().take(RawFacts::DESCRIPTORS_MAX + 3) {
            let entry = entry.map_err(|err| self.failed("fd", err))?;
            let name = entry.file_name();
            if name != c"." && name != c".." {
                numbers.push(number(name).ok_or(Error::Malformed { what: "fd" })?);
            }
        }
        Ok(numbers)
    }

    /// Looked up through the process's own root without following a link: the root was never
    /// written by a tenant, and still nothing here depends on that.
    fn tenant_owner(&self) -> Result<Option<[u32; 2]>, Error> {
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY;
        let root = self.file("root", flags).map_err(|err| self.failed("root", err))?;
        match fstatat(&root, "tenant", AtFlags::AT_SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some([stat.st_uid, stat.st_gid])),
            Err(Errno::ENOENT) => Ok(None),
            Err(err) => Err(self.failed("root", err)),
        }
    }
}

fn number(name: &CStr) -> Option<u32> {
    name.to_str().ok()?.parse().ok()
}

fn link(folder: impl AsFd, path: &str) -> Result<String, Errno> {
    let mut text = readlinkat(folder, path)?.to_string_lossy().into_owned();
    let end = text.floor_char_boundary(LINK_MAX);
    text.truncate(end);
    Ok(text)
}

/// Only what has a path has a mode and a mount that tell anything.
fn descriptor(folder: &OwnedFd, fd: u32, name: &str) -> Result<Descriptor, Errno> {
    let link = link(folder, name)?;
    if !link.starts_with('/') {
        return Ok(Descriptor { fd, link, mode: 0, device: [0, 0], mount: 0 });
    }
    let stat = statx(folder, name)?;
    Ok(Descriptor {
        fd,
        link,
        mode: u32::from(stat.stx_mode),
        device: [stat.stx_rdev_major, stat.stx_rdev_minor],
        mount: stat.stx_mnt_id,
    })
}

fn statx(folder: &OwnedFd, name: &str) -> Result<libc::statx, Errno> {
    let name = CString::new(name).map_err(io::Error::from);
    let name = name.map_err(|err| Errno::from_raw(err.raw_os_error().unwrap_or(libc::EINVAL)))?;
    let mut stat = std::mem::MaybeUninit::<libc::statx>::zeroed();
    let mask = libc::STATX_TYPE | libc::STATX_MODE | libc::STATX_MNT_ID;
    // SAFETY: the name ends in NUL and the buffer is one statx.
    let result = unsafe {
        libc::statx(
            folder.as_raw_fd(),
            name.as_ptr(),
            libc::AT_NO_AUTOMOUNT,
            mask,
            stat.as_mut_ptr(),
        )
    };
    Errno::result(result)?;
    // SAFETY: all zeros is a valid statx, and the kernel has filled in the rest.
    Ok(unsafe { stat.assume_init() })
}

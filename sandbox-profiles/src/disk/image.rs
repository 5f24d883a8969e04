//! A file as a disk: attached to a free loop device that goes away with its mount, and mounted on
//! the tenant's directory. It does not make file systems.

use std::ffi::{CStr, CString};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{OFlag, openat};
use nix::mount::{MntFlags, umount2};
use nix::sys::stat::{Mode, SFlag, fstat, major, minor};
use nix::unistd::Uid;

use super::failed;
use crate::Error;
use crate::cgroup::Pace;
use crate::sys::{ioctl_int, ioctl_words, mounts};

const LOOP_CONFIGURE: libc::Ioctl = 0x4C0A;
const LOOP_CTL_GET_FREE: libc::Ioctl = 0x4C82;
const LOOP_MAJOR: u64 = 7;
const LO_FLAGS_AUTOCLEAR: u64 = 4;
/// Past the page cache of the file below, which would hold everything a second time. Where the
/// file system below cannot, the kernel leaves it.
const LO_FLAGS_DIRECT_IO: u64 = 16;
/// The block size of the file systems made here, in bytes.
pub(super) const BLOCK: u64 = 4096;
/// Another process can take the device between asking for a free one and configuring it.
const ATTEMPTS: u32 = 16;
/// How often a busy disk is tried before it is detached from the tree and left to end by itself.
const UNMOUNT_ATTEMPTS: u32 = 20;

/// The file that holds the tenant's disk. A tenant id has no dot, so it is nobody's directory.
pub(super) fn name(tenant: &str) -> String {
    format!("{tenant}.img")
}

/// How often, and how far apart, a disk that an ended gateway still holds is tried for.
const OWN_ATTEMPTS: usize = 100;
const OWN_PAUSE: std::time::Duration = std::time::Duration::from_millis(20);

/// Whether this process may use loop devices.
pub(crate) fn is_possible() -> bool {
    control().is_ok()
}

/// Mounts the tenant's image on its directory, at a pace if there is one. What is reserved of the disk is
/// for `worker`.
pub(super) fn attach(
    tenants: &OwnedFd,
    tenant: &str,
    below: &OwnedFd,
    worker: Uid,
    pace: Option<&Pace>,
) -> Result<(), Error> {
    let flags = OFlag::O_RDWR | OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW;
    let image = openat(tenants, name(tenant).as_str(), flags, Mode::empty())
        .map_err(|err| failed("open the tenant's disk", err))?;
    own(&image).map_err(|err| failed("own the tenant's disk", err))?;
    let (device, path) = loop_device(&image).map_err(|err| failed("attach a loop device", err))?;
    let Some(pace) = pace else { return mount(device, &path, below, worker) };
    let numbers = fstat(&device).map(|stat| numbers(stat.st_rdev));
    let numbers = numbers.map_err(|err| failed("look at a loop device", err))?;
    let kept = pace.keep(&numbers);
    let mounted = kept
        .map_err(|err| failed("bound the pace of the tenant's disk", err))
        .and_then(|()| mount(device, &path, below, worker));
    if mounted.is_err() {
        pace.lift(&numbers);
    }
    mounted
}

/// Mounts a device that ends with its mount.
fn mount(device: OwnedFd, path: &CStr, below: &OwnedFd, worker: Uid) -> Result<(), Error> {
    let worker = CString::new(worker.to_string())
        .map_err(|_nul| failed("name the worker", Errno::EINVAL))?;
    let options = [
        (c"source", Some(path)),
        (c"resuid", Some(worker.as_c_str())),
        (c"errors", Some(c"remount-ro")),
        // The file is fresh and sparse: its inode tables read as zero already.
        (c"noinit_itable", None),
    ];
    let mount = mounts::make(c"ext4", &options, mounts::INERT)
        .map_err(|err| failed("mount the tenant's disk", err))?;
    // From here the mount holds the device, and with its end the device is free again.
    drop(device);
    mounts::attach(&mount, below, c"").map_err(|err| failed("attach the tenant's disk", err))
}

/// A device as control groups name it.
fn numbers(device: libc::dev_t) -> String {
    format!("{}:{}", major(device), minor(device))
}

/// Locks the image for as long as it is mounted: the loop device keeps this very open file. After a
/// crash the mount of before can outlive its gateway for a moment, and a disk that is mounted twice
/// is a disk that is lost.
#[expect(clippy::disallowed_methods, reason = "the launcher has one thread and no runtime")]
fn own(image: &OwnedFd) -> nix::Result<()> {
    for _ in 0..OWN_ATTEMPTS {
        match crate::sys::lock(image) {
            Err(Errno::EAGAIN) => std::thread::sleep(OWN_PAUSE),
            result => return result,
        }
    }
    Err(Errno::EBUSY)
}

fn loop_device(image: &OwnedFd) -> nix::Result<(OwnedFd, CString)> {
    let control = control()?;
    for _ in 0..ATTEMPTS {
        let number = ioctl_int(&control, LOOP_CTL_GET_FREE, 0)?;
        let path = format!("/dev/loop{number}");
        let device = device(Path::new(&path))?;
        match configure(&device, image) {
            Err(Errno::EBUSY) => {}
            result => {
                result?;
                let path = CString::new(path).map_err(|_nul| Errno::EINVAL)?;
                return Ok((device, path));
            }
        }
    }
    Err(Errno::EBUSY)
}

fn configure(device: &OwnedFd, image: &OwnedFd) -> nix::Result<()> {
    // struct loop_config as words: descriptor and block size, then loop_info64 whose eighth word
    // holds the flags in its upper half, then reserved words.
    let mut config = [0_u64; 38];
    let fd = u64::from(image.as_raw_fd().cast_unsigned());
    config[0] = fd | BLOCK << 32;
    config[7] = (LO_FLAGS_AUTOCLEAR | LO_FLAGS_DIRECT_IO) << 32;
    ioctl_words(device, LOOP_CONFIGURE, &mut config).map(drop)
}

fn control() -> nix::Result<OwnedFd> {
    let flags = OFlag::O_RDWR | OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW;
    nix::fcntl::open("/dev/loop-control", flags, Mode::empty())
}

fn device(path: &Path) -> nix::Result<OwnedFd> {
    let flags = OFlag::O_RDWR | OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW;
    let device = nix::fcntl::open(path, flags, Mode::empty())?;
    let stat = fstat(&device)?;
    let kind = SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT;
    if kind == SFlag::S_IFBLK && major(stat.st_rdev) == LOOP_MAJOR {
        Ok(device)
    } else {
        Err(Errno::ENOTBLK)
    }
}

/// Unmounts everything that is mounted on the tenant's directory. The launcher stands in the
/// directory of roots, which nobody else can enter, so the name is safe.
pub(super) fn unmount(tenants: &OwnedFd, tenant: &str, pace: &Pace) -> nix::Result<()> {
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    for attempt in 0..=UNMOUNT_ATTEMPTS {
        let directory = match openat(tenants, tenant, flags, Mode::empty()) {
            Err(Errno::ENOENT) => return Ok(()),
            directory => directory?,
        };
        if !mounts::is_mount_root(&directory)? {
            return Ok(());
        }
        let device = fstat(&directory)?.st_dev;
        drop(directory);
        // Before, because afterwards the device can be another gateway's.
        let paced = (major(device) == LOOP_MAJOR).then(|| numbers(device));
        if let Some(numbers) = &paced {
            pace.lift(numbers);
        }
        let path = format!("/proc/self/fd/{}/{tenant}", tenants.as_raw_fd());
        let last = attempt == UNMOUNT_ATTEMPTS;
        let lazily = if last { MntFlags::MNT_DETACH } else { MntFlags::empty() };
        match umount2(path.as_str(), lazily | MntFlags::UMOUNT_NOFOLLOW) {
            Ok(()) if !last => {}
            // What still uses it goes on writing.
            Ok(()) | Err(Errno::EBUSY) => {
                if let Some(numbers) = &paced {
                    pace.keep(numbers)?;
                }
            }
            Err(err) => return Err(err),
        }
    }
    Ok(())
}

/// Unmounts every disk; one that cannot be is left for the next start.
pub(super) fn unmount_all(tenants: &OwnedFd, pace: &Pace) {
    let path = format!("/proc/self/fd/{}", tenants.as_raw_fd());
    let Ok(entries) = std::fs::read_dir(path) else { return };
    for name in entries.filter_map(Result::ok).filter_map(|it| it.file_name().into_string().ok()) {
        if let Err(err) = unmount(tenants, &name, pace)
            && err != Errno::ENOTDIR
        {
            crate::process::complain(&format!("the disk of {name} stays mounted: {err}"));
        }
    }
}

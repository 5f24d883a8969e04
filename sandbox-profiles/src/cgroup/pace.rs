//! How fast tenants' disks are written.
//!
//! What programs write reaches their disk later, by threads of the kernel's. Version 2 charges it to the
//! group of who wrote it, so the group of programs bounds it. Version 1 has those threads in the root of
//! its hierarchy; what is bounded there is the tenant's loop device alone, which nobody else uses, and
//! the same in the launcher's own group, which is charged for what is written through at once.

use std::fs;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{OFlag, open as open_path};
use nix::sys::stat::Mode;
use nix::sys::uio::pwrite;

use super::{Cgroups, Layout, files, place};

/// Bytes that a tenant's disk takes in a second. More is written faster than a core of the kernel's
/// threads can carry beside the gateway's own work.
const BYTES: u64 = 64 << 20;
/// Pieces that it takes in a second, so that small ones cost no more.
const PIECES: u64 = 2000;
/// Bytes that may wait in memory for one disk: a quarter of a second of its pace, beyond which who writes
/// waits, instead of all who write to that disk at its end.
const WAITING: u64 = BYTES / 4;
/// Where the kernel tells how much may wait for each device.
const WAITING_FOR: &str = "/sys/devices/virtual/bdi";
/// Only the root of a hierarchy of version 1 has it, and the root as a container sees it has not.
const ONLY_ROOT: &str = "release_agent";

/// One control file that bounds devices.
#[derive(Debug)]
struct Knob {
    file: OwnedFd,
    path: PathBuf,
    /// What follows the device's number to bound it, and to bound it no more.
    bounded: String,
    free: &'static str,
}

impl Knob {
    fn open(path: PathBuf, bounded: String, free: &'static str) -> nix::Result<Self> {
        let flags = OFlag::O_WRONLY | OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW;
        let file = open_path(&path, flags, Mode::empty())?;
        Ok(Self { file, path, bounded, free })
    }

    fn write(&self, device: &str, limit: &str) -> nix::Result<()> {
        let line = format!("{device} {limit}");
        // Each write is a line of its own, wherever the file's end was.
        if pwrite(&self.file, line.as_bytes(), 0)? == line.len() { Ok(()) } else { Err(Errno::EIO) }
    }
}

/// What bounds the pace of disks.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    knobs: Vec<Knob>,
    waiting: Option<OwnedFd>,
}

impl Pace {
    /// None, where the host has no means.
    pub(crate) fn open(cgroups: &Cgroups) -> Self {
        let knobs = match cgroups.layout {
            Layout::V2 => of_programs(cgroups),
            Layout::Hybrid => of_root().unwrap_or_default(),
            Layout::None => Vec::new(),
        };
        sweep(&knobs, Path::new("/sys/block"));
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let waiting = open_path(WAITING_FOR, flags, Mode::empty()).ok();
        Self { knobs, waiting }
    }

    /// Whether there is any.
    pub(crate) fn is_kept(&self) -> bool {
        !self.knobs.is_empty()
    }

    /// Bounds a device, named by its two numbers as in `7:3`.
    pub(crate) fn keep(&self, device: &str) -> nix::Result<()> {
        for knob in &self.knobs {
            knob.write(device, &knob.bounded)?;
        }
        if self.is_kept() {
            self.wait(device, [("strict_limit", "1"), ("max_bytes", &WAITING.to_string())]);
        }
        Ok(())
    }

    /// Bounds a device no more; before it can be anyone else's.
    pub(crate) fn lift(&self, device: &str) {
        for knob in &self.knobs {
            let _gone = knob.write(device, knob.free);
        }
        if self.is_kept() {
            self.wait(device, [("strict_limit", "0"), ("max_ratio", "100")]);
        }
    }

    /// Kernels before 6.2 have no such files; there the pace is kept all the same.
    fn wait(&self, device: &str, values: [(&str, &str); 2]) {
        for (file, value) in values {
            let _old = self.waiting.as_ref().map(|all| files::write(all, device, file, value));
        }
    }
}

/// Whether a launcher started here could keep a pace.
pub(crate) fn is_possible() -> bool {
    let has_io = |place: &place::Place| {
        let controllers = fs::read_to_string(place.path.join("cgroup.controllers"));
        place.v2 && controllers.is_ok_and(|list| list.split_whitespace().any(|it| it == "io"))
    };
    match super::foresee().0 {
        Layout::V2 => place::find().is_ok_and(|places| places.iter().any(has_io)),
        Layout::Hybrid => of_root().is_ok_and(|knobs| !knobs.is_empty()),
        Layout::None => false,
    }
}

fn of_programs(cgroups: &Cgroups) -> Vec<Knob> {
    let bounded = format!("wbps={BYTES} wiops={PIECES}");
    let path = |hierarchy: &super::Hierarchy| {
        let name = super::setup::name(nix::unistd::getpid(), super::Group::Programs);
        hierarchy.place.path.join(name).join("io.max")
    };
    let open = |path| Knob::open(path, bounded.clone(), "wbps=max wiops=max").ok();
    cgroups.hierarchies.iter().map(path).filter_map(open).collect()
}

fn of_root() -> std::io::Result<Vec<Knob>> {
    let groups = place::of_version_1("blkio")?;
    if !groups.iter().any(|group| group.join(ONLY_ROOT).exists()) {
        return Ok(Vec::new());
    }
    let files =
        [("blkio.throttle.write_bps_device", BYTES), ("blkio.throttle.write_iops_device", PIECES)];
    let mut knobs = Vec::new();
    for group in groups {
        for (file, limit) in files {
            knobs.push(Knob::open(group.join(file), limit.to_string(), "0")?);
        }
    }
    Ok(knobs)
}

/// Frees the devices that a killed launcher bounded and that nobody uses now.
fn sweep(knobs: &[Knob], block: &Path) {
    for knob in knobs {
        let lines = fs::read_to_string(&knob.path).unwrap_or_default();
        for (device, limit) in lines.lines().filter_map(|line| line.split_once(' ')) {
            let Some(number) = device.strip_prefix("7:") else { continue };
            if limit != knob.bounded {
                continue;
            }
            let is_used = || block.join(format!("loop{number}/loop")).exists();
            if !is_used() {
                let _gone = knob.write(device, knob.free);
                // Another launcher can have taken and bounded it in between.
                let _bounded = is_used().then(|| knob.write(device, &knob.bounded));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A control file that is an ordinary one: what is written last is what it holds.
    fn knob(folder: &Path) -> Knob {
        let path = folder.join("knob");
        fs::write(&path, "").unwrap();
        Knob::open(path, "64".to_owned(), "0").unwrap()
    }

    #[test]
    fn a_pace_is_kept_and_lifted_by_the_device_s_numbers() {
        let folder = tempfile::tempdir().unwrap();
        let pace = Pace { knobs: vec![knob(folder.path())], waiting: None };
        let read = || fs::read_to_string(folder.path().join("knob")).unwrap();
        pace.keep("7:12").unwrap();
        assert_eq!(read(), "7:12 64");
        pace.lift("7:12");
        assert!(read().starts_with("7:12 0"), "{}", read());
        assert!(!Pace::default().is_kept() && pace.is_kept());
    }

    #[test]
    fn what_a_killed_launcher_bounded_is_freed_unless_it_is_used() {
        let check = |line: &str, used: bool, expected: &str| {
            let folder = tempfile::tempdir().unwrap();
            let knob = knob(folder.path());
            if used {
                fs::create_dir_all(folder.path().join("loop3/loop")).unwrap();
            }
            fs::write(&knob.path, line).unwrap();
            sweep(std::slice::from_ref(&knob), folder.path());
            assert_eq!(fs::read_to_string(&knob.path).unwrap(), expected);
        };
        check("7:3 64", false, "7:3 04");
        check("7:3 64", true, "7:3 64");
        // Somebody else's limit, and somebody else's device.
        check("7:3 164", false, "7:3 164");
        check("8:0 64", false, "8:0 64");
    }
}

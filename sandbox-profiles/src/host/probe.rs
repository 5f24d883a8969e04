//! Looking at the host: each guarantee that it cannot give becomes one entry with its reason and
//! a remedy. It changes nothing.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use nix::unistd::{getegid, geteuid};

use super::{Degradation, HostReport, Mode};
use crate::cgroup::{self, Layout};
use crate::disk::{self, Disk};
use crate::{confine, ids, mode};

/// The first level with scopes for signals and abstract sockets.
const LANDLOCK_WANTED: u32 = 6;

/// What the launcher has found while opening its resources.
#[derive(Debug)]
pub(crate) struct Seen<'a> {
    pub(crate) mode: Mode,
    pub(crate) uid_base: u32,
    pub(crate) cgroup: Layout,
    pub(crate) cgroup_reason: Option<&'a str>,
    pub(crate) disk: Disk,
    /// Whether disks are written at a pace.
    pub(crate) is_paced: bool,
    /// Whether tools have an id of their own.
    pub(crate) tool_uids: bool,
    /// Digest and inode of the worker binary's copy.
    pub(crate) binary: Option<(String, u64)>,
}

/// The report of a launcher that has opened its resources.
pub(crate) fn report(seen: &Seen<'_>) -> HostReport {
    let landlock_abi = confine::landlock_abi();
    let user_namespaces = user_namespaces();
    let supervisor = match seen.mode {
        Mode::Root => [seen.uid_base; 2],
        Mode::Rootless => [geteuid().as_raw(), getegid().as_raw()],
    };
    HostReport {
        kernel: kernel(),
        mode: seen.mode,
        cgroup: seen.cgroup,
        disk: seen.disk,
        bwrap: None,
        landlock_abi,
        user_namespaces,
        worker_digest: seen.binary.as_ref().map(|it| it.0.clone()),
        worker_inode: seen.binary.as_ref().map(|it| it.1),
        namespaces: namespaces(),
        supervisor_uid: supervisor[0],
        supervisor_gid: supervisor[1],
        uid_base: seen.uid_base,
        degraded: degraded(seen, landlock_abi, user_namespaces),
    }
}

/// The report of nobody in particular: what a gateway started here would find.
pub(super) fn run(state_dir: &Path) -> HostReport {
    let mode = mode::find(None).unwrap_or(Mode::Rootless);
    let (cgroup, reason) = cgroup::foresee();
    let images =
        mode == Mode::Root && disk::images_are_possible() && disk::find_formatter().is_some();
    let mut report = report(&Seen {
        mode,
        uid_base: ids::FIRST,
        cgroup,
        cgroup_reason: reason.as_deref(),
        disk: if images { Disk::Image } else { Disk::None },
        is_paced: cgroup::pace_is_possible(),
        // What is not on an image is tried when a launcher starts.
        tool_uids: mode == Mode::Root,
        binary: None,
    });
    let owner = fs::metadata(state_dir.join("tenants")).map(|it| it.uid());
    if let Ok(owner) = owner
        && owner != geteuid().as_raw()
    {
        report.degraded.push(Degradation {
            guarantee: "state-directory".to_owned(),
            reason: format!("its directory of tenants belongs to uid {owner}"),
            remedy: "start the gateway as the user who first did".to_owned(),
        });
    }
    report
}

fn kernel() -> String {
    fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim().to_owned()
}

fn namespaces() -> BTreeMap<String, u64> {
    let inode = |name: &str| fs::metadata(format!("/proc/self/ns/{name}")).map(|it| it.ino());
    let names = crate::facts::NAMESPACES.into_iter();
    names.filter_map(|name| Some((name.to_owned(), inode(name).ok()?))).collect()
}

/// Whether an ordinary user may make user namespaces, as far as the kernel's switches tell.
fn user_namespaces() -> bool {
    let number = |path: &str| fs::read_to_string(path).ok()?.trim().parse::<u64>().ok();
    let most = number("/proc/sys/user/max_user_namespaces").unwrap_or(0);
    let debian = number("/proc/sys/kernel/unprivileged_userns_clone").unwrap_or(1);
    let apparmor = number("/proc/sys/kernel/apparmor_restrict_unprivileged_userns").unwrap_or(0);
    most > 0 && debian != 0 && apparmor == 0
}

fn degraded(seen: &Seen<'_>, landlock_abi: u32, user_namespaces: bool) -> Vec<Degradation> {
    let mut all = Vec::new();
    let mut add = |guarantee: &str, reason: &str, remedy: &str| {
        all.push(Degradation {
            guarantee: guarantee.to_owned(),
            reason: reason.to_owned(),
            remedy: remedy.to_owned(),
        });
    };
    if seen.mode == Mode::Rootless {
        for (guarantee, reason) in ROOTLESS {
            add(guarantee, reason, "start the gateway as root; it keeps root in the launcher only");
        }
        if !user_namespaces {
            add(
                "user-namespaces",
                "ordinary users may not make user namespaces here, so no worker can start",
                "set user.max_user_namespaces and lift the AppArmor restriction, or start as root",
            );
        }
    }
    if seen.cgroup == Layout::None {
        add(
            "cgroup-limits",
            seen.cgroup_reason.unwrap_or("there is no cgroup to write to"),
            "start the gateway as a service with Delegate=yes, or as root",
        );
    }
    if seen.disk == Disk::None && seen.mode == Mode::Root {
        add(
            "disk-limit",
            "loop devices or mke2fs are missing",
            "install e2fsprogs and load the loop module",
        );
    }
    if seen.disk == Disk::Image && !seen.is_paced {
        add(
            "disk-pace",
            "no control group bounds what is written to a disk: there is no io controller, or the root of \
             version 1 is not shown here",
            "hand the io controller down, or start the gateway outside of a container",
        );
    }
    if !seen.tool_uids && seen.mode == Mode::Root {
        add(
            "tool-uids",
            "the file system of the state directory cannot show files with other ids, so tools run \
             under their tenant's worker's uid",
            "let disks be images (see disk-limit), or put the state directory on ext4, XFS or btrfs",
        );
    }
    if landlock_abi < LANDLOCK_WANTED {
        add(
            "landlock",
            "the kernel has no Landlock, or none that scopes signals and abstract sockets",
            "run a kernel from 6.12 with landlock among its security modules",
        );
    }
    all
}

/// What is lost without root, whatever the host.
const ROOTLESS: [(&str, &str); 5] = [
    (
        "distinct-uids",
        "the supervisor and all workers have one uid: a worker that left its namespaces could \
         read every tenant",
    ),
    (
        "namespace-owner",
        "a worker's namespaces belong to its own user namespace: seccomp alone keeps it from \
         capabilities over them",
    ),
    (
        "descriptors-seen",
        "the kernel hides the open descriptors of a process without core dumps from all but root, \
         so only the worker itself checks that it has no other than its four",
    ),
    (
        "tool-uids",
        "tools have the worker's uid, so only their namespaces, Landlock and seccomp keep them from \
         what else the tenant has",
    ),
    ("disk-limit", "disks of fixed size cannot be mounted without root"),
];

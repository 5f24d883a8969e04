//! What of the tenant is seen: everything for its worker, two directories for its tools. Nothing
//! here follows a link or trusts a name that a tenant could have made.

use std::ffi::CStr;
use std::os::fd::OwnedFd;

use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, openat2};
use nix::mount::{MntFlags, umount2};
use nix::sys::stat::fstat;
use nix::unistd::{UnlinkatFlags, unlinkat};

use super::{Context, Found, Ordered, What};
use crate::disk::{self, beneath};
use crate::mode::Mode;
use crate::sys::mounts;

/// Where the roots of all tenants are seen until one of them is taken, without root only.
pub(super) const ALL: &str = "tenants";

/// Where what was ordered is mounted, in the order's order.
pub(super) const fn points(what: What) -> &'static [&'static CStr] {
    match what {
        What::Worker => &[c"tenant"],
        What::Sandbox(_) => &[c"workspace", c"home/agent"],
    }
}

/// Tools are programs that the tenant may have written itself; a worker executes nothing.
pub(super) const fn attributes(what: What) -> u64 {
    match what {
        What::Worker => mounts::INERT,
        What::Sandbox(_) => libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NODEV,
    }
}

pub(super) fn mount(context: &mut Context) -> nix::Result<()> {
    let root = context.root()?;
    let order = context.order.as_ref().ok_or(Errno::EINVAL)?;
    for (index, (found, point)) in order.found.iter().zip(points(context.what)).enumerate() {
        let own;
        let tree = if let Some(tree) = order.mounts.get(index) {
            tree
        } else {
            own = seen(root, order, index)?;
            &own
        };
        let stat = fstat(tree)?;
        if (Found { device: stat.st_dev, inode: stat.st_ino }) != *found {
            return Err(Errno::ESTALE);
        }
        mounts::restrict(tree, attributes(context.what))?;
        if order.run.is_some() && context.mode == Mode::Root {
            // The disk's own mount forbids what only tools may do.
            mounts::loosen(tree, libc::MOUNT_ATTR_NOEXEC)?;
        }
        mounts::attach(tree, root, point)?;
    }
    if context.mode == Mode::Rootless {
        umount2("/tenants", MntFlags::MNT_DETACH)?;
        unlinkat(root, ALL, UnlinkatFlags::RemoveDir)?;
    }
    Ok(())
}

/// A detached mount of one of the ordered directories, below the roots of all tenants.
fn seen(root: &OwnedFd, order: &Ordered, index: usize) -> nix::Result<OwnedFd> {
    let how = OpenHow::new()
        .flags(OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC)
        .resolve(beneath());
    let tenant = format!("{ALL}/{}", order.tenant);
    let path = match order.agent.as_deref() {
        None => tenant,
        Some(agent) => {
            let folders = disk::folders(agent);
            format!("{tenant}/{}", folders.get(index).ok_or(Errno::EINVAL)?)
        }
    };
    mounts::clone_tree(openat2(root, path.as_str(), how)?)
}

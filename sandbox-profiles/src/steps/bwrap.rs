//! Bubblewrap's part of a sandbox: namespaces within the launcher's own, around the same init. What
//! it is given was made by the same steps; it is never started with root or any capability.

use std::ffi::CString;
use std::os::fd::RawFd;

use nix::errno::Errno;

use super::Context;
use super::root::host_name_of;
use super::system::masked;
use crate::program::Class;
use crate::record::Run;

/// What init is asked by in its arguments.
pub(crate) const INIT: &str = "openclawmu-init";
/// Where bubblewrap finds init, and where init finds its end of the pair with the launcher. Both
/// come after what init is given in any case.
pub(super) const INIT_AT: RawFd = 5;
pub(super) const SYNC_AT: RawFd = 6;

/// Namespaces of its own; the network is the launcher's, which has one with nothing in it.
const NAMESPACES: [&str; 6] = [
    "--unshare-user",
    "--unshare-pid",
    "--unshare-ipc",
    "--unshare-uts",
    "--unshare-cgroup",
    "--disable-userns",
];

/// The rest of what is the same for every sandbox.
const CONFINEMENT: [&str; 10] = [
    "--uid",
    "1000",
    "--gid",
    "1000",
    "--as-pid-1",
    "--new-session",
    "--die-with-parent",
    "--cap-drop",
    "ALL",
    "--clearenv",
];

/// The root as the steps made it, and what of it may be written.
const ROOT: [&str; 8] = ["--ro-bind", "/", "/", "--dev-bind", "/dev", "/dev", "--proc", "/proc"];
const WRITABLE: [&str; 3] = ["/tmp", "/workspace", "/home/agent"];

/// The words by which init knows what was ordered, and a sandbox by the launcher alone.
pub(super) fn init_arguments(run: Run) -> [&'static str; 3] {
    let class = if run.class == Class::Terminal { "terminal" } else { "command" };
    [INIT, class, if run.egress { "egress" } else { "closed" }]
}

/// Bubblewrap's command line.
pub(super) fn arguments(context: &Context, run: Run) -> nix::Result<Vec<CString>> {
    let mut words: Vec<String> = vec!["bwrap".to_owned()];
    let mut add = |more: &[&str]| words.extend(more.iter().map(|it| (*it).to_owned()));
    add(&NAMESPACES);
    add(&CONFINEMENT);
    add(&["--hostname", host_name_of(context.what)]);
    add(&ROOT);
    for (name, is_directory) in masked(context.root()?)? {
        let point = format!("/proc/{name}");
        if is_directory {
            add(&["--perms", "0555", "--size", "4096", "--tmpfs", &point, "--remount-ro", &point]);
        } else {
            add(&["--ro-bind", "/dev/null", &point]);
        }
    }
    add(&["--remount-ro", "/proc"]);
    for directory in WRITABLE {
        add(&["--bind", directory, directory]);
    }
    add(&["--chdir", "/", "--", &format!("/proc/self/fd/{INIT_AT}")]);
    add(&init_arguments(run));
    add(&[&SYNC_AT.to_string()]);
    words.into_iter().map(|word| CString::new(word).map_err(|_nul| Errno::EINVAL)).collect()
}

#[cfg(test)]
mod tests {
    use super::super::What;
    use super::*;
    use crate::Backend;

    #[test]
    fn init_and_its_pair_are_placed_after_what_is_inherited() {
        let inherited = What::Sandbox(Backend::Bwrap).inherits();
        assert_eq!(usize::try_from(INIT_AT).unwrap(), inherited);
        assert_eq!(SYNC_AT, INIT_AT + 1);
    }

    #[test]
    fn init_is_told_what_was_ordered() {
        let check = |class, egress, words: [&str; 3]| {
            assert_eq!(init_arguments(Run { backend: Backend::Bwrap, class, egress }), words);
        };
        check(Class::Command, false, [INIT, "command", "closed"]);
        check(Class::Terminal, true, [INIT, "terminal", "egress"]);
    }
}

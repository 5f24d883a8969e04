//! What sandboxes of tools can never reach, and what nobody below the launcher can.

use seccompiler::TargetArch;

use super::machine::run;
use super::{call, check, edges, policy};
use crate::profile::Profile;
use crate::profile::compile::number;
use crate::profile::source::Action;

#[test]
fn a_tool_can_never_reach_these() {
    const NEVER: &str = "ptrace process_vm_readv process_vm_writev kcmp pidfd_open pidfd_getfd bpf \
        perf_event_open userfaultfd io_uring_setup io_setup keyctl add_key request_key init_module \
        finit_module kexec_load reboot swapon acct quotactl settimeofday clock_settime sethostname \
        setdomainname iopl ioperm modify_ldt syslog fanotify_init vhangup mount umount2 open_tree \
        move_mount fsopen fsmount mount_setattr chroot pivot_root setns unshare seccomp \
        open_by_handle_at name_to_handle_at memfd_create memfd_secret personality mbind move_pages \
        vmsplice inotify_init inotify_init1 inotify_add_watch mknod mknodat shmget msgget semget mq_open setxattr execveat clone3 capset setuid \
        setgroups process_madvise sync";
    for profile in [Profile::Tool, Profile::ToolEgress] {
        let (policy, edges) = (policy(profile), edges(&policy(profile)));
        for name in NEVER.split_whitespace() {
            let number = number(name, TargetArch::x86_64).unwrap();
            for value in &edges {
                let found = check(profile, &policy, call(number, [*value; 6]));
                assert_ne!(found, Action::Allow.code(), "{name}");
            }
        }
        let clone = number("clone", TargetArch::x86_64).unwrap();
        for flag in [libc::CLONE_NEWUSER, libc::CLONE_NEWNS, libc::CLONE_NEWNET] {
            let flags = u64::try_from(flag | libc::SIGCHLD).unwrap();
            let found = check(profile, &policy, call(clone, [flags, 0, 0, 0, 0, 0]));
            assert_eq!(found, Action::Eperm.code());
        }
    }
}

/// What the programs of sandboxes differ in, and nothing else; and what all of them refuse.
#[test]
fn a_way_out_adds_what_it_says() {
    let answer = |profile: Profile, name: &str, args: [u64; 2]| {
        let number = number(name, TargetArch::x86_64).unwrap();
        run(profile.code(), call(number, [args[0], args[1], 0, 0, 0, 0]))
    };
    let check = |name: &str, args: [u64; 2], wanted: [Action; 2]| {
        let found = [Profile::Tool, Profile::ToolEgress].map(|it| answer(it, name, args));
        assert_eq!(found, wanted.map(Action::code), "{name} {args:?}");
    };
    let all = [Action::Allow; 2];
    let (eperm, no_family) = ([Action::Eperm; 2], [Action::Eafnosupport; 2]);
    check("socket", [1, 1], all);
    check("socket", [2, 1], [Action::Eafnosupport, Action::Allow]);
    check("socket", [2, 0x80801], [Action::Eafnosupport, Action::Allow]);
    for (family, kind) in [(2, 2), (2, 3), (10, 1), (16, 3), (17, 3), (38, 5), (40, 1)] {
        check("socket", [family, kind], no_family);
    }
    check("socketpair", [1, 1], all);
    for family in [2, 10, 16, 30, 40] {
        check("socketpair", [family, 1], no_family);
    }
    // TCGETS, TIOCSCTTY, FIONREAD, FIONBIO, FIONCLEX, FIOCLEX; a new terminal's number and lock.
    for request in [0x5401, 0x540e, 0x541b, 0x5421, 0x5450, 0x5451, 0x8004_5430, 0x4004_5431] {
        check("ioctl", [0, request], all);
    }
    for request in [0x5412, 0x541c, 0x5423, 1 << 32 | 0x5412] {
        check("ioctl", [0, request], eperm);
    }
    check("ioctl", [0, 0x4004_9409], [Action::Eopnotsupp; 2]);
    // Flags of files, resizing a file system, a namespace's owner, the TUN device.
    for request in [0x4008_6602, 0x4008_6610, 0xb701, 0x4004_54ca] {
        check("ioctl", [0, request], [Action::Enotty; 2]);
    }
    check("inotify_init1", [0, 0], [Action::Enosys; 2]);
    check("execve", [0, 0], all);
}

/// What makes sockets of a family and packet filters is refused to everybody below the launcher.
#[test]
fn pairs_are_local_and_packet_filters_nobodys() {
    let check = |profile: Profile, name: &str, args: [u64; 3], wanted: Action| {
        let number = number(name, TargetArch::x86_64).unwrap();
        let found = run(profile.code(), call(number, [args[0], args[1], args[2], 0, 0, 0]));
        assert_eq!(found, wanted.code(), "{} {name} {args:?}", profile.name());
    };
    for profile in [Profile::Launcher, Profile::Supervisor] {
        check(profile, "socketpair", [1, 1, 0], Action::Allow);
        for family in [2, 10, 16, 30] {
            check(profile, "socketpair", [family, 1, 0], Action::Eafnosupport);
        }
    }
    for (level, option) in [(0, 64), (0, 65), (41, 64), (41, 65)] {
        check(Profile::Launcher, "setsockopt", [3, level, option], Action::Eperm);
    }
    check(Profile::Launcher, "setsockopt", [3, 1, 64], Action::Allow);
    check(Profile::Launcher, "setsockopt", [3, 0, 1], Action::Allow);
}

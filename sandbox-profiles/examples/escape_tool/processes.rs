//! Other processes, namespaces and credentials. A tool makes processes of its own and sees no
//! others.

use libc::{O_DIRECTORY, O_RDONLY, O_RDWR};
use nix::errno::Errno;

use crate::calls::{attempts, call, open};

/// `PTRACE_SEIZE`.
const SEIZE: i32 = 0x4206;
/// Process of `ioprio_set`, and its real-time class.
const IOPRIO_PROCESS: i32 = 1;
const IOPRIO_REALTIME: i32 = 1 << 13;
/// Memory that no tool may pin, in bytes.
const PINNED: usize = 256 << 20;

attempts! {
    "ns.unshare_user" "EPERM/ENOSYS/ENOSPC/SIGSYS" |_| call!(libc::SYS_unshare, libc::CLONE_NEWUSER).map(drop);
    "ns.unshare_user_and_mounts" "EPERM/ENOSYS/ENOSPC/SIGSYS" |_| call!(libc::SYS_unshare, libc::CLONE_NEWUSER | libc::CLONE_NEWNS).map(drop);
    "ns.unshare_mounts" "EPERM/ENOSYS/SIGSYS" |_| call!(libc::SYS_unshare, libc::CLONE_NEWNS).map(drop);
    "ns.unshare_net" "EPERM/ENOSYS/SIGSYS" |_| call!(libc::SYS_unshare, libc::CLONE_NEWNET).map(drop);
    "ns.unshare_pid" "EPERM/ENOSYS/SIGSYS" |_| call!(libc::SYS_unshare, libc::CLONE_NEWPID).map(drop);
    "ns.unshare_others" "EPERM/ENOSYS/SIGSYS" |_| call!(libc::SYS_unshare, libc::CLONE_NEWIPC | libc::CLONE_NEWUTS | libc::CLONE_NEWCGROUP).map(drop);
    "ns.clone_user" "EPERM/ENOSYS/ENOSPC/SIGSYS" |_| call!(libc::SYS_clone, libc::CLONE_NEWUSER | libc::SIGCHLD).map(drop);
    "ns.clone_mounts" "EPERM/ENOSYS/SIGSYS" |_| call!(libc::SYS_clone, libc::CLONE_NEWNS | libc::SIGCHLD).map(drop);
    "ns.clone3_user" "EPERM/ENOSYS/ENOSPC/SIGSYS" |_| clone3(libc::CLONE_NEWUSER);
    "ns.clone3_cgroup" "EPERM/ENOSYS/SIGSYS" |_| clone3(libc::CLONE_NEWCGROUP);
    "ns.setns_init" "EPERM/EACCES/ENOENT/ENOSYS/SIGSYS" |_| {
        let user = call!(libc::SYS_openat, libc::AT_FDCWD, c"/proc/1/ns/user", O_RDONLY)?;
        call!(libc::SYS_setns, user, 0).map(drop)
    };
    "ns.setns_own" "EPERM/EINVAL/ENOSYS/SIGSYS/ENOENT" |_| {
        let mounts = call!(libc::SYS_openat, libc::AT_FDCWD, c"/proc/self/ns/mnt", O_RDONLY)?;
        call!(libc::SYS_setns, mounts, 0).map(drop)
    };
    "ns.owner_of_namespace" "EPERM/ENOSYS/ENOTTY/ENOENT/SIGSYS" |_| {
        let net = call!(libc::SYS_openat, libc::AT_FDCWD, c"/proc/self/ns/user", O_RDONLY)?;
        // NS_GET_PARENT.
        call!(libc::SYS_ioctl, net, 0xb702).map(drop)
    };
    "proc.kill_init" "EPERM/ESRCH/SIGSYS" |_| survives(libc::SIGKILL);
    "proc.term_init" "EPERM/ESRCH/SIGSYS" |_| survives(libc::SIGTERM);
    "proc.stop_init" "EPERM/ESRCH/SIGSYS" |_| survives(libc::SIGSTOP);
    "proc.kill_supervisor" "ESRCH/EPERM/SIGSYS" |it| call!(libc::SYS_kill, it.number("supervisor"), 0).map(drop);
    "proc.tgkill_supervisor" "ESRCH/EPERM/SIGSYS" |it| {
        call!(libc::SYS_tgkill, it.number("supervisor"), it.number("supervisor"), 0).map(drop)
    };
    "proc.kill_group_of_init" "ESRCH/EPERM/SIGSYS" |_| call!(libc::SYS_kill, -1_000_000, 0).map(drop);
    "proc.supervisor_visible" "ENOENT" |it| open(&it.path("/proc/", "supervisor", "/status"), O_RDONLY);
    "proc.ptrace_init" "EPERM/ESRCH/ENOSYS/SIGSYS" |_| call!(libc::SYS_ptrace, SEIZE, 1, 0, 0).map(drop);
    "proc.ptrace_supervisor" "EPERM/ESRCH/ENOSYS/SIGSYS" |it| call!(libc::SYS_ptrace, SEIZE, it.number("supervisor"), 0, 0).map(drop);
    "proc.ptrace_parent" "EPERM/ENOSYS/SIGSYS" |_| call!(libc::SYS_ptrace, SEIZE, call!(libc::SYS_getppid)?, 0, 0).map(drop);
    "proc.vm_readv_init" "EPERM/ESRCH/ENOSYS/SIGSYS" |_| vm(libc::SYS_process_vm_readv);
    "proc.vm_writev_init" "EPERM/ESRCH/ENOSYS/SIGSYS" |_| vm(libc::SYS_process_vm_writev);
    "proc.environ_init" "EACCES/EPERM/ENOENT" |_| open(c"/proc/1/environ", O_RDONLY);
    "proc.maps_init" "EACCES/EPERM/ENOENT" |_| open(c"/proc/1/maps", O_RDONLY);
    "proc.mem_supervisor" "ENOENT/EACCES" |it| open(&it.path("/proc/", "supervisor", "/mem"), O_RDWR);
    "proc.fd_supervisor" "ENOENT/EACCES" |it| open(&it.path("/proc/", "supervisor", "/fd"), O_DIRECTORY);
    "proc.map_files_init" "ENOENT/EACCES/EPERM" |_| open(c"/proc/1/map_files", O_DIRECTORY);
    "proc.pidfd_getfd_init" "EPERM/ESRCH/ENOSYS/SIGSYS" |_| {
        let init = call!(libc::SYS_pidfd_open, 1, 0)?;
        call!(libc::SYS_pidfd_getfd, init, 0, 0).map(drop)
    };
    "proc.pidfd_open_supervisor" "EPERM/ESRCH/ENOSYS/SIGSYS/EINVAL" |it| call!(libc::SYS_pidfd_open, it.number("supervisor"), 0).map(drop);
    "proc.kcmp" "EPERM/ENOSYS/SIGSYS" |_| call!(libc::SYS_kcmp, 1, call!(libc::SYS_getpid)?, 0, 0, 0).map(drop);
    "proc.madvise_init" "EPERM/ENOSYS/SIGSYS/ESRCH/EBADF" |_| call!(libc::SYS_process_madvise, -1, 0, 0, 20, 0).map(drop);
    "proc.mrelease" "EPERM/ENOSYS/SIGSYS/ESRCH/EBADF" |_| call!(libc::SYS_process_mrelease, -1, 0).map(drop);
    "proc.prlimit_init" "EPERM/ESRCH/ENOSYS/SIGSYS" |_| {
        call!(libc::SYS_prlimit64, 1, libc::RLIMIT_NOFILE, [1_u64, 1].as_ptr(), 0).map(drop)
    };
    "proc.rlimit_raise" "EPERM/ENOSYS/SIGSYS" |_| {
        call!(libc::SYS_prlimit64, 0, libc::RLIMIT_NOFILE, [1 << 21, 1_u64 << 21].as_ptr(), 0).map(drop)
    };
    "proc.core_raise" "EPERM/ENOSYS/SIGSYS" |_| {
        call!(libc::SYS_prlimit64, 0, libc::RLIMIT_CORE, [u64::MAX, u64::MAX].as_ptr(), 0).map(drop)
    };
    "proc.processes_raise" "EPERM/ENOSYS/SIGSYS" |_| {
        call!(libc::SYS_prlimit64, 0, libc::RLIMIT_NPROC, [u64::MAX, u64::MAX].as_ptr(), 0).map(drop)
    };
    "proc.realtime" "EPERM/ENOSYS/SIGSYS" |_| call!(libc::SYS_sched_setscheduler, 0, libc::SCHED_FIFO, [1_i32].as_ptr()).map(drop);
    "proc.deadline" "EPERM/ENOSYS/SIGSYS" |_| {
        let attributes = [0x6_0000_0030_u64, 0, 0, 1 << 20, 1 << 21, 1 << 21];
        call!(libc::SYS_sched_setattr, 0, attributes.as_ptr(), 0).map(drop)
    };
    "proc.nice_minus20" "EACCES/EPERM/ENOSYS/SIGSYS" |_| call!(libc::SYS_setpriority, 0, 0, -20).map(drop);
    "proc.ioprio_rt" "EPERM/ENOSYS/SIGSYS" |_| call!(libc::SYS_ioprio_set, IOPRIO_PROCESS, 0, IOPRIO_REALTIME).map(drop);
    "proc.mlock" "ENOMEM/EPERM/EAGAIN/ENOSYS/SIGSYS" |_| {
        let memory = call!(libc::SYS_mmap, 0, PINNED, libc::PROT_READ, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, -1, 0)?;
        call!(libc::SYS_mlock, memory, PINNED).map(drop)
    };
    "cred.is_root" "EPERM" |_| if call!(libc::SYS_geteuid)? == 0 { Ok(()) } else { Err(Errno::EPERM) };
    "cred.uid0" "EPERM/EINVAL/ENOSYS/SIGSYS" |_| call!(libc::SYS_setresuid, 0, 0, 0).map(drop);
    "cred.gid0" "EPERM/EINVAL/ENOSYS/SIGSYS" |_| call!(libc::SYS_setresgid, 0, 0, 0).map(drop);
    "cred.fsuid0" "EPERM" |_| {
        call!(libc::SYS_setfsuid, 0)?;
        if call!(libc::SYS_setfsuid, -1)? == 0 { Ok(()) } else { Err(Errno::EPERM) }
    };
    "cred.groups" "EPERM/EINVAL/ENOSYS/SIGSYS" |_| call!(libc::SYS_setgroups, 1, [0_u32].as_ptr()).map(drop);
    "cred.extra_groups" "EPERM" |_| if call!(libc::SYS_getgroups, 0, 0)? == 0 { Err(Errno::EPERM) } else { Ok(()) };
    "cred.capset" "EPERM/ENOSYS/SIGSYS" |_| call!(libc::SYS_capset, [0x2008_0522_u32, 0].as_ptr(), [u32::MAX; 6].as_ptr()).map(drop);
    "cred.capabilities" "EPERM" |_| {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let full = |line: &&str| line.starts_with("Cap") && !line.ends_with("\t0000000000000000");
        if status.lines().any(|line| full(&line)) { Ok(()) } else { Err(Errno::EPERM) }
    };
    "cred.bounding_set" "EPERM/SIGSYS" |_| {
        let held = (0..=40).any(|it| call!(libc::SYS_prctl, libc::PR_CAPBSET_READ, it).is_ok_and(|it| it == 1));
        if held { Ok(()) } else { Err(Errno::EPERM) }
    };
    "cred.ambient" "EPERM/SIGSYS" |_| call!(libc::SYS_prctl, libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_RAISE, 21, 0, 0).map(drop);
    "cred.securebits" "EPERM/SIGSYS" |_| call!(libc::SYS_prctl, libc::PR_SET_SECUREBITS, 0).map(drop);
    "cred.no_new_privs_unset" "EPERM" |_| unless(libc::PR_GET_NO_NEW_PRIVS, 1);
    "cred.seccomp_unset" "EPERM" |_| {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        if status.contains("Seccomp:\t2") { Err(Errno::EPERM) } else { Ok(()) }
    };
    "exec.memfd" "EPERM/EACCES/ENOSYS/SIGSYS" |_| {
        let file = call!(libc::SYS_memfd_create, c"x", 0)?;
        let script = "#!/bin/true\n";
        call!(libc::SYS_write, file, script.as_ptr(), script.len())?;
        call!(libc::SYS_execveat, file, c"", [0_usize; 1].as_ptr(), [0_usize; 1].as_ptr(), libc::AT_EMPTY_PATH).map(drop)
    };
    "exec.tmp_set_id" "EPERM/EACCES" |_| set_id();
}

/// Signals the sandbox's first process: refused where it is still there afterwards, for the kernel
/// keeps a first process from most signals of its own without a word.
fn survives(signal: i32) -> Result<(), Errno> {
    call!(libc::SYS_kill, 1, signal)?;
    let status = std::fs::read_to_string("/proc/1/status").unwrap_or_default();
    let gone = ["State:\tT", "State:\tZ", "State:\tX"].iter().any(|it| status.contains(it));
    if gone { Ok(()) } else { Err(Errno::EPERM) }
}

fn clone3(flags: i32) -> Result<(), Errno> {
    let mut arguments = [0_u64; 11];
    let [first, _, _, _, signal, ..] = &mut arguments;
    *first = u64::from(flags.cast_unsigned());
    *signal = u64::from(libc::SIGCHLD.cast_unsigned());
    call!(libc::SYS_clone3, arguments.as_ptr(), size_of_val(&arguments)).map(drop)
}

/// Moves one byte between this process and the first one.
fn vm(number: libc::c_long) -> Result<(), Errno> {
    let mut byte = [0_u8];
    let vector = [byte.as_mut_ptr().expose_provenance(), 1];
    call!(number, 1, vector.as_ptr(), 1, vector.as_ptr(), 1, 0).map(drop)
}

/// Allowed if the flag has not the value that confinement gives it.
fn unless(option: i32, confined: usize) -> Result<(), Errno> {
    if call!(libc::SYS_prctl, option, 0, 0, 0, 0)? == confined { Err(Errno::EPERM) } else { Ok(()) }
}

/// Whether a file that this tool marks as another's to be run as would be run so: only a mount that
/// heeds the mark, and a process that may gain privileges, would.
fn set_id() -> Result<(), Errno> {
    let gains = call!(libc::SYS_prctl, libc::PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0)? == 0;
    let heeds = ["/usr/bin", "/workspace", "/tmp", "/home/agent"].iter().any(|folder| {
        nix::sys::statvfs::statvfs(*folder)
            .is_ok_and(|it| !it.flags().contains(nix::sys::statvfs::FsFlags::ST_NOSUID))
    });
    if gains || heeds { Ok(()) } else { Err(Errno::EPERM) }
}

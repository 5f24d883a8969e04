//! Other processes, namespaces, credentials, and making programs run.

use libc::{O_DIRECTORY, O_RDONLY, O_RDWR};
use nix::errno::Errno;

use crate::calls::{attempts, call, open};

/// `PTRACE_SEIZE`.
const SEIZE: i32 = 0x4206;
/// Group and process of `ioprio_set`, and its real-time class.
const IOPRIO_PROCESS: i32 = 1;
const IOPRIO_REALTIME: i32 = 1 << 13;

attempts! {
    "ns.unshare_user" "SIGSYS" |_| call!(libc::SYS_unshare, libc::CLONE_NEWUSER).map(drop);
    "ns.unshare_others" "SIGSYS" |_| call!(libc::SYS_unshare, libc::CLONE_NEWNS | libc::CLONE_NEWNET).map(drop);
    "ns.clone_user" "SIGSYS" |_| call!(libc::SYS_clone, libc::CLONE_NEWUSER | libc::SIGCHLD).map(drop);
    "ns.clone_thread_user" "SIGSYS" |_| {
        call!(libc::SYS_clone, libc::CLONE_THREAD | libc::CLONE_SIGHAND | libc::CLONE_VM | libc::CLONE_NEWUSER).map(drop)
    };
    "ns.clone3_user" "ENOSYS" |_| clone3(libc::CLONE_NEWUSER);
    "ns.clone3_process" "ENOSYS" |_| clone3(0);
    "ns.setns_proc" "ENOENT" |_| open(c"/proc/1/ns/user", O_RDONLY);
    "ns.setns" "SIGSYS" |_| call!(libc::SYS_setns, 0, 0).map(drop);
    "proc.supervisor_visible" "ENOENT" |it| open(&it.path("/proc/", "supervisor", ""), O_DIRECTORY);
    "proc.list" "ENOENT" |_| open(c"/proc", O_DIRECTORY);
    "proc.kill_supervisor" "SIGSYS" |it| call!(libc::SYS_kill, it.number("supervisor"), 0).map(drop);
    "proc.kill_everybody" "SIGSYS" |_| call!(libc::SYS_kill, -1, 0).map(drop);
    "proc.tgkill_supervisor" "SIGSYS" |it| {
        call!(libc::SYS_tgkill, it.number("supervisor"), it.number("supervisor"), 0).map(drop)
    };
    "proc.pidfd_signal" "SIGSYS" |_| call!(libc::SYS_pidfd_send_signal, 0, 0, 0, 0).map(drop);
    "proc.ptrace_supervisor" "SIGSYS" |it| call!(libc::SYS_ptrace, SEIZE, it.number("supervisor"), 0, 0).map(drop);
    "proc.ptrace_neighbours" "SIGSYS" |_| call!(libc::SYS_ptrace, SEIZE, 1, 0, 0).map(drop);
    "proc.vm_readv_supervisor" "SIGSYS" |it| call!(libc::SYS_process_vm_readv, it.number("supervisor"), 0, 0, 0, 0, 0).map(drop);
    "proc.vm_writev_supervisor" "SIGSYS" |it| call!(libc::SYS_process_vm_writev, it.number("supervisor"), 0, 0, 0, 0, 0).map(drop);
    "proc.mem_supervisor" "ENOENT" |it| open(&it.path("/proc/", "supervisor", "/mem"), O_RDWR);
    "proc.environ_supervisor" "ENOENT" |it| open(&it.path("/proc/", "supervisor", "/environ"), O_RDONLY);
    "proc.fd_supervisor" "ENOENT" |it| open(&it.path("/proc/", "supervisor", "/fd"), O_DIRECTORY);
    "proc.pidfd_open" "SIGSYS" |it| call!(libc::SYS_pidfd_open, it.number("supervisor"), 0).map(drop);
    "proc.pidfd_getfd" "SIGSYS" |_| call!(libc::SYS_pidfd_getfd, 0, 0, 0).map(drop);
    "proc.kcmp" "SIGSYS" |it| call!(libc::SYS_kcmp, 1, it.number("supervisor"), 0, 0, 0).map(drop);
    "proc.prlimit_supervisor" "SIGSYS" |it| {
        call!(libc::SYS_prlimit64, it.number("supervisor"), libc::RLIMIT_NOFILE, 0, [0_u64; 2].as_mut_ptr()).map(drop)
    };
    "proc.rlimit_raise" "SIGSYS" |_| {
        call!(libc::SYS_prlimit64, 0, libc::RLIMIT_NOFILE, [1 << 20, 1_u64 << 20].as_ptr(), 0).map(drop)
    };
    "proc.realtime" "SIGSYS" |_| call!(libc::SYS_sched_setscheduler, 0, libc::SCHED_FIFO, [1_i32].as_ptr()).map(drop);
    "proc.nice_minus20" "SIGSYS" |_| call!(libc::SYS_setpriority, 0, 0, -20).map(drop);
    "proc.ioprio_rt" "SIGSYS" |_| call!(libc::SYS_ioprio_set, IOPRIO_PROCESS, 0, IOPRIO_REALTIME).map(drop);
    "proc.affinity" "SIGSYS" |_| call!(libc::SYS_sched_setaffinity, 0, 8, [1_u64].as_ptr()).map(drop);
    "proc.mlock" "SIGSYS" |_| call!(libc::SYS_mlockall, 1).map(drop);
    "proc.setsid" "SIGSYS" |_| call!(libc::SYS_setsid).map(drop);
    "proc.fork" "SIGSYS" |_| call!(libc::SYS_fork).map(drop);
    "proc.vfork_by_clone" "SIGSYS" |_| call!(libc::SYS_clone, libc::SIGCHLD).map(drop);
    "cred.uid0" "SIGSYS" |_| call!(libc::SYS_setresuid, 0, 0, 0).map(drop);
    "cred.gid0" "SIGSYS" |_| call!(libc::SYS_setresgid, 0, 0, 0).map(drop);
    "cred.groups" "SIGSYS" |_| call!(libc::SYS_setgroups, 1, [0_u32].as_ptr()).map(drop);
    "cred.capset" "SIGSYS" |_| call!(libc::SYS_capset, [0x2008_0522_u32, 0].as_ptr(), [u32::MAX; 6].as_ptr()).map(drop);
    "cred.bounding_set" "SIGSYS" |_| call!(libc::SYS_prctl, libc::PR_CAPBSET_READ, 21).map(drop);
    "cred.ambient" "SIGSYS" |_| call!(libc::SYS_prctl, libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_RAISE, 21).map(drop);
    "cred.securebits" "SIGSYS" |_| call!(libc::SYS_prctl, libc::PR_SET_SECUREBITS, 0).map(drop);
    "cred.dumpable" "SIGSYS" |_| call!(libc::SYS_prctl, libc::PR_SET_DUMPABLE, 1).map(drop);
    "cred.parent_death" "SIGSYS" |_| call!(libc::SYS_prctl, libc::PR_SET_PDEATHSIG, 0).map(drop);
    "cred.no_new_privs_unset" "EPERM" |_| unless(libc::PR_GET_NO_NEW_PRIVS, 1);
    "cred.seccomp_unset" "EPERM" |_| unless(libc::PR_GET_SECCOMP, 2);
    "cred.dumpable_set" "EPERM" |_| unless(libc::PR_GET_DUMPABLE, 0);
    "worker.execve" "SIGSYS" |_| call!(libc::SYS_execve, c"/tenant/x", 0, 0).map(drop);
    "worker.execveat" "SIGSYS" |_| call!(libc::SYS_execveat, 0, c"", 0, 0, libc::AT_EMPTY_PATH).map(drop);
    "worker.mprotect_exec" "SIGSYS" |_| {
        let page = call!(libc::SYS_mmap, 0, 4096, 3, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, -1, 0)?;
        call!(libc::SYS_mprotect, page, 4096, libc::PROT_READ | libc::PROT_EXEC).map(drop)
    };
    "worker.mmap_exec" "SIGSYS" |_| {
        call!(libc::SYS_mmap, 0, 4096, libc::PROT_EXEC, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, -1, 0).map(drop)
    };
    "worker.pkey_mprotect" "SIGSYS" |_| call!(libc::SYS_pkey_mprotect, 0, 4096, 7, -1).map(drop);
    "worker.memfd" "SIGSYS" |_| call!(libc::SYS_memfd_create, c"x", 0).map(drop);
}

fn clone3(flags: i32) -> Result<(), Errno> {
    let mut arguments = [0_u64; 11];
    arguments[0] = u64::from(flags.cast_unsigned());
    arguments[4] = u64::from(libc::SIGCHLD.cast_unsigned());
    call!(libc::SYS_clone3, arguments.as_ptr(), size_of_val(&arguments)).map(drop)
}

/// Allowed if the flag has not the value that confinement gives it.
fn unless(option: i32, confined: usize) -> Result<(), Errno> {
    if call!(libc::SYS_prctl, option)? == confined { Err(Errno::EPERM) } else { Ok(()) }
}

//! The kernel's own insides, keyrings, clocks, names, other entries.

use libc::{O_RDONLY, O_WRONLY};
use nix::errno::Errno;

use crate::calls::{attempts, call, open, open_any};

/// Commands of `keyctl` and its special keyrings.
const GET_KEYRING: i32 = 0;
const USER_KEYRING: i32 = -4;
const SESSION_KEYRING: i32 = -3;
/// First number of the x32 table, and `getpid` in it.
const X32_GETPID: i64 = 0x4000_0000 + 39;
/// `LINUX_REBOOT_CMD_CAD_OFF` behind wrong magic numbers, so that nothing can happen.
const REBOOT_OFF: i32 = 0;
/// `SECCOMP_FILTER_FLAG_NEW_LISTENER`.
const LISTENER: i32 = 8;

attempts! {
    "sys.bpf_prog" "SIGSYS" |_| call!(libc::SYS_bpf, 5, [0_u64; 16].as_ptr(), 128).map(drop);
    "sys.bpf_map" "SIGSYS" |_| call!(libc::SYS_bpf, 0, [0_u64; 16].as_ptr(), 128).map(drop);
    "sys.perf_event" "SIGSYS" |_| call!(libc::SYS_perf_event_open, [0_u64; 16].as_ptr(), 0, -1, -1, 0).map(drop);
    "sys.userfaultfd" "SIGSYS" |_| call!(libc::SYS_userfaultfd, 1).map(drop);
    "sys.io_uring" "SIGSYS" |_| call!(libc::SYS_io_uring_setup, 4, [0_u64; 16].as_mut_ptr()).map(drop);
    "sys.io_uring_enter" "SIGSYS" |_| call!(libc::SYS_io_uring_enter, 0, 0, 0, 0, 0, 0).map(drop);
    "sys.aio" "SIGSYS" |_| call!(libc::SYS_io_setup, 4, [0_u64; 1].as_mut_ptr()).map(drop);
    "sys.keyctl_user_keyring" "SIGSYS" |_| call!(libc::SYS_keyctl, GET_KEYRING, USER_KEYRING, 0).map(drop);
    "sys.keyring_session" "SIGSYS" |_| call!(libc::SYS_keyctl, GET_KEYRING, SESSION_KEYRING, 0).map(drop);
    "sys.add_key" "SIGSYS" |_| call!(libc::SYS_add_key, c"user", c"x", c"y", 1, SESSION_KEYRING).map(drop);
    "sys.request_key" "SIGSYS" |_| call!(libc::SYS_request_key, c"user", c"x", 0, SESSION_KEYRING).map(drop);
    "sys.kexec" "SIGSYS" |_| call!(libc::SYS_kexec_load, 0, 0, 0, 0).map(drop);
    "sys.init_module" "SIGSYS" |_| call!(libc::SYS_init_module, 0, 0, c"").map(drop);
    "sys.finit_module" "SIGSYS" |_| call!(libc::SYS_finit_module, 0, c"", 0).map(drop);
    "sys.delete_module" "SIGSYS" |_| call!(libc::SYS_delete_module, c"none", 0).map(drop);
    "sys.reboot" "SIGSYS" |_| call!(libc::SYS_reboot, 1, 1, REBOOT_OFF, 0).map(drop);
    "sys.swapon" "SIGSYS" |_| call!(libc::SYS_swapon, c"/tenant/x", 0).map(drop);
    "sys.acct" "SIGSYS" |_| call!(libc::SYS_acct, c"/tenant/x").map(drop);
    "sys.quotactl" "SIGSYS" |_| call!(libc::SYS_quotactl, 0, 0, 0, 0).map(drop);
    "sys.sethostname" "SIGSYS" |_| call!(libc::SYS_sethostname, c"x", 1).map(drop);
    "sys.setdomainname" "SIGSYS" |_| call!(libc::SYS_setdomainname, c"x", 1).map(drop);
    "sys.modify_ldt" "SIGSYS" |_| call!(libc::SYS_modify_ldt, 0, 0, 0).map(drop);
    "sys.iopl" "SIGSYS" |_| call!(libc::SYS_iopl, 3).map(drop);
    "sys.ioperm" "SIGSYS" |_| call!(libc::SYS_ioperm, 0x80, 1, 1).map(drop);
    "sys.int80_compat" "SIGSYS" |_| int80();
    "sys.x32_abi" "SIGSYS" |_| call!(X32_GETPID).map(drop);
    "sys.number_out_of_table" "SIGSYS" |_| call!(1_000_i64).map(drop);
    "sys.personality" "SIGSYS" |_| call!(libc::SYS_personality, 0x0004_0000).map(drop);
    "sys.wx_mapping" "SIGSYS" |_| {
        call!(libc::SYS_mmap, 0, 4096, 7, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, -1, 0).map(drop)
    };
    "sys.seccomp_listener" "SIGSYS" |_| call!(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, LISTENER, 0).map(drop);
    "sys.syslog" "SIGSYS" |_| call!(libc::SYS_syslog, 10, 0, 0).map(drop);
    "sys.kallsyms" "ENOENT" |_| open(c"/proc/kallsyms", O_RDONLY);
    "sys.memfd_secret" "SIGSYS" |_| call!(libc::SYS_memfd_secret, 0).map(drop);
    "sys.vhangup" "SIGSYS" |_| call!(libc::SYS_vhangup).map(drop);
    "sys.splice" "SIGSYS" |_| call!(libc::SYS_splice, 0, 0, 2, 0, 1, 0).map(drop);
    "sys.vmsplice" "SIGSYS" |_| call!(libc::SYS_vmsplice, 2, 0, 0, 0).map(drop);
    "sys.move_pages" "SIGSYS" |_| call!(libc::SYS_move_pages, 0, 0, 0, 0, 0, 0).map(drop);
    "sys.membarrier" "SIGSYS" |_| call!(libc::SYS_membarrier, 0, 0, 0).map(drop);
    "sys.landlock_more" "SIGSYS" |_| call!(libc::SYS_landlock_create_ruleset, 0, 0, 1).map(drop);
    "clock.adjtimex" "SIGSYS" |_| call!(libc::SYS_adjtimex, [0_u64; 32].as_mut_ptr()).map(drop);
    "clock.settime" "SIGSYS" |_| call!(libc::SYS_clock_settime, 0, [0_u64; 2].as_ptr()).map(drop);
    "clock.settimeofday" "SIGSYS" |_| call!(libc::SYS_settimeofday, 0, 0).map(drop);
    "clock.timer" "SIGSYS" |_| call!(libc::SYS_timer_create, 0, 0, 0).map(drop);
    "cg.release_agent" "SIGSYS" |_| call!(libc::SYS_mount, c"none", c"/tenant", c"cgroup", 0, c"memory").map(drop);
    "cg.cgroup2_mount" "SIGSYS" |_| call!(libc::SYS_mount, c"none", c"/tenant", c"cgroup2", 0, 0).map(drop);
    "cg.files_writable" "ENOENT" |_| open_any(&[c"/sys/fs/cgroup/cgroup.procs", c"/sys/fs/cgroup/memory/tasks"], O_WRONLY);
    "tty.tiocsti" "SIGSYS" |_| call!(libc::SYS_ioctl, 0, 0x5412, c"x").map(drop);
    "tty.tioclinux" "SIGSYS" |_| call!(libc::SYS_ioctl, 0, 0x541c, c"\x03").map(drop);
    "tty.controlling_tty" "ENOENT" |_| open(c"/dev/tty", O_WRONLY);
    "tty.console" "ENOENT" |_| open_any(&[c"/dev/console", c"/dev/tty0", c"/dev/ttyS0"], O_WRONLY);
    "leak.environment" "ENOENT" |_| if std::env::vars_os().next().is_some() { Ok(()) } else { Err(Errno::ENOENT) };
    "leak.arguments" "ENOENT" |_| if std::env::args_os().len() > 1 { Ok(()) } else { Err(Errno::ENOENT) };
    "leak.mountinfo_paths" "ENOENT" |_| open(c"/proc/self/mountinfo", O_RDONLY);
    "leak.cgroup_path" "ENOENT" |_| open(c"/proc/self/cgroup", O_RDONLY);
    "leak.cpu_topology" "ENOENT" |_| open_any(&[c"/sys/devices/system/cpu/online", c"/proc/cpuinfo"], O_RDONLY);
    "leak.descriptors" "EBADF" |_| (4..1024).find(|fd| call!(libc::SYS_fcntl, *fd, libc::F_GETFD).is_ok()).map_or(Err(Errno::EBADF), |_| Ok(()));
}

/// `getpid` by the 32-bit entry, which a filter for one architecture would not see.
#[cfg(target_arch = "x86_64")]
fn int80() -> Result<(), Errno> {
    let mut register: u64 = 20;
    // SAFETY: the call takes no argument and touches no memory; the entry clobbers r8 to r11.
    unsafe {
        std::arch::asm!("int 0x80", inout("rax") register, out("r8") _, out("r9") _, out("r10") _, out("r11") _);
    }
    if register == 0 { Err(Errno::ENOSYS) } else { Ok(()) }
}

/// Other machines have no second entry; there the attempt is an unknown number.
#[cfg(not(target_arch = "x86_64"))]
fn int80() -> Result<(), Errno> {
    call!(1_000_i64).map(drop)
}

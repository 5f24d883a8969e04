//! The kernel's own insides, keyrings, clocks, names, terminals and control groups.

use std::ffi::CStr;

use libc::{O_NOCTTY, O_RDWR, O_WRONLY};
use nix::errno::Errno;

use crate::calls::{Outside, attempts, call, open, open_any};

/// Commands of `keyctl` and its special keyrings.
const GET_KEYRING: i32 = 0;
const JOIN_SESSION: i32 = 1;
const USER_KEYRING: i32 = -4;
const SESSION_KEYRING: i32 = -3;
/// First number of the x32 table, and `getpid` in it.
const X32_GETPID: i64 = 0x4000_0000 + 39;
/// `LINUX_REBOOT_CMD_CAD_OFF` behind wrong magic numbers, so that nothing can happen.
const REBOOT_OFF: i32 = 0;
/// `SECCOMP_FILTER_FLAG_NEW_LISTENER`.
const LISTENER: i32 = 8;
/// `ADJ_MAXERROR`, the mildest change of a clock.
const MAXERROR: u64 = 4;
/// Requests of terminals.
const TIOCSTI: i32 = 0x5412;
const TIOCLINUX: i32 = 0x541c;
const TIOCCONS: i32 = 0x541d;
const TIOCSCTTY: i32 = 0x540e;
const TIOCSETD: i32 = 0x5423;

attempts! {
    "sys.bpf_prog" "EPERM/ENOSYS/SIGSYS" |_| call!(libc::SYS_bpf, 5, [0_u64; 16].as_ptr(), 128).map(drop);
    "sys.bpf_map" "EPERM/ENOSYS/SIGSYS" |_| call!(libc::SYS_bpf, 0, [2_u64, 1 << 32 | 4, 0, 0, 0, 0, 0, 0].as_ptr(), 64).map(drop);
    "sys.perf_event" "EPERM/EACCES/ENOSYS/SIGSYS" |_| call!(libc::SYS_perf_event_open, [0_u64; 16].as_ptr(), 0, -1, -1, 0).map(drop);
    "sys.userfaultfd" "EPERM/ENOSYS/SIGSYS" |_| call!(libc::SYS_userfaultfd, 1).map(drop);
    "sys.io_uring" "EPERM/ENOSYS/SIGSYS" |_| call!(libc::SYS_io_uring_setup, 4, [0_u64; 16].as_mut_ptr()).map(drop);
    "sys.io_uring_enter" "EPERM/ENOSYS/SIGSYS" |_| call!(libc::SYS_io_uring_enter, 0, 0, 0, 0, 0, 0).map(drop);
    "sys.io_uring_register" "EPERM/ENOSYS/SIGSYS" |_| call!(libc::SYS_io_uring_register, 0, 0, 0, 0).map(drop);
    "sys.inotify" "EPERM/ENOSYS/SIGSYS" |_| call!(libc::SYS_inotify_init1, 0).map(drop);
    "sys.keyctl_user_keyring" "EPERM/ENOSYS/SIGSYS" |_| call!(libc::SYS_keyctl, GET_KEYRING, USER_KEYRING, 0).map(drop);
    "sys.keyring_session" "EPERM/ENOSYS/SIGSYS" |_| call!(libc::SYS_keyctl, GET_KEYRING, SESSION_KEYRING, 0).map(drop);
    "sys.keyring_join" "EPERM/ENOSYS/SIGSYS" |_| call!(libc::SYS_keyctl, JOIN_SESSION, c"shared").map(drop);
    "sys.add_key" "EPERM/ENOSYS/SIGSYS" |_| call!(libc::SYS_add_key, c"user", c"x", c"y", 1, SESSION_KEYRING).map(drop);
    "sys.request_key" "EPERM/ENOSYS/SIGSYS" |_| call!(libc::SYS_request_key, c"user", c"x", 0, SESSION_KEYRING).map(drop);
    "sys.kexec" "EPERM/ENOSYS/SIGSYS" |_| call!(libc::SYS_kexec_load, 0, 0, 0, 0).map(drop);
    "sys.kexec_file" "EPERM/ENOSYS/SIGSYS" |_| call!(libc::SYS_kexec_file_load, -1, -1, 0, 0, 0).map(drop);
    "sys.init_module" "EPERM/ENOSYS/SIGSYS" |_| call!(libc::SYS_init_module, 0, 0, c"").map(drop);
    "sys.finit_module" "EPERM/ENOSYS/SIGSYS" |_| call!(libc::SYS_finit_module, 0, c"", 0).map(drop);
    "sys.delete_module" "EPERM/ENOSYS/SIGSYS" |_| call!(libc::SYS_delete_module, c"none", 0).map(drop);
    "sys.reboot" "EPERM/ENOSYS/SIGSYS" |_| call!(libc::SYS_reboot, 1, 1, REBOOT_OFF, 0).map(drop);
    "sys.swapon" "EPERM/ENOSYS/SIGSYS" |_| call!(libc::SYS_swapon, c"/workspace/x", 0).map(drop);
    "sys.acct" "EPERM/ENOSYS/SIGSYS" |_| call!(libc::SYS_acct, c"/workspace/x").map(drop);
    "sys.sethostname" "EPERM/ENOSYS/SIGSYS" |_| call!(libc::SYS_sethostname, c"x", 1).map(drop);
    "sys.setdomainname" "EPERM/ENOSYS/SIGSYS" |_| call!(libc::SYS_setdomainname, c"x", 1).map(drop);
    "sys.modify_ldt" "EPERM/ENOSYS/SIGSYS" |_| call!(libc::SYS_modify_ldt, 0, [0_u64; 2].as_mut_ptr(), 16).map(drop);
    "sys.iopl" "EPERM/ENOSYS/SIGSYS" |_| call!(libc::SYS_iopl, 3).map(drop);
    "sys.ioperm" "EPERM/ENOSYS/SIGSYS" |_| call!(libc::SYS_ioperm, 0x80, 1, 1).map(drop);
    "sys.int80_compat" "SIGSYS/ENOSYS" |_| int80();
    "sys.x32_abi" "EPERM/ENOSYS/SIGSYS" |_| call!(X32_GETPID).map(drop);
    "sys.number_out_of_table" "EPERM/ENOSYS/SIGSYS" |_| call!(1_000_i64).map(drop);
    "sys.personality" "EPERM/ENOSYS/SIGSYS" |_| call!(libc::SYS_personality, 0x0004_0000).map(drop);
    "sys.seccomp_listener" "EPERM/EBUSY/ENOSYS/SIGSYS" |_| {
        let allow = [0x7fff_0000_0000_0006_u64];
        let program = [1_usize, allow.as_ptr().expose_provenance()];
        call!(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, LISTENER, program.as_ptr()).map(drop)
    };
    "sys.syslog" "EPERM/ENOSYS/SIGSYS" |_| call!(libc::SYS_syslog, 10, 0, 0).map(drop);
    "sys.memfd_secret" "EPERM/ENOSYS/SIGSYS" |_| call!(libc::SYS_memfd_secret, 0).map(drop);
    "sys.vhangup" "EPERM/ENOSYS/SIGSYS" |_| call!(libc::SYS_vhangup).map(drop);
    "sys.vmsplice" "EPERM/ENOSYS/SIGSYS" |_| call!(libc::SYS_vmsplice, 2, 0, 0, 0).map(drop);
    "sys.move_pages" "EPERM/ENOSYS/SIGSYS" |_| call!(libc::SYS_move_pages, 0, 0, 0, 0, 0, 0).map(drop);
    "sys.lookup_dcookie" "EPERM/ENOSYS/SIGSYS" |_| call!(libc::SYS_lookup_dcookie, 0, 0, 0).map(drop);
    "clock.adjtimex" "EPERM/ENOSYS/SIGSYS" |_| call!(libc::SYS_adjtimex, [MAXERROR, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0].as_mut_ptr()).map(drop);
    "clock.settime" "EPERM/ENOSYS/SIGSYS/EINVAL" |_| call!(libc::SYS_clock_settime, 0, [u64::MAX; 2].as_ptr()).map(drop);
    "clock.settimeofday" "EPERM/ENOSYS/SIGSYS" |_| call!(libc::SYS_settimeofday, 0, [0_i32; 2].as_ptr()).map(drop);
    "cg.release_agent" "EPERM/ENOSYS/SIGSYS" |_| call!(libc::SYS_mount, c"none", c"/workspace", c"cgroup", 0, c"memory").map(drop);
    "cg.cgroup2_mount" "EPERM/ENOSYS/SIGSYS" |_| call!(libc::SYS_mount, c"none", c"/workspace", c"cgroup2", 0, 0).map(drop);
    "cg.files_writable" "ENOENT/EROFS/EACCES" |_| open_any(
        &[c"/sys/fs/cgroup/cgroup.procs", c"/sys/fs/cgroup/memory.max", c"/sys/fs/cgroup/pids.max", c"/sys/fs/cgroup/memory/tasks", c"/sys/fs/cgroup/cgroup.kill"],
        O_WRONLY,
    );
    "cg.clone_into" "EPERM/ENOSYS/EBADF/SIGSYS" |_| {
        let mut arguments = [0_u64; 11];
        let [flags, .., cgroup] = &mut arguments;
        (*flags, *cgroup) = (0x2_0000_0000, 3);
        call!(libc::SYS_clone3, arguments.as_ptr(), size_of_val(&arguments)).map(drop)
    };
    "tty.inject_input" "EPERM/EIO/ENOTTY/SIGSYS" |_| each(|fd| call!(libc::SYS_ioctl, fd, TIOCSTI, c"x").map(drop));
    "tty.inject_controlling" "EPERM/EIO/ENXIO/ENOENT/EACCES/SIGSYS" |_| {
        let tty = call!(libc::SYS_openat, libc::AT_FDCWD, c"/dev/tty", O_RDWR)?;
        call!(libc::SYS_ioctl, tty, TIOCSTI, c"x").map(drop)
    };
    "tty.inject_wide_request" "EPERM/EIO/ENOTTY/SIGSYS" |_| {
        // The kernel reads 32 bits of the request; a filter that compares 64 is passed.
        let wide = 0x1_0000_0000_usize | 0x5412;
        each(|fd| call!(libc::SYS_ioctl, fd, wide, c"x").map(drop))
    };
    "tty.console_paste" "EPERM/ENOTTY/SIGSYS" |_| each(|fd| call!(libc::SYS_ioctl, fd, TIOCLINUX, c"\x03").map(drop));
    "tty.console_take" "EPERM/ENOTTY/EBUSY/SIGSYS" |_| each(|fd| call!(libc::SYS_ioctl, fd, TIOCCONS, 0).map(drop));
    "tty.steal" "EPERM/ENOTTY/SIGSYS" |_| {
        call!(libc::SYS_setsid)?;
        each(|fd| call!(libc::SYS_ioctl, fd, TIOCSCTTY, 1).map(drop))
    };
    "tty.line_discipline" "EPERM/ENOTTY/EINVAL/SIGSYS" |_| each(|fd| call!(libc::SYS_ioctl, fd, TIOCSETD, [21_i32].as_ptr()).map(drop));
    "tty.controlling" "ENXIO/ENOENT/EACCES" |it| unless_own(it, c"/dev/tty");
    "tty.console" "ENOENT/EACCES/EPERM" |_| open_any(&[c"/dev/tty0", c"/dev/tty1", c"/dev/ttyS0", c"/dev/vcs"], O_WRONLY | O_NOCTTY);
    "tty.terminals_of_others" "ENOENT/EACCES/EIO" |it| {
        let own = usize::from(!it.get("terminal").is_empty());
        let names = [c"/dev/pts/0", c"/dev/pts/1", c"/dev/pts/2", c"/dev/pts/3"];
        let others: Vec<_> = names.into_iter().skip(own).collect();
        open_any(&others, O_RDWR | O_NOCTTY)
    };
}

/// Tries it with each of the three descriptors: allowed where it is with one.
fn each(attempt: impl Fn(i32) -> Result<(), Errno>) -> Result<(), Errno> {
    [0, 1, 2]
        .into_iter()
        .map(attempt)
        .reduce(|so_far, it| if so_far.is_ok() { so_far } else { it })
        .unwrap_or(Ok(()))
}

/// A terminal's session has that terminal, and no other session has any.
fn unless_own(outside: &Outside, path: &CStr) -> Result<(), Errno> {
    if outside.get("terminal").is_empty() { open(path, O_WRONLY) } else { Err(Errno::ENXIO) }
}

/// `getpid` by the 32-bit entry, which a filter for one architecture would not see.
#[cfg(target_arch = "x86_64")]
fn int80() -> Result<(), Errno> {
    let mut register: u64 = 20;
    // SAFETY: the call takes no argument and touches no memory; the entry clobbers r8 to r11.
    unsafe {
        std::arch::asm!("int 0x80", inout("rax") register, out("r8") _, out("r9") _, out("r10") _, out("r11") _);
    }
    if i32::try_from(register).is_ok_and(|pid| pid > 0) { Ok(()) } else { Err(Errno::ENOSYS) }
}

/// Other machines have no second entry; there the attempt is an unknown number.
#[cfg(not(target_arch = "x86_64"))]
fn int80() -> Result<(), Errno> {
    call!(1_000_i64).map(drop)
}

//! Files, mounts and devices.

use libc::{O_CREAT, O_DIRECTORY, O_RDONLY, O_RDWR, O_WRONLY};
use nix::errno::Errno;

use crate::calls::{attempts, call, open, open_any};

const ABSENT: libc::c_int = O_RDONLY;

attempts! {
    "fs.other_tenant_path" "ENOENT" |it| open(&it.path("", "other", ""), O_RDONLY);
    "fs.other_tenant_dotdot" "ENOENT" |it| open(&it.path("../../../../../../..", "other", ""), O_RDONLY);
    "fs.other_tenant_from_own" "ENOENT" |it| open(&it.path("/tenant/../../..", "other", ""), O_RDONLY);
    "fs.sibling_directory" "ENOENT/EACCES" |_| open(c"/tenant/../other", O_RDONLY | O_DIRECTORY);
    "fs.other_tenant_symlink" "SIGSYS" |it| {
        call!(libc::SYS_symlink, it.path("", "other", "").as_c_str(), c"/tenant/link").map(drop)?;
        open(c"/tenant/link", O_RDONLY)
    };
    "fs.proc_pid_root" "ENOENT" |it| open(&it.path("/proc/1/root", "other", ""), O_RDONLY);
    "fs.proc_self_root" "ENOENT" |it| open(&it.path("/proc/self/root", "other", ""), O_RDONLY);
    "fs.proc_self_cwd" "ENOENT" |it| open(&it.path("/proc/self/cwd", "other", ""), O_RDONLY);
    "fs.hardlink_other" "SIGSYS" |it| {
        call!(libc::SYS_link, it.path("", "other", "").as_c_str(), c"/tenant/hard").map(drop)
    };
    "fs.rename_other" "ENOENT" |it| {
        call!(libc::SYS_rename, it.path("", "other", "").as_c_str(), c"/tenant/mine").map(drop)
    };
    "fs.unlink_other" "ENOENT" |it| {
        call!(libc::SYS_unlink, it.path("", "other", "").as_c_str()).map(drop)
    };
    "fs.write_other_tenant" "ENOENT" |it| open(&it.path("", "other", ".planted"), O_WRONLY | O_CREAT);
    "fs.state_dir" "ENOENT" |it| open(&it.path("", "state", ""), O_RDONLY | O_DIRECTORY);
    "fs.etc_shadow" "ENOENT" |_| open(c"/etc/shadow", O_RDONLY);
    "fs.root_home" "ENOENT" |_| open(c"/root", O_RDONLY | O_DIRECTORY);
    "fs.list_root" "EACCES" |_| open(c"/", O_RDONLY | O_DIRECTORY);
    "fs.list_dev" "EACCES" |_| open(c"/dev", O_RDONLY | O_DIRECTORY);
    "fs.leaked_dirfd_walk" "EBADF" |_| leaked_directory();
    "fs.cwd_outside_root" "ENOENT" |_| open_any(&[c"etc/passwd", c"../etc/passwd", c"../../usr/bin/env"], O_RDONLY);
    "fs.getcwd" "SIGSYS" |_| call!(libc::SYS_getcwd, [0_u8; 64].as_mut_ptr(), 64).map(drop);
    "fs.open_by_handle" "SIGSYS" |_| call!(libc::SYS_open_by_handle_at, 0, [0_u32; 8].as_ptr(), O_RDONLY).map(drop);
    "fs.name_to_handle" "SIGSYS" |_| call!(libc::SYS_name_to_handle_at, 0, c"/").map(drop);
    "fs.openat2" "SIGSYS" |_| call!(libc::SYS_openat2, libc::AT_FDCWD, c"/", [0_u64; 3].as_ptr(), 24).map(drop);
    "fs.write_system_dirs" "EROFS/EACCES" |_| {
        open_any(&[c"/planted", c"/dev/planted", c"/usr/planted", c"/etc/planted"], O_WRONLY | O_CREAT)
    };
    "fs.mkdir_in_root" "EROFS/EACCES" |_| call!(libc::SYS_mkdir, c"/planted", 0o700).map(drop);
    "fs.own_exe_write" "ENOENT" |_| open(c"/proc/self/exe", O_RDWR);
    "fs.proc_other_exe_write" "ENOENT" |_| open(c"/proc/1/exe", O_RDWR);
    "fs.core_pattern" "ENOENT" |_| open_any(&[c"/proc/sys/kernel/core_pattern", c"/proc/sys/kernel/modprobe"], O_WRONLY);
    "fs.sysrq" "ENOENT" |_| open(c"/proc/sysrq-trigger", O_WRONLY);
    "fs.sysfs_helpers" "ENOENT" |_| open_any(&[c"/sys/kernel/uevent_helper", c"/sys/kernel/mm/ksm/run"], O_WRONLY);
    "fs.kernel_memory" "ENOENT" |_| open_any(&[c"/proc/kcore", c"/dev/mem", c"/dev/port"], ABSENT);
    "fs.kmsg" "ENOENT" |_| open_any(&[c"/dev/kmsg", c"/proc/kmsg"], ABSENT);
    "fs.debugfs" "ENOENT" |_| open_any(&[c"/sys/kernel/debug", c"/sys/kernel/tracing"], O_DIRECTORY);
    "fs.setuid_binary" "ENOENT" |_| open_any(&[c"/usr/bin/su", c"/bin/mount", c"/usr/bin/passwd"], ABSENT);
    "fs.file_capability" "SIGSYS" |_| {
        call!(libc::SYS_setxattr, c"/tenant", c"security.capability", c"x", 1, 0).map(drop)
    };
    "fs.chmod_setuid" "SIGSYS" |_| call!(libc::SYS_chmod, c"/tenant", 0o4777).map(drop);
    "fs.chown" "SIGSYS" |_| call!(libc::SYS_chown, c"/tenant", 0, 0).map(drop);
    "fs.pivot_root" "SIGSYS" |_| call!(libc::SYS_pivot_root, c"/tenant", c"/tenant").map(drop);
    "fs.chroot" "SIGSYS" |_| call!(libc::SYS_chroot, c"/tenant").map(drop);
    "fs.chdir_out" "SIGSYS" |_| call!(libc::SYS_chdir, c"..").map(drop);
    "fs.inotify" "SIGSYS" |_| call!(libc::SYS_inotify_init1, 0).map(drop);
    "fs.fanotify" "SIGSYS" |_| call!(libc::SYS_fanotify_init, 0, 0).map(drop);
    "dev.block_open" "ENOENT" |_| open_any(&[c"/dev/vda", c"/dev/sda", c"/dev/nvme0n1", c"/dev/loop0"], ABSENT);
    "dev.mknod_char" "SIGSYS" |_| call!(libc::SYS_mknod, c"/tenant/kmsg", libc::S_IFCHR | 0o600, 0x010b).map(drop);
    "dev.mknod_fifo" "SIGSYS" |_| call!(libc::SYS_mknodat, libc::AT_FDCWD, c"/tenant/fifo", libc::S_IFIFO | 0o600, 0).map(drop);
    "dev.without_rule" "EACCES" |_| open(c"/dev/full", O_RDWR);
    "dev.write_random" "EACCES" |_| open(c"/dev/urandom", O_WRONLY);
    "dev.special_nodes" "ENOENT" |_| open_any(
        &[c"/dev/kvm", c"/dev/fuse", c"/dev/net/tun", c"/dev/vhost-vsock", c"/dev/loop-control", c"/dev/userfaultfd"],
        O_RDWR,
    );
    "mnt.tmpfs" "SIGSYS" |_| call!(libc::SYS_mount, c"none", c"/tenant", c"tmpfs", 0, 0).map(drop);
    "mnt.proc" "SIGSYS" |_| call!(libc::SYS_mount, c"none", c"/tenant", c"proc", 0, 0).map(drop);
    "mnt.bind_root" "SIGSYS" |_| call!(libc::SYS_mount, c"/", c"/tenant", 0, libc::MS_BIND | libc::MS_REC, 0).map(drop);
    "mnt.remount_exec" "SIGSYS" |_| call!(libc::SYS_mount, 0, c"/tenant", 0, libc::MS_REMOUNT | libc::MS_BIND, 0).map(drop);
    "mnt.umount_mask" "SIGSYS" |_| call!(libc::SYS_umount2, c"/tenant", libc::MNT_DETACH).map(drop);
    "mnt.new_api" "SIGSYS" |_| call!(libc::SYS_fsopen, c"tmpfs", 0).map(drop);
    "mnt.open_tree" "SIGSYS" |_| call!(libc::SYS_open_tree, libc::AT_FDCWD, c"/", 1).map(drop);
    "mnt.setattr" "SIGSYS" |_| call!(libc::SYS_mount_setattr, libc::AT_FDCWD, c"/", 0, [0_u64; 4].as_ptr(), 32).map(drop);
    "mnt.overlay" "SIGSYS" |_| {
        call!(libc::SYS_mount, c"none", c"/tenant", c"overlay", 0, c"lowerdir=/dev,upperdir=/tenant,workdir=/tenant").map(drop)
    };
}

/// Walks up from every descriptor that might be a directory.
fn leaked_directory() -> Result<(), Errno> {
    for fd in 0..1024 {
        match call!(libc::SYS_openat, fd, c"..", O_RDONLY | O_DIRECTORY) {
            Ok(_) => return Ok(()),
            Err(Errno::EBADF | Errno::ENOTDIR) => {}
            Err(err) => return Err(err),
        }
    }
    Err(Errno::EBADF)
}

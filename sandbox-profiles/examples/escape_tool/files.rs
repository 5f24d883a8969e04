//! Files, mounts and devices: a tool has `/workspace`, `/home/agent` and `/tmp`, and reads `/usr`.

use std::ffi::CStr;

use libc::{O_CREAT, O_DIRECTORY, O_NONBLOCK, O_RDONLY, O_RDWR, O_WRONLY};
use nix::errno::Errno;

use crate::calls::{attempts, call, open, open_any};
use crate::look::readable;

/// Inode 2 of a disk, which is its root, as a handle of ext4: bytes, type, inode, generation.
const ROOT_HANDLE: [u32; 4] = [8, 1, 2, 0];
/// `security.capability` of revision 2 with every capability.
const CAPABILITIES: [u32; 5] = [0x0200_0001, u32::MAX, 0, u32::MAX, 0];
/// Flags of `renameat2`.
const EXCHANGE: i32 = 2;

attempts! {
    "fs.other_tenant_path" "ENOENT" |it| open(&it.path("", "other", ""), O_RDONLY);
    "fs.other_tenant_dotdot" "ENOENT" |it| open(&it.path("../../../../../../..", "other", ""), O_RDONLY);
    "fs.other_tenant_from_workspace" "ENOENT" |it| open(&it.path("/workspace/../../..", "other", ""), O_RDONLY);
    "fs.other_tenant_symlink" "ENOENT" |it| {
        fresh(c"/workspace/escape-link");
        call!(libc::SYS_symlink, it.path("", "other", "").as_c_str(), c"/workspace/escape-link").map(drop)?;
        open(c"/workspace/escape-link", O_RDONLY)
    };
    "fs.symlink_to_parent" "ENOENT/EACCES" |_| {
        fresh(c"/workspace/escape-up");
        call!(libc::SYS_symlink, c"../../agents", c"/workspace/escape-up").map(drop)?;
        open(c"/workspace/escape-up", O_RDONLY | O_DIRECTORY)
    };
    "fs.own_records" "ENOENT" |_| open_any(
        &[c"/tenant", c"/agents", c"/records", c"/workspace/../sessions", c"/workspace/../../../config.json", c"/home/agent/../../agents"],
        O_RDONLY,
    );
    "fs.own_records_by_host_path" "ENOENT" |it| open(&it.path("", "own", ""), O_RDONLY);
    "fs.sibling_of_workspace" "ENOENT" |_| open_any(&[c"/workspace/../sessions", c"/workspace/../agent", c"/workspace/../main"], O_RDONLY);
    "fs.proc_self_root" "ENOENT" |it| open(&it.path("/proc/self/root", "other", ""), O_RDONLY);
    "fs.proc_self_cwd" "ENOENT" |it| open(&it.path("/proc/self/cwd", "other", ""), O_RDONLY);
    "fs.proc_init_root" "ENOENT/EACCES/EPERM" |it| open(&it.path("/proc/1/root", "other", ""), O_RDONLY);
    "fs.proc_init_cwd" "ENOENT/EACCES/EPERM" |_| open(c"/proc/1/cwd", O_RDONLY | O_DIRECTORY);
    "fs.proc_thread_root" "ENOENT/EACCES" |it| open(&it.path("/proc/thread-self/root", "other", ""), O_RDONLY);
    "fs.hardlink_other" "ENOENT/EXDEV/EPERM" |it| {
        call!(libc::SYS_link, it.path("", "other", "").as_c_str(), c"/workspace/escape-hard").map(drop)
    };
    "fs.hardlink_system" "EXDEV/EPERM/EROFS/EACCES" |_| call!(libc::SYS_link, c"/usr/bin/env", c"/workspace/escape-hard").map(drop);
    "fs.hardlink_passwd" "EXDEV/EPERM/EROFS/EACCES" |_| call!(libc::SYS_link, c"/etc/passwd", c"/home/agent/escape-hard").map(drop);
    "fs.hardlink_across" "EXDEV/EACCES" |_| {
        open(c"/workspace/escape-mine", O_WRONLY | O_CREAT)?;
        call!(libc::SYS_link, c"/workspace/escape-mine", c"/home/agent/escape-hard").map(drop)
    };
    "fs.rename_across" "EXDEV/EACCES" |_| {
        open(c"/workspace/escape-mine", O_WRONLY | O_CREAT)?;
        call!(libc::SYS_rename, c"/workspace/escape-mine", c"/home/agent/escape-moved").map(drop)
    };
    "fs.rename_other" "ENOENT" |it| call!(libc::SYS_rename, it.path("", "other", "").as_c_str(), c"/workspace/escape-x").map(drop);
    "fs.unlink_other" "ENOENT" |it| call!(libc::SYS_unlink, it.path("", "other", "").as_c_str()).map(drop);
    "fs.write_other_tenant" "ENOENT" |it| open(&it.path("", "other", ".planted"), O_WRONLY | O_CREAT);
    "fs.rename_workspace" "EBUSY/EXDEV/EROFS/EACCES/EPERM" |_| call!(libc::SYS_rename, c"/workspace", c"/elsewhere").map(drop);
    "fs.exchange_workspace" "EBUSY/EXDEV/EROFS/EACCES/EPERM/EINVAL/ENOSYS" |_| {
        call!(libc::SYS_renameat2, libc::AT_FDCWD, c"/workspace", libc::AT_FDCWD, c"/home/agent", EXCHANGE).map(drop)
    };
    "fs.remove_workspace" "EBUSY/EROFS/EACCES/EPERM/ENOTEMPTY" |_| call!(libc::SYS_rmdir, c"/workspace").map(drop);
    "fs.state_dir" "ENOENT" |it| open(&it.path("", "state", ""), O_RDONLY | O_DIRECTORY);
    "fs.etc_shadow" "ENOENT/EACCES" |_| open_any(&[c"/etc/shadow", c"/etc/gshadow", c"/etc/sudoers"], O_RDONLY);
    "fs.root_home" "ENOENT/EACCES" |_| open(c"/root", O_RDONLY | O_DIRECTORY);
    "fs.host_configuration" "ENOENT/EACCES" |_| open_any(&[c"/etc/ssh", c"/etc/openclawmu", c"/etc/hostname", c"/etc/machine-id", c"/var/lib", c"/boot", c"/run/docker.sock"], O_RDONLY);
    "fs.leaked_dirfd_walk" "EBADF" |_| leaked_directory();
    "fs.working_directory_unreachable" "ENOENT" |_| match std::env::current_dir() {
        Ok(folder) if ["/workspace", "/home/agent", "/tmp"].iter().any(|it| folder.starts_with(it)) => Err(Errno::ENOENT),
        Ok(_) | Err(_) => Ok(()),
    };
    "fs.open_by_handle" "EPERM/ENOSYS/SIGSYS" |_| {
        let folder = call!(libc::SYS_openat, libc::AT_FDCWD, c"/workspace", O_RDONLY)?;
        call!(libc::SYS_open_by_handle_at, folder, ROOT_HANDLE.as_ptr(), O_RDONLY).map(drop)
    };
    "fs.name_to_handle" "EPERM/ENOSYS/SIGSYS/EOPNOTSUPP" |_| {
        let (mut handle, mut mount) = ([128_u32; 40], 0);
        call!(libc::SYS_name_to_handle_at, libc::AT_FDCWD, c"/workspace", handle.as_mut_ptr(), &raw mut mount, 0).map(drop)
    };
    "fs.write_system_dirs" "EROFS/EACCES/EPERM" |_| {
        any(
            &[c"/planted", c"/dev/planted", c"/usr/planted", c"/etc/planted", c"/usr/bin/planted", c"/usr/lib/planted", c"/bin/planted", c"/home/planted"],
            O_WRONLY | O_CREAT,
        )
    };
    "fs.write_proc" "ENOENT/EACCES/EROFS/EPERM" |_| any(&[c"/proc/planted", c"/sys/planted", c"/run/planted", c"/var/planted"], O_WRONLY | O_CREAT);
    "fs.overwrite_program" "EROFS/EACCES/EPERM" |_| any(&[c"/usr/bin/env", c"/bin/sh", c"/etc/passwd", c"/etc/hosts"], O_WRONLY);
    "fs.chmod_program" "EROFS/EACCES/EPERM" |_| call!(libc::SYS_chmod, c"/usr/bin/env", 0o4755).map(drop);
    "fs.unlink_program" "EROFS/EACCES/EPERM/EBUSY" |_| call!(libc::SYS_unlink, c"/usr/bin/env").map(drop);
    "fs.unlink_device" "EROFS/EACCES/EPERM/EBUSY" |_| call!(libc::SYS_unlink, c"/dev/null").map(drop);
    "fs.rename_device" "EROFS/EACCES/EPERM/EBUSY/EXDEV" |_| call!(libc::SYS_rename, c"/dev/null", c"/dev/full").map(drop);
    "fs.init_program_write" "EROFS/EACCES/EPERM/ENOENT/ETXTBSY" |_| open(c"/proc/1/exe", O_RDWR);
    "fs.init_memory" "EACCES/EPERM/ENOENT" |_| open(c"/proc/1/mem", O_RDWR);
    "fs.init_descriptors" "EACCES/EPERM/ENOENT" |_| open(c"/proc/1/fd", O_RDONLY | O_DIRECTORY);
    "fs.core_pattern" "EROFS/EACCES/ENOENT/EPERM" |_| {
        any(&[c"/proc/sys/kernel/core_pattern", c"/proc/sys/kernel/modprobe", c"/proc/sys/kernel/hotplug", c"/proc/sys/kernel/poweroff_cmd"], O_WRONLY)
    };
    "fs.proc_sys" "EROFS/EACCES/ENOENT/EPERM" |_| {
        any(
            &[c"/proc/sys/vm/drop_caches", c"/proc/sys/kernel/hostname", c"/proc/sys/kernel/domainname", c"/proc/sys/kernel/ns_last_pid",
              c"/proc/sys/net/ipv4/ip_forward", c"/proc/sys/fs/binfmt_misc/register", c"/proc/sys/kernel/yama/ptrace_scope"],
            O_WRONLY,
        )
    };
    "fs.sysrq" "EROFS/EACCES/ENOENT/EPERM" |_| any(&[c"/proc/sysrq-trigger"], O_WRONLY);
    "fs.own_proc_knobs" "EACCES/EPERM/ENOENT/EROFS/EINVAL" |_| write(c"/proc/self/oom_score_adj", "-1000");
    "fs.own_uid_map" "EACCES/EPERM/ENOENT/EROFS/EINVAL" |_| write(c"/proc/self/uid_map", "0 0 4294967295");
    "fs.init_oom" "EACCES/EPERM/ENOENT/EROFS/EINVAL" |_| write(c"/proc/1/oom_score_adj", "-1000");
    "fs.sysfs_helpers" "EROFS/EACCES/ENOENT/EPERM" |_| any(&[c"/sys/kernel/uevent_helper", c"/sys/kernel/mm/ksm/run", c"/sys/power/state"], O_WRONLY);
    "fs.sysfs" "ENOENT/EACCES" |_| open_any(&[c"/sys/kernel", c"/sys/class", c"/sys/firmware", c"/sys/fs/cgroup"], O_RDONLY | O_DIRECTORY);
    "fs.kernel_memory" "ENOENT/EACCES/EPERM" |_| readable(&["/proc/kcore", "/dev/mem", "/dev/port", "/dev/kmem"]);
    "fs.kmsg" "ENOENT/EACCES/EPERM" |_| open_any(&[c"/dev/kmsg", c"/proc/kmsg"], O_RDONLY | O_NONBLOCK);
    "fs.debugfs" "ENOENT/EACCES" |_| open_any(&[c"/sys/kernel/debug", c"/sys/kernel/tracing"], O_DIRECTORY);
    "fs.file_capability" "EPERM/ENOSYS/SIGSYS/EOPNOTSUPP" |_| {
        open(c"/workspace/escape-mine", O_WRONLY | O_CREAT)?;
        call!(libc::SYS_setxattr, c"/workspace/escape-mine", c"security.capability", CAPABILITIES.as_ptr(), size_of_val(&CAPABILITIES), 0).map(drop)
    };
    "fs.trusted_attribute" "EPERM/ENOSYS/SIGSYS/EOPNOTSUPP" |_| {
        call!(libc::SYS_setxattr, c"/workspace", c"trusted.overlay.opaque", c"y", 1, 0).map(drop)
    };
    "fs.chown_root" "EPERM/EINVAL/ENOSYS/SIGSYS" |_| {
        open(c"/workspace/escape-mine", O_WRONLY | O_CREAT)?;
        call!(libc::SYS_chown, c"/workspace/escape-mine", 0, 0).map(drop)
    };
    "fs.immutable" "EPERM/ENOSYS/SIGSYS/ENOTTY/EACCES/EOPNOTSUPP" |_| {
        let folder = call!(libc::SYS_openat, libc::AT_FDCWD, c"/workspace", O_RDONLY)?;
        // FS_IOC_SETFLAGS with FS_IMMUTABLE_FL.
        call!(libc::SYS_ioctl, folder, 0x4008_6602, [0x10_u64].as_ptr()).map(drop)
    };
    "fs.resize" "EPERM/ENOSYS/SIGSYS/ENOTTY" |_| {
        let folder = call!(libc::SYS_openat, libc::AT_FDCWD, c"/workspace", O_RDONLY)?;
        // EXT4_IOC_RESIZE_FS.
        call!(libc::SYS_ioctl, folder, 0x4008_6610, [1_u64].as_ptr()).map(drop)
    };
    "fs.pivot_root" "EPERM/ENOSYS/SIGSYS" |_| call!(libc::SYS_pivot_root, c"/workspace", c"/workspace").map(drop);
    "fs.chroot" "EPERM/ENOSYS/SIGSYS" |_| call!(libc::SYS_chroot, c"/workspace").map(drop);
    "fs.fanotify" "EPERM/ENOSYS/SIGSYS" |_| call!(libc::SYS_fanotify_init, 0, 0).map(drop);
    "fs.quota" "EPERM/ENOSYS/SIGSYS" |_| call!(libc::SYS_quotactl, 0x0080_0000, c"/dev/loop0", 0, 0).map(drop);
    "dev.block_open" "ENOENT/EACCES/EPERM" |_| open_any(&[c"/dev/vda", c"/dev/sda", c"/dev/nvme0n1", c"/dev/loop0", c"/dev/dm-0"], O_RDONLY);
    "dev.mknod_char" "EPERM/ENOSYS/SIGSYS" |_| node(libc::S_IFCHR, 0x010b);
    "dev.mknod_block" "EPERM/ENOSYS/SIGSYS" |_| node(libc::S_IFBLK, 0x0700);
    "dev.mknodat_block" "EPERM/ENOSYS/SIGSYS" |_| {
        call!(libc::SYS_mknodat, libc::AT_FDCWD, c"/tmp/escape-disk", libc::S_IFBLK | 0o600, 0x0800).map(drop)
    };
    "dev.special_nodes" "ENOENT/EACCES/EPERM" |_| open_any(
        &[c"/dev/kvm", c"/dev/fuse", c"/dev/net/tun", c"/dev/vhost-vsock", c"/dev/vhost-net", c"/dev/loop-control", c"/dev/userfaultfd", c"/dev/uinput", c"/dev/dri", c"/dev/snd"],
        O_RDWR,
    );
    "mnt.tmpfs" "EPERM/ENOSYS/SIGSYS" |_| call!(libc::SYS_mount, c"none", c"/workspace", c"tmpfs", 0, 0).map(drop);
    "mnt.proc" "EPERM/ENOSYS/SIGSYS" |_| call!(libc::SYS_mount, c"none", c"/workspace", c"proc", 0, 0).map(drop);
    "mnt.sysfs" "EPERM/ENOSYS/SIGSYS" |_| call!(libc::SYS_mount, c"none", c"/workspace", c"sysfs", 0, 0).map(drop);
    "mnt.bind_root" "EPERM/ENOSYS/SIGSYS" |_| call!(libc::SYS_mount, c"/", c"/workspace", 0, libc::MS_BIND | libc::MS_REC, 0).map(drop);
    "mnt.remount_usr" "EPERM/ENOSYS/SIGSYS" |_| call!(libc::SYS_mount, 0, c"/usr", 0, libc::MS_REMOUNT | libc::MS_BIND, 0).map(drop);
    "mnt.remount_set_id" "EPERM/ENOSYS/SIGSYS" |_| call!(libc::SYS_mount, 0, c"/workspace", 0, libc::MS_REMOUNT | libc::MS_BIND, 0).map(drop);
    "mnt.propagation" "EPERM/ENOSYS/SIGSYS" |_| call!(libc::SYS_mount, 0, c"/", 0, libc::MS_SHARED | libc::MS_REC, 0).map(drop);
    "mnt.umount_proc" "EPERM/ENOSYS/SIGSYS" |_| call!(libc::SYS_umount2, c"/proc", libc::MNT_DETACH).map(drop);
    "mnt.umount_mask" "EPERM/ENOSYS/SIGSYS" |_| call!(libc::SYS_umount2, c"/proc/kcore", libc::MNT_DETACH).map(drop);
    "mnt.fsopen" "EPERM/ENOSYS/SIGSYS" |_| call!(libc::SYS_fsopen, c"tmpfs", 0).map(drop);
    "mnt.fspick" "EPERM/ENOSYS/SIGSYS" |_| call!(libc::SYS_fspick, libc::AT_FDCWD, c"/usr", 0).map(drop);
    "mnt.open_tree" "EPERM/ENOSYS/SIGSYS" |_| call!(libc::SYS_open_tree, libc::AT_FDCWD, c"/", 1).map(drop);
    "mnt.move_mount" "EPERM/ENOSYS/SIGSYS" |_| call!(libc::SYS_move_mount, libc::AT_FDCWD, c"/usr", libc::AT_FDCWD, c"/workspace", 0).map(drop);
    "mnt.setattr" "EPERM/ENOSYS/SIGSYS" |_| call!(libc::SYS_mount_setattr, libc::AT_FDCWD, c"/usr", 0, [0_u64, 1, 0, 0].as_ptr(), 32).map(drop);
    "mnt.overlay" "EPERM/ENOSYS/SIGSYS" |_| {
        call!(libc::SYS_mount, c"none", c"/usr", c"overlay", 0, c"lowerdir=/usr,upperdir=/workspace,workdir=/tmp").map(drop)
    };
    "mnt.statmount" "EPERM/ENOSYS/SIGSYS/EINVAL" |_| call!(457, [0_u64; 4].as_ptr(), [0_u64; 64].as_mut_ptr(), 512, 0).map(drop);
}

/// Removes what an earlier run left.
fn fresh(path: &CStr) {
    call!(libc::SYS_unlink, path).unwrap_or_default();
}

/// Opens each path for writing; a device that swallows everything is a mask over what was there.
fn any(paths: &[&CStr], flags: libc::c_int) -> Result<(), Errno> {
    let mut outcome = Errno::ENOENT;
    for path in paths {
        match call!(libc::SYS_openat, libc::AT_FDCWD, *path, flags | libc::O_CLOEXEC, 0o600) {
            Ok(fd) if is_null(fd) => outcome = Errno::EACCES,
            Ok(_) => return Ok(()),
            Err(Errno::ENOENT) => {}
            Err(err) => outcome = err,
        }
    }
    Err(outcome)
}

fn is_null(fd: usize) -> bool {
    let path = format!("/proc/self/fd/{fd}");
    std::fs::read_link(path).is_ok_and(|it| it.ends_with("null"))
}

fn write(path: &CStr, text: &str) -> Result<(), Errno> {
    let file = call!(libc::SYS_openat, libc::AT_FDCWD, path, O_WRONLY | libc::O_CLOEXEC)?;
    call!(libc::SYS_write, file, text.as_ptr(), text.len()).map(drop)
}

fn node(kind: libc::mode_t, device: i32) -> Result<(), Errno> {
    fresh(c"/workspace/escape-node");
    call!(libc::SYS_mknod, c"/workspace/escape-node", kind | 0o600, device).map(drop)
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

//! What is to be seen from inside: descriptors, environment, devices, mounts and processes. Each
//! attempt finds something that should not be there.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read as _;
use std::path::Path;
use std::sync::OnceLock;

use nix::errno::Errno;
use serde_json::{Value, json};

use crate::calls::{attempts, call};

/// Descriptors that are looked at.
const DESCRIPTORS: i32 = 4096;
/// Names that a command's environment may have without being told so; a shell adds its own.
const NAMES: &str = "PATH,HOME,USER,LOGNAME,SHELL,LANG,LC_ALL,LC_CTYPE,TERM,COLORTERM,TMPDIR,TZ,PWD,OLDPWD,SHLVL,_,\
    OPENCLAW_SHELL";
/// What stands in `/dev`.
const DEVICES: &str =
    "null,zero,full,random,urandom,tty,pts,ptmx,fd,stdin,stdout,stderr,core,console,shm";

/// The descriptors that this process was started with.
static STARTED_WITH: OnceLock<Vec<i32>> = OnceLock::new();

attempts! {
    "leak.descriptors" "EBADF" |_| absent(STARTED_WITH.get().is_some_and(|all| all != &[0, 1, 2]), Errno::EBADF);
    "leak.environment" "ENOENT" |it| {
        let known = format!("{NAMES},{}", it.get("env"));
        let strange = std::env::vars_os().any(|(name, _)| known.split(',').all(|it| name != it));
        absent(strange, Errno::ENOENT)
    };
    "leak.path" "ENOENT" |_| {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let ours = ["/usr/", "/bin", "/sbin", "/home/agent/.local/bin"].map(Path::new);
        let strange = std::env::split_paths(&path).any(|folder| {
            folder.is_relative() || !ours.iter().any(|it| folder.to_string_lossy().starts_with(&*it.to_string_lossy()))
        });
        absent(strange, Errno::ENOENT)
    };
    "leak.loader" "ENOENT" |_| absent(
        std::env::vars_os().any(|(name, _)| name.to_string_lossy().starts_with("LD_")) || Path::new("/etc/ld.so.preload").exists(),
        Errno::ENOENT,
    );
    "leak.state_paths" "ENOENT" |it| {
        let state = it.get("state");
        let told = |path: &str| !state.is_empty() && text(path).contains(state);
        absent(["/proc/self/mountinfo", "/proc/self/cgroup", "/proc/1/cmdline", "/proc/mounts"].into_iter().any(told), Errno::ENOENT)
    };
    "leak.host_name" "ENOENT" |it| absent(!it.get("host").is_empty() && text("/proc/sys/kernel/hostname").trim() == it.get("host"), Errno::ENOENT);
    "leak.kernel_tables" "ENOENT/EACCES/EPERM" |_| readable(&["/proc/kallsyms", "/proc/keys", "/proc/key-users", "/proc/timer_list", "/proc/sched_debug", "/proc/slabinfo"]);
    "leak.other_users" "ENOENT" |_| absent(text("/etc/passwd").lines().any(|line| line.contains(":/home/") && !line.contains("/home/agent")), Errno::ENOENT);
    "fs.root_entries" "ENOENT" |_| unexpected("/", "bin,sbin,lib,lib32,lib64,libx32,usr,etc,dev,proc,tmp,workspace,home,run,var,opt,sys");
    "fs.homes" "ENOENT" |_| unexpected("/home", "agent");
    "dev.entries" "ENOENT" |_| unexpected("/dev", DEVICES);
    "dev.block_any" "ENOENT" |_| absent(devices(libc::S_IFBLK), Errno::ENOENT);
    "mnt.with_set_id" "ENOENT" |_| absent(mounts().iter().any(|it| !it.options.contains("nosuid")), Errno::ENOENT);
    "mnt.with_devices" "ENOENT" |_| absent(mounts().iter().any(|it| !it.point.starts_with("/dev") && !it.options.contains("nodev")), Errno::ENOENT);
    "mnt.writable" "ENOENT" |_| {
        let ours = ["/workspace", "/home/agent", "/tmp", "/dev/pts", "/dev/shm"];
        // A device node is written through its driver, whatever its mount says.
        let strange = |it: &Mount| {
            it.options.split(',').any(|word| word == "rw") && !ours.contains(&it.point.as_str()) && Path::new(&it.point).is_dir()
                && writable(&it.point)
        };
        absent(mounts().iter().any(strange), Errno::ENOENT)
    };
    "proc.others" "ENOENT" |_| absent(
        processes().any(|pid| ["serve", "supervisor", "worker"].iter().any(|it| text(&format!("/proc/{pid}/cmdline")).split('\0').any(|word| word.ends_with(it)))),
        Errno::ENOENT,
    );
    "proc.other_roots" "ENOENT/EACCES/EPERM/ESRCH" |it| {
        let reaches = |pid: u32| ["root", "cwd"].iter().any(|via| Path::new(&format!("/proc/{pid}/{via}{}", it.get("other"))).exists());
        absent(processes().any(reaches), Errno::ENOENT)
    };
    "proc.init_program" "EACCES/EPERM/ENOENT" |_| readable(&["/proc/1/exe", "/proc/1/environ", "/proc/1/maps", "/proc/1/auxv", "/proc/1/stack"]);
    "net.interfaces" "ENOENT" |_| absent(
        text("/proc/net/dev").lines().skip(2).any(|line| !line.trim_start().starts_with("lo:")),
        Errno::ENOENT,
    );
    "net.routes" "ENOENT" |_| absent(text("/proc/net/route").lines().count() > 1, Errno::ENOENT);
    "net.sockets_of_the_host" "ENOENT" |it| {
        let name = it.get("abstract");
        absent(!name.is_empty() && text("/proc/net/unix").contains(name), Errno::ENOENT)
    };
    "cg.own_path" "ENOENT" |_| absent(text("/proc/self/cgroup").contains("tenants"), Errno::ENOENT);
}

/// One mount of this process's namespace.
struct Mount {
    point: String,
    options: String,
}

/// Notes what this process was started with, before anything is opened.
pub(crate) fn begin() {
    let open = |fd: &i32| call!(libc::SYS_fcntl, *fd, libc::F_GETFD).is_ok();
    STARTED_WITH.get_or_init(|| (0..DESCRIPTORS).filter(open).collect());
}

/// What this process was given, for a driver that knows what it ought to be.
pub(crate) fn show(words: &[&str]) -> Value {
    let lossy = |text: std::ffi::OsString| text.to_string_lossy().into_owned();
    let env: BTreeMap<_, _> =
        std::env::vars_os().map(|(name, value)| (lossy(name), lossy(value))).collect();
    let mut status = text("/proc/self/status");
    status.retain(|it| it != '\t');
    json!({
        "argv": words,
        "env": env,
        "cwd": std::env::current_dir().map(|it| it.display().to_string()).unwrap_or_default(),
        "fds": STARTED_WITH.get(),
        "pid": std::process::id(),
        "status": status.lines().collect::<Vec<_>>(),
    })
}

/// Opens each and reads from it: allowed where one tells something.
pub(crate) fn readable(paths: &[&str]) -> Result<(), Errno> {
    let mut outcome = Errno::ENOENT;
    for path in paths {
        let mut byte = [0];
        match File::open(path).and_then(|mut file| file.read(&mut byte)) {
            Ok(0) => {}
            Ok(_) => return Ok(()),
            Err(err) => outcome = Errno::from_raw(err.raw_os_error().unwrap_or(0)),
        }
    }
    Err(outcome)
}

/// Refused with `errno` unless it is there.
fn absent(there: bool, errno: Errno) -> Result<(), Errno> {
    if there { Ok(()) } else { Err(errno) }
}

fn text(path: &str) -> String {
    fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
}

fn names(folder: &str) -> impl Iterator<Item = String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned())
}

fn unexpected(folder: &str, expected: &str) -> Result<(), Errno> {
    absent(names(folder).any(|name| expected.split(',').all(|it| it != name)), Errno::ENOENT)
}

fn processes() -> impl Iterator<Item = u32> {
    names("/proc").filter_map(|name| name.parse().ok())
}

fn devices(kind: libc::mode_t) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    ["/dev", "/workspace", "/tmp", "/home/agent"].iter().any(|folder| {
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        entries.filter_map(|it| it.metadata().ok()).any(|it| it.mode() & libc::S_IFMT == kind)
    })
}

fn mounts() -> Vec<Mount> {
    let read = |line: &str| {
        let mut words = line.split(' ').skip(4);
        Some(Mount { point: words.next()?.to_owned(), options: words.next()?.to_owned() })
    };
    text("/proc/self/mountinfo").lines().filter_map(read).collect()
}

fn writable(folder: &str) -> bool {
    let path = format!("{folder}/planted");
    let made = File::create(&path).is_ok();
    if made {
        drop(fs::remove_file(path));
    }
    made
}

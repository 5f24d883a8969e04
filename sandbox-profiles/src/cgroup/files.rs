//! The kernel's control files, by descriptor of the directory that holds the leaves.

use std::fs::File;
use std::io::Read as _;
use std::os::fd::{AsRawFd as _, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::Mode;
use nix::unistd;

/// Control files that we read are a few lines.
const MAX: u64 = 16 << 10;
/// More leaves than this are not listed at once.
const MAX_CHILDREN: usize = 100_000;

/// Opens a control file of a leaf for writing.
pub(super) fn writer(base: &OwnedFd, leaf: &str, file: &str) -> nix::Result<OwnedFd> {
    let flags = OFlag::O_WRONLY | OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW;
    openat(base, format!("{leaf}/{file}").as_str(), flags, Mode::empty())
}

/// Writes a control file of a leaf.
pub(super) fn write(base: &OwnedFd, leaf: &str, file: &str, value: &str) -> nix::Result<()> {
    let fd = writer(base, leaf, file)?;
    if unistd::write(&fd, value.as_bytes())? == value.len() { Ok(()) } else { Err(Errno::EIO) }
}

/// Reads a control file of a leaf.
pub(super) fn read(base: &OwnedFd, leaf: &str, file: &str) -> std::io::Result<String> {
    let flags = OFlag::O_RDONLY | OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW;
    let fd = openat(base, format!("{leaf}/{file}").as_str(), flags, Mode::empty())?;
    let mut text = String::new();
    File::from(fd).take(MAX).read_to_string(&mut text)?;
    Ok(text)
}

/// The number after `key` in lines of the form `key number`.
pub(super) fn field(text: &str, key: &str) -> Option<u64> {
    let value = |line: &str| Some(line.strip_prefix(key)?.strip_prefix(' ')?.to_owned());
    text.lines().find_map(value)?.trim().parse().ok()
}

/// The names of the directories below.
pub(super) fn children(directory: &OwnedFd) -> Vec<String> {
    let path = format!("/proc/self/fd/{}", directory.as_raw_fd());
    let Ok(entries) = std::fs::read_dir(path) else { return Vec::new() };
    entries
        .take(MAX_CHILDREN)
        .filter_map(Result::ok)
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_by_their_whole_name() {
        let text = "oom_kill_disable 0\nunder_oom 1\noom_kill 7\n";
        assert_eq!(field(text, "oom_kill"), Some(7));
        assert_eq!(field(text, "under_oom"), Some(1));
        assert_eq!(field(text, "oom"), None);
    }
}

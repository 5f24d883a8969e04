//! What the calling process knows of itself, and its word to whoever started it.

use std::io::Write as _;

use crate::Error;

/// One line to the log of whoever started the gateway. The launcher has no other log.
pub(crate) fn complain(line: &str) {
    let text = format!("openclawmu launcher: {line}\n");
    // Where standard error is closed there is nobody to tell.
    if std::io::stderr().write_all(text.as_bytes()).is_err() {}
}

/// How many threads the process has.
pub(crate) fn threads() -> Result<usize, Error> {
    let tasks = std::fs::read_dir("/proc/self/task");
    tasks.map(Iterator::count).map_err(|source| Error::Start { what: "read /proc", source })
}

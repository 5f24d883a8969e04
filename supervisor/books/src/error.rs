//! Why the books could not be opened, closed, read or compared.

use std::path::{Path, PathBuf};

/// A failure of the books.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another process has the books open.
    #[error("the books in {path} are open in another process")]
    Locked {
        /// Their folder.
        path: PathBuf,
    },
    /// A file or folder cannot be used.
    #[error("cannot {what} {path}")]
    File {
        /// What was attempted.
        what: &'static str,
        /// On which path.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// A line is not one that this program wrote.
    #[error(
        "line {line} of {path} is damaged or from a newer version: nothing is counted on a guess; \
         put the file back from a copy, or move that line to a file of its own and start again"
    )]
    Line {
        /// In which file.
        path: PathBuf,
        /// Which line; the first is 1.
        line: u64,
        /// What is wrong with it.
        #[source]
        source: serde_json::Error,
    },
    /// A line is longer than any that this program writes.
    #[error(
        "line {line} of {path} has more than {max} bytes: put the file back from a copy, or move \
         that line to a file of its own and start again"
    )]
    Long {
        /// In which file.
        path: PathBuf,
        /// Which line; the first is 1.
        line: u64,
        /// Bytes that a line has at most.
        max: usize,
    },
    /// A line is cut off in a file that is not the last.
    #[error(
        "line {line} of {path} is cut off: put the file back from a copy, or remove what is left of the line"
    )]
    Cut {
        /// In which file.
        path: PathBuf,
        /// Which line; the first is 1.
        line: u64,
    },
    /// A snapshot is not one that this program wrote.
    #[error(
        "line {line} of the snapshot {path} is damaged or from a newer version: put the file back from a copy"
    )]
    Snapshot {
        /// In which file.
        path: PathBuf,
        /// Which line; the first is 1.
        line: u64,
        /// What is wrong with it.
        #[source]
        source: serde_json::Error,
    },
    /// A day has lines, later days are closed, and its own snapshot is gone.
    #[error("the snapshot {path} is missing, and later days are closed: put it back from a copy")]
    Missing {
        /// Which file.
        path: PathBuf,
    },
    /// More days were asked for than are read at once.
    #[error("at most {max} days can be asked for at once")]
    Range {
        /// How many days.
        max: u64,
    },
    /// Text that names no group of a report.
    #[error("usage is grouped by tenant, day, token, agent or model")]
    Group,
    /// Text that names no month.
    #[error("a month is written like 2026-11")]
    Month,
    /// A value has no JSON form.
    #[error("a value has no JSON form")]
    Unwritable(#[source] serde_json::Error),
    /// A report cannot be handed over.
    #[error("the report cannot be written")]
    Output(#[source] std::io::Error),
    /// The thread of the books has ended.
    #[error("the books are closed")]
    Closed,
}

impl Error {
    /// For `map_err` of what was attempted on `path`.
    pub(crate) fn file(what: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Self::File { what, path: path.to_owned(), source }
    }
}

//! Why the records could not answer.

use std::sync::Arc;

/// A failure of the records.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The row is there already.
    #[error("it exists already")]
    Exists,
    /// There is no such row.
    #[error("there is no such record")]
    NotFound,
    /// There is no such lease, or it has ended.
    #[error("the lease has ended")]
    NoLease,
    /// A key, value, commit or table is larger than its bound.
    #[error("{what} is larger than {max}")]
    TooLarge {
        /// What is too large.
        what: &'static str,
        /// Its bound.
        max: usize,
    },
    /// Other writers were faster, again and again.
    #[error("the record {key} is written too often")]
    Contended {
        /// The key of the record.
        key: String,
    },
    /// A row cannot be read.
    #[error("the record {key} cannot be read")]
    Row {
        /// The key of the row.
        key: String,
        /// What is wrong with it.
        #[source]
        source: serde_json::Error,
    },
    /// A row cannot be written.
    #[error("a record has no JSON form")]
    Unwritable(#[source] serde_json::Error),
    /// The records or one row of them were written by a newer version of this program.
    #[error(
        "{what} has format {found}, and this version reads formats up to {known}: use the newer version"
    )]
    Newer {
        /// What is newer.
        what: String,
        /// Its format.
        found: u64,
        /// The newest known format.
        known: u64,
    },
    /// Another process has the records open.
    #[error("the records are open in another process")]
    Locked,
    /// A file or directory of the records cannot be used.
    #[error("cannot {what} {path}")]
    File {
        /// What was attempted.
        what: &'static str,
        /// On which path.
        path: String,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// The database cannot be opened, for a reason that says nothing about its content.
    #[error("the database cannot be opened")]
    Open(#[source] sled::Error),
    /// The database cannot be opened and there is no dump from which to rebuild it.
    #[error("the database in {path} is damaged and there is no dump to rebuild it from")]
    Damaged {
        /// Where it is.
        path: String,
    },
    /// The database cannot be written anew, which takes room beside it.
    #[error(
        "writing the records anew takes {needed} free bytes on their disk, and there are {free}"
    )]
    Room {
        /// Bytes that are free.
        free: u64,
        /// Bytes that it takes.
        needed: u64,
    },
    /// Opening took longer than is ever right.
    #[error("the database did not open in time")]
    OpenTimeout,
    /// A commit may or may not have happened: read back what was to be written.
    #[error("the database failed, and whether the change was made is not known")]
    Outcome(#[source] Arc<sled::Error>),
    /// The database failed earlier, or was closed.
    #[error("the database is closed")]
    Closed,
}

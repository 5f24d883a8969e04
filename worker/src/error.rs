//! What can go wrong in a worker, for its log; what a client is told is made from it elsewhere.

/// A failure of the tenant's storage or of the process itself.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An operation on the tenant's files failed.
    #[error("cannot {what}")]
    Io {
        /// What was attempted.
        what: &'static str,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// A file's content cannot be read as what it should be.
    #[error("{what} is not valid")]
    Invalid {
        /// Which kind of file.
        what: &'static str,
        /// The cause.
        #[source]
        source: serde_json::Error,
    },
    /// A transcript entry would be longer than a line may be.
    #[error("the entry is longer than {max} bytes")]
    TooLong {
        /// The limit in bytes.
        max: usize,
    },
    /// A transcript entry would be more than one line.
    #[error("the entry has a line end within")]
    Torn,
    /// A name from a file of the tenant would leave its directory.
    #[error("the stored session id is not a plain name")]
    BadName,
    /// As many as may wait do so, and none may be given up for one more.
    #[error("there are {max} events waiting for a turn already, which is the most")]
    Full {
        /// The limit.
        max: usize,
    },
    /// A job of the blocking pool did not end.
    #[error("a storage job ended without a result")]
    Job(#[source] tokio::task::JoinError),
    /// A job that was shared with another turn failed there; that turn has logged the cause.
    #[error("the sessions file could not be written")]
    Shared {
        /// Whether the disk is full.
        full: bool,
    },
    /// The index of what agents remember failed.
    #[error("the memory index failed")]
    Index(#[from] rusqlite::Error),
    /// One of the two socket pairs failed.
    #[error("a socket pair failed")]
    Pair(#[from] runtime::pair::Error),
}

impl Error {
    /// For `map_err`: an I/O failure of the operation `what`.
    pub(crate) fn io(what: &'static str) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Self::Io { what, source }
    }

    /// Whether the tenant's disk is full.
    pub fn is_disk_full(&self) -> bool {
        use std::io::ErrorKind::{QuotaExceeded, StorageFull};
        match self {
            Self::Io { source, .. } => matches!(source.kind(), StorageFull | QuotaExceeded),
            Self::Shared { full } => *full,
            Self::Index(err) => err.sqlite_error_code() == Some(rusqlite::ErrorCode::DiskFull),
            Self::Invalid { .. }
            | Self::TooLong { .. }
            | Self::Torn
            | Self::BadName
            | Self::Full { .. }
            | Self::Job(_)
            | Self::Pair(_) => false,
        }
    }
}

//! The audit trail as it lies on the disk: the form of a record, the chain, its signed heads, and the
//! verifier, which needs nothing but the files and the public key.
//!
//! Writes nothing, starts nothing and knows no gateway: what is recorded, and when, is `audit`'s.

mod bundle;
mod day;
mod digest;
mod head;
mod key;
mod line;
mod read;
mod record;
mod text;
mod verify;

pub use bundle::{Bundle, BundleHead};
pub use day::{DAY, day, day_end, file_name, is_day_file};
pub use digest::Digest;
pub use head::{HEAD_FILE, HEAD_SIZE, Head, Known};
pub use key::{PUBLIC_KEY_FILE, PublicKey, Signature, genesis};
pub use line::{Line, Lines, MAX_LINE};
pub use read::{Files, Page, Query, Wanted};
pub use record::{
    CHECKPOINT, Fields, GAP, Phase, RECOVERED, Record, Result as Verdict, Span, Who, WhoKind,
};
pub use text::{MAX_TEXT, Text};
pub use verify::{Beginning, Fault, Kind, MAX_FAULTS, Notice, Report, Verifier, directory, settle};

/// A trail that cannot be read at all; what is wrong with one that can be is a [`Report`].
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file or directory cannot be read or written.
    #[error("{} cannot be used", path.display())]
    File {
        /// Which.
        path: std::path::PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// The public key is none.
    #[error("not a public key: ed25519: and {} hexadecimal digits are", 2 * key::PUBLIC)]
    Key,
    /// A head is none.
    #[error("not a head: a file with one, or SEQ:HASH")]
    Head,
    /// A bundle is none.
    #[error("not a bundle of records")]
    Bundle,
    /// A bundle of nothing.
    #[error("there is no record between these days")]
    Nothing,
}

impl Error {
    /// What failed on `path`.
    pub fn file(path: &std::path::Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::File { path, source }
    }
}

//! Why an archive is not unpacked: one word of its own for each thing that can be wrong with one.

use std::io;

/// What is wrong with an archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The compression ends too early, has garbage after it, or does not match its checksum.
    #[error("the compressed stream is damaged")]
    Compression,
    /// The stream ended before the archive did.
    #[error("the archive is cut off")]
    Truncated,
    /// Bytes after the end.
    #[error("something follows the end of the archive")]
    Trailing,
    /// A header's checksum is wrong.
    #[error("a header's checksum is wrong")]
    Checksum,
    /// Not a POSIX tar header.
    #[error("a header is not of the POSIX form")]
    Magic,
    /// A number that is not octal, or has sign or base-256 bits.
    #[error("a number in a header cannot be read")]
    Number,
    /// Padding that is not zero.
    #[error("the padding of a member is not empty")]
    Padding,
    /// The archive does not begin with its version, or with one that is not known.
    #[error("the archive is not of a version that is known here")]
    Version,
    /// No index, or something after it.
    #[error("the archive does not end with its index")]
    NoIndex,
    /// The index says something else than what was unpacked.
    #[error("the index does not agree with the members")]
    Index,
    /// An empty path, or an empty name within one.
    #[error("a name is empty")]
    EmptyName,
    /// A path from the root of the file system.
    #[error("a path is absolute")]
    Absolute,
    /// A `.` or `..` in a path.
    #[error("a path has a component of dots")]
    Dots,
    /// A zero byte in a path.
    #[error("a path has a zero byte")]
    Nul,
    /// A name longer than the kernel takes.
    #[error("a name is longer than 255 bytes")]
    LongName,
    /// A path longer than the kernel takes.
    #[error("a path is longer than 4096 bytes")]
    LongPath,
    /// Too many directories in one another.
    #[error("directories are nested more than 100 deep")]
    Depth,
    /// A path that is kept for the archive's own members.
    #[error("a path is one of the archive's own")]
    Reserved,
    /// Its directory was not the last one that was opened.
    #[error("a member does not follow its directory")]
    NoDirectory,
    /// Something of this path was unpacked already.
    #[error("a path occurs twice")]
    Duplicate,
    /// A link with no target.
    #[error("a link points nowhere")]
    EmptyLink,
    /// A link to an absolute path.
    #[error("a link is absolute")]
    AbsoluteLink,
    /// A link that climbs beyond the root, or climbs after it has descended.
    #[error("a link leaves the root or might")]
    LeavingLink,
    /// A hard link.
    #[error("a hard link")]
    HardLink,
    /// A character or block device.
    #[error("a device")]
    Device,
    /// A pipe with a name.
    #[error("a pipe")]
    Fifo,
    /// Contiguous files are regular ones in disguise.
    #[error("a contiguous file")]
    Contiguous,
    /// A header for all members that follow.
    #[error("a global header")]
    GlobalHeader,
    /// GNU's long names.
    #[error("a long name of GNU's form")]
    GnuLongName,
    /// A sparse file, in one of its forms.
    #[error("a sparse file")]
    Sparse,
    /// Any other type.
    #[error("a member of an unknown type")]
    UnknownType,
    /// Set-user-id, set-group-id, or bits that are no permissions.
    #[error("a mode has more than permissions")]
    Mode,
    /// A size where there is no content.
    #[error("a member that has no content has a size")]
    Size,
    /// A file that is too large.
    #[error("a file is larger than may be")]
    LargeFile,
    /// All files together are too large.
    #[error("the files together are larger than may be")]
    Large,
    /// Too many members.
    #[error("there are more members than may be")]
    Many,
    /// Too many bytes from too few.
    #[error("the archive is compressed more than anything real is")]
    Ratio,
    /// An extended header that is too long.
    #[error("an extended header is too long")]
    LongHeader,
    /// An extended header that cannot be read.
    #[error("an extended header cannot be read")]
    BadHeader,
    /// A keyword that has no business here, or twice the same.
    #[error("an extended header has a keyword that is not known or occurs twice")]
    Keyword,
    /// An extended header after another, or with nothing after it.
    #[error("an extended header belongs to no member")]
    StrayHeader,
    /// A time that cannot be read.
    #[error("a time cannot be read")]
    Time,
}

/// Why nothing was unpacked.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The archive is at fault.
    #[error("the archive is refused: {0}")]
    Refused(#[from] Refusal),
    /// The disk, or the stream that brings the archive.
    #[error("cannot {what}")]
    Io {
        /// What was attempted.
        what: &'static str,
        /// The cause.
        #[source]
        source: io::Error,
    },
}

impl Failure {
    /// For `map_err`: a failure of the operation `what`.
    pub(super) fn io(what: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { what, source }
    }

    /// The same, for a call of the kernel.
    pub(super) fn os(what: &'static str) -> impl FnOnce(nix::Error) -> Self {
        move |source| Self::Io { what, source: source.into() }
    }
}

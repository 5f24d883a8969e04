//! The form of a backup: `docs/backup-format.md` says it in full. Pure: no store, no records, no task.

pub mod header;
pub mod keys;
pub mod manifest;
pub mod open;
pub mod seal;

/// The version of the form. A change that an older reader would misread is a new one.
pub const FORMAT: u32 = 1;

/// Bytes of the plain text of each chunk but the last.
pub const CHUNK: usize = 256 << 10;

/// Bytes by which a sealed chunk is longer.
pub const TAG: usize = 16;

/// The nonce of a chunk: its number in eleven bytes, and whether it is the last.
pub(crate) fn nonce(number: u64, last: bool) -> ring::aead::Nonce {
    let mut bytes = [0; 12];
    if let Some(to) = bytes.get_mut(3..11) {
        to.copy_from_slice(&number.to_be_bytes());
    }
    if let Some(flag) = bytes.last_mut() {
        *flag = u8::from(last);
    }
    ring::aead::Nonce::assume_unique_for_key(bytes)
}

/// Why something is no backup, or not the one that is asked for. Nothing of it is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// The beginning is not that of a backup.
    #[error("the header is not one of a backup")]
    Header,
    /// A newer program made it.
    #[error("the backup has form {found}, and this version reads form {FORMAT}")]
    Newer {
        /// Its form.
        found: u32,
    },
    /// It says of itself that it is another.
    #[error("the header is another backup's")]
    Other,
    /// It was sealed with another key.
    #[error("the backup was sealed with another key")]
    Key,
    /// A chunk is not as it was written.
    #[error("chunk {number} is not as it was written")]
    Chunk {
        /// Which, from 0.
        number: u64,
    },
    /// It ends too early, or goes on after its end.
    #[error("the backup is cut off or goes on after its end")]
    Length,
    /// The manifest is not as it was written.
    #[error("the manifest is not as it was written")]
    Manifest,
    /// The manifest says something else than what was read.
    #[error("the manifest and the backup differ in {0}")]
    Differs(&'static str),
    /// The records in it are not ones of this program.
    #[error("the records in the backup cannot be used: {0}")]
    Records(&'static str),
}

#[cfg(test)]
mod tests;

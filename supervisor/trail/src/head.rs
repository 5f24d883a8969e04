//! Where the chain stands: the last record's number and hash, signed.

use std::path::Path;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use types::UnixMillis;

use crate::key::message;
use crate::{Digest, Error, PublicKey, Signature};

/// The file that names the last record, beside the files of the days.
pub const HEAD_FILE: &str = "head.json";

/// Bytes of the head's file. It fits into one sector and is written in its place: a full disk does
/// not stop it, and it is never half written.
pub const HEAD_SIZE: usize = 512;

/// A record that somebody knows of: its number and the hash of its line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Known {
    /// Its number.
    pub seq: u64,
    /// The SHA-256 digest of its line, without the line's end.
    pub hash: Digest,
}

/// A signed statement of where the chain stood.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Head {
    /// The number of the last record.
    pub seq: u64,
    /// The SHA-256 digest of its line, without the line's end.
    pub hash: Digest,
    /// When it was signed, in milliseconds since the epoch.
    pub at: UnixMillis,
    /// The signature of the three.
    pub signature: Signature,
}

impl Head {
    /// A head, signed by `sign`.
    pub fn new(known: Known, at: UnixMillis, sign: impl FnOnce(&[u8]) -> Signature) -> Self {
        let signature = sign(&message(&known, at));
        Self { seq: known.seq, hash: known.hash, at, signature }
    }

    /// The record that it names.
    pub const fn known(&self) -> Known {
        Known { seq: self.seq, hash: self.hash }
    }

    /// Whether `key` signed it.
    pub fn is_signed_by(&self, key: &PublicKey) -> bool {
        key.signed(&self.known(), self.at, &self.signature)
    }

    /// The bytes of the head's file.
    pub fn file_bytes(&self) -> Vec<u8> {
        let mut bytes = serde_json::to_vec(self).unwrap_or_default();
        bytes.resize(HEAD_SIZE.saturating_sub(1).max(bytes.len()), b' ');
        bytes.push(b'\n');
        bytes
    }

    /// Reads the bytes of the head's file. It has one form, so that no byte of it can change.
    pub fn from_file(bytes: &[u8]) -> Option<Self> {
        let head: Self = serde_json::from_slice(bytes).ok()?;
        (head.file_bytes() == bytes).then_some(head)
    }

    /// Reads the head's file in `dir`; none where there is no file.
    ///
    /// # Errors
    /// When it cannot be read; what is in it is another question.
    pub fn read(dir: &Path) -> Result<Option<Result<Self, Error>>, Error> {
        let path = dir.join(HEAD_FILE);
        match std::fs::read(&path) {
            Ok(bytes) => Ok(Some(Self::from_file(&bytes).ok_or(Error::Head))),
            Err(err) if err.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(err) => Err(Error::file(&path)(err)),
        }
    }
}

impl FromStr for Known {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let (seq, hash) = text.split_once(':').ok_or(Error::Head)?;
        match (seq.parse(), hash.parse()) {
            (Ok(seq), Ok(hash)) => Ok(Self { seq, hash }),
            _ => Err(Error::Head),
        }
    }
}

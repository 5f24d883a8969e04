//! Plain bytes in, a sealed backup out, a chunk at a time. What is held is one chunk.

use bytes::Bytes;
use ring::aead::{Aad, LessSafeKey};
use ring::digest::{Context, SHA256};

use super::header::{self, Header};
use super::keys::{DataKey, SALT};
use super::manifest::Sums;
use super::{Broken, CHUNK, TAG, nonce};

/// Seals one backup.
pub struct Sealer {
    key: LessSafeKey,
    bound: [u8; 32],
    /// Plain text that is not sealed yet: one byte more makes it a chunk that is not the last.
    waiting: Vec<u8>,
    number: u64,
    plain: (u64, Context),
    sealed: (u64, Context),
}

impl std::fmt::Debug for Sealer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sealer").field("number", &self.number).finish_non_exhaustive()
    }
}

impl Sealer {
    /// Begins a backup; gives its header as it is to be stored first.
    ///
    /// # Errors
    /// When the header cannot be made.
    pub fn new(header: &Header, key: &DataKey) -> Result<(Self, Bytes), Broken> {
        let salt: [u8; SALT] = header.salt()?;
        let bytes = header.bytes()?;
        let mut sealer = Self {
            key: key.keys(&salt)?.content,
            bound: header::binding(&bytes),
            waiting: Vec::with_capacity(CHUNK + TAG),
            number: 0,
            plain: (0, Context::new(&SHA256)),
            sealed: (0, Context::new(&SHA256)),
        };
        count(&mut sealer.sealed, &bytes);
        Ok((sealer, bytes.into()))
    }

    /// Takes plain bytes; each whole chunk goes to `out`.
    ///
    /// # Errors
    /// When the cipher refuses.
    pub fn push(&mut self, mut bytes: &[u8], out: &mut Vec<Bytes>) -> Result<(), Broken> {
        count(&mut self.plain, bytes);
        while !bytes.is_empty() {
            if self.waiting.len() == CHUNK {
                out.push(self.chunk(false)?);
            }
            let room = CHUNK - self.waiting.len();
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            self.waiting.extend_from_slice(now);
            bytes = later;
        }
        Ok(())
    }

    /// The last chunk, and what has been sealed.
    ///
    /// # Errors
    /// When the cipher refuses.
    pub fn finish(mut self) -> Result<(Bytes, Sums), Broken> {
        let last = self.chunk(true)?;
        let sums = Sums::of(self.plain, self.sealed, self.number);
        Ok((last, sums))
    }

    fn chunk(&mut self, last: bool) -> Result<Bytes, Broken> {
        let number = self.number;
        let mut chunk = std::mem::replace(&mut self.waiting, Vec::with_capacity(CHUNK + TAG));
        let bound = Aad::from(&self.bound);
        let sealed = self.key.seal_in_place_append_tag(nonce(number, last), bound, &mut chunk);
        sealed.map_err(|ring::error::Unspecified| Broken::Chunk { number })?;
        self.number = number.checked_add(1).ok_or(Broken::Length)?;
        count(&mut self.sealed, &chunk);
        Ok(chunk.into())
    }
}

/// Adds bytes to a length and a digest.
pub(super) fn count((length, digest): &mut (u64, Context), bytes: &[u8]) {
    *length = length.saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
    digest.update(bytes);
}

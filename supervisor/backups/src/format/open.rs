//! A sealed backup in, plain bytes out, a chunk at a time, each only after it was found to be as it was
//! written. That it is whole is known at the end: until then nothing may be done with it that
//! cannot be undone.

use std::sync::Arc;

use bytes::Bytes;
use ring::aead::Aad;
use ring::digest::{Context, SHA256};

use super::header::{self, Header, MAGIC, MAX_HEADER};
use super::keys::{DataKey, Keys};
use super::manifest::Sums;
use super::seal::count;
use super::{Broken, CHUNK, TAG, nonce};
use crate::id::BackupId;

/// Opens one backup.
pub struct Opener {
    backup: BackupId,
    key: Arc<DataKey>,
    /// Known once the header is.
    body: Option<Body>,
    waiting: Vec<u8>,
    plain: (u64, Context),
    sealed: (u64, Context),
}

impl std::fmt::Debug for Opener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Opener").field("backup", &self.backup).finish_non_exhaustive()
    }
}

struct Body {
    keys: Keys,
    bound: [u8; 32],
    number: u64,
}

impl Opener {
    /// Opens `backup` and no other, with this key and no other.
    pub fn new(backup: &BackupId, key: Arc<DataKey>) -> Self {
        Self {
            backup: backup.clone(),
            key,
            body: None,
            waiting: Vec::new(),
            plain: (0, Context::new(&SHA256)),
            sealed: (0, Context::new(&SHA256)),
        }
    }

    /// Takes bytes as they were stored; each chunk that is found to be right goes to `out`.
    ///
    /// # Errors
    /// At the first thing that is not as it was written.
    pub fn push(&mut self, mut bytes: &[u8], out: &mut Vec<Bytes>) -> Result<(), Broken> {
        count(&mut self.sealed, bytes);
        while !bytes.is_empty() {
            let room = match &self.body {
                Some(_) => CHUNK + TAG + 1,
                None => MAGIC.len() + 4 + MAX_HEADER,
            };
            let (now, later) =
                bytes.split_at(room.saturating_sub(self.waiting.len()).min(bytes.len()));
            self.waiting.extend_from_slice(now);
            bytes = later;
            if self.body.is_none() {
                self.begin()?;
            }
            // One byte more than a chunk says that it is not the last.
            while self.body.is_some() && self.waiting.len() > CHUNK + TAG {
                let rest = self.waiting.split_off(CHUNK + TAG);
                let chunk = std::mem::replace(&mut self.waiting, rest);
                out.push(self.chunk(chunk, false)?);
            }
        }
        Ok(())
    }

    /// The last chunk, and what has been read.
    ///
    /// # Errors
    /// When it is not the last, or not as it was written.
    pub fn finish(mut self) -> Result<(Bytes, Sums), Broken> {
        let chunk = std::mem::take(&mut self.waiting);
        if self.body.is_none() || chunk.len() < TAG {
            return Err(Broken::Length);
        }
        let last = self.chunk(chunk, true)?;
        let chunks = self.body.as_ref().map_or(0, |body| body.number);
        // A backup that has anything in it has no empty last chunk: the same bytes have one form.
        if last.is_empty() && chunks > 1 {
            return Err(Broken::Length);
        }
        Ok((last, Sums::of(self.plain, self.sealed, chunks)))
    }

    fn begin(&mut self) -> Result<(), Broken> {
        let Some((header, length)) = Header::read(&self.waiting)? else { return Ok(()) };
        if header.backup != self.backup {
            return Err(Broken::Other);
        }
        if header.key_id != self.key.name()? {
            return Err(Broken::Key);
        }
        let rest = self.waiting.split_off(length);
        let bound = header::binding(&self.waiting);
        self.waiting = rest;
        let keys = self.key.keys(&header.salt()?)?;
        self.body = Some(Body { keys, bound, number: 0 });
        Ok(())
    }

    fn chunk(&mut self, mut chunk: Vec<u8>, last: bool) -> Result<Bytes, Broken> {
        let body = self.body.as_mut().ok_or(Broken::Header)?;
        let number = body.number;
        let bound = Aad::from(&body.bound);
        let opened = body.keys.content.open_in_place(nonce(number, last), bound, &mut chunk);
        let wrong = if last { Broken::Length } else { Broken::Chunk { number } };
        let length = opened.map_err(|ring::error::Unspecified| wrong)?.len();
        chunk.truncate(length);
        body.number = number.checked_add(1).ok_or(Broken::Length)?;
        count(&mut self.plain, &chunk);
        Ok(chunk.into())
    }
}

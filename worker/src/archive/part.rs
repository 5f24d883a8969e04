//! Archives in parts: bytes between a thread that works on files and a stream of the pair. Both ends
//! wait for each other, so that no more is held than a few parts.

use std::io::{self, Read, Write};

use bytes::{Buf as _, Bytes, BytesMut};
use proto::worker::ArchivePart;
use tokio::sync::mpsc;
use tonic::Status;

use super::PIECE;

/// Parts that wait for whoever is slower.
pub(super) const WAITING: usize = 4;

/// What a stream of parts has next.
pub(crate) type Part = Result<ArchivePart, Status>;

/// Makes parts of what is written; it blocks while nobody takes them.
pub(super) struct Outgoing {
    parts: mpsc::Sender<Part>,
    held: BytesMut,
}

impl Outgoing {
    pub(super) fn new(parts: mpsc::Sender<Part>) -> Self {
        Self { parts, held: BytesMut::with_capacity(PIECE) }
    }
}

impl Write for Outgoing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let fitting = bytes.len().min(PIECE.saturating_sub(self.held.len()));
        self.held.extend_from_slice(bytes.get(..fitting).unwrap_or_default());
        if self.held.len() >= PIECE {
            self.flush()?;
            self.held.reserve(PIECE);
        }
        Ok(fitting)
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.held.is_empty() {
            return Ok(());
        }
        let part = ArchivePart { data: self.held.split().freeze(), summary: None };
        self.parts.blocking_send(Ok(part)).map_err(|_gone| io::ErrorKind::BrokenPipe.into())
    }
}

/// What arrives of an archive; it blocks while nothing does.
pub(super) struct Incoming {
    /// None is the end; without it the stream was cut off.
    parts: mpsc::Receiver<Option<Bytes>>,
    held: Bytes,
    ended: bool,
}

impl Incoming {
    pub(super) fn new(parts: mpsc::Receiver<Option<Bytes>>) -> Self {
        Self { parts, held: Bytes::new(), ended: false }
    }
}

impl Read for Incoming {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        while self.held.is_empty() && !self.ended {
            match self.parts.blocking_recv() {
                Some(Some(part)) => self.held = part,
                Some(None) => self.ended = true,
                None => return Err(io::ErrorKind::ConnectionAborted.into()),
            }
        }
        let fitting = self.held.len().min(bytes.len());
        if let Some(to) = bytes.get_mut(..fitting) {
            self.held.copy_to_slice(to);
        }
        Ok(fitting)
    }
}

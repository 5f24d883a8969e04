//! Bytes between the two threads of one archive: one works on files and digests, the other on the
//! compression. Each waits for the other, so that no more is held than a few pieces.

use std::io::{self, Read, Write};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use super::PIECE;
use super::squeeze::{Squeezer, Unsqueezer};

/// Pieces that wait for whoever is slower.
const WAITING: usize = 4;

/// Bytes, none of them at the end; or why there are no more.
type Piece = io::Result<Vec<u8>>;

/// Where bytes go in.
pub(super) struct Writer {
    pieces: SyncSender<Piece>,
    held: Vec<u8>,
}

/// Where they come out.
pub(super) struct Reader {
    pieces: Receiver<Piece>,
    held: Vec<u8>,
    at: usize,
    ended: bool,
}

/// Both ends. A writer that is dropped before its end has cut the bytes off.
pub(super) fn pipe() -> (Writer, Reader) {
    let (sender, pieces) = sync_channel(WAITING);
    let writer = Writer { pieces: sender, held: Vec::with_capacity(PIECE) };
    (writer, Reader { pieces, held: Vec::new(), at: 0, ended: false })
}

/// Compresses what is written to the other end of `from`.
pub(super) fn squeeze<W: Write>(mut from: Reader, to: W) -> io::Result<W> {
    let mut squeezer = Squeezer::new(to)?;
    while let Some(piece) = from.piece()? {
        squeezer.write_all(&piece)?;
    }
    let mut to = squeezer.finish()?;
    to.flush()?;
    Ok(to)
}

/// Gives the other end of `to` what is in an archive, and then its end or what is wrong with it.
pub(super) fn unsqueeze(from: impl Read, to: &Writer) {
    let copied = Unsqueezer::new(from).and_then(|mut archive| to.all(&mut archive));
    // Whoever reads no more has said why.
    drop(match copied {
        Ok(()) => to.pieces.send(Ok(Vec::new())),
        Err(err) => to.pieces.send(Err(err)),
    });
}

impl Writer {
    /// There is no more.
    pub(super) fn end(mut self) -> io::Result<()> {
        self.flush()?;
        self.send(Vec::new())
    }

    fn send(&self, piece: Vec<u8>) -> io::Result<()> {
        self.pieces.send(Ok(piece)).map_err(|_gone| io::ErrorKind::BrokenPipe.into())
    }

    /// Everything that `from` gives.
    fn all(&self, from: &mut impl Read) -> io::Result<()> {
        loop {
            let mut piece = Vec::with_capacity(PIECE);
            let most = u64::try_from(PIECE).unwrap_or(u64::MAX);
            if from.take(most).read_to_end(&mut piece)? == 0 {
                return Ok(());
            }
            self.send(piece)?;
        }
    }
}

impl Write for Writer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let fitting = bytes.len().min(PIECE.saturating_sub(self.held.len()));
        self.held.extend_from_slice(bytes.get(..fitting).unwrap_or_default());
        if self.held.len() >= PIECE {
            self.flush()?;
        }
        Ok(fitting)
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.held.is_empty() {
            return Ok(());
        }
        let piece = std::mem::replace(&mut self.held, Vec::with_capacity(PIECE));
        self.send(piece)
    }
}

impl Reader {
    /// The next bytes, or none at the end.
    fn piece(&mut self) -> io::Result<Option<Vec<u8>>> {
        if self.ended {
            return Ok(None);
        }
        let cut = |_gone| io::Error::from(io::ErrorKind::ConnectionAborted);
        let piece = self.pieces.recv().map_err(cut)??;
        self.ended = piece.is_empty();
        Ok(Some(piece).filter(|it| !it.is_empty()))
    }
}

impl Read for Reader {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        if self.at >= self.held.len() {
            self.held = self.piece()?.unwrap_or_default();
            self.at = 0;
        }
        let rest = self.held.get(self.at..).unwrap_or_default();
        let fitting = rest.len().min(bytes.len());
        if let (Some(to), Some(from)) = (bytes.get_mut(..fitting), rest.get(..fitting)) {
            to.copy_from_slice(from);
        }
        self.at = self.at.saturating_add(fitting);
        Ok(fitting)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_in_comes_out_and_a_cut_is_no_end() {
        let bytes: Vec<u8> = (0..=250).cycle().take(PIECE * 9 / 2).collect();
        for whole in [true, false] {
            let (mut writer, mut reader) = pipe();
            std::thread::scope(|scope| {
                scope.spawn(|| {
                    bytes.chunks(1000).for_each(|it| writer.write_all(it).unwrap());
                    writer.flush().unwrap();
                    // Unless it is asked for its end, it is dropped as it is.
                    let _ended = whole.then(move || writer.end().unwrap());
                });
                let mut read = Vec::new();
                let end = reader.read_to_end(&mut read);
                assert_eq!(end.is_ok(), whole);
                assert!(read == bytes);
            });
        }
    }

    #[test]
    fn who_writes_is_told_that_nobody_reads() {
        let (mut writer, reader) = pipe();
        drop(reader);
        assert_eq!(
            writer.write_all(&vec![0; PIECE]).unwrap_err().kind(),
            io::ErrorKind::BrokenPipe
        );
    }
}

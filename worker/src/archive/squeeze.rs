//! The compression around an archive, with a bound on what little may stand for much. What is packed
//! keeps that bound too: where a file is nothing but zeros, frames without meaning are put between,
//! which every reader skips.

use std::io::{self, BufReader, Read, Write};

use zstd::{Decoder, Encoder};

use super::{MAX_BYTES, MAX_RATIO, PIECE, RATIO_FROM, Refusal};

/// zstd's own default.
const LEVEL: i32 = 3;
/// What is read back has windows of at most 8 MiB; those of [`LEVEL`] are a quarter of it.
const MAX_WINDOW_LOG: u32 = 23;
/// A frame that is skipped: its magic number, and bytes in it.
const SKIPPED: u32 = 0x184D_2A50;
const FILLING: u32 = 128 << 10;

/// Compresses what is written to it.
pub(super) struct Squeezer<W: Write> {
    /// None only after a failed write.
    encoder: Option<Encoder<'static, Counted<W>>>,
    taken: u64,
}

impl<W: Write> Squeezer<W> {
    pub(super) fn new(to: W) -> io::Result<Self> {
        Ok(Self { encoder: Some(encoder(Counted { inner: to, bytes: 0 })?), taken: 0 })
    }

    /// Ends the compression.
    pub(super) fn finish(self) -> io::Result<W> {
        Ok(self.encoder.ok_or(io::ErrorKind::BrokenPipe)?.finish()?.inner)
    }

    /// Puts a frame that is skipped between two others.
    fn fill(&mut self) -> io::Result<()> {
        let mut to = self.encoder.take().ok_or(io::ErrorKind::BrokenPipe)?.finish()?;
        to.write_all(&SKIPPED.to_le_bytes())?;
        to.write_all(&FILLING.to_le_bytes())?;
        io::copy(&mut io::repeat(0).take(FILLING.into()), &mut to)?;
        self.encoder = Some(encoder(to)?);
        Ok(())
    }
}

impl<W: Write> Write for Squeezer<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let encoder = self.encoder.as_mut().ok_or(io::ErrorKind::BrokenPipe)?;
        let written = encoder.write(bytes)?;
        self.taken = self.taken.saturating_add(u64::try_from(written).unwrap_or(0));
        // Half of what may be, for the encoder holds some of it back.
        if self.taken > RATIO_FROM / 2 + encoder.get_ref().bytes.saturating_mul(MAX_RATIO / 2) {
            self.fill()?;
        }
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.encoder.as_mut().ok_or(io::ErrorKind::BrokenPipe)?.flush()
    }
}

fn encoder<W: Write>(to: W) -> io::Result<Encoder<'static, W>> {
    let mut encoder = Encoder::new(to, LEVEL)?;
    encoder.include_checksum(true)?;
    Ok(encoder)
}

/// Gives what was compressed.
pub(super) struct Unsqueezer<R: Read> {
    decoder: Decoder<'static, BufReader<Counted<R>>>,
    given: u64,
}

impl<R: Read> Unsqueezer<R> {
    pub(super) fn new(from: R) -> io::Result<Self> {
        let counted = Counted { inner: from, bytes: 0 };
        let mut decoder = Decoder::with_buffer(BufReader::with_capacity(PIECE, counted))?;
        decoder.window_log_max(MAX_WINDOW_LOG)?;
        Ok(Self { decoder, given: 0 })
    }
}

impl<R: Read> Read for Unsqueezer<R> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let read = self.decoder.read(bytes).map_err(|err| {
            // That is what a frame gives which cannot be read; what is below has other kinds.
            let is_damaged = err.kind() == io::ErrorKind::Other;
            if is_damaged { io::Error::other(Refusal::Compression) } else { err }
        })?;
        self.given = self.given.saturating_add(u64::try_from(read).unwrap_or(u64::MAX));
        let taken = self.decoder.get_ref().get_ref().bytes;
        if self.given > RATIO_FROM + taken.saturating_mul(MAX_RATIO) {
            return Err(io::Error::other(Refusal::Ratio));
        }
        if taken > MAX_BYTES {
            return Err(io::Error::other(Refusal::Large));
        }
        Ok(read)
    }
}

/// Counts what goes through.
struct Counted<T> {
    inner: T,
    bytes: u64,
}

impl<T: Read> Read for Counted<T> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(bytes)?;
        self.bytes = self.bytes.saturating_add(u64::try_from(read).unwrap_or(0));
        Ok(read)
    }
}

impl<T: Write> Write for Counted<T> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.bytes = self.bytes.saturating_add(u64::try_from(written).unwrap_or(0));
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

//! Little-endian fields out of and into a byte string, with nothing that can read past its end.

use crate::Error;

/// Takes fields off the front.
#[derive(Debug)]
pub(crate) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(crate) fn header(&mut self, magic: u32, version: u16) -> Result<(u16, u64), Error> {
        if self.u32()? != magic {
            return Err(Error::Record("magic"));
        }
        if self.u16()? != version {
            return Err(Error::Record("version"));
        }
        Ok((self.u16()?, self.u64()?))
    }

    pub(crate) fn u16(&mut self) -> Result<u16, Error> {
        self.take().map(u16::from_le_bytes)
    }

    pub(crate) fn u32(&mut self) -> Result<u32, Error> {
        self.take().map(u32::from_le_bytes)
    }

    pub(crate) fn u64(&mut self) -> Result<u64, Error> {
        self.take().map(u64::from_le_bytes)
    }

    /// A length and `max` bytes, of which those after the length must be zero.
    pub(crate) fn text(&mut self, max: usize) -> Result<&'a str, Error> {
        let length = usize::try_from(self.u32()?).map_err(|_range| Error::Record("text"))?;
        let (all, rest) = self.0.split_at_checked(max).ok_or(Error::Record("size"))?;
        self.0 = rest;
        let (text, padding) = all.split_at_checked(length).ok_or(Error::Record("text"))?;
        if padding.iter().any(|byte| *byte != 0) {
            return Err(Error::Record("padding"));
        }
        std::str::from_utf8(text).map_err(|_utf8| Error::Record("text"))
    }

    pub(crate) fn end(self) -> Result<(), Error> {
        if self.0.is_empty() { Ok(()) } else { Err(Error::Record("size")) }
    }

    /// A length and that many bytes of text.
    pub(crate) fn word(&mut self) -> Result<&'a str, Error> {
        let length = usize::try_from(self.u32()?).map_err(|_range| Error::Record("text"))?;
        let (text, rest) = self.0.split_at_checked(length).ok_or(Error::Record("size"))?;
        self.0 = rest;
        std::str::from_utf8(text).map_err(|_utf8| Error::Record("text"))
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        self.take()
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        let (field, rest) = self.0.split_first_chunk().ok_or(Error::Record("size"))?;
        self.0 = rest;
        Ok(*field)
    }
}

/// Puts fields at the end.
#[derive(Debug, Default)]
pub(crate) struct Writer(Vec<u8>);

impl Writer {
    pub(crate) fn with_header(magic: u32, version: u16, kind: u16, number: u64) -> Self {
        let mut out = Self::default();
        out.u32(magic);
        out.0.extend_from_slice(&version.to_le_bytes());
        out.0.extend_from_slice(&kind.to_le_bytes());
        out.u64(number);
        out
    }

    pub(crate) fn u32(&mut self, value: u32) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    pub(crate) fn u64(&mut self, value: u64) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    /// A length and the text, filled up with zeros to `max` bytes. Text that is longer becomes
    /// a record that every reader refuses.
    pub(crate) fn text(&mut self, text: &str, max: usize) {
        self.u32(u32::try_from(text.len()).unwrap_or(u32::MAX));
        self.0.extend(text.bytes().chain(std::iter::repeat(0)).take(max));
    }

    /// A length and the text. A length that does not fit becomes one that no reader believes.
    pub(crate) fn word(&mut self, text: &str) {
        self.count(text.len());
        self.bytes(text.as_bytes());
    }

    pub(crate) fn count(&mut self, count: usize) {
        self.u32(u32::try_from(count).unwrap_or(u32::MAX));
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    pub(crate) fn finish(self) -> Vec<u8> {
        self.0
    }
}

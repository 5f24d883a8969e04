//! What a probe may know of the world outside: names and numbers of things that really exist there,
//! so that it cannot fail for want of something to reach for.

use std::ffi::CString;
use std::os::fd::OwnedFd;

use nix::sys::stat::Mode;

use crate::cursor::{Reader, Writer};
use crate::{Error, sealed};

const MAGIC: u32 = 0x4F55_5453;

/// What there is to reach for. Paths are the host's.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outside {
    /// A file of another tenant.
    pub foreign_file: String,
    /// The root directory of another tenant.
    pub foreign_root: String,
    /// A file of the supervisor's.
    pub supervisor_file: String,
    /// A Unix socket that the supervisor listens on.
    pub socket: String,
    /// An abstract Unix socket that somebody listens on, without its leading zero byte.
    pub abstract_name: String,
    /// A directory in which something could be made: the tenant's own.
    pub scratch: String,
    /// The supervisor's process id.
    pub supervisor: u32,
    /// The process id of another tenant's worker, or the supervisor's.
    pub foreign: u32,
    /// A TCP port of this machine on which the gateway listens.
    pub port: u16,
}

impl Outside {
    /// The description in a file that nobody can change.
    ///
    /// # Errors
    /// When the kernel has no memory for it.
    pub fn seal(&self) -> Result<OwnedFd, Error> {
        let mode = Mode::from_bits_truncate(0o400);
        sealed::sealed(c"openclawmu-outside", &self.encode(), mode).map_err(Error::Io)
    }

    fn texts(&self) -> [&String; 6] {
        let Self { foreign_file, foreign_root, supervisor_file, .. } = self;
        let Self { socket, abstract_name, scratch, .. } = self;
        [foreign_file, foreign_root, supervisor_file, socket, abstract_name, scratch]
    }

    fn encode(&self) -> Vec<u8> {
        let mut out = Writer::default();
        out.u32(MAGIC);
        self.texts().into_iter().for_each(|text| out.word(text));
        out.u32(self.supervisor);
        out.u32(self.foreign);
        out.u32(u32::from(self.port));
        out.finish()
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, Error> {
        let mut from = Reader::new(bytes);
        if from.u32()? != MAGIC {
            return Err(Error::Record("magic"));
        }
        let mut word = || from.word().map(str::to_owned);
        let (foreign_file, foreign_root, supervisor_file) = (word()?, word()?, word()?);
        let (socket, abstract_name, scratch) = (word()?, word()?, word()?);
        let (supervisor, foreign) = (from.u32()?, from.u32()?);
        let port = u16::try_from(from.u32()?).map_err(|_range| Error::Record("port"))?;
        from.end()?;
        Ok(Self {
            foreign_file,
            foreign_root,
            supervisor_file,
            socket,
            abstract_name,
            scratch,
            supervisor,
            foreign,
            port,
        })
    }
}

/// A path as the kernel reads it; one that cannot be a path leads nowhere.
pub(super) fn path(text: &str) -> CString {
    CString::new(text).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_crosses_whole_or_not_at_all() {
        let outside = Outside {
            foreign_file: "/var/lib/openclawmu/tenants/globex/x".to_owned(),
            supervisor: 7,
            port: 18_789,
            ..Outside::default()
        };
        let bytes = outside.encode();
        assert_eq!(Outside::decode(&bytes).unwrap(), outside);
        for length in 0..bytes.len() {
            Outside::decode(&bytes[..length]).unwrap_err();
        }
        Outside::decode(&[bytes.as_slice(), b"x"].concat()).unwrap_err();
    }
}

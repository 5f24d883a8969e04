//! The tenant's root as one archive, and a root of one: tar inside zstd, with an index as its last
//! member that has the SHA-256 of every file.
//!
//! An archive goes through many hands before it is unpacked, so that nothing of it is believed: it
//! is checked member by member before anything of the member is written. What is wanted of an
//! archive is more than tar asks for, for only archives that were made here are unpacked here; any
//! other tar reads them. Knows no cipher, no store and no schedule: those are the supervisor's.

mod entry;
mod export;
mod import;
mod index;
mod pack;
mod part;
mod path;
mod pin;
mod pipe;
mod refusal;
mod restored;
mod squeeze;
mod unpack;
mod walk;

pub(crate) use export::{Exporting, export};
pub(crate) use import::Importing;
pub(crate) use part::Part;
pub use refusal::{Failure, Refusal};
pub(crate) use restored::{forget_restored, restored_at};
pub use unpack::unpack;

use proto::worker::{ArchiveSummary, LeftOut};

/// Of the format. Another one is refused.
const VERSION: u32 = 1;
/// The first member, whose content is the version, and the last one. A file of the tenant with one
/// of these names is left out.
const FORMAT: &[u8] = b".openclawmu-format";
const INDEX: &[u8] = b".openclawmu-index";
/// Where the index waits until it is the last member. It has no name once it is open.
const SPOOL: &str = ".archive.tmp";
/// What lies in a root that was made of an archive, until the jobs in it know.
const RESTORED: &str = ".restored";

/// Bytes of a block of tar.
const BLOCK: usize = 512;
/// Bytes of one name, as the kernel has it, and of a path beneath the root.
const MAX_NAME: usize = 255;
const MAX_PATH: usize = 4096;
/// Directories in one another: each is an open descriptor while it is packed or unpacked.
const MAX_DEPTH: usize = 100;
/// Members of one archive: four times the inodes of the largest tenant's disk.
const MAX_MEMBERS: u64 = 4 << 20;
/// Bytes of a file, of all files, and of the archive itself: nothing that fits on a disk is beyond,
/// and holes in files count here.
const MAX_BYTES: u64 = 1 << 42;
/// Bytes of the extended header of one member: two paths and two numbers.
const MAX_EXTENDED: u64 = 16 << 10;
/// How many bytes one byte of an archive may stand for, beyond what it may stand for in any case.
const MAX_RATIO: u64 = 1000;
const RATIO_FROM: u64 = 64 << 20;
/// Bytes of a buffer for the content of files, and of one part of an archive.
const PIECE: usize = 256 << 10;
/// Things that could not be taken and are named; the others are counted.
const MAX_NAMED: usize = 100;
/// Bytes of a path that is named.
const MAX_SHOWN: usize = 300;

/// What is in an archive, as far as it is known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Summary {
    /// Regular files.
    pub files: u64,
    /// Directories without the root.
    pub directories: u64,
    /// Symbolic links.
    pub links: u64,
    /// Of the files.
    pub bytes: u64,
    /// What was not taken.
    pub left_out: u64,
    /// The first of that: a path, and a word that says why.
    pub first_left_out: Vec<(String, &'static str)>,
    /// Files that were changed while they were read.
    pub changed: u64,
    /// SHA-256 of the index.
    pub digest: Vec<u8>,
    /// How long the worker's own writes were held up, in microseconds.
    pub held_micros: u64,
}

impl Summary {
    fn leave_out(&mut self, path: &[u8], why: &'static str) {
        self.left_out += 1;
        if self.first_left_out.len() < MAX_NAMED {
            let shown = path.get(..path.len().min(MAX_SHOWN)).unwrap_or_default();
            self.first_left_out.push((String::from_utf8_lossy(shown).into_owned(), why));
        }
    }
}

/// Removes what an archive that was being made when its worker was killed has left.
pub(crate) fn clean(root: impl std::os::fd::AsFd) -> std::io::Result<()> {
    pack::forget_spool(root)
}

impl From<Summary> for ArchiveSummary {
    fn from(summary: Summary) -> Self {
        let left_out = |(path, why): (String, &str)| LeftOut { path, why: why.to_owned() };
        Self {
            version: VERSION,
            files: summary.files,
            directories: summary.directories,
            links: summary.links,
            bytes: summary.bytes,
            left_out: summary.left_out,
            first_left_out: summary.first_left_out.into_iter().map(left_out).collect(),
            changed: summary.changed,
            index_digest: summary.digest.into(),
            held_micros: summary.held_micros,
        }
    }
}

#[cfg(test)]
mod tests;

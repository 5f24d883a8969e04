//! Records that are written together, each naming the one before.

use trail::{Digest, Fields, Known};
use types::UnixMillis;

use super::Job;

/// Where the chain goes on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Link {
    /// The number of the next record.
    pub(super) seq: u64,
    /// The hash that it names.
    pub(super) prev: Digest,
}

#[derive(Debug)]
pub(super) struct Batch {
    link: Link,
    at: UnixMillis,
    lines: Vec<u8>,
    count: u64,
}

impl Link {
    /// The last record; none before the first.
    pub(super) fn last(&self) -> Option<Known> {
        self.seq.checked_sub(1).map(|seq| Known { seq, hash: self.prev })
    }
}

impl Batch {
    pub(super) const fn new(link: Link, at: UnixMillis) -> Self {
        Self { link, at, lines: Vec::new(), count: 0 }
    }

    /// Adds a record.
    pub(super) fn add(&mut self, fields: Fields) {
        let seq = self.link.seq;
        let line = fields.record(seq, self.at, self.link.prev).line();
        self.link = Link { seq: seq.saturating_add(1), prev: Digest::of(&line) };
        self.lines.extend_from_slice(&line);
        self.lines.push(b'\n');
        self.count += 1;
    }

    /// Adds the record of a job.
    pub(super) fn add_job(&mut self, job: &Job) {
        match job {
            Job::Must { fields, .. } | Job::Keep { fields, .. } => self.add((**fields).clone()),
            Job::Close(_) => {}
        }
    }

    pub(super) const fn link(&self) -> Link {
        self.link
    }

    pub(super) const fn at(&self) -> UnixMillis {
        self.at
    }

    pub(super) const fn count(&self) -> u64 {
        self.count
    }

    pub(super) fn lines(&self) -> &[u8] {
        &self.lines
    }
}

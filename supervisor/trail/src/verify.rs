//! Whether a trail is whole: every line in its place, each naming the one before, every signed head
//! right, the last line the one that the newest head names.
//!
//! Reads one line at a time and keeps what it needs of one before. What is wrong is told with file,
//! line and number; it then goes on, so that a second wrong place is found as well.

mod directory;
mod report;
#[cfg(test)]
mod tests;

use std::io::{self, BufRead};

use types::UnixMillis;

use crate::day::{DAY, file_day};
use crate::record::{GAP, RECOVERED};
use crate::{Digest, Head, Known, Lines, PublicKey, Record, genesis};

pub use directory::{directory, settle};
pub use report::{Fault, Kind, MAX_FAULTS, Notice, Report};

/// What the first line must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Beginning {
    /// The first record that was ever made with the key.
    First,
    /// A record from the midst, of this number, that names this hash as the one before it.
    Midst {
        /// Its number.
        seq: u64,
        /// The hash that it names.
        prev: Digest,
    },
}

/// Reads a trail and finds what is wrong with it.
#[derive(Debug)]
pub struct Verifier {
    key: PublicKey,
    /// The number that comes next.
    expected: u64,
    /// The first number that may come instead, and the next but that, after a line out of its place:
    /// it was put there, or its number was changed.
    otherwise: Option<u64>,
    /// The hash that the next line must name.
    prev: Digest,
    last: Option<Last>,
    /// A line whose successor names another hash: one of the two was changed, the next line tells.
    suspect: Option<Place>,
    /// Records that somebody else knows of.
    known: Vec<Known>,
    /// The newest head: what comes after its record is not looked at.
    head: Option<Head>,
    /// The first line after the head's record.
    beyond: Option<Place>,
    report: Report,
}

/// Where a line stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    file: String,
    line: u64,
    seq: u64,
}

/// The line before.
#[derive(Debug)]
struct Last {
    place: Place,
    /// Whether it is known to be wrong already, so that what follows from it is not told again.
    faulty: bool,
}

impl Verifier {
    /// A verifier of what begins so. `head` is the newest one, if there is any that `key` signed.
    pub fn new(key: PublicKey, beginning: Beginning, head: Option<Head>) -> Self {
        let (seq, prev) = match beginning {
            Beginning::First => (0, genesis(&key)),
            Beginning::Midst { seq, prev } => (seq, prev),
        };
        Self {
            key,
            expected: seq,
            otherwise: None,
            prev,
            last: None,
            suspect: None,
            known: Vec::new(),
            head: head.filter(|head| head.is_signed_by(&key)),
            beyond: None,
            report: Report::default(),
        }
    }

    /// Also holds the trail against a record that is known from elsewhere.
    pub fn expect(&mut self, known: Known) {
        self.known.push(known);
    }

    /// Reads the file `name`.
    ///
    /// # Errors
    /// When the reader fails.
    pub fn file(&mut self, name: &str, reader: impl BufRead) -> io::Result<()> {
        self.rest_of_file(name, 0, reader)
    }

    /// Reads the file `name` after its first `read` lines.
    pub(crate) fn rest_of_file(
        &mut self,
        name: &str,
        read: u64,
        reader: impl BufRead,
    ) -> io::Result<()> {
        let day = file_day(name);
        let mut lines = Lines::new(reader);
        let mut number = read;
        while let Some(line) = lines.next_line()? {
            number += 1;
            let place = Place { file: name.to_owned(), line: number, seq: self.expected };
            if self.is_past_head() {
                self.beyond.get_or_insert(place);
                return Ok(());
            }
            let hash = Digest::of(&line.bytes);
            if line.too_long || !line.ended {
                let kind = if line.too_long { Kind::TooLong } else { Kind::Torn };
                self.unreadable(place, hash, kind);
                continue;
            }
            match Record::parse(&line.bytes) {
                Some(record) => {
                    self.record(place.clone(), &record, hash);
                    self.dated(&place, record.at, day);
                }
                None => self.unreadable(place, hash, Kind::Unreadable),
            }
        }
        Ok(())
    }

    /// What was found.
    pub fn finish(mut self) -> Report {
        self.settle_last();
        let end = self.last.as_ref().map(|last| last.place.clone());
        let next = Place {
            file: end.as_ref().map(|it| it.file.clone()).unwrap_or_default(),
            line: end.as_ref().map_or(1, |it| it.line + 1),
            seq: end.as_ref().map_or(self.expected, |it| it.seq + 1),
        };
        let known = self.known.iter().copied().chain(self.head.as_ref().map(Head::known));
        let missing = known.filter(|known| known.seq >= next.seq).map(|known| known.seq).max();
        if let Some(last) = missing {
            let what = format!("the trail ends; records {} to {last} are missing", next.seq);
            self.report.fault(next, Kind::Missing, what);
        }
        self.report.end = end.map(|it| Known { seq: it.seq, hash: self.prev });
        self.report.beyond = self.beyond.map(|Place { file, line, seq }| {
            let what = Kind::Unsigned.words().to_owned();
            Fault { file, line, seq, kind: Kind::Unsigned, what }
        });
        self.report
    }

    fn is_past_head(&self) -> bool {
        let healthy = self.last.as_ref().filter(|last| !last.faulty);
        let at = healthy.map(|last| last.place.seq);
        self.head.is_some_and(|head| at.is_some_and(|at| at >= head.seq))
    }

    fn unreadable(&mut self, place: Place, hash: Digest, kind: Kind) {
        self.settle(true);
        self.report.fault(place.clone(), kind, String::new());
        self.expected = place.seq + 1;
        self.otherwise = None;
        self.went_on(place, hash, true);
    }

    fn record(&mut self, mut place: Place, record: &Record, hash: Digest) {
        let otherwise = |other: u64| record.seq == other || record.seq == other.saturating_add(1);
        let in_place = record.seq == self.expected || self.otherwise.is_some_and(otherwise);
        let names_last = record.prev == self.prev;
        self.settle(names_last || !in_place);
        let mut faulty = !in_place;
        if in_place {
            place.seq = record.seq;
            self.expected = record.seq.saturating_add(1);
            self.otherwise = None;
        } else {
            self.misplaced(&place, record.seq);
            self.otherwise = Some(self.expected);
            self.expected = record.seq.saturating_add(1);
        }
        if in_place && !names_last {
            faulty |= self.mismatch(&place);
        }
        faulty |= !self.headed(&place, record);
        faulty |= !self.is_known(&place, record.seq, hash);
        self.tell(&place, record);
        self.report.records += 1;
        self.report.first.get_or_insert(record.seq);
        if !in_place {
            place.seq = record.seq.min(place.seq);
        }
        self.went_on(place, hash, faulty);
    }

    fn went_on(&mut self, place: Place, hash: Digest, faulty: bool) {
        self.prev = hash;
        self.last = Some(Last { place, faulty });
    }

    fn misplaced(&mut self, place: &Place, found: u64) {
        let expected = place.seq;
        let what = if found > expected {
            format!("record {expected} should be here; {found} is")
        } else {
            format!("record {expected} should be here; {found} is, a second time or too late")
        };
        let kind = if found > expected { Kind::Missing } else { Kind::OutOfPlace };
        self.report.fault(place.clone(), kind, what);
    }

    /// The line in `place` does not name the one before. Whether that is settled as its own fault.
    fn mismatch(&mut self, place: &Place) -> bool {
        match &self.last {
            None => {
                let what = "this record does not follow from where the trail begins".to_owned();
                self.report.fault(place.clone(), Kind::Beginning, what);
                true
            }
            // What it names cannot be told from a line that was changed.
            Some(last) if last.faulty => false,
            Some(last) => {
                self.suspect = Some(last.place.clone());
                false
            }
        }
    }

    /// Says which of two lines was changed: the first, where the third follows from the second.
    fn settle(&mut self, first: bool) {
        let Some(suspect) = self.suspect.take() else { return };
        if first {
            let what = "the next record names another hash for this one".to_owned();
            self.report.fault(suspect, Kind::Altered, what);
        } else if let Some(last) = &mut self.last {
            last.faulty = true;
            let what = "neither does this record name the one before nor the next one this";
            self.report.fault(last.place.clone(), Kind::Altered, what.to_owned());
        }
    }

    /// The last line of all is held against the head.
    fn settle_last(&mut self) {
        let Some(last) = &self.last else { return };
        let head = self.head.filter(|head| head.seq == last.place.seq);
        let named = head.is_none_or(|head| head.hash == self.prev);
        if self.suspect.is_some() {
            self.settle(named);
        } else if !named && !last.faulty {
            let what = "the signed head names another hash for this record".to_owned();
            self.report.fault(last.place.clone(), Kind::Altered, what);
        }
    }

    /// Whether the head of a checkpoint, if it is one, is of the record before and signed.
    fn headed(&mut self, place: &Place, record: &Record) -> bool {
        let Some(head) = record.head else { return true };
        if !head.is_signed_by(&self.key) {
            let what = "the checkpoint is not signed by the key".to_owned();
            self.report.fault(place.clone(), Kind::Signature, what);
            return false;
        }
        self.report.checkpoints += 1;
        let Some(last) = self.last.as_ref().filter(|last| !last.faulty) else { return true };
        if head.seq == last.place.seq && head.hash == self.prev {
            return true;
        }
        if head.seq == last.place.seq && self.suspect.is_some() {
            // Signed: it is the line before that was changed.
            self.settle(true);
            return true;
        }
        let what = "the checkpoint is of another place".to_owned();
        self.report.fault(place.clone(), Kind::OutOfPlace, what);
        false
    }

    fn is_known(&mut self, place: &Place, seq: u64, hash: Digest) -> bool {
        let other = self.known.iter().any(|known| known.seq == seq && known.hash != hash);
        if other {
            let what = "this is not the record that the given head names".to_owned();
            self.report.fault(place.clone(), Kind::Altered, what);
        }
        !other
    }

    /// What records say of the trail themselves.
    fn tell(&mut self, place: &Place, record: &Record) {
        let act = record.act.as_str();
        if act != RECOVERED && act != GAP {
            return;
        }
        let code = record.code.as_ref().map_or("", |code| code.as_str());
        if code.starts_with("head_") {
            let what = format!("the gateway found at its start: {code}");
            self.report.fault(place.clone(), Kind::Head, what);
        } else {
            self.report.notice(place, act, code, record.count);
        }
    }

    /// The first record of a file is of its day, and none is of a later one.
    fn dated(&mut self, place: &Place, at: UnixMillis, day: Option<u64>) {
        let Some(day) = day else { return };
        let is_of_day = if place.line == 1 { at / DAY == day } else { at / DAY <= day };
        let Some(last) = self.last.as_mut().filter(|last| !is_of_day && !last.faulty) else {
            return;
        };
        last.faulty = true;
        let what = "the record is of another day than its file".to_owned();
        self.report.fault(place.clone(), Kind::Day, what);
    }
}

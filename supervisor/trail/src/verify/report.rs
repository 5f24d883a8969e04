//! What a verifier has found.

use serde::Serialize;

use super::Place;
use crate::Known;

/// Faults that are kept; of more only the number is.
pub const MAX_FAULTS: usize = 100;

/// Notices that are kept.
const MAX_NOTICES: usize = 100;

/// What is wrong in one place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Kind {
    /// A line that is no record.
    Unreadable,
    /// A line that is longer than any record.
    TooLong,
    /// A last line without its end.
    Torn,
    /// Records are missing before this one, or at the end.
    Missing,
    /// A record a second time, or after a later one.
    OutOfPlace,
    /// A record is not what it was.
    Altered,
    /// The first record does not follow from where the trail begins.
    Beginning,
    /// A checkpoint that the key did not sign.
    Signature,
    /// A record that its file's day does not have.
    Day,
    /// The newest head is missing, changed or not signed by the key.
    Head,
    /// Records after the newest head: nobody signed them.
    Unsigned,
}

/// What is wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// In which file.
    pub file: String,
    /// In which line, from 1.
    pub line: u64,
    /// At which record.
    pub seq: u64,
    /// Of what kind.
    pub kind: Kind,
    /// In words.
    pub what: String,
}

/// What the gateway itself tells of its trail: no fault, but worth a look.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Notice {
    /// At which record.
    pub seq: u64,
    /// What it tells.
    pub what: String,
}

/// What a verifier has found.
#[derive(Debug, Default)]
pub struct Report {
    /// How many records were read.
    pub records: u64,
    /// The number of the first.
    pub first: Option<u64>,
    /// The last.
    pub end: Option<Known>,
    /// How many signed heads were found right.
    pub checkpoints: u64,
    /// What is wrong, in the order of the trail, [`MAX_FAULTS`] at most.
    pub faults: Vec<Fault>,
    /// How much is wrong in all.
    pub faults_in_all: u64,
    /// What the gateway itself tells.
    pub notices: Vec<Notice>,
    /// The first line after what the newest head names, where there is one: a fault unless a gateway
    /// is at work and signs it.
    pub beyond: Option<Fault>,
}

impl Report {
    /// Whether nothing is wrong.
    pub const fn is_fine(&self) -> bool {
        self.faults_in_all == 0
    }

    /// Whether there are lines after what the newest head names: a gateway at work signs them at once.
    pub const fn awaits_head(&self) -> bool {
        self.beyond.is_some()
    }

    pub(crate) fn fault(&mut self, place: Place, kind: Kind, what: String) {
        self.faults_in_all += 1;
        if self.faults.len() < MAX_FAULTS {
            let Place { file, line, seq } = place;
            let what = if what.is_empty() { kind.words().to_owned() } else { what };
            self.faults.push(Fault { file, line, seq, kind, what });
        }
    }

    pub(crate) fn head_fault(&mut self, file: &str, seq: u64, what: &str) {
        let place = Place { file: file.to_owned(), line: 1, seq };
        self.fault(place, Kind::Head, what.to_owned());
    }

    /// What is after the newest head is a fault: nobody is there to sign it any more.
    pub(crate) fn unsigned(&mut self) {
        if let Some(Fault { file, line, seq, kind, what }) = self.beyond.take() {
            self.fault(Place { file, line, seq }, kind, what);
        }
    }

    pub(super) fn notice(&mut self, place: &Place, act: &str, code: &str, count: Option<u64>) {
        if self.notices.len() < MAX_NOTICES {
            let count = count.map(|count| format!(" ({count})")).unwrap_or_default();
            let what = format!("{act} {code}{count}");
            self.notices.push(Notice { seq: place.seq, what });
        }
    }
}

impl Kind {
    /// What it means.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Unreadable => "the line is no record",
            Self::TooLong => "the line is longer than any record",
            Self::Torn => "the line has no end",
            Self::Missing => "records are missing",
            Self::OutOfPlace => "the record is not in its place",
            Self::Altered => "the record is not what it was",
            Self::Beginning => "the trail does not begin here",
            Self::Signature => "the signature is wrong",
            Self::Day => "the record is of another day",
            Self::Head => "the newest head is missing or wrong",
            Self::Unsigned => "this line and those after it came after the signed head",
        }
    }
}

//! A trail of three days is tampered with in every way; each time it is said where.

mod tamper;

use std::io::Cursor;

use ring::signature::{Ed25519KeyPair, KeyPair as _};

use super::*;
use crate::record::CHECKPOINT;
use crate::{Fields, Signature, Text, Who, WhoKind, file_name};

const RECORDS: u64 = 120;
const START: u64 = 1_795_305_600_000;

/// A trail in memory.
#[derive(Clone)]
pub(super) struct Trail {
    key: PublicKey,
    /// Name and lines of each day.
    files: Vec<(String, Vec<Vec<u8>>)>,
    head: Vec<u8>,
}

pub(super) fn pair() -> Ed25519KeyPair {
    let made = Ed25519KeyPair::generate_pkcs8(&ring::rand::SystemRandom::new()).unwrap();
    Ed25519KeyPair::from_pkcs8(made.as_ref()).unwrap()
}

pub(super) fn sign(pair: &Ed25519KeyPair, known: Known, at: u64) -> Head {
    Head::new(known, at, |text| Signature::from_bytes(pair.sign(text).as_ref()).unwrap())
}

/// Records of three days, with a checkpoint every tenth.
pub(super) fn trail(pair: &Ed25519KeyPair) -> Trail {
    let key = PublicKey::from_bytes(pair.public_key().as_ref()).unwrap();
    let mut files: Vec<(String, Vec<Vec<u8>>)> = Vec::new();
    let (mut prev, mut at) = (genesis(&key), START);
    for seq in 0..RECORDS {
        at = START + seq * 3 * DAY / RECORDS;
        let act = if seq % 10 == 9 { CHECKPOINT } else { "tokens.rotate" };
        let mut fields = Fields::of_gateway(&format!("e{seq}"), act);
        if seq % 10 == 9 {
            fields.head = Some(sign(pair, Known { seq: seq - 1, hash: prev }, at));
        } else {
            fields.who = Who::named(WhoKind::TenantToken, "tk_1");
            fields.tenant = Some(Text::new("acme"));
            fields.resource = Some(Text::new("/v1/tenants/acme"));
        }
        let line = fields.record(seq, at, prev).line();
        prev = Digest::of(&line);
        let name = file_name(&crate::day(at));
        if files.last().is_none_or(|(last, _)| *last != name) {
            files.push((name, Vec::new()));
        }
        files.last_mut().unwrap().1.push(line);
    }
    let head = sign(pair, Known { seq: RECORDS - 1, hash: prev }, at).file_bytes();
    Trail { key, files, head }
}

impl Trail {
    /// The bytes of each file.
    pub(super) fn bytes(&self) -> Vec<(String, Vec<u8>)> {
        let whole = |lines: &[Vec<u8>]| {
            lines.iter().flat_map(|line| line.iter().copied().chain([b'\n'])).collect()
        };
        self.files.iter().map(|(name, lines)| (name.clone(), whole(lines))).collect()
    }

    /// As [`directory`] does, without a directory.
    pub(super) fn verify(&self) -> Report {
        verify(self.key, &self.bytes(), &self.head, None)
    }
}

pub(super) fn verify(
    key: PublicKey,
    files: &[(String, Vec<u8>)],
    head: &[u8],
    known: Option<Known>,
) -> Report {
    let signed = Head::from_file(head).filter(|head| head.is_signed_by(&key));
    let mut verifier = Verifier::new(key, Beginning::First, signed);
    if let Some(known) = known {
        verifier.expect(known);
    }
    for (name, bytes) in files {
        verifier.file(name, Cursor::new(bytes)).unwrap();
    }
    let mut report = verifier.finish();
    report.unsigned();
    if signed.is_none() {
        report.head_fault("head.json", 0, "wrong");
    }
    report
}

#[test]
fn a_whole_trail_has_no_fault() {
    let report = trail(&pair()).verify();
    assert!(report.is_fine(), "{report:?}");
    assert_eq!((report.records, report.checkpoints), (RECORDS, RECORDS / 10));
    assert_eq!(report.end.unwrap().seq, RECORDS - 1);
}

#[test]
fn another_key_verifies_nothing() {
    let other = Trail { key: trail(&pair()).key, ..trail(&pair()) };
    let report = other.verify();
    assert_eq!(report.faults.first().unwrap().kind, Kind::Beginning);
    assert!(report.faults.iter().any(|fault| fault.kind == Kind::Signature), "{report:?}");
}

#[test]
fn a_head_kept_elsewhere_finds_a_trail_that_was_set_back() {
    let pair = pair();
    let whole = trail(&pair);
    let known = whole.verify().end.unwrap();
    // To what it was ten records ago, with the head that it had then.
    let mut older = whole.clone();
    let lines = &mut older.files.last_mut().unwrap().1;
    lines.truncate(lines.len() - 10);
    let last = Known { seq: RECORDS - 11, hash: Digest::of(lines.last().unwrap()) };
    older.head = sign(&pair, last, START).file_bytes();
    assert!(older.verify().is_fine());
    let check = |trail: &Trail, known, kind: Option<Kind>, seq| {
        let report = verify(trail.key, &trail.bytes(), &trail.head, Some(known));
        let first = report.faults.first().map(|fault| (fault.kind, fault.seq));
        assert_eq!(first, kind.map(|kind| (kind, seq)));
    };
    check(&whole, known, None, 0);
    check(&older, known, Some(Kind::Missing), RECORDS - 10);
    let rewritten = Known { seq: 5, hash: Digest::of(b"what it was") };
    check(&whole, rewritten, Some(Kind::Altered), 5);
}

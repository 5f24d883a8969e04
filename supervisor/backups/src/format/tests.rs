//! What is not as it was written is noticed, whatever was done to it, and before it is used.

use std::sync::Arc;

use bytes::Bytes;
use proptest::prelude::*;
use zeroize::Zeroizing;

use super::header::Header;
use super::keys::DataKey;
use super::manifest::{Manifest, Sums};
use super::open::Opener;
use super::seal::Sealer;
use super::{Broken, CHUNK, TAG};
use crate::id::BackupId;

fn key(byte: u8) -> DataKey {
    DataKey::new(Zeroizing::new([byte; 32]))
}

fn id(text: &str) -> BackupId {
    format!("{text}.20261129T073000Z.0123456789abcdef").parse().unwrap()
}

fn sealed_as(backup: &BackupId, key: &DataKey, salt: u8, plain: &[u8]) -> (Vec<u8>, Sums) {
    let header = Header::new(backup, 7, (key, &[salt; 32])).unwrap();
    let (mut sealer, first) = Sealer::new(&header, key).unwrap();
    let mut out = vec![first];
    for piece in plain.chunks(CHUNK / 3 + 1) {
        sealer.push(piece, &mut out).unwrap();
    }
    let (last, sums) = sealer.finish().unwrap();
    out.push(last);
    (out.concat(), sums)
}

/// Why, and what was handed on before.
type Refused = (Broken, Vec<u8>);

fn opened_as(
    backup: &BackupId,
    key: DataKey,
    bytes: &[u8],
    piece: usize,
) -> Result<(Vec<u8>, Sums), Refused> {
    let mut opener = Opener::new(backup, Arc::new(key));
    let mut out: Vec<Bytes> = Vec::new();
    for piece in bytes.chunks(piece) {
        if let Err(err) = opener.push(piece, &mut out) {
            return Err((err, out.concat()));
        }
    }
    match opener.finish() {
        Ok((last, sums)) => {
            out.push(last);
            Ok((out.concat(), sums))
        }
        Err(err) => Err((err, out.concat())),
    }
}

fn plain(length: usize) -> Vec<u8> {
    (0..length).map(|it| u8::try_from(it * 31 % 251).unwrap()).collect()
}

/// Refused, and whatever was handed on before that is a beginning of what was written.
fn refused(bytes: &[u8], written: &[u8]) -> Broken {
    let (err, before) = opened_as(&id("acme"), key(1), bytes, 100_000).unwrap_err();
    assert!(written.starts_with(&before), "{err}");
    err
}

/// The parts of a sealed backup: its header, and its chunks.
fn parts(bytes: &[u8]) -> (Vec<u8>, Vec<Vec<u8>>) {
    let (_, header) = Header::read(bytes).unwrap().unwrap();
    let (header, body) = bytes.split_at(header);
    (header.to_vec(), body.chunks(CHUNK + TAG).map(<[u8]>::to_vec).collect())
}

#[test]
fn what_is_sealed_is_opened_whatever_its_length() {
    for length in [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 3 * CHUNK + 7] {
        let text = plain(length);
        let (bytes, sums) = sealed_as(&id("acme"), &key(1), 3, &text);
        for piece in [17, CHUNK, 3 * CHUNK] {
            let (found, read) = opened_as(&id("acme"), key(1), &bytes, piece).unwrap();
            assert!(found == text, "{length}");
            assert_eq!(read, sums, "{length}");
        }
        assert_eq!(sums.chunks, u64::try_from(length.div_ceil(CHUNK).max(1)).unwrap());
    }
}

#[test]
fn every_flipped_bit_of_a_small_backup_is_noticed() {
    let text = b"what acme has".to_vec();
    let (bytes, _) = sealed_as(&id("acme"), &key(1), 3, &text);
    for at in 0..bytes.len() {
        for bit in 0..8 {
            let mut broken = bytes.clone();
            broken[at] ^= 1 << bit;
            refused(&broken, &text);
        }
    }
    for length in 0..bytes.len() {
        refused(&bytes[..length], &text);
    }
}

#[test]
fn chunks_that_are_dropped_swapped_repeated_or_cut_are_noticed() {
    let text = plain(3 * CHUNK + 100);
    let (bytes, _) = sealed_as(&id("acme"), &key(1), 3, &text);
    let (header, chunks) = parts(&bytes);
    let with = |chunks: &[&Vec<u8>]| {
        let mut all = header.clone();
        for chunk in chunks {
            all.extend_from_slice(chunk);
        }
        all
    };
    let [a, b, c, d] = &chunks[..] else { panic!("{}", chunks.len()) };
    opened_as(&id("acme"), key(1), &with(&[a, b, c, d]), 1000).unwrap();
    for wrong in [
        &[a, b, c][..],
        &[a, b, d],
        &[a, c, d],
        &[b, c, d],
        &[a, c, b, d],
        &[a, a, b, c, d],
        &[a, b, c, d, d],
        &[a, b, c, d, a],
        &[d],
        &[],
    ] {
        refused(&with(wrong), &text);
    }
    let mut longer = bytes.clone();
    longer.push(0);
    refused(&longer, &text);
    for cut in [1, TAG, 100, 100 + TAG, 101 + TAG] {
        refused(&bytes[..bytes.len() - cut], &text);
    }
}

#[test]
fn another_backups_header_or_chunks_and_another_key_are_noticed() {
    let text = plain(2 * CHUNK);
    let (mine, _) = sealed_as(&id("acme"), &key(1), 3, &text);
    let (later, _) = sealed_as(&id("acme"), &key(1), 4, &text);
    let (theirs, _) = sealed_as(&id("evil"), &key(2), 3, &text);
    // The same key and salt under another name: what chunks are bound to still differs.
    let (renamed, _) = sealed_as(&id("evil"), &key(1), 3, &text);
    let (header, chunks) = parts(&mine);
    assert_eq!(refused(&theirs, &text), Broken::Other);
    assert_eq!(refused(&renamed, &text), Broken::Other);
    for other in [&later, &theirs, &renamed] {
        let (other_header, other_chunks) = parts(other);
        refused(&[header.clone(), other_chunks.concat()].concat(), &text);
        refused(&[other_header, chunks.concat()].concat(), &text);
        refused(&[header.clone(), chunks[0].clone(), other_chunks[1].clone()].concat(), &text);
    }
    let (stolen, _) = sealed_as(&id("acme"), &key(2), 3, &text);
    assert_eq!(refused(&stolen, &text), Broken::Key);
}

#[test]
fn hostile_headers_are_refused_before_anything_is_kept() {
    let huge = [&b"OCMUBAK1"[..], &u32::MAX.to_be_bytes()].concat();
    assert_eq!(refused(&huge, b""), Broken::Header);
    assert_eq!(refused(b"PK\x03\x04", b""), Broken::Header);
    let framed = |json: &str| {
        let length = u32::try_from(json.len()).unwrap().to_be_bytes();
        [&b"OCMUBAK1"[..], &length, json.as_bytes(), &[0; 64]].concat()
    };
    assert_eq!(refused(&framed("{}"), b""), Broken::Header);
    assert_eq!(refused(&framed(r#"{"format":2}"#), b""), Broken::Newer { found: 2 });
    let header = Header::new(&id("acme"), 7, (&key(1), &[3; 32])).unwrap();
    let json = serde_json::to_string(&header).unwrap();
    refused(&framed(&json), b"");
    for (from, to) in [
        ("\"createdAt\":7", "\"createdAt\":7,\"more\":1"),
        ("\"tenant\":\"acme\"", "\"tenant\":\"evil\""),
        ("\"salt\":\"03", "\"salt\":\""),
        ("acme.2026", "../../2026"),
    ] {
        assert!(json.contains(from), "{from}");
        assert_eq!(refused(&framed(&json.replace(from, to)), b""), Broken::Header);
    }
}

#[test]
fn a_manifest_is_its_writers_and_of_one_backup() {
    let header = Header::new(&id("acme"), 7, (&key(1), &[3; 32])).unwrap();
    let (_, sums) = sealed_as(&id("acme"), &key(1), 3, b"x");
    let manifest = Manifest {
        completed_at: 9,
        records: 4,
        ..Manifest::new(&header, super::manifest::AskedBy::Schedule, sums)
    };
    let bytes = manifest.bytes(&key(1)).unwrap();
    let read = |backup: &str, with: u8, bytes: &[u8]| {
        Manifest::read(&id(backup), bytes).and_then(|it| it.verify(&key(with)))
    };
    assert_eq!(read("acme", 1, &bytes).unwrap(), manifest);
    assert_eq!(read("evil", 1, &bytes).unwrap_err(), Broken::Other);
    assert_eq!(read("acme", 2, &bytes).unwrap_err(), Broken::Key);
    for at in 0..bytes.len() {
        for bit in 0..8 {
            let mut broken = bytes.clone();
            broken[at] ^= 1 << bit;
            read("acme", 1, &broken).unwrap_err();
        }
    }
    for length in 0..bytes.len() {
        read("acme", 1, &bytes[..length]).unwrap_err();
    }
    read("acme", 1, &[&bytes[..], b"\n"].concat()).unwrap_err();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn any_change_of_a_large_backup_is_noticed(
        length in 0..3 * CHUNK,
        at in any::<prop::sample::Index>(),
        byte in 1..=255_u8,
        kind in 0..3_u8,
    ) {
        let text = plain(length);
        let (bytes, _) = sealed_as(&id("acme"), &key(1), 3, &text);
        let at = at.index(bytes.len());
        let mut broken = bytes;
        match kind {
            0 => broken[at] ^= byte,
            1 => drop(broken.remove(at)),
            _ => broken.insert(at, byte),
        }
        refused(&broken, &text);
    }

    #[test]
    fn no_bytes_make_the_reader_stumble(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
        let framed = [&b"OCMUBAK1"[..], &bytes].concat();
        prop_assert!(opened_as(&id("acme"), key(1), &bytes, 100).is_err());
        prop_assert!(opened_as(&id("acme"), key(1), &framed, 100).is_err());
        prop_assert!(Manifest::read(&id("acme"), &bytes).is_err());
    }
}

//! A file is what was signed, to the byte, or nothing.

use super::*;
use crate::page::page;
use crate::testing::report;

/// Changes of one byte that are tried.
const CHANGES: usize = 2_000;

/// A generator that makes the same tests every time.
struct Chance(u64);

impl Chance {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        usize::try_from(self.0 >> 33).unwrap() % end
    }
}

fn sealed() -> (Vec<u8>, Key) {
    let key = Key::random().unwrap();
    (seal(&report(&key), &key).unwrap(), key)
}

#[test]
fn what_was_sealed_opens_and_is_json() {
    let (file, key) = sealed();
    let opened = open(&file, Some(&key.public())).unwrap();
    assert_eq!(opened.report, report(&key));
    assert_eq!(opened.key, key.public());
    let json: serde_json::Value = serde_json::from_slice(&file).unwrap();
    assert_eq!(json["report"]["tenant"], "acme");
    let html = page(&file).unwrap();
    assert_eq!(open(&html, Some(&key.public())).unwrap().report, report(&key));
    let text = String::from_utf8(html).unwrap();
    assert!(!text.contains("<no>") && !text.contains("<script"), "{text}");
}

#[test]
fn no_changed_byte_opens() {
    let (file, key) = sealed();
    for good in [file.clone(), page(&file).unwrap()] {
        let mut chance = Chance(7);
        for _ in 0..CHANGES {
            let (at, by) = (chance.below(good.len()), 1 + chance.below(255));
            let mut bad = good.clone();
            bad[at] ^= u8::try_from(by).unwrap();
            assert!(open(&bad, None).is_err(), "byte {at} changed by {by}");
            assert!(open(&bad, Some(&key.public())).is_err(), "byte {at} changed by {by}");
        }
    }
}

/// Changes that leave the same JSON, and those of length.
#[test]
fn no_other_spelling_opens() {
    let (file, _) = sealed();
    let text = String::from_utf8(file.clone()).unwrap();
    let check = |changed: String| {
        assert_ne!(changed, text);
        assert!(open(changed.as_bytes(), None).is_err(), "{changed}");
    };
    check(text.replacen(':', ": ", 1));
    check(text.replacen("\"report\":{", "\"report\": {", 1));
    check(text.replacen("acme", "\\u0061cme", 1));
    check(format!("{text}\n"));
    check(format!(" {text}"));
    check(text.trim_end().to_owned());
    let signature = text.split("\"signature\":\"").nth(1).unwrap().split('"').next().unwrap();
    check(text.replacen(signature, &signature.to_uppercase(), 1));
    for length in 0..file.len() {
        assert!(open(&file[..length], None).is_err(), "{length}");
    }
}

#[test]
fn another_key_another_name_or_another_form_is_refused() {
    let (file, key) = sealed();
    let other = Key::random().unwrap();
    assert!(matches!(open(&file, Some(&other.public())), Err(Error::OtherKey { .. })));
    let stolen = seal(&report(&key), &other).unwrap();
    assert!(matches!(open(&stolen, None), Err(Error::Installation { .. })));
    let mut newer = report(&key);
    newer.schema += 1;
    assert!(matches!(open(&seal(&newer, &key).unwrap(), None), Err(Error::Schema(2))));
    // A signature over something else of this key's.
    let signed = key.sign(b"{}");
    let forged = format!(
        r#"{{"format":"openclawmu-evidence/1","publicKey":"{}","signature":"{signed}","report":{{}}}}"#,
        key.public()
    );
    assert!(matches!(open(format!("{forged}\n").as_bytes(), None), Err(Error::Signature)));
    let large = vec![b' '; MAX_DOCUMENT + 1];
    assert!(matches!(open(&large, None), Err(Error::TooLarge)));
}

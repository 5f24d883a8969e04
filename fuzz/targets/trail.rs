//! A file of the audit trail. Whatever stands in it, the verifier ends, keeps few faults, and finds
//! nothing right that the key did not sign.
#![no_main]

use libfuzzer_sys::fuzz_target;
use trail::{Beginning, MAX_FAULTS, PublicKey, Verifier};

fuzz_target!(|bytes: &[u8]| {
    let key = PublicKey::from_bytes(&[7; 32]).expect("32 bytes are a key");
    let mut verifier = Verifier::new(key, Beginning::First, None);
    verifier.file("2026-11-22.jsonl", bytes).expect("memory can be read");
    let report = verifier.finish();
    assert!(report.faults.len() <= MAX_FAULTS);
    assert_eq!(report.checkpoints, 0);
    assert_eq!(report.is_fine(), report.faults.is_empty());
});

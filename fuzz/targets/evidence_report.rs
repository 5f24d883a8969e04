//! An evidence report or its page, as a stranger hands it to an auditor. Nobody here has a key, so
//! nothing that is not in the corpus may open; the report alone is read as well, as if it were signed.
#![no_main]

use evidence::{Report, check, layers, open};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|file: &[u8]| {
    if let Ok(opened) = open(file, None) {
        // Only what somebody signed opens, and nothing of it may be changed.
        assert!(open(file, Some(&opened.key)).is_ok());
        let mut longer = file.to_vec();
        longer.push(b'\n');
        assert!(open(&longer, None).is_err());
    }
    if let Ok(report) = serde_json::from_slice::<Report>(file) {
        let complaints = check(&report);
        // A report that is wrong in anything cannot say that it is right unseen.
        if report.layers != layers(&report.boundary, &report.declared, &report.host) {
            assert!(!complaints.is_empty());
        }
    }
});

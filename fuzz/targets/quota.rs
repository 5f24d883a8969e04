//! The text of a quota. What is read is written as it was read, but for zeros before the number, and
//! limits something.
#![no_main]

use libfuzzer_sys::fuzz_target;
use types::{Limits, LimitsPatch, Quota};

fuzz_target!(|text: &str| {
    let quota: Quota = match text.parse() {
        Ok(quota) => quota,
        Err(err) => return assert!(!err.to_string().is_empty()),
    };
    let written = quota.to_string();
    assert_eq!(written.parse::<Quota>().as_ref(), Ok(&quota));
    let (key, max) = written.split_once('=').expect("a quota has a value");
    assert_eq!(text.split_once('=').map(|(key, _)| key), Some(key));
    assert_eq!((key, max.parse()), (quota.key().as_str(), Ok(quota.max())));
    let patch = LimitsPatch { quotas: Some(vec![written]), ..LimitsPatch::default() };
    assert_eq!(Limits::default().with(&patch).expect("a quota is a limit").quotas, [quota]);
});

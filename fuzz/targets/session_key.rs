//! The key of a session. A key that is read is within its bounds, and names itself.
#![no_main]

use libfuzzer_sys::fuzz_target;
use openclawmu_worker::session_key;

fuzz_target!(|text: &str| {
    let Some(key) = session_key(text) else { return };
    assert_eq!(session_key(&key).as_deref(), Some(key.as_str()));
    assert!(key.len() <= 512 && !key.contains(char::is_control));
    let (agent, name) = key
        .strip_prefix("agent:")
        .and_then(|it| it.split_once(':'))
        .expect("a key is agent:<agent>:<name>");
    let plain = |it: char| it.is_ascii_lowercase() || it.is_ascii_digit() || "-_".contains(it);
    assert!(!agent.is_empty() && agent.chars().all(plain) && !name.is_empty());
});

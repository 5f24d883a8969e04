//! A tenant's settings, and behind a zero byte those to change them to. What passes the check has
//! known names only, is still the same when it is written anew, and is changed to what is asked.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use settings::overlay::{Malformed, parse, rewrite};

/// What clients are told that there is.
static SCHEMA: LazyLock<Value> = LazyLock::new(settings::document);

fuzz_target!(|input: &str| {
    let (text, other) = input.split_once('\0').unwrap_or((input, "{}"));
    let (Ok(old), Ok(new)) = (parse(text), parse(other)) else { return };
    for value in [&old, &new] {
        let issues = settings::check(value);
        assert!(issues.len() <= 16 && issues.iter().all(|it| !it.message.is_empty()));
        let mut names = value.as_object().expect("a text is an object").keys();
        assert!(!issues.is_empty() || names.all(|it| SCHEMA["properties"].get(it).is_some()));
        says(&format!("{value:#}\n"), value);
    }
    says(&rewrite(text, &old, &new), &new);
});

/// Escapes may be shorter than what they stand for.
fn says(text: &str, value: &Value) {
    match parse(text) {
        Ok(said) => assert_eq!(said, *value, "{text}"),
        Err(Malformed::TooLong) => {}
        Err(err) => panic!("{err}: {text}"),
    }
}

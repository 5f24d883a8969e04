//! How we verify, held against what the vendors' own code makes and judges: `slack_sdk`, `PyNaCl`, which
//! Discord names for it, and the library of Standard Webhooks. `make networks` installs them.

use std::collections::BTreeMap;
use std::process::Command;

use channels::recipe::{Recipe, WINDOW_S};
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;
use types::Secret;

/// What the vendors' code says of each: a header for each name, a body, a time in seconds, and whether it
/// is good.
fn vectors() -> Vec<Value> {
    let script = tests::networks::folder().join("vectors.py");
    let output = Command::new(tests::networks::tool("python")).arg(script).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The recipe of a scheme, from the adapter of the network that has it.
fn recipe(scheme: &str) -> Recipe {
    let network = if scheme == "standard" { "webhook" } else { scheme };
    let recipes = channels::adapter(network).unwrap().recipes();
    let is_it = |it: &&Recipe| matches!(it, Recipe::Standard) == (scheme == "standard");
    *recipes.iter().find(is_it).unwrap()
}

fn text<'a>(vector: &'a Value, name: &str) -> &'a str {
    vector[name].as_str().unwrap()
}

/// Whether we believe it.
fn ours(vector: &Value) -> bool {
    let headers = vector["headers"].as_object().unwrap().iter().map(|(name, value)| {
        let value = HeaderValue::from_str(value.as_str().unwrap()).unwrap();
        (name.parse::<HeaderName>().unwrap(), value)
    });
    let headers: HeaderMap = headers.collect();
    let secret = Secret::from(text(vector, "secret").to_owned());
    let now = vector["now"].as_u64().unwrap() * 1000;
    let body = text(vector, "body").as_bytes();
    recipe(text(vector, "scheme")).verify(&[secret], &headers, body, now).is_ok()
}

#[test]
fn we_believe_what_the_vendors_code_believes_and_nothing_else() {
    let mut counts = BTreeMap::<_, u32>::new();
    let vectors = vectors();
    for vector in &vectors {
        // Discord's names no window, and ours is the same for all.
        let is_near = vector["apart"].as_i64().is_none_or(|it| it.unsigned_abs() <= WINDOW_S);
        let good = vector["good"].as_bool().unwrap();
        assert_eq!(ours(vector), good && is_near, "{vector}");
        *counts.entry((text(vector, "scheme"), good && is_near)).or_default() += 1;
    }
    // Of each scheme both.
    assert!(counts.len() == 6 && counts.values().all(|it| *it > 20), "{counts:?}");
}

//! What tenants may reach, as operators say it: on the command line, on the control plane, in the
//! configuration.

use serde_json::{Value, json};
use tests::Gateway;

fn allowed(gateway: &Gateway, more: &[&str]) -> Value {
    gateway.json(&[&["tenants", "egress", "acme"], more].concat())
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_are_replaced_shown_kept_and_taken_away() {
    let mut gateway = tests::Builder::default()
        .config("{ egress: { allow: ['GET https://docs.example'] } }")
        .start();
    gateway.tenant("acme");
    let everyone = json!(["GET https://docs.example"]);
    assert_eq!(
        allowed(&gateway, &[]),
        json!({"tenant": "acme", "allow": [], "everyone": everyone})
    );
    let rules = ["https://api.example", "GET,POST http://*.example.org:8080/v1/"];
    let set = allowed(&gateway, &["--allow", rules[0], "--allow", rules[1]]);
    assert_eq!(set, json!({"tenant": "acme", "allow": rules, "everyone": everyone}));
    gateway.stop();
    gateway.restart();
    assert_eq!(allowed(&gateway, &[]), set);
    let other = allowed(&gateway, &["--allow", rules[0]]);
    assert_eq!(other["allow"], json!([rules[0]]));
    assert_eq!(allowed(&gateway, &["--clear"])["allow"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_rule_changes_nothing_and_says_why() {
    let gateway = Gateway::start();
    gateway.tenant("acme");
    allowed(&gateway, &["--allow", "https://api.example"]);
    for (rule, why) in [
        ("example.com", "http:// or https://"),
        ("https://127.1", "usual form"),
        ("TRACE https://a.example", "a method"),
        ("https://user@a.example", "user or a password"),
    ] {
        let output = gateway.cli(&["tenants", "egress", "acme", "--allow", rule]);
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && told.contains(why), "{rule}: {told}");
    }
    assert_eq!(allowed(&gateway, &[])["allow"], json!(["https://api.example"]));
    let output = gateway.cli(&["tenants", "egress", "nobody"]);
    assert_eq!(output.status.code(), Some(4));
}

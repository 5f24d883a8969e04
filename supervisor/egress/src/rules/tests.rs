//! The operator's rules, and what settings leave of them.

use serde_json::json;

use super::*;
use crate::target::Target;

fn rules(allow: &[&str], settings: &Value) -> Rules {
    let allow = allow.iter().map(|it| it.parse().unwrap()).collect();
    Rules::new(allow, settings.to_string().as_bytes())
}

/// What becomes of `GET url`: nothing, or the part of a sentence.
fn check(rules: &Rules, url: &str, expected: Result<bool, &str>) {
    let (method, target) = (http::Method::GET, Target::parse(url).unwrap());
    let found = rules.check(&Ask::request(&method, &target));
    match (found, expected) {
        (Ok(grant), Ok(named)) if grant.named == named => {}
        (Err(err), Err(part)) if err.to_string().contains(part) => {}
        (found, expected) => panic!("{url}: {found:?}, expected {expected:?}"),
    }
}

#[test]
fn without_rules_nothing_is_reached() {
    for rules in [
        Rules::default(),
        rules(&[], &json!({})),
        rules(&[], &json!({"tools": {"egress": {"allow": ["https://*"]}}})),
    ] {
        check(&rules, "https://a.example/", Err("no egress rule"));
        assert!(!rules.is_open());
    }
}

#[test]
fn a_host_is_named_where_any_rule_names_it() {
    let rules = rules(&["https://*", "https://*.corp.example", "https://wiki.example"], &json!({}));
    assert!(rules.is_open());
    check(&rules, "https://a.example/", Ok(false));
    check(&rules, "https://a.corp.example/", Ok(true));
    check(&rules, "https://wiki.example/", Ok(true));
}

#[test]
fn a_tenants_settings_narrow_and_never_widen() {
    let settings = json!({"tools": {"egress": {
        "allow": ["https://*.example", "http://*"],
        "deny": ["https://b.example", "POST https://c.example/x"],
    }}});
    let rules = rules(&["https://*"], &settings);
    check(&rules, "https://a.example/", Ok(false));
    check(&rules, "https://a.other/", Err("none of the tenant's own"));
    check(&rules, "https://b.example/", Err("tools.egress.deny forbids it: https://b.example"));
    check(&rules, "https://c.example/x", Ok(false));
    check(&rules, "http://a.example/", Err("no egress rule"));
    // Its narrowing rule names the host; the operator's does not.
    let named = json!({"tools": {"egress": {"allow": ["https://a.example"]}}});
    check(
        &Rules::new(vec!["https://*".parse().unwrap()], named.to_string().as_bytes()),
        "https://a.example/",
        Ok(false),
    );
}

#[test]
fn what_cannot_be_understood_allows_nothing() {
    let allow = json!({"tools": {"egress": {"allow": ["nonsense"]}}});
    check(&rules(&["https://*"], &allow), "https://a.example/", Err("none of the tenant's own"));
    for deny in [json!(["nonsense"]), json!(["https://b.example", 7])] {
        let deny = json!({"tools": {"egress": {"deny": deny}}});
        check(&rules(&["https://*"], &deny), "https://a.example/", Err("is no rule"));
    }
    let unreadable = Rules::new(vec!["https://*".parse().unwrap()], b"{");
    check(&unreadable, "https://a.example/", Err("is no rule"));
    assert!(!unreadable.is_open());
}

#[test]
fn who_may_not_use_the_tool_may_not_fetch() {
    let check = |settings: Value, refused: bool| {
        let found = rules(&["https://*"], &settings).check_tool().is_err();
        assert_eq!(found, refused, "{settings}");
    };
    for entry in ["web_fetch", "Web_Fetch ", "group:web", "*", "web_*", "group:*", "*fetch"] {
        check(json!({"tools": {"deny": [entry]}}), true);
    }
    for entry in ["web_search", "exec", "group:fs", ""] {
        check(json!({"tools": {"deny": [entry]}}), false);
    }
    check(json!({"tools": {"allow": []}}), true);
    check(json!({"tools": {"allow": ["read"]}}), true);
    check(json!({"tools": {"allow": ["group:web"]}}), false);
    check(json!({"tools": {"profile": "messaging"}}), true);
    check(json!({"tools": {"deny": "web_fetch"}}), true);
    let agents =
        |rules: Value| json!({"tools": {"profile": "minimal"}, "agents": {"tools": {"a": rules}}});
    check(agents(json!({"profile": "coding"})), false);
    check(agents(json!({"profile": "messaging"})), true);
}

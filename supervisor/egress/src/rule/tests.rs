//! What a rule lets through and what it forbids.

use proptest::prelude::*;

use super::*;

/// Whether `rule` allows, and whether it forbids, `METHOD URL` or `CONNECT HOST:PORT`.
fn check(rule: &str, wish: &str, expected: (bool, bool)) {
    let rule: Rule = rule.parse().unwrap();
    let (method, address) = wish.split_once(' ').unwrap();
    let found = if method == "CONNECT" {
        let (host, port) = target::split_authority(address).unwrap();
        let host = host.parse().unwrap();
        let ask = Ask::tunnel(&host, port.unwrap());
        (rule.allows(&ask), rule.forbids(&ask))
    } else {
        let (method, target) = (method.parse().unwrap(), Target::parse(address).unwrap());
        let ask = Ask::request(&method, &target);
        (rule.allows(&ask), rule.forbids(&ask))
    };
    assert_eq!(found, expected, "{rule} on {wish}");
}

fn same(rule: &str, wish: &str, fits: bool) {
    check(rule, wish, (fits, fits));
}

#[test]
fn a_rule_is_about_a_scheme_a_host_and_a_port() {
    let rule = "https://api.example.com";
    same(rule, "GET https://api.example.com/a", true);
    same(rule, "DELETE https://API.example.com.:443/", true);
    same(rule, "CONNECT api.example.com:443", true);
    for other in [
        "GET http://api.example.com/",
        "GET https://example.com/",
        "GET https://api.example.com:8443/",
        "GET https://x.api.example.com/",
        "GET https://api.example.com.evil.example/",
        "CONNECT api.example.com:80",
        "GET https://xapi.example.com/",
    ] {
        same(rule, other, false);
    }
    same("http://a.example:8080", "GET http://a.example:8080/", true);
    same("http://a.example:8080", "GET http://a.example/", false);
    same("https://1.1.1.1", "GET https://1.1.1.1/", true);
    same("https://[2606:4700::1111]", "CONNECT [2606:4700:0::1111]:443", true);
}

#[test]
fn a_star_is_any_host_or_any_name_below() {
    same("https://*", "GET https://a.example/", true);
    same("https://*", "GET https://1.1.1.1/", true);
    same("https://*", "GET http://a.example/", false);
    let rule = "https://*.example.org";
    same(rule, "GET https://a.example.org/", true);
    same(rule, "GET https://a.b.example.org/", true);
    for other in [
        "GET https://example.org/",
        "GET https://xexample.org/",
        "GET https://1.1.1.1/",
        "GET https://a.example.org.evil.example/",
    ] {
        same(rule, other, false);
    }
}

#[test]
fn methods_and_paths_are_seen_in_requests_only() {
    let rule = "GET,POST https://a.example/v1";
    same(rule, "GET https://a.example/v1", true);
    same(rule, "HEAD https://a.example/v1/x?q", true);
    same(rule, "POST https://a.example/v1/", true);
    same(rule, "PUT https://a.example/v1", false);
    same(rule, "GET https://a.example/v12", false);
    same(rule, "GET https://a.example/", false);
    same(rule, "GET https://a.example/v1/../v2", false);
    same(rule, "GET https://a.example/v1/%2e%2e/v2", false);
    same(rule, "GET https://a.example/%761/x", true);
    same("https://a.example/v1/", "GET https://a.example/v1", false);
    // What cannot be seen for certain is not allowed, and is forbidden.
    check(rule, "CONNECT a.example:443", (false, true));
    check(rule, "GET https://a.example/v1/..%2fv2", (false, true));
    check(rule, "GET https://a.example/other%2f", (false, true));
    check(rule, "GET https://a.example//v1", (false, true));
    check("POST https://a.example", "CONNECT a.example:443", (false, true));
    check("POST https://a.example", "HEAD https://a.example/", (false, false));
}

#[test]
fn what_is_no_rule() {
    for text in [
        "",
        "*",
        "example.com",
        "https://",
        "ftp://a.example",
        "https://a.example?q",
        "https://a.example/#f",
        "get https://a.example",
        "GET,,POST https://a.example",
        "GET  https://a.example",
        " https://a.example",
        "TRACE https://a.example",
        "CONNECT https://a.example",
        "GET https://a.example /b",
        "https://u@a.example",
        "https://a.example:0",
        "https://*.1.2.3.4",
        "https://*a.example",
        "https://a.*.example",
        "https://**",
        "https://127.1",
        "https://0x7f000001",
        "https://a.example//b",
        "https://a.example/%2f",
        "https://a.example\\b",
        "https://b\u{fc}cher.example",
        "https://a.example/\u{fc}",
        "https://*.",
        "https://[::1",
    ] {
        assert_eq!(text.parse::<Rule>().ok(), None, "{text}");
    }
    format!("https://a.example/{}", "a".repeat(MAX_RULE)).parse::<Rule>().unwrap_err();
    let shown = "x\u{7}".repeat(200).parse::<Rule>().unwrap_err().to_string();
    assert!(shown.len() < 200 && !shown.contains('\u{7}'), "{shown}");
}

proptest! {
    #[test]
    fn a_rule_of_one_name_fits_no_other(a in "[a-z]{1,8}(\\.[a-z]{1,8}){0,2}", b in "[a-z]{1,8}(\\.[a-z]{1,8}){0,2}") {
        let rule: Rule = format!("https://{a}").parse().unwrap();
        let below: Rule = format!("https://*.{a}").parse().unwrap();
        let host: Host = b.parse().unwrap();
        let ask = Ask::tunnel(&host, 443);
        prop_assert_eq!(rule.allows(&ask), a == b);
        prop_assert_eq!(below.allows(&ask), b.ends_with(&format!(".{a}")));
    }

    #[test]
    fn what_is_allowed_by_a_rule_is_forbidden_by_the_same(
        rule in "(GET |POST,PUT )?https?://(\\*|a\\.b|\\*\\.b)(/[a-c/]{0,4})?",
        method in "GET|POST|HEAD",
        wish in "https?://(a\\.b|c\\.b|1\\.1\\.1\\.1)(/[a-c/%2f.]{0,6})?",
    ) {
        if let (Ok(rule), Ok(target)) = (rule.parse::<Rule>(), Target::parse(&wish)) {
            let method = method.parse().unwrap();
            let ask = Ask::request(&method, &target);
            prop_assert!(rule.forbids(&ask) || !rule.allows(&ask));
        }
    }

    #[test]
    fn nothing_panics(text in "\\PC{0,80}") {
        drop(text.parse::<Rule>());
    }
}

//! Addresses in their one form, and what redirects make of them.

use proptest::prelude::*;

use super::*;

fn check(text: &str, expected: &str) {
    assert_eq!(Target::parse(text).map(|it| it.to_string()), Ok(expected.to_owned()), "{text}");
}

fn refused(text: &str, expected: BadTarget) {
    assert_eq!(Target::parse(text), Err(expected), "{text}");
}

#[test]
fn one_address_has_one_form() {
    check("http://example.com", "http://example.com/");
    check("HTTPS://Example.COM:443/a?b#c", "https://example.com/a?b");
    check("https://example.com.:8443/", "https://example.com:8443/");
    check("http://example.com:0080?q=1", "http://example.com/?q=1");
    check("http://example.com/a/./b/../c", "http://example.com/a/c");
    check("http://example.com/../../a/..", "http://example.com/");
    check("http://example.com/a/%2e%2E/b/%2e", "http://example.com/b/");
    check("http://example.com/%61dmin/%7ex", "http://example.com/admin/~x");
    check("http://example.com/%2f%3f", "http://example.com/%2F%3F");
    check("http://example.com/ü x", "http://example.com/%C3%BC%20x");
    check("http://example.com/?q=ü", "http://example.com/?q=%C3%BC");
    check("http://[2606:4700::1111]:8080/", "http://[2606:4700::1111]:8080/");
    check("http://1.1.1.1/@a:b", "http://1.1.1.1/@a:b");
}

#[test]
fn what_is_no_address() {
    for text in [
        "",
        "example.com",
        "//example.com/",
        "ftp://example.com/",
        "file:///etc/passwd",
        "http:/example.com",
        "gopher://a/",
    ] {
        refused(text, BadTarget::Scheme);
    }
    for text in [
        "http://u@example.com/",
        "http://u:p@example.com/",
        "http://@example.com/",
        "https://a.com@evil.example/",
    ] {
        refused(text, BadTarget::Credentials);
    }
    for text in [
        "http://a.com:0/",
        "http://a.com:65536/",
        "http://a.com:/",
        "http://a.com:8a/",
        "http://a.com:+80/",
        "http://[::1]:x/",
        "http://[::1",
    ] {
        refused(text, BadTarget::Port);
    }
    for text in [
        "http://a.com\\@b.com/",
        "http://a.com/\r\nhost: b",
        "http://a.com/\0",
        "http://a.com/%",
        "http://a.com/%4",
        "http://a.com/%zz",
        "http://a.com/%é",
    ] {
        refused(text, BadTarget::Character);
    }
    for text in [
        "http:///a",
        "http://0x7f.1/",
        "http://2130706433/",
        "http://127.1/",
        "http://b\u{fc}cher.example/",
        "http://a b/",
        "http://a]b/",
    ] {
        refused(text, BadTarget::Host(BadHost));
    }
    refused(&format!("http://a.com/{}", "a".repeat(MAX_TARGET)), BadTarget::TooLong);
    // Within the bound as it is written, beyond it as it is sent.
    refused(&format!("http://a.com/{}", "ü".repeat(1500)), BadTarget::TooLong);
}

#[test]
fn where_a_redirect_leads() {
    let check = |location: &str, expected: &str| {
        let from = Target::parse("https://example.com:8443/a/b?q").unwrap();
        assert_eq!(from.join(location).unwrap().to_string(), expected, "{location}");
    };
    check("/c", "https://example.com:8443/c");
    check("c", "https://example.com:8443/a/c");
    check("../c", "https://example.com:8443/c");
    check("?r", "https://example.com:8443/a/b?r");
    check("#d", "https://example.com:8443/a/b?q");
    check("", "https://example.com:8443/a/b?q");
    check("//other.example/c", "https://other.example/c");
    check("http://other.example", "http://other.example/");
    let from = Target::parse("https://example.com/").unwrap();
    for location in [
        "javascript:alert(1)",
        "file:///etc/passwd",
        "http://u:p@a.com/",
        "//127.1/",
        "http:\\\\a.com",
    ] {
        assert!(from.join(location).is_err(), "{location}");
    }
}

#[test]
fn paths_that_servers_read_differently() {
    for path in ["//a", "/a//b", "/a%2Fb", "/a%5cb", "/%252e", "/a;b", "/a%00"] {
        assert!(is_ambiguous(path), "{path}");
    }
    for path in ["/", "/a/b", "/a.b", "/a%20b", "/a:b@c"] {
        assert!(!is_ambiguous(path), "{path}");
    }
}

proptest! {
    #[test]
    fn a_form_is_its_own_form(text in "https?://[a-z]{1,5}\\.example(:[1-9][0-9]{1,3})?(/|/[ -~ü]{0,20})?") {
        if let Ok(target) = Target::parse(&text) {
            let form = target.to_string();
            prop_assert_eq!(Target::parse(&form).unwrap(), target);
            prop_assert!(form.bytes().all(|it| it.is_ascii_graphic()));
        }
    }

    #[test]
    fn nothing_panics(text in "\\PC{0,60}", location in "\\PC{0,60}") {
        drop(Target::parse(&format!("http://{text}")));
        drop(Target::parse("http://a.example/b").unwrap().join(&location));
    }
}

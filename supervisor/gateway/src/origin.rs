//! Whether a browser's page may connect: pages of other sites could use a token that they got hold
//! of, or guess at ports, from the browser of somebody inside.

/// Whether a connection from a page of `origin` is accepted at `host`, the authority that the
/// client connected to. Programs send no origin; a page cannot leave it out.
pub fn accepted(origin: Option<&str>, host: Option<&str>, allowed: &[String]) -> bool {
    let Some(origin) = origin else { return true };
    if allowed.iter().any(|it| it == "*" || it.trim_end_matches('/').eq_ignore_ascii_case(origin)) {
        return true;
    }
    let Some((scheme, authority)) = origin.split_once("://") else { return false };
    if !matches!(scheme, "http" | "https") || authority.is_empty() {
        return false;
    }
    let same = host.is_some_and(|host| host.eq_ignore_ascii_case(authority));
    same || (is_loopback(authority) && host.is_some_and(is_loopback))
}

/// Whether `host` or `host:port` is this machine.
fn is_loopback(authority: &str) -> bool {
    let host = match authority.strip_prefix('[') {
        Some(v6) => v6.split_once(']').map_or(v6, |(host, _)| host),
        None => authority.split_once(':').map_or(authority, |(host, _)| host),
    };
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<std::net::IpAddr>().is_ok_and(|it| it.to_canonical().is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn which_pages_may_connect() {
        let allowed = ["https://panel.example.org".to_owned()];
        let check = |origin: Option<&str>, host: &str, want: bool| {
            assert_eq!(accepted(origin, Some(host), &allowed), want, "{origin:?} at {host}");
        };
        check(None, "gw.example.org", true);
        check(Some("https://gw.example.org"), "gw.example.org", true);
        check(Some("https://GW.example.org"), "gw.example.org", true);
        check(Some("https://gw.example.org:8443"), "gw.example.org:8443", true);
        check(Some("https://gw.example.org"), "gw.example.org:8443", false);
        check(Some("https://panel.example.org"), "gw.example.org", true);
        check(Some("https://evil.example.org"), "gw.example.org", false);
        check(Some("null"), "gw.example.org", false);
        check(Some(""), "gw.example.org", false);
        check(Some("file://"), "gw.example.org", false);
        check(Some("http://localhost:5173"), "127.0.0.1:18789", true);
        check(Some("http://[::1]:5173"), "localhost:18789", true);
        check(Some("http://localhost:5173"), "gw.example.org", false);
        check(Some("http://127.0.0.1.evil.example.org"), "127.0.0.1:18789", false);
        assert!(!accepted(Some("http://a.example"), None, &[]));
        assert!(accepted(Some("http://a.example"), None, &["*".to_owned()]));
    }
}

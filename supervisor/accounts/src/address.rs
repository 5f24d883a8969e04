//! Addresses, as far as they are compared: whose host one is on, and what is below what.

/// Whether `url` is `root` or below it.
pub(crate) fn is_below(url: &str, root: &str) -> bool {
    url.strip_prefix(root).is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '?']))
}

/// The host of an address, with its port where it has one.
pub(crate) fn authority(url: &str) -> Option<&str> {
    let (_, rest) = url.split_once("://")?;
    rest.split(['/', '?', '#']).next().filter(|it| !it.is_empty() && !it.contains('@'))
}

/// The host of an address, without its port.
pub(crate) fn host(url: &str) -> Option<String> {
    let uri: http::Uri = url.parse().ok()?;
    uri.host().map(str::to_ascii_lowercase)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_below_the_operators_address() {
        let check = |url: &str, want: bool| assert_eq!(is_below(url, "http://a:1"), want, "{url}");
        check("http://a:1", true);
        check("http://a:1/x", true);
        check("http://a:12/x", false);
        check("http://a:1@evil/x", false);
        check("https://a:1/x", false);
    }

    #[test]
    fn the_host_of_a_file_is_told_from_what_looks_like_it() {
        let check = |url: &str, want: Option<&str>| assert_eq!(authority(url), want, "{url}");
        check("https://files.slack.com/x", Some("files.slack.com"));
        check("https://files.slack.com@evil/x", None);
        check("https://evil/https://files.slack.com", Some("evil"));
        check("https://files.slack.com.evil?x", Some("files.slack.com.evil"));
        check("http://127.0.0.1:1#@files.slack.com", Some("127.0.0.1:1"));
        check("https:///x", None);
        check("files.slack.com", None);
    }

    #[test]
    fn a_host_is_known_without_its_port() {
        assert_eq!(host("https://A.example:8443/x?y"), Some("a.example".to_owned()));
        assert_eq!(host("http://127.0.0.1:1"), Some("127.0.0.1".to_owned()));
        assert_eq!(host("nonsense"), Some("nonsense".to_owned()));
        assert_eq!(host("http://[::1"), None);
    }
}

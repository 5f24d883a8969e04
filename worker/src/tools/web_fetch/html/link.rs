//! Where a link of a page leads. Pure.

/// The address that `href` means on the page `base`, where it is one to go to.
pub(super) fn absolute(base: &str, href: &str) -> Option<String> {
    let href: String = href.trim().chars().filter(|c| !c.is_control()).collect();
    let href = href.replace(' ', "%20").replace('(', "%28").replace(')', "%29");
    if href.is_empty() || href.starts_with('#') {
        return None;
    }
    let (scheme, rest) = base.split_once("://")?;
    if let Some(host) = href.strip_prefix("//") {
        return Some(format!("{scheme}://{host}"));
    }
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (host, path) = rest.split_at_checked(end)?;
    if let Some(path) = href.strip_prefix('/') {
        return Some(format!("{scheme}://{host}/{path}"));
    }
    if let Some((scheme, _)) = href.split_once(':')
        && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
    {
        // Scripts, data and telephones are not pages.
        let is_page = scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https");
        return is_page.then_some(href);
    }
    let path = path.split(['?', '#']).next().unwrap_or_default();
    if href.starts_with('?') {
        let path = if path.is_empty() { "/" } else { path };
        return Some(format!("{scheme}://{host}{path}{href}"));
    }
    let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
    Some(format!("{scheme}://{host}{folder}/{href}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_lead_to_pages() {
        let check = |href: &str, want: Option<&str>| {
            assert_eq!(absolute("https://h.example/a/b?q#f", href).as_deref(), want, "{href}");
        };
        check("https://x.example/", Some("https://x.example/"));
        check("//x.example/c", Some("https://x.example/c"));
        check("/c", Some("https://h.example/c"));
        check("c d", Some("https://h.example/a/c%20d"));
        check("../c", Some("https://h.example/a/../c"));
        check("?z", Some("https://h.example/a/b?z"));
        check("a)b", Some("https://h.example/a/a%29b"));
        check("#x", None);
        check("", None);
        check("javascript:alert(1)", None);
        check("java\nscript:alert(1)", None);
        check("data:text/html,x", None);
    }
}

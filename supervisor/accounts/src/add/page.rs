//! What is said of an account that is a page.

use networks::Way;
use records::{MAX_LISTED, PagePolicy};
use types::TenantId;

use super::{New, field};
use crate::Error;

/// Bytes of an origin: the longest name of a host, and what stands around it.
const MAX_ORIGIN: usize = 280;

/// Holds what is given against what an account of this way may have.
pub(super) fn held(owner: Option<&TenantId>, way: Way, new: &New) -> Result<(), Error> {
    if way != Way::Page {
        let given = !new.origins.is_empty() || new.signed_only;
        return if given { Err(field("origins", "only for webchat")) } else { Ok(()) };
    }
    if owner.is_none() {
        return Err(field("channel", "a page is one tenant's, and not shared"));
    }
    if new.server.is_some() {
        return Err(field("server", "a page has none"));
    }
    Ok(())
}

/// Who may show the page.
pub(super) fn policy(new: &New) -> Result<PagePolicy, Error> {
    if new.origins.len() > MAX_LISTED {
        return Err(field("origins", format!("at most {MAX_LISTED}")));
    }
    let origins = new.origins.iter().map(|it| origin(it));
    Ok(PagePolicy { origins: origins.collect::<Result<_, _>>()?, signed: new.signed_only })
}

/// An origin as browsers write it.
fn origin(text: &str) -> Result<String, Error> {
    let wrong = || {
        let problem =
            "each as browsers have it: https:// or http://, a host, and a port if need be";
        field("origins", problem)
    };
    let text = text.strip_suffix('/').unwrap_or(text).to_ascii_lowercase();
    let (scheme, authority) = text.split_once("://").ok_or_else(wrong)?;
    // It stands in a header of the page, between blanks.
    let plain = |it: u8| it.is_ascii_alphanumeric() || b"-.:[]".contains(&it);
    let is_host = authority.starts_with(|it: char| it.is_ascii_alphanumeric() || it == '[');
    let is_origin = matches!(scheme, "https" | "http")
        && is_host
        && authority.bytes().all(plain)
        && text.len() <= MAX_ORIGIN
        && text.parse::<http::Uri>().is_ok_and(|it| {
            it.host() == Some(authority) || (it.host().is_some() && it.port_u16().is_some())
        });
    if is_origin { Ok(text) } else { Err(wrong()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_as_browsers_have_them() {
        let check = |text: &str, want: Option<&str>| {
            assert_eq!(origin(text).ok().as_deref(), want, "{text}");
        };
        check("https://shop.example", Some("https://shop.example"));
        check("https://Shop.Example/", Some("https://shop.example"));
        check("http://127.0.0.1:8080", Some("http://127.0.0.1:8080"));
        check("http://[::1]:8080", Some("http://[::1]:8080"));
        for wrong in [
            "",
            "*",
            "https://",
            "shop.example",
            "ftp://shop.example",
            "https://*.example",
            "https://a.example/x",
            "https://a.example; script-src *",
            "https://a.example https://b.example",
            "https://u@a.example",
            "https://a.example:x",
            "null",
        ] {
            check(wrong, None);
        }
        check(&format!("https://{}", "a".repeat(MAX_ORIGIN)), None);
    }

    #[test]
    fn a_page_is_one_tenants() {
        let owner: TenantId = "a".parse().unwrap();
        let with = |change: fn(&mut New)| {
            let mut new = New::default();
            change(&mut new);
            new
        };
        held(Some(&owner), Way::Page, &with(|_| ())).unwrap();
        held(None, Way::Page, &with(|_| ())).unwrap_err();
        held(Some(&owner), Way::Page, &with(|it| it.server = Some(String::new()))).unwrap_err();
        held(Some(&owner), Way::Poll, &with(|_| ())).unwrap();
        held(Some(&owner), Way::Poll, &with(|it| it.signed_only = true)).unwrap_err();
        policy(&with(|it| it.origins = vec!["*".to_owned()])).unwrap_err();
    }
}

//! The host of an address: a name, or an address in its one form. Pure.
//!
//! Nothing here guesses: what some library somewhere takes for an address, such as `0x7f.1`, is
//! refused and never looked up as a name.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// Bytes of a name, as DNS has it.
const MAX_NAME: usize = 253;

/// Bytes of one label of a name, as DNS has it.
const MAX_LABEL: usize = 63;

/// A host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Host {
    /// A name in lower case without a dot at its end.
    Name(String),
    /// An address.
    Address(IpAddr),
}

/// A text that is no host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the host is neither a name of letters, digits, hyphens and dots nor an address in its usual form"
)]
pub struct BadHost;

impl FromStr for Host {
    type Err = BadHost;

    fn from_str(text: &str) -> Result<Self, BadHost> {
        if let Some(inside) = text.strip_prefix('[') {
            let inside = inside.strip_suffix(']').ok_or(BadHost)?;
            return match inside.parse::<Ipv6Addr>() {
                Ok(address) => Ok(Self::Address(address.into())),
                Err(_no_address) => Err(BadHost),
            };
        }
        if let Ok(address) = text.parse::<Ipv4Addr>() {
            return Ok(Self::Address(address.into()));
        }
        let name = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
        if is_name(&name) { Ok(Self::Name(name)) } else { Err(BadHost) }
    }
}

fn is_name(name: &str) -> bool {
    let last = name.rsplit('.').next().unwrap_or_default();
    (1..=MAX_NAME).contains(&name.len()) && name.split('.').all(is_label) && !is_number(last)
}

fn is_label(label: &str) -> bool {
    let plain = |it: u8| it.is_ascii_lowercase() || it.is_ascii_digit() || it == b'-' || it == b'_';
    (1..=MAX_LABEL).contains(&label.len())
        && label.bytes().all(plain)
        && !label.starts_with('-')
        && !label.ends_with('-')
}

/// Whether a name that ends in this label is taken for an address by some.
fn is_number(label: &str) -> bool {
    let hex =
        label.strip_prefix("0x").is_some_and(|it| it.bytes().all(|it| it.is_ascii_hexdigit()));
    hex || label.bytes().all(|it| it.is_ascii_digit())
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Address(IpAddr::V4(address)) => address.fmt(f),
            Self::Address(IpAddr::V6(address)) => write!(f, "[{address}]"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Option<&str>) {
        let found = text.parse::<Host>().ok().map(|host| host.to_string());
        assert_eq!(found.as_deref(), expected, "{text}");
    }

    #[test]
    fn what_is_a_host() {
        for text in [
            "example.com",
            "a-b.example",
            "x_y.example",
            "wiki",
            "1.example",
            "xn--bcher-kva.example",
            "0x.com",
        ] {
            check(text, Some(text));
        }
        check("EXAMPLE.com", Some("example.com"));
        check("example.com.", Some("example.com"));
        check("1.2.3.4", Some("1.2.3.4"));
        check("[2606:4700::1111]", Some("[2606:4700::1111]"));
        check("[::ffff:7f00:1]", Some("[::ffff:127.0.0.1]"));
    }

    #[test]
    fn what_some_take_for_an_address_is_none() {
        for text in [
            "0x7f.1",
            "127.1",
            "2130706433",
            "0x7f000001",
            "017700000001",
            "0177.0.0.1",
            "1.2.3",
            "1.2.3.4.",
            "1.2.3.4.5",
            "127.0.0.01",
            "256.1.1.1",
            "0x7f.0x0.0x0.0x1",
            "foo.0x10",
            "foo.123",
            "0x",
            "::1",
            "[::1",
            "::1]",
            "[fe80::1%eth0]",
            "[1.2.3.4]",
            "[example.com]",
        ] {
            check(text, None);
        }
    }

    #[test]
    fn what_is_no_name() {
        let long = format!("{}.com", "a".repeat(64));
        let longer = ["a"; 128].join(".");
        for text in [
            "",
            ".",
            "..",
            "a..b",
            ".a",
            "-a.com",
            "a-.com",
            "a b",
            "a/b",
            "a@b",
            "a:b",
            "a%41",
            "bücher.example",
            "１２７.0.0.1",
            "localhost\0.com",
            "a\u{200b}.com",
            "*",
            "*.com",
            &long,
            &longer,
        ] {
            check(text, None);
        }
    }
}

//! Where a request goes: an `http` or `https` address in one form. Pure.
//!
//! Two addresses that a server takes for the same have the same form here as far as that can be
//! known; a path of which it cannot be known says so.

use std::fmt;

use crate::host::{BadHost, Host};

/// Bytes of an address.
pub(crate) const MAX_TARGET: usize = 4096;

/// How it is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// In the clear.
    Http,
    /// Over TLS.
    Https,
}

/// An address to which a request may be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// How.
    pub scheme: Scheme,
    /// To whom.
    pub host: Host,
    /// Never 0.
    pub port: u16,
    /// Begins with a slash, has no dot segments, and no escape that stands for a plain character.
    pub path: String,
    /// What follows the question mark.
    pub query: Option<String>,
}

/// A text that is no address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadTarget {
    /// Too long.
    #[error("the address has more than {MAX_TARGET} bytes")]
    TooLong,
    /// Something that no address has.
    #[error(
        "the address has a control character, a backslash or a percent sign that escapes nothing"
    )]
    Character,
    /// Not `http` or `https`.
    #[error("the address does not begin with http:// or https://")]
    Scheme,
    /// A name or password.
    #[error("the address has a user or a password in it")]
    Credentials,
    /// Nobody, or in an odd form.
    #[error(transparent)]
    Host(#[from] BadHost),
    /// No port.
    #[error("the port is not a number from 1 to 65535")]
    Port,
}

impl Scheme {
    /// The port where nothing else is said.
    pub const fn port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }

    /// Its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Target {
    /// The address that `text` is.
    ///
    /// # Errors
    /// When it is none.
    pub fn parse(text: &str) -> Result<Self, BadTarget> {
        if text.len() > MAX_TARGET {
            return Err(BadTarget::TooLong);
        }
        if text.chars().any(|it| it.is_control() || it == '\\') {
            return Err(BadTarget::Character);
        }
        let (scheme, rest) = split_scheme(text).ok_or(BadTarget::Scheme)?;
        let rest = rest.split('#').next().unwrap_or_default();
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, rest) = rest.split_at_checked(end).unwrap_or((rest, ""));
        let (host, port) = split_authority(authority)?;
        let (path, query) = match rest.split_once('?') {
            Some((path, query)) => (path, Some(escaped(query))),
            None => (rest, None),
        };
        let target = Self {
            scheme,
            host: host.parse()?,
            port: port.unwrap_or_else(|| scheme.port()),
            path: path_of(path)?,
            query,
        };
        if target.to_string().len() > MAX_TARGET { Err(BadTarget::TooLong) } else { Ok(target) }
    }

    /// Where a redirect from here to `location` leads.
    ///
    /// # Errors
    /// When that is no address.
    pub fn join(&self, location: &str) -> Result<Self, BadTarget> {
        let origin = self.origin();
        let before = location.split(['/', '?', '#']).next().unwrap_or_default();
        if before.contains(':') {
            return Self::parse(location);
        }
        let text = match location.bytes().next() {
            None | Some(b'#') => return Ok(self.clone()),
            Some(b'/') if location.starts_with("//") => format!("{}:{location}", self.scheme),
            Some(b'/') => format!("{origin}{location}"),
            Some(b'?') => format!("{origin}{}{location}", self.path),
            Some(_) => {
                let folder = self.path.rsplit_once('/').map_or("", |(folder, _)| folder);
                format!("{origin}{folder}/{location}")
            }
        };
        Self::parse(&text)
    }

    /// How and to whom, without what is asked: what may be told to people.
    pub fn origin(&self) -> String {
        format!("{}://{}", self.scheme, self.authority())
    }

    /// Host and, where it is not the scheme's own, port.
    pub fn authority(&self) -> String {
        if self.port == self.scheme.port() {
            self.host.to_string()
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }

    /// Path and query.
    pub fn path_and_query(&self) -> String {
        match &self.query {
            Some(query) => format!("{}?{query}", self.path),
            None => self.path.clone(),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.origin(), self.path_and_query())
    }
}

/// The scheme, in any case, and what follows it.
pub(crate) fn split_scheme(text: &str) -> Option<(Scheme, &str)> {
    let (scheme, rest) = text.split_once("://")?;
    if scheme.eq_ignore_ascii_case("http") {
        Some((Scheme::Http, rest))
    } else if scheme.eq_ignore_ascii_case("https") {
        Some((Scheme::Https, rest))
    } else {
        None
    }
}

/// The text of the host, and the port where one is named.
pub(crate) fn split_authority(text: &str) -> Result<(&str, Option<u16>), BadTarget> {
    if text.contains('@') {
        return Err(BadTarget::Credentials);
    }
    // A colon inside brackets is part of the address.
    let after = text.find(']').unwrap_or(0);
    let (_, rest) = text.split_at_checked(after).unwrap_or(("", text));
    let Some(colon) = rest.find(':') else { return Ok((text, None)) };
    let (host, port) = text.split_at_checked(after + colon).unwrap_or((text, ""));
    let digits = port.strip_prefix(':').unwrap_or_default();
    let plain = (1..=5).contains(&digits.len()) && digits.bytes().all(|it| it.is_ascii_digit());
    match digits.parse::<u16>() {
        Ok(port) if plain && port > 0 => Ok((host, Some(port))),
        Ok(_) | Err(_) => Err(BadTarget::Port),
    }
}

/// A path in its one form.
pub(crate) fn path_of(text: &str) -> Result<String, BadTarget> {
    let plain = unescaped(&escaped(text)).ok_or(BadTarget::Character)?;
    let mut segments: Vec<&str> = Vec::new();
    let mut folder = false;
    for segment in plain.split('/').skip(1) {
        folder = matches!(segment, "." | "..");
        match segment {
            "." => {}
            ".." => drop(segments.pop()),
            segment => segments.push(segment),
        }
    }
    if folder {
        segments.push("");
    }
    Ok(format!("/{}", segments.join("/")))
}

/// Whether some servers take the path for another than it says: what they decode a second time,
/// fold, or cut off.
pub(crate) fn is_ambiguous(path: &str) -> bool {
    let path = path.to_ascii_lowercase();
    ["//", "%2f", "%5c", "%25", "%00", "%3b", ";"].iter().any(|odd| path.contains(odd))
}

/// With an escape for what may not stand in an address as it is.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_graphic() && !b"\"<>`{}|^".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            escaped.push('%');
            escaped.push(digit(byte >> 4));
            escaped.push(digit(byte & 15));
        }
    }
    escaped
}

fn digit(value: u8) -> char {
    char::from_digit(u32::from(value), 16).unwrap_or('0').to_ascii_uppercase()
}

/// Without escapes that stand for what may stand for itself; none where a percent sign begins none.
fn unescaped(text: &str) -> Option<String> {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('%') {
        let (escape, after) = after.split_at_checked(2)?;
        let [high, low] = <[u8; 2]>::try_from(escape.as_bytes()).ok()?;
        let value = |it: u8| char::from(it).to_digit(16).and_then(|it| u8::try_from(it).ok());
        let byte = (value(high)? << 4) | value(low)?;
        plain.push_str(before);
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            plain.push(char::from(byte));
        } else {
            plain.push('%');
            plain.push_str(&escape.to_ascii_uppercase());
        }
        rest = after;
    }
    plain.push_str(rest);
    Some(plain)
}

#[cfg(test)]
mod tests;

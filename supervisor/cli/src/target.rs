//! Where a server is: a Unix socket or an address.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// Where a server is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// A Unix socket on this machine.
    Socket(PathBuf),
    /// `HOST:PORT`, without TLS.
    Tcp(String),
}

/// Text that names no server.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTarget {
    /// The text is empty.
    #[error("name a Unix socket or a URL such as http://127.0.0.1:18790")]
    Empty,
    /// The text is a URL, but not one of the form `http://HOST[:PORT]`.
    #[error("a URL has the form http://HOST:PORT and nothing after it")]
    Url,
    /// The client speaks no TLS.
    #[error(
        "https is not spoken here; forward the control socket over SSH, or name http://HOST:PORT"
    )]
    Tls,
}

impl FromStr for Target {
    type Err = InvalidTarget;

    fn from_str(text: &str) -> Result<Self, InvalidTarget> {
        if text.is_empty() {
            return Err(InvalidTarget::Empty);
        }
        if text.starts_with("https://") {
            return Err(InvalidTarget::Tls);
        }
        let Some(rest) = text.strip_prefix("http://") else {
            return Ok(Self::Socket(PathBuf::from(text.strip_prefix("unix:").unwrap_or(text))));
        };
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let authority: http::uri::Authority = rest.parse().or(Err(InvalidTarget::Url))?;
        // A name and password in a URL end up in logs and histories.
        if authority.as_str().contains('@') || authority.host().is_empty() {
            return Err(InvalidTarget::Url);
        }
        let port = authority.port_u16().unwrap_or(80);
        Ok(Self::Tcp(format!("{}:{port}", authority.host())))
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Socket(path) => write!(f, "{}", path.display()),
            Self::Tcp(address) => write!(f, "http://{address}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_names_a_server() {
        let check = |text: &str, target: Result<Target, InvalidTarget>| {
            assert_eq!(text.parse::<Target>(), target, "{text:?}");
        };
        check("/run/c.sock", Ok(Target::Socket("/run/c.sock".into())));
        check("unix:c.sock", Ok(Target::Socket("c.sock".into())));
        check("http://127.0.0.1:18790", Ok(Target::Tcp("127.0.0.1:18790".to_owned())));
        check("http://gateway/", Ok(Target::Tcp("gateway:80".to_owned())));
        check("http://[::1]:9", Ok(Target::Tcp("[::1]:9".to_owned())));
        check("https://gateway", Err(InvalidTarget::Tls));
        check("http://a:b@gateway", Err(InvalidTarget::Url));
        check("http://gateway/v1", Err(InvalidTarget::Url));
        check("http://", Err(InvalidTarget::Url));
        check("", Err(InvalidTarget::Empty));
    }
}

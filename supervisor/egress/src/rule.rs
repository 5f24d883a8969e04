//! One rule of what may be reached: `[METHOD[,METHOD] ]SCHEME://HOST[:PORT][/PATH-PREFIX]`. Pure.

use std::fmt;
use std::str::FromStr;

use http::Method;

use crate::host::{BadHost, Host};
use crate::target::{self, BadTarget, Scheme, Target};

/// Bytes of one rule: a name, a path and what stands around them.
pub const MAX_RULE: usize = 512;

/// Methods that a rule may name.
const METHODS: [Method; 7] = [
    Method::GET,
    Method::HEAD,
    Method::POST,
    Method::PUT,
    Method::PATCH,
    Method::DELETE,
    Method::OPTIONS,
];

/// A rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    text: String,
    /// Empty for all.
    methods: Vec<Method>,
    scheme: Scheme,
    host: Pattern,
    port: u16,
    /// None for all.
    prefix: Option<String>,
}

/// Which hosts a rule is about.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Pattern {
    Any,
    /// Names that end in this one, and not the name itself.
    Below(String),
    Exactly(Host),
}

/// A text that is no rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{rule:?} is no rule ([METHOD[,METHOD] ]SCHEME://HOST[:PORT][/PATH-PREFIX])")]
pub struct BadRule {
    /// The text, as far as it may be shown.
    pub rule: String,
    /// What is wrong with it.
    #[source]
    pub cause: Fault,
}

/// What is wrong with a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Too long.
    #[error("it has more than {MAX_RULE} bytes")]
    TooLong,
    /// A method that no rule may name.
    #[error("a method is none of GET, HEAD, POST, PUT, PATCH, DELETE and OPTIONS")]
    Method,
    /// A part that no rule has.
    #[error("a rule has no query, no fragment and no space but after the methods")]
    Part,
    /// An escape in the path that servers read differently.
    #[error("servers do not agree on what the path means")]
    Path,
    /// What every address must have.
    #[error(transparent)]
    Target(#[from] BadTarget),
}

/// What somebody asks for: a request, or a tunnel, in which neither method nor path can be seen.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ask<'a> {
    pub(crate) scheme: Scheme,
    pub(crate) host: &'a Host,
    pub(crate) port: u16,
    /// Method and path.
    pub(crate) request: Option<(&'a Method, &'a str)>,
}

impl<'a> Ask<'a> {
    pub(crate) fn request(method: &'a Method, target: &'a Target) -> Self {
        let Target { scheme, host, port, path, query: _ } = target;
        Self { scheme: *scheme, host, port: *port, request: Some((method, path)) }
    }

    pub(crate) const fn tunnel(host: &'a Host, port: u16) -> Self {
        Self { scheme: Scheme::Https, host, port, request: None }
    }

    /// What may be told to people.
    pub(crate) fn origin(&self) -> String {
        format!("{}://{}:{}", self.scheme, self.host, self.port)
    }
}

impl Rule {
    /// Whether it lets `ask` through. What cannot be seen, or not for certain, is not let through by a
    /// rule that depends on it.
    pub(crate) fn allows(&self, ask: &Ask<'_>) -> bool {
        let fits = match ask.request {
            None => self.methods.is_empty() && self.prefix.is_none(),
            Some((method, path)) => {
                self.has_method(method)
                    && self
                        .prefix
                        .as_deref()
                        .is_none_or(|prefix| !target::is_ambiguous(path) && begins(path, prefix))
            }
        };
        fits && self.has_origin(ask)
    }

    /// Whether it forbids `ask`. What cannot be seen, or not for certain, is taken for the worst.
    pub(crate) fn forbids(&self, ask: &Ask<'_>) -> bool {
        let fits = ask.request.is_none_or(|(method, path)| {
            self.has_method(method)
                && self
                    .prefix
                    .as_deref()
                    .is_none_or(|prefix| target::is_ambiguous(path) || begins(path, prefix))
        });
        fits && self.has_origin(ask)
    }

    /// Whether it says which hosts, rather than any.
    pub(crate) fn names_hosts(&self) -> bool {
        self.host != Pattern::Any
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    fn has_method(&self, method: &Method) -> bool {
        // Who may read may also look whether there is something to read.
        let head = *method == Method::HEAD && self.methods.contains(&Method::GET);
        self.methods.is_empty() || head || self.methods.contains(method)
    }

    fn has_origin(&self, ask: &Ask<'_>) -> bool {
        self.scheme == ask.scheme && self.port == ask.port && self.host.has(ask.host)
    }
}

impl Pattern {
    fn has(&self, host: &Host) -> bool {
        match (self, host) {
            (Self::Any, _) => true,
            (Self::Exactly(this), host) => this == host,
            (Self::Below(name), Host::Name(host)) => {
                host.strip_suffix(name.as_str()).is_some_and(|rest| rest.ends_with('.'))
            }
            (Self::Below(_), Host::Address(_)) => false,
        }
    }
}

/// Whether `path` is `prefix` or below it.
fn begins(path: &str, prefix: &str) -> bool {
    let whole = |rest: &str| rest.is_empty() || rest.starts_with('/') || prefix.ends_with('/');
    path.strip_prefix(prefix).is_some_and(whole)
}

impl FromStr for Rule {
    type Err = BadRule;

    fn from_str(text: &str) -> Result<Self, BadRule> {
        parse(text).map_err(|cause| BadRule {
            rule: text.chars().filter(|it| !it.is_control()).take(80).collect(),
            cause,
        })
    }
}

fn parse(text: &str) -> Result<Rule, Fault> {
    if text.len() > MAX_RULE {
        return Err(Fault::TooLong);
    }
    let (methods, address) = match text.split_once(' ') {
        Some((methods, address)) => (parse_methods(methods)?, address),
        None => (Vec::new(), text),
    };
    if !address.bytes().all(|it| it.is_ascii_graphic()) || address.contains(['?', '#', '\\']) {
        return Err(Fault::Part);
    }
    let (scheme, rest) = target::split_scheme(address).ok_or(BadTarget::Scheme)?;
    let end = rest.find('/').unwrap_or(rest.len());
    let (authority, path) = rest.split_at_checked(end).unwrap_or((rest, ""));
    let (host, port) = target::split_authority(authority)?;
    let prefix = target::path_of(path)?;
    if target::is_ambiguous(&prefix) {
        return Err(Fault::Path);
    }
    Ok(Rule {
        text: text.to_owned(),
        methods,
        scheme,
        host: parse_pattern(host).map_err(BadTarget::Host)?,
        port: port.unwrap_or_else(|| scheme.port()),
        prefix: (prefix != "/").then_some(prefix),
    })
}

fn parse_methods(text: &str) -> Result<Vec<Method>, Fault> {
    let one = |name: &str| METHODS.into_iter().find(|it| it.as_str() == name);
    text.split(',').map(one).collect::<Option<_>>().ok_or(Fault::Method)
}

fn parse_pattern(text: &str) -> Result<Pattern, BadHost> {
    if text == "*" {
        return Ok(Pattern::Any);
    }
    let Some(name) = text.strip_prefix("*.") else { return text.parse().map(Pattern::Exactly) };
    match name.parse()? {
        Host::Name(name) => Ok(Pattern::Below(name)),
        Host::Address(_) => Err(BadHost),
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests;

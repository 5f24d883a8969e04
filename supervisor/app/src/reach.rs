//! `egress` of the configuration: what tenants may reach, and through what. Read and checked before
//! privilege is dropped.

use std::io::Read as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use egress::{Networks, Rule};
use serde::Deserialize;

/// Rules of all tenants: more than anybody reads.
const MAX_RULES: usize = 100;

/// Networks that may be opened.
const MAX_NETWORKS: usize = 64;

/// Bytes of a file of certificate authorities.
const MAX_CA: u64 = 1 << 20;

/// Bytes of one fetch at most: it is held in a worker's memory.
const MAX_FETCH: u64 = 16 << 20;

/// Seconds that one fetch may take at most.
const MAX_TIMEOUT: u64 = 300;

/// What tenants may reach.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct Egress {
    /// Rules for all tenants, `[METHOD[,METHOD] ]SCHEME://HOST[:PORT][/PATH-PREFIX]` each. Those of one
    /// tenant are set with `tenants egress`.
    pub allow: Vec<String>,
    /// `ADDRESS:PORT` of a name server to ask instead of the system's.
    pub resolver: Option<SocketAddr>,
    /// Networks that are not public and yet may be reached where a rule names the host. Loopback,
    /// link-local and metadata services can never be.
    pub private_networks: Vec<String>,
    /// A file of certificate authorities that are trusted beside the public ones, as PEM.
    pub ca_file: Option<PathBuf>,
    /// Bytes of one fetched body; 2 MiB if absent.
    pub max_bytes: Option<u64>,
    /// Seconds that one fetch may take; 30 if absent.
    pub timeout_seconds: Option<u64>,
    /// Bytes in both directions of one tenant in one UTC day; 1 GiB if absent.
    pub daily_bytes: Option<u64>,
}

/// A way out that cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file of certificate authorities cannot be read.
    #[error("egress.caFile: {path} cannot be read")]
    Authorities {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// It is too large.
    #[error("egress.caFile: {path} has more than {MAX_CA} bytes")]
    TooLarge {
        /// Which.
        path: PathBuf,
    },
    /// What was not said by `mistakes` before.
    #[error("{0}")]
    Mistake(String),
}

impl Egress {
    /// What is wrong with what can be judged without reading anything.
    pub(crate) fn mistakes(&self, mistakes: &mut Vec<String>) {
        if self.allow.len() > MAX_RULES {
            mistakes.push(format!("egress.allow: at most {MAX_RULES} rules"));
        }
        for rule in &self.allow {
            if let Err(err) = rule.parse::<Rule>() {
                mistakes.push(format!("egress.allow: {}", types::Chain(&err)));
            }
        }
        if self.private_networks.len() > MAX_NETWORKS {
            mistakes.push(format!("egress.privateNetworks: at most {MAX_NETWORKS} networks"));
        }
        for network in &self.private_networks {
            if let Err(err) = Networks::parse(std::slice::from_ref(network)) {
                mistakes.push(format!("egress.privateNetworks: {err}"));
            }
        }
        let within = |value: Option<u64>, most| value.is_none_or(|it| (1..=most).contains(&it));
        if !within(self.max_bytes, MAX_FETCH) {
            mistakes.push(format!("egress.maxBytes: from 1 to {MAX_FETCH}"));
        }
        if !within(self.timeout_seconds, MAX_TIMEOUT) {
            mistakes.push(format!("egress.timeoutSeconds: from 1 to {MAX_TIMEOUT}"));
        }
    }

    /// What the way out is made of.
    pub(crate) fn read(&self) -> Result<egress::Config, Error> {
        let default = egress::Config::default();
        let mistake =
            |err: &(dyn std::error::Error + 'static)| Error::Mistake(types::Chain(err).to_string());
        let rules = self.allow.iter().map(|it| it.parse()).collect::<Result<_, _>>();
        let networks = Networks::parse(&self.private_networks);
        Ok(egress::Config {
            allow: rules.map_err(|err| mistake(&err))?,
            resolver: self.resolver,
            networks: networks.map_err(|err| mistake(&err))?,
            authorities: self.authorities()?,
            max_bytes: self.max_bytes.unwrap_or(default.max_bytes),
            timeout: self.timeout_seconds.map_or(default.timeout, Duration::from_secs),
            daily_bytes: self.daily_bytes.unwrap_or(default.daily_bytes),
        })
    }

    fn authorities(&self) -> Result<Vec<u8>, Error> {
        let Some(path) = &self.ca_file else { return Ok(Vec::new()) };
        let fail = |source| Error::Authorities { path: path.clone(), source };
        let mut text = Vec::new();
        let file = std::fs::File::open(path).map_err(fail)?;
        file.take(MAX_CA + 1).read_to_end(&mut text).map_err(fail)?;
        if u64::try_from(text.len()).is_ok_and(|length| length <= MAX_CA) {
            Ok(text)
        } else {
            Err(Error::TooLarge { path: path.clone() })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &[&str]) {
        let egress: Egress = json5::from_str(text).unwrap();
        let mut mistakes = Vec::new();
        egress.mistakes(&mut mistakes);
        assert_eq!(mistakes.len(), expected.len(), "{mistakes:?}");
        for (mistake, part) in mistakes.iter().zip(expected) {
            assert!(mistake.contains(part), "{mistake}");
        }
        assert_eq!(egress.read().is_ok(), expected.is_empty());
    }

    #[test]
    fn what_may_be_said_of_the_way_out() {
        check("{}", &[]);
        check(
            "{ allow: ['https://*', 'GET http://a.example:81/b'], resolver: '127.0.0.1:53' }",
            &[],
        );
        check("{ privateNetworks: ['10.20.0.0/16', 'fd00:1::/64', '192.0.2.0/24'] }", &[]);
        check("{ allow: ['example.com'] }", &["example.com"]);
        let closed = [
            "127.0.0.0/8",
            "169.254.0.0/16",
            "0.0.0.0/0",
            "::1/128",
            "fe80::/10",
            "8.8.8.0/24",
            "10.0.0.0/7",
        ];
        for network in closed {
            check(&format!("{{ privateNetworks: ['{network}'] }}"), &["privateNetworks"]);
        }
    }

    #[test]
    fn bounds_are_within_bounds() {
        let egress = |text: &str| {
            let mut mistakes = Vec::new();
            json5::from_str::<Egress>(text).unwrap().mistakes(&mut mistakes);
            mistakes.len()
        };
        assert_eq!(egress("{ maxBytes: 0, timeoutSeconds: 301 }"), 2);
        assert_eq!(egress("{ maxBytes: 1, timeoutSeconds: 300, dailyBytes: 0 }"), 0);
    }

    #[test]
    fn a_file_of_authorities_is_read_whole_or_not_at_all() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("ca.pem");
        let egress = Egress { ca_file: Some(path.clone()), ..Egress::default() };
        assert!(matches!(egress.read(), Err(Error::Authorities { .. })));
        std::fs::write(&path, "text").unwrap();
        assert_eq!(egress.read().unwrap().authorities, b"text");
        let more = usize::try_from(MAX_CA).unwrap() + 1;
        std::fs::write(&path, vec![b' '; more]).unwrap();
        assert!(matches!(egress.read(), Err(Error::TooLarge { .. })));
    }
}

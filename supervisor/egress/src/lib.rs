//! The one way out of a tenant's walls: what may be reached, by which address, and how much.
//!
//! Holds no secret and knows no tenant's files; whoever uses it says whose rules hold. Every
//! connection is to an address that was checked, and is counted; nothing else here connects.

mod address;
mod ask;
mod dial;
mod exchange;
mod fetch;
mod host;
mod line;
mod metrics;
mod outlet;
mod post;
mod proxy;
mod refused;
mod resolve;
mod rule;
mod rules;
mod tally;
mod target;
mod tls;

use std::fmt::Debug;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use ledger::Account;
use prometheus_client::registry::Registry;
use runtime::Tasks;
use types::Clock;

use dial::Dialler;
use metrics::Metrics;
use resolve::Resolver;

pub use address::{BadNetwork, Class, Network, Networks, public};
pub use ask::{Asked, Leave, Stream, Wanted};
pub use fetch::Service;
pub use host::{BadHost, Host};
pub use line::Io;
pub use outlet::Outlet;
pub use post::Posted;
pub use proxy::Guard;
pub use rule::{BadRule, Fault, MAX_RULE, Rule};
pub use rules::Rules;
pub use target::{BadTarget, Scheme, Target};
pub use tls::Error;

/// Where a tenant's own log is written. What is written there is read by the tenant.
pub trait Journal: Debug + Send + Sync {
    /// Adds one line: what was refused or done, and why. Never a secret, never a body.
    fn note(&self, line: &str);
}

/// What the operator says.
#[derive(Debug, Clone)]
pub struct Config {
    /// What every tenant may reach. Without any, and without rules of a tenant's own: nothing.
    pub allow: Vec<Rule>,
    /// A name server to ask instead of the system's.
    pub resolver: Option<SocketAddr>,
    /// Networks that are reachable though not public, where a rule names the host.
    pub networks: Networks,
    /// Certificate authorities beside the public ones, as PEM.
    pub authorities: Vec<u8>,
    /// Bytes of one body that is fetched.
    pub max_bytes: u64,
    /// How long one fetch may take, redirects and body included.
    pub timeout: Duration,
    /// Bytes in both directions of one tenant in one UTC day.
    pub daily_bytes: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            allow: Vec::new(),
            resolver: None,
            networks: Networks::default(),
            authorities: Vec::new(),
            max_bytes: 2 << 20,
            timeout: Duration::from_secs(30),
            daily_bytes: 1 << 30,
        }
    }
}

/// The way out of this installation. Clones are handles to the same.
#[derive(Debug, Clone)]
pub struct Broker(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    allow: Vec<Rule>,
    dialler: Dialler,
    max_bytes: u64,
    timeout: Duration,
    daily_bytes: u64,
    clock: Arc<dyn Clock>,
    metrics: Metrics,
    /// What drives the connections of fetches runs in it; each ends with its fetch.
    tasks: Tasks,
}

impl Broker {
    /// Checks `config`; connects to nobody yet. What drives connections runs in `tasks`.
    ///
    /// # Errors
    /// When the certificate authorities cannot be read.
    pub fn new(
        config: Config,
        clock: Arc<dyn Clock>,
        registry: &mut Registry,
        tasks: Tasks,
    ) -> Result<Self, Error> {
        let tls = tls::client(&config.authorities)?;
        Ok(Self(Arc::new(Inner {
            allow: config.allow,
            dialler: Dialler::new(Resolver::new(config.resolver), config.networks, tls),
            max_bytes: config.max_bytes,
            timeout: config.timeout,
            daily_bytes: config.daily_bytes,
            clock,
            metrics: Metrics::register(registry),
            tasks,
        })))
    }

    /// The way out of one tenant: shut until rules are set. Refusals are noted in `journal`, bytes are
    /// counted on `account`.
    pub fn outlet(&self, journal: Arc<dyn Journal>, account: Arc<Account>) -> Arc<Outlet> {
        Arc::new(Outlet::new(&self.0, journal, Some(account)))
    }

    /// The gateway's own way out, by the rules that all tenants have: what leaves by it is no tenant's.
    pub fn own(&self, journal: Arc<dyn Journal>) -> Arc<Outlet> {
        let outlet = Arc::new(Outlet::new(&self.0, journal, None));
        outlet.set(self.rules(&[], b"{}"));
        outlet
    }

    /// What holds for a tenant with these rules in its record and these settings, as JSON. Where
    /// they cannot be read, nothing may be reached.
    pub fn rules(&self, record: &[Rule], settings: &[u8]) -> Rules {
        Rules::new(self.0.allow.iter().chain(record).cloned().collect(), settings)
    }

    /// What every tenant may reach.
    pub fn allow(&self) -> &[Rule] {
        &self.0.allow
    }
}

#[cfg(test)]
mod testing;

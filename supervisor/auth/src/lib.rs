//! Who calls, and may they. A right token is found by its digest in memory: the check touches no
//! disk and takes no lock.
//!
//! Nothing here parses a token, knows a route, or starts work: it hands out permits, and only a
//! permit makes a call.

mod attempts;
mod devices;
mod entry;
mod grant;
mod keys;
mod permit;
mod secret;
mod table;
mod tenants;
mod tokens;
mod told;
mod turns;

use std::net::IpAddr;
use std::sync::Arc;

use audit::Audit;
use records::Records;
use tokio::sync::Mutex;
use types::{Clock, Role, Scope, Scopes};

pub use devices::{DeviceTokenView, is_secret, node_secret};
pub use entry::{Operator, Principal, expanded};
pub use grant::Grant;
pub use keys::{IssuedKey, KeySpec, KeyView};
pub use permit::{Action, Denied, OperatorPermit, Permit};
pub use tokens::{Issued, TokenSpec, TokenView};

use attempts::Attempts;
use entry::{KeyEntry, TokenEntry};
use table::Table;
use tenants::Suspended;
use turns::Turns;

/// A presented token longer than this is wrong without being hashed.
const MAX_PRESENTED: usize = 512;

/// Tokens, operators' keys, and what may be done with them. Clones share one table.
#[derive(Debug, Clone)]
pub struct Auth(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    records: Records,
    clock: Arc<dyn Clock>,
    tokens: Table<TokenEntry>,
    keys: Table<KeyEntry>,
    suspended: Suspended,
    attempts: Attempts,
    /// Where it is told whom something was refused.
    audit: Audit,
    /// Held while records and table of a tenant's tokens change together.
    turns: Turns,
    /// Held while records and table of the operators' keys change together.
    changing_keys: Mutex<()>,
}

/// Why a caller is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unauthenticated {
    /// No token came.
    #[error("a token is required")]
    Missing,
    /// The token is not one of ours, or is no longer.
    #[error("the token is not valid")]
    Wrong,
    /// The token was right once.
    #[error("the token has expired")]
    Expired,
    /// Too many wrong tokens came from this address. A right one would be let in.
    #[error("too many wrong tokens; try again in {retry_after_s} s")]
    LockedOut {
        /// Seconds until the next wrong token is looked at, at least 1.
        retry_after_s: u64,
    },
}

/// Why tokens and keys could not be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The records failed.
    #[error("the records of tokens failed")]
    Records(#[source] records::Error),
    /// The maker may not make this.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// There is no such tenant.
    #[error("there is no such tenant")]
    NoTenant,
    /// There is no such token or key.
    #[error("there is no such token")]
    NotFound,
    /// A token without a scope could do nothing.
    #[error("a token needs at least one scope")]
    NoScopes,
    /// A label that lists could not show.
    #[error("a label has at most {max} characters and no control characters")]
    Label {
        /// The longest label.
        max: usize,
    },
    /// A token that would never work.
    #[error("the expiry is in the past")]
    Expiry,
    /// There are as many tokens or keys as there may be.
    #[error("there are {max} already; revoke one first")]
    TooMany {
        /// How many there may be.
        max: usize,
    },
    /// The system gave no random bytes.
    #[error("no random bytes")]
    Random(#[source] ring::error::Unspecified),
}

impl Auth {
    /// Reads every token and key into memory. Nobody is told of refusals.
    pub async fn load(records: Records, clock: Arc<dyn Clock>) -> Result<Self, Error> {
        Self::audited(records, clock, Audit::none()).await
    }

    /// Reads every token and key into memory. The trail is told of whoever is refused.
    pub async fn audited(
        records: Records,
        clock: Arc<dyn Clock>,
        audit: Audit,
    ) -> Result<Self, Error> {
        let inner = Inner {
            tokens: Table::default(),
            keys: Table::default(),
            suspended: Suspended::default(),
            attempts: Attempts::default(),
            turns: Turns::default(),
            changing_keys: Mutex::default(),
            records,
            clock,
            audit,
        };
        let auth = Self(Arc::new(inner));
        auth.load_tokens().await?;
        auth.load_keys().await?;
        Ok(auth)
    }

    /// Whose token this is. `from` is the address that pays for wrong ones.
    pub fn authenticate(
        &self,
        presented: Option<&str>,
        from: IpAddr,
    ) -> Result<Principal, Unauthenticated> {
        let now = self.0.clock.now();
        let found = self.0.tokens.find(presented, now);
        match self.judge(found, from) {
            Ok(entry) => {
                entry.used(now);
                let principal = Principal::new(entry, Arc::clone(&self.0.clock));
                tracing::debug!(%from, tenant = %principal.tenant(), token = principal.token_id(), "token known");
                Ok(principal)
            }
            Err(reason) => {
                tracing::debug!(%from, %reason, "token refused");
                told::unknown(&self.0.audit, "authenticate", from, reason);
                Err(reason)
            }
        }
    }

    /// Whose operator's key this is.
    pub fn authenticate_operator(
        &self,
        presented: Option<&str>,
        from: IpAddr,
    ) -> Result<Operator, Unauthenticated> {
        let found = self.0.keys.find(presented, self.0.clock.now());
        match self.judge(found, from) {
            Ok(entry) => {
                let operator = Operator::of_key(&entry, Arc::clone(&self.0.clock));
                tracing::debug!(%from, operator = operator.id(), "key known");
                Ok(operator)
            }
            Err(reason) => {
                tracing::debug!(%from, %reason, "key refused");
                told::unknown(&self.0.audit, "authenticateOperator", from, reason);
                Err(reason)
            }
        }
    }

    /// The operator at the far end of the Unix socket. The caller has checked the peer's
    /// credentials; there is no secret to check.
    pub fn local_operator(&self, peer_uid: u32) -> Operator {
        Operator::local(peer_uid, Arc::clone(&self.0.clock))
    }

    /// Whether the principal may do this in its own tenant. The permit is the only way to do it.
    pub fn authorize(&self, principal: &Principal, action: Action) -> Result<Permit, Denied> {
        let permit = permit::tenant(principal, action);
        permit.inspect_err(|why| told::tenant(&self.0.audit, principal, action, *why))
    }

    /// Whether the operator may do this.
    pub fn authorize_operator(
        &self,
        operator: &Operator,
        needs: Role,
        what: &'static str,
    ) -> Result<OperatorPermit, Denied> {
        let permit = permit::operator(operator, needs, what);
        permit.inspect_err(|why| told::operator(&self.0.audit, operator, what, *why))
    }

    /// A wrong token costs its address; a right one costs nothing, whatever else came from there.
    fn judge<E>(
        &self,
        found: Result<Arc<E>, Unauthenticated>,
        from: IpAddr,
    ) -> Result<Arc<E>, Unauthenticated> {
        found.map_err(|reason| match reason {
            Unauthenticated::Wrong => self.0.attempts.wrong(from, self.0.clock.now()),
            Unauthenticated::Missing
            | Unauthenticated::Expired
            | Unauthenticated::LockedOut { .. } => reason,
        })
    }
}

/// Every authority of a tenant in its own tenant, and of its narrower tokens.
fn grantable() -> Scopes {
    Scope::ALL.into_iter().collect()
}

#[cfg(test)]
mod tests;

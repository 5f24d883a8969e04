//! What a tenant's token may do in its own tenant, and what an operator's key may do to all.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// One authority of a tenant's token. The names are those of `OpenClaw`'s operator scopes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Scope {
    /// See the tenant's data.
    #[serde(rename = "operator.read")]
    Read,
    /// Run turns and change the tenant's data.
    #[serde(rename = "operator.write")]
    Write,
    /// Decide on approval requests.
    #[serde(rename = "operator.approvals")]
    Approvals,
    /// Admit devices, nodes and chat peers.
    #[serde(rename = "operator.pairing")]
    Pairing,
    /// Administer the tenant itself.
    #[serde(rename = "operator.admin")]
    Admin,
    /// Call `/hooks/*` and nothing else.
    #[serde(rename = "hooks")]
    Hooks,
    /// Act as a paired node. Held by a node's connection and its device token only; no token is
    /// made with it and no request can ask for it.
    #[serde(rename = "node")]
    Node,
}

/// Text that names no scope.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "unknown scope; known are operator.read, operator.write, operator.approvals, operator.pairing, operator.admin, hooks"
)]
pub struct UnknownScope;

impl Scope {
    /// Every scope that a token can be made with, in the order in which lists show them.
    pub const ALL: [Self; 6] =
        [Self::Read, Self::Write, Self::Approvals, Self::Pairing, Self::Admin, Self::Hooks];

    /// The name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Read => "operator.read",
            Self::Write => "operator.write",
            Self::Approvals => "operator.approvals",
            Self::Pairing => "operator.pairing",
            Self::Admin => "operator.admin",
            Self::Hooks => "hooks",
            Self::Node => "node",
        }
    }

    const fn bit(self) -> u8 {
        match self {
            Self::Read => 1,
            Self::Write => 2,
            Self::Approvals => 4,
            Self::Pairing => 8,
            Self::Admin => 16,
            Self::Hooks => 32,
            Self::Node => 64,
        }
    }
}

impl FromStr for Scope {
    type Err = UnknownScope;

    fn from_str(text: &str) -> Result<Self, UnknownScope> {
        Self::ALL.into_iter().find(|scope| scope.name() == text).ok_or(UnknownScope)
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A set of scopes. There is no order among scopes: admin does not imply read.
#[derive(Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(from = "Vec<Scope>", into = "Vec<Scope>")]
pub struct Scopes(u8);

impl Scopes {
    /// No authority at all.
    pub const NONE: Self = Self(0);

    /// Every scope of the tenant except `hooks`, which narrows instead of widening.
    pub fn all_of_tenant() -> Self {
        Scope::ALL.into_iter().filter(|scope| *scope != Scope::Hooks).collect()
    }

    /// Whether `scope` is in the set.
    pub const fn contains(self, scope: Scope) -> bool {
        self.0 & scope.bit() != 0
    }

    /// Whether every scope of this set is in `other`.
    pub const fn is_subset(self, other: Self) -> bool {
        self.0 & !other.0 == 0
    }

    /// Whether the set is empty.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The scopes of the set, in the order of [`Scope::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Scope> {
        Scope::ALL.into_iter().filter(move |scope| self.contains(*scope))
    }
}

impl FromIterator<Scope> for Scopes {
    fn from_iter<I: IntoIterator<Item = Scope>>(scopes: I) -> Self {
        Self(scopes.into_iter().fold(0, |set, scope| set | scope.bit()))
    }
}

impl From<Vec<Scope>> for Scopes {
    fn from(scopes: Vec<Scope>) -> Self {
        scopes.into_iter().collect()
    }
}

impl From<Scopes> for Vec<Scope> {
    fn from(scopes: Scopes) -> Self {
        scopes.iter().collect()
    }
}

impl fmt::Debug for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

/// What an operator's key may do on the control plane. The order is that of authority.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Sees everything that holds no secret; changes nothing.
    Auditor,
    /// Runs tenants: create, suspend, restart, tokens, limits.
    Operator,
    /// Also deletes tenants and makes operator keys.
    Owner,
}

impl Role {
    /// The name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Auditor => "auditor",
            Self::Operator => "operator",
            Self::Owner => "owner",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_is_what_it_holds() {
        let set: Scopes = [Scope::Read, Scope::Hooks].into_iter().collect();
        assert!(set.contains(Scope::Read) && !set.contains(Scope::Admin));
        assert!(set.is_subset(set) && !set.is_subset(Scopes::all_of_tenant()));
        assert!(Scopes::NONE.is_subset(set));
        for scope in Scope::ALL {
            assert_eq!(scope.name().parse(), Ok(scope));
        }
    }
}

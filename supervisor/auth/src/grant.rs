//! The one place that decides whether a new token may be made: its authority, in what it may do and
//! in how long it lives, must be a subset of its maker's.

use types::{Role, Scope, Scopes, TenantId, UnixMillis};

use crate::{Denied, OperatorPermit, Permit, grantable};

/// Who makes a token.
#[derive(Debug, Clone, Copy)]
pub enum Grant<'a> {
    /// An operator, who may give any authority of a tenant.
    Operator(&'a OperatorPermit),
    /// The tenant itself, which can only pass on what the permit's token has.
    Tenant(&'a Permit),
}

impl Grant<'_> {
    /// Whether the maker may make a token of `tenant` that may do `scopes` until `expires_at`.
    pub(crate) fn check(
        &self,
        tenant: &TenantId,
        scopes: Scopes,
        expires_at: Option<UnixMillis>,
    ) -> Result<(), Denied> {
        let (has, ends) = match self {
            Self::Operator(permit) => {
                let operator = permit.operator();
                crate::permit::operator(operator, Role::Operator, "token.grant")?;
                // A token is a tenant's, not the key's: it may outlive the key that made it.
                (grantable(), None)
            }
            Self::Tenant(permit) => {
                let principal = permit.principal();
                if principal.tenant() != tenant {
                    return Err(Denied::OtherTenant);
                }
                // A token that is bound to a device must not become one that is not.
                if principal.device().is_some() {
                    return Err(Denied::Wider);
                }
                let action = crate::Action { name: "token.grant", scope: Scope::Admin };
                crate::permit::tenant(principal, action)?;
                (principal.scopes(), principal.expires_at())
            }
        };
        if !scopes.is_subset(has) {
            return Err(Denied::Wider);
        }
        if ends.is_some_and(|ends| expires_at.is_none_or(|at| at > ends)) {
            return Err(Denied::LivesLonger);
        }
        Ok(())
    }
}

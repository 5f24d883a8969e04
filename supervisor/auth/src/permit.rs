//! Permission is a value: whoever holds a permit may do that one thing, and nobody else makes one.

use types::{Role, Scope, TenantId};

use crate::{Operator, Principal};

/// What a tenant's caller wants to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Action {
    /// The method or route, for the log.
    pub name: &'static str,
    /// The scope without which nobody gets through.
    pub scope: Scope,
}

impl From<&api::Method> for Action {
    fn from(method: &api::Method) -> Self {
        Self { name: method.name, scope: method.scope }
    }
}

/// Why a known caller may not do something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// The token does not have the scope.
    #[error("this needs the scope {needs}")]
    Scope {
        /// The scope that is missing.
        needs: Scope,
    },
    /// The operator does not have the role.
    #[error("this needs the role {}", needs.name())]
    Role {
        /// The least role that may.
        needs: Role,
    },
    /// The tenant is suspended.
    #[error("the tenant is suspended")]
    Suspended,
    /// The token or key was revoked, rotated, or has expired since it was presented.
    #[error("the token is no longer valid")]
    Ended,
    /// The permit is for another tenant.
    #[error("the token belongs to another tenant")]
    OtherTenant,
    /// A token cannot pass on what it does not have.
    #[error("a token can only pass on scopes that it has itself")]
    Wider,
    /// A token cannot outlive its maker.
    #[error("a token must expire no later than the token that makes it")]
    LivesLonger,
}

/// The right to do one action in one tenant. Made by [`crate::Auth::authorize`] only.
#[derive(Debug, Clone)]
pub struct Permit {
    principal: Principal,
    action: Action,
}

impl Permit {
    /// The tenant in which the action may be done.
    pub fn tenant(&self) -> &TenantId {
        self.principal.tenant()
    }

    /// Who does it.
    pub const fn principal(&self) -> &Principal {
        &self.principal
    }

    /// What may be done.
    pub const fn action(&self) -> Action {
        self.action
    }
}

/// The right of an operator to do one thing. Made by [`crate::Auth::authorize_operator`] only.
#[derive(Debug, Clone)]
pub struct OperatorPermit {
    operator: Operator,
    what: &'static str,
}

impl OperatorPermit {
    /// Who does it.
    pub const fn operator(&self) -> &Operator {
        &self.operator
    }

    /// What may be done.
    pub const fn what(&self) -> &'static str {
        self.what
    }
}

pub(crate) fn tenant(principal: &Principal, action: Action) -> Result<Permit, Denied> {
    let verdict = if principal.is_suspended() {
        Err(Denied::Suspended)
    } else if principal.is_revoked() {
        Err(Denied::Ended)
    } else if principal.scopes().contains(action.scope) {
        Ok(())
    } else {
        Err(Denied::Scope { needs: action.scope })
    };
    tracing::debug!(
        tenant = %principal.tenant(),
        token = principal.token_id(),
        action = action.name,
        needs = %action.scope,
        denied = verdict.err().map(tracing::field::display),
        "authorized"
    );
    verdict.map(|()| Permit { principal: principal.clone(), action })
}

pub(crate) fn operator(
    operator: &Operator,
    needs: Role,
    what: &'static str,
) -> Result<OperatorPermit, Denied> {
    let verdict = if operator.is_revoked() {
        Err(Denied::Ended)
    } else if operator.role() >= needs {
        Ok(())
    } else {
        Err(Denied::Role { needs })
    };
    tracing::debug!(
        operator = operator.id(),
        action = what,
        needs = needs.name(),
        denied = verdict.err().map(tracing::field::display),
        "authorized"
    );
    verdict.map(|()| OperatorPermit { operator: operator.clone(), what })
}

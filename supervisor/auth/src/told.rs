//! Whom something was refused, as the audit trail is told. What is permitted comes not here.

use std::net::IpAddr;

use audit::{Audit, Repeated, Who, WhoKind};

use crate::{Action, Denied, Operator, Principal, Unauthenticated};

/// Somebody at `from` is not known. Whoever brings no token at all has tried nothing.
pub(crate) fn unknown(audit: &Audit, act: &'static str, from: IpAddr, why: Unauthenticated) {
    let why = match why {
        Unauthenticated::Missing => return,
        Unauthenticated::Wrong => "wrong",
        Unauthenticated::Expired => "expired",
        Unauthenticated::LockedOut { .. } => "locked_out",
    };
    audit.repeated(Repeated::refused(Who::unknown(from), act, why));
}

/// A tenant's caller may not do something.
pub(crate) fn tenant(audit: &Audit, principal: &Principal, action: Action, why: Denied) {
    let who = Who::named(WhoKind::TenantToken, principal.token_id());
    let refused = Repeated::refused(who, action.name, word(why));
    audit.repeated(refused.of_tenant(principal.tenant().as_str()));
}

/// An operator may not do something.
pub(crate) fn operator(audit: &Audit, operator: &Operator, act: &'static str, why: Denied) {
    audit.repeated(Repeated::refused(operator.who(), act, word(why)));
}

const fn word(why: Denied) -> &'static str {
    match why {
        Denied::Scope { .. } => "scope",
        Denied::Role { .. } => "role",
        Denied::Suspended => "suspended",
        Denied::Ended => "ended",
        Denied::OtherTenant => "other_tenant",
        Denied::Wider => "wider",
        Denied::LivesLonger => "lives_longer",
    }
}

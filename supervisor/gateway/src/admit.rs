//! Who a client is and what it may do: its origin, its secret, its device. Decides, and keeps
//! nothing.

use std::borrow::Cow;

use auth::Principal;
use hub::Role;
use methods::devices::{DeviceProof, Introduction, Role as DeviceRole};
use types::{Scope, Scopes};

use crate::connect::Connect;
use crate::handshake::From;
use crate::refusal::{Presented, Refusal};
use crate::{Inner, origin};

/// Scopes that have no effect here and that clients want to see: whoever administers has them.
const GIVEN_TO_ADMINS: &[&str] = &["operator.questions", "operator.talk", "operator.talk.secrets"];

/// Who a client is, before it has a place among its tenant's connections.
pub(crate) struct Known {
    pub(crate) principal: Principal,
    /// Of its scopes, as it called them.
    pub(crate) scopes: Vec<String>,
    pub(crate) device_id: Option<String>,
    pub(crate) device_token: Option<auth::Issued>,
    pub(crate) method: &'static str,
}

/// Who it is, and which protocol is spoken.
pub(crate) async fn admit(
    inner: &Inner,
    from: &From,
    nonce: &str,
    connect: &Connect<'_>,
) -> Result<(u32, Known), Refusal> {
    let protocol = connect.protocol().ok_or_else(|| Refusal::protocol(connect))?;
    if !origin::accepted(from.origin.as_deref(), from.host.as_deref(), &inner.allowed_origins) {
        return Err(Refusal::origin());
    }
    let (principal, method) = presented(inner, from, connect)?;
    if tenant_of(&from.path).is_some_and(|it| it != principal.tenant().to_string()) {
        let kind = kind(connect);
        return Err(Refusal::mismatch(kind, may_retry(connect, kind)));
    }
    if principal.is_revoked() {
        return Err(Refusal::over());
    }
    // Before anything is looked up or written for it.
    (from.claim)(&principal).map_err(|why| Refusal::full(&why))?;
    let known = match &connect.device {
        Some(device) => {
            let proof = DeviceProof {
                id: device.id.clone().into_owned(),
                public_key: device.public_key.clone().into_owned(),
                signature: device.signature.clone().into_owned(),
                signed_at: device.signed_at,
                nonce: device.nonce.clone().into_owned(),
            };
            with_device(inner, from, connect, (nonce, &proof), (principal, method)).await?
        }
        None => without_device(connect, &principal, method)?,
    };
    Ok((protocol, known))
}

/// Whose the secret is, and what kind of secret it is.
fn presented(
    inner: &Inner,
    from: &From,
    connect: &Connect<'_>,
) -> Result<(Principal, &'static str), Refusal> {
    let auth = &connect.auth;
    let kind = kind(connect);
    let wrong = |why| Refusal::unauthenticated(why, kind, may_retry(connect, kind));
    let none = auth.token.is_none() && auth.password.is_none() && auth.device_token.is_none();
    if connect.device.is_none() && (none || kind == Presented::DeviceToken) {
        return Err(Refusal::no_device(connect.is_control_ui()));
    }
    let filled = |text: &Option<Cow<'_, str>>| {
        text.as_deref().filter(|it| !it.is_empty()).map(str::to_owned)
    };
    if kind == Presented::DeviceToken {
        let device = connect.device.as_ref().map_or("", |it| &it.id);
        let token = filled(&auth.device_token);
        let found = inner.auth.authenticate_device(token.as_deref(), device, from.peer);
        return found.map(|it| (it, "device-token")).map_err(wrong);
    }
    let token = filled(&auth.token).or_else(|| filled(&auth.password));
    let principal = inner.auth.authenticate(token.as_deref(), from.peer).map_err(wrong)?;
    // A device's own token proves nothing where the tenant's is asked for.
    if principal.device().is_some() {
        return Err(Refusal::mismatch(kind, false));
    }
    Ok((principal, "token"))
}

/// What the client goes by: a tenant's token is stronger than the device's.
fn kind(connect: &Connect<'_>) -> Presented {
    let filled = |text: &Option<Cow<'_, str>>| text.as_ref().is_some_and(|it| !it.is_empty());
    let auth = &connect.auth;
    if filled(&auth.token) {
        Presented::Token
    } else if filled(&auth.password) {
        Presented::Password
    } else if filled(&auth.device_token) {
        Presented::DeviceToken
    } else {
        Presented::Token
    }
}

/// Whether the client has said that it has another token to try.
fn may_retry(connect: &Connect<'_>, kind: Presented) -> bool {
    kind != Presented::DeviceToken && connect.auth.device_token.is_some()
}

async fn with_device(
    inner: &Inner,
    from: &From,
    connect: &Connect<'_>,
    (nonce, proof): (&str, &DeviceProof),
    (principal, method): (Principal, &'static str),
) -> Result<Known, Refusal> {
    let signed = connect.auth.token.as_deref().filter(|it| !it.is_empty());
    let token = signed.or(connect.auth.device_token.as_deref()).unwrap_or_default();
    let client = &connect.client;
    let introduction = Introduction {
        principal: &principal,
        proof,
        nonce,
        token,
        role: match connect.role {
            Role::Operator => DeviceRole::Operator,
            Role::Node => DeviceRole::Node,
        },
        role_name: &connect.role_name,
        asked: &connect.scopes,
        client_id: &client.id,
        client_mode: &client.mode,
        display_name: client.display_name.as_deref(),
        platform: Some(&client.platform),
        device_family: client.device_family.as_deref(),
        ip: from.peer,
    };
    let admitted = inner.methods.devices().connect(&introduction).await.map_err(Refusal::of)?;
    let scopes = match connect.role {
        Role::Operator => names(&connect.scopes, admitted.scopes),
        Role::Node => Vec::new(),
    };
    Ok(Known {
        principal: admitted.principal,
        scopes,
        device_id: Some(proof.id.clone()),
        device_token: admitted.device_token,
        method,
    })
}

fn without_device(
    connect: &Connect<'_>,
    principal: &Principal,
    method: &'static str,
) -> Result<Known, Refusal> {
    if connect.is_control_ui() {
        return Err(Refusal::no_device(true));
    }
    // A node is asked for things by its id, which nobody else may claim.
    if connect.role == Role::Node {
        return Err(Refusal::no_device(false));
    }
    let (principal, given) = operator(principal, &connect.scopes)?;
    let scopes = names(&connect.scopes, given);
    Ok(Known { principal, scopes, device_id: None, device_token: None, method })
}

/// The caller with what it asked for of what its token gives.
fn operator(principal: &Principal, asked: &[String]) -> Result<(Principal, Scopes), Refusal> {
    let held = principal.expanded().scopes();
    if !Scopes::all_of_tenant().iter().any(|scope| held.contains(scope)) {
        return Err(Refusal::no_scope());
    }
    let asked = asked.iter().filter_map(|it| it.parse::<Scope>().ok());
    let given: Scopes = asked.filter(|it| *it != Scope::Hooks && held.contains(*it)).collect();
    let given = auth::expanded(given);
    Ok((principal.expanded().narrowed(given), given))
}

/// Of the scopes that were asked for those that are given, as they were called.
fn names(asked: &[String], given: Scopes) -> Vec<String> {
    let is_given = |name: &str| match name.parse::<Scope>() {
        Ok(scope) => scope != Scope::Hooks && given.contains(scope),
        Err(_unknown) => given.contains(Scope::Admin) && GIVEN_TO_ADMINS.contains(&name),
    };
    asked.iter().filter(|it| is_given(it)).cloned().collect()
}

/// The tenant that a path names: `/t/<tenant>` and what is below it.
fn tenant_of(path: &str) -> Option<&str> {
    let rest = path.strip_prefix("/t/")?;
    Some(rest.split_once('/').map_or(rest, |(tenant, _)| tenant))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn which_tenant_a_path_names() {
        let check = |path: &str, want: Option<&str>| assert_eq!(tenant_of(path), want, "{path}");
        check("/", None);
        check("/ws", None);
        check("/t", None);
        check("/t/", Some(""));
        check("/t/acme", Some("acme"));
        check("/t/acme/", Some("acme"));
        check("/t/acme/chat", Some("acme"));
        check("/tt/acme", None);
        check("/x/t/acme", None);
    }

    #[test]
    fn scopes_are_called_as_the_client_called_them() {
        let asked = ["operator.write", "operator.talk", "operator.x", "hooks", "node"];
        let asked = asked.map(str::to_owned);
        let check = |given: Scopes, want: &[&str]| assert_eq!(names(&asked, given), want);
        check(Scopes::all_of_tenant(), &["operator.write", "operator.talk"]);
        check(std::iter::once(Scope::Read).collect(), &[]);
        check([Scope::Read, Scope::Write].into_iter().collect(), &["operator.write"]);
    }
}

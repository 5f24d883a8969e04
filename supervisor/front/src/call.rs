//! One request of a known caller: token, then scope, then body, in this order.

use std::sync::Arc;

use api::routes::{HOOK, Route};
use auth::{Action, Denied, Permit, Principal};
use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue};
use http::request::Parts;

use tenants::{Load, Ticket};

use crate::body::{self, Bounds, Share};
use crate::identity::Identity;
use crate::reply::Refusal;
use crate::{Inner, hooks};

/// The longest session key or agent name in a header, in bytes.
const MAX_NAME: usize = 512;

/// A request whose caller is known, without its body, which is still unread.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) front: Arc<Inner>,
    pub(crate) identity: Identity,
    pub(crate) principal: Principal,
    /// The right to use the route, where the route as a whole has a scope.
    pub(crate) permit: Option<Permit>,
    pub(crate) head: Parts,
    load: Arc<Load>,
}

/// A place among the tenant's requests, taken when it is first needed.
#[derive(Debug, Default)]
pub(crate) struct Place(Option<Ticket>);

impl Call {
    /// Who calls, and may they use `route` at all. On a refusal no byte of the body was read.
    pub(crate) fn enter(
        front: &Arc<Inner>,
        route: &'static Route,
        request: Request,
    ) -> Result<(Self, Body), Box<Response>> {
        let (head, body) = request.into_parts();
        match known(front, route, &head) {
            Ok(Known { identity, principal, permit, load }) => {
                let front = Arc::clone(front);
                Ok((Self { front, identity, principal, permit, head, load }, body))
            }
            Err(refusal) => Err(Box::new(refuse(front, body, &refusal))),
        }
    }

    /// The right to do one method of the method table.
    pub(crate) fn permit(&self, method: &'static api::Method) -> Result<Permit, Denied> {
        self.front.auth.authorize(&self.principal, method.into())
    }

    /// The whole body, or the response to one that is not JSON or not within the bounds. A long
    /// body is read only if `admit` lets it, which is asked more than once.
    pub(crate) async fn body(
        &self,
        mut body: Body,
        max: usize,
        admit: &mut (dyn FnMut() -> Result<(), Refusal> + Send),
    ) -> Result<(Bytes, Share), Box<Response>> {
        let read = tokio::select! {
            biased;
            () = self.identity.seat.ended() => Err(Refusal::revoked()),
            read = self.read(&mut body, max, admit) => read,
        };
        read.map_err(|refusal| Box::new(refuse(&self.front, body, &refusal)))
    }

    async fn read(
        &self,
        body: &mut Body,
        max: usize,
        admit: &mut (dyn FnMut() -> Result<(), Refusal> + Send),
    ) -> Result<(Bytes, Share), Refusal> {
        if !is_json(&self.head) {
            return Err(Refusal::not_json());
        }
        let limits = &self.front.limits;
        let bounds = Bounds { bytes: max.min(limits.body_bytes), time: limits.body_timeout };
        if body::announced(&self.head.headers, bounds.bytes)? {
            admit()?;
        }
        let mut share = self.share();
        let whole = body::read(body, bounds, &mut share, admit).await?;
        Ok((whole, share))
    }

    /// What the call takes of the memory for bodies and replies: nothing yet.
    pub(crate) fn share(&self) -> Share {
        self.front.budget.share(Arc::clone(&self.load))
    }

    /// A header of ours that a client may set.
    pub(crate) fn name(&self, header: &'static str) -> Result<String, Refusal> {
        let Some(value) = only(&self.head, &HeaderName::from_static(header))? else {
            return Ok(String::new());
        };
        match value.to_str() {
            Ok(text) if text.len() <= MAX_NAME => Ok(text.to_owned()),
            Ok(_) | Err(_) => Err(Refusal::bad_header(header, MAX_NAME)),
        }
    }
}

impl Place {
    /// Takes the place, unless it is taken already.
    pub(crate) fn take(&mut self, front: &Inner, permit: &Permit) -> Result<(), Refusal> {
        if self.0.is_none() {
            let ticket = front.tenants.admit(permit).map_err(|err| {
                tracing::debug!(error = %types::Chain(&err), "a request was not admitted");
                Refusal::from(&err)
            })?;
            self.0 = Some(ticket);
        }
        Ok(())
    }

    pub(crate) fn ticket(self) -> Option<Ticket> {
        self.0
    }
}

/// The response to a request whose body is of no interest any more.
pub(crate) fn refuse(front: &Inner, body: Body, refusal: &Refusal) -> Response {
    if !body::is_over(&body) {
        front.discards.spawn_until_stopped(body::discard(body));
    }
    refusal.response()
}

/// What a request's head says of its caller.
struct Known {
    identity: Identity,
    principal: Principal,
    permit: Option<Permit>,
    load: Arc<Load>,
}

fn known(front: &Inner, route: &'static Route, head: &Parts) -> Result<Known, Refusal> {
    let identity = head.extensions.get::<Identity>().cloned().ok_or_else(Refusal::no_room)?;
    let is_hook = route.path == HOOK.path;
    let token = if is_hook { hooks::token(head)? } else { bearer(head)? };
    let principal = front.auth.authenticate(token, identity.seat.peer)?;
    // A device's token is good for nothing without the device's signature, which HTTP has no place for.
    if principal.device().is_some() {
        return Err(auth::Unauthenticated::Wrong.into());
    }
    let permit = match route.scope {
        Some(scope) => {
            let action = Action { name: route.path, scope };
            Some(front.auth.authorize(&principal, action)?)
        }
        None => None,
    };
    let load = identity.seat.take(&principal, &front.tenants, front.limits.tenant_connections)?;
    Ok(Known { identity, principal, permit, load })
}

/// The token that was presented. It goes no further than to `auth`.
pub(crate) fn bearer(head: &Parts) -> Result<Option<&str>, Refusal> {
    let Some(value) = only(head, &AUTHORIZATION)? else { return Ok(None) };
    let token = value.to_str().ok().and_then(|value| value.split_once(' '));
    let token = token.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
    Ok(token.map(|(_, token)| token.trim()))
}

/// The one field of this name: of two, a proxy before the gateway may have judged the other.
pub(crate) fn only<'a>(
    head: &'a Parts,
    name: &HeaderName,
) -> Result<Option<&'a HeaderValue>, Refusal> {
    let mut values = head.headers.get_all(name).iter();
    let first = values.next();
    if values.next().is_some() { Err(Refusal::repeated_header(name.as_str())) } else { Ok(first) }
}

/// Whether the body may be JSON: a client that does not say is believed.
fn is_json(head: &Parts) -> bool {
    let Some(value) = head.headers.get(CONTENT_TYPE) else { return true };
    let kind = value.to_str().unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    kind.is_empty() || kind == "application/json" || kind.ends_with("+json")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(name: &str, value: &str) -> Parts {
        http::Request::builder().header(name, value).body(()).unwrap().into_parts().0
    }

    #[test]
    fn what_is_a_bearer() {
        let check = |value: &str, want: Option<&str>| {
            assert_eq!(bearer(&head("authorization", value)).unwrap(), want, "{value}");
        };
        check("Bearer a", Some("a"));
        check("bearer a", Some("a"));
        check("BEARER  a ", Some("a"));
        check("Bearer ", Some(""));
        check("Bearer", None);
        check("Basic a", None);
        check("a", None);
        let mut two = head("authorization", "Bearer a");
        two.headers.append(AUTHORIZATION, HeaderValue::from_static("Bearer a"));
        assert_eq!(bearer(&two).unwrap_err().status.as_u16(), 400);
    }

    #[test]
    fn what_is_json() {
        let check = |value: &str, want: bool| {
            assert_eq!(is_json(&head("content-type", value)), want, "{value}");
        };
        check("application/json", true);
        check("Application/JSON; charset=utf-8", true);
        check("application/problem+json", true);
        check("", true);
        check("text/plain", false);
        check("application/x-www-form-urlencoded", false);
        assert!(is_json(&head("accept", "*/*")));
    }
}

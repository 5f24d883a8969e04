//! One request of a known caller: token, then scope, then body, in this order.

use std::sync::Arc;

use api::routes::Route;
use auth::{Action, Denied, Permit, Principal};
use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::request::Parts;

use crate::Inner;
use crate::body::{self, Bounds, Share};
use crate::identity::Identity;
use crate::reply::Refusal;

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
}

impl Call {
    /// Who calls, and may they use `route` at all. On a refusal no byte of the body was read.
    pub(crate) fn enter(
        front: &Arc<Inner>,
        route: &'static Route,
        request: Request,
    ) -> Result<(Self, Body), Box<Response>> {
        let (head, body) = request.into_parts();
        match known(front, route, &head) {
            Ok((identity, principal, permit)) => {
                let front = Arc::clone(front);
                Ok((Self { front, identity, principal, permit, head }, body))
            }
            Err(refusal) => Err(Box::new(refuse(front, body, &refusal))),
        }
    }

    /// The right to do one method of the method table.
    pub(crate) fn permit(&self, method: &'static api::Method) -> Result<Permit, Denied> {
        self.front.auth.authorize(&self.principal, method.into())
    }

    /// The whole body, or the response to one that is not JSON or not within the bounds.
    pub(crate) async fn body(
        &self,
        mut body: Body,
        max: usize,
    ) -> Result<(Bytes, Share), Box<Response>> {
        match self.read(&mut body, max).await {
            Ok(read) => Ok(read),
            Err(refusal) => Err(Box::new(refuse(&self.front, body, &refusal))),
        }
    }

    async fn read(&self, body: &mut Body, max: usize) -> Result<(Bytes, Share), Refusal> {
        if !is_json(&self.head) {
            return Err(Refusal::not_json());
        }
        let limits = &self.front.limits;
        let bounds = Bounds { bytes: max.min(limits.body_bytes), time: limits.body_timeout };
        body::announced(&self.head.headers, bounds.bytes)?;
        body::read(body, bounds, &self.front.budget).await
    }

    /// A header of ours that a client may set.
    pub(crate) fn name(&self, header: &'static str) -> Result<String, Refusal> {
        let Some(value) = self.head.headers.get(header) else { return Ok(String::new()) };
        match value.to_str() {
            Ok(text) if text.len() <= MAX_NAME => Ok(text.to_owned()),
            Ok(_) | Err(_) => Err(Refusal::bad_header(header, MAX_NAME)),
        }
    }
}

/// The response to a request whose body is of no interest any more.
pub(crate) fn refuse(front: &Inner, body: Body, refusal: &Refusal) -> Response {
    if !body::is_over(&body) {
        front.discards.spawn_until_stopped(body::discard(body));
    }
    refusal.response()
}

fn known(
    front: &Inner,
    route: &'static Route,
    head: &Parts,
) -> Result<(Identity, Principal, Option<Permit>), Refusal> {
    let identity = head.extensions.get::<Identity>().cloned().ok_or_else(Refusal::no_room)?;
    let principal = front.auth.authenticate(bearer(head), identity.peer)?;
    let permit = match route.scope {
        Some(scope) => {
            let action = Action { name: route.path, scope };
            Some(front.auth.authorize(&principal, action)?)
        }
        None => None,
    };
    Ok((identity, principal, permit))
}

/// The token that was presented. It goes no further than to `auth`.
pub(crate) fn bearer(head: &Parts) -> Option<&str> {
    let value = head.headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
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
            assert_eq!(bearer(&head("authorization", value)), want, "{value}");
        };
        check("Bearer a", Some("a"));
        check("bearer a", Some("a"));
        check("BEARER  a ", Some("a"));
        check("Bearer ", Some(""));
        check("Bearer", None);
        check("Basic a", None);
        check("a", None);
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

//! `POST /hooks/{name}`: what other programs may start. The body is kept, and goes to the tenant's
//! worker as it came; nobody but the worker reads it.
//!
//! A hook's token is found where such programs can put one. Not in the address: addresses are
//! logged on the way.

use axum::body::Body;
use axum::extract::{FromRequestParts as _, Path};
use axum::response::Response;
use http::header::CONTENT_TYPE;
use http::request::Parts;
use http::{HeaderName, StatusCode};
use proto::worker::{Route, ServePart, ServeRequest};
use tenants::{Delivered, Event};

use crate::call::{Call, Place, bearer, only};
use crate::relay;
use crate::reply::{JSON, Refusal};

/// Bytes of a body.
const MAX_BODY: usize = 256 << 10;

/// The longest name of a hook, in bytes.
const MAX_NAME: usize = 128;

/// What events of hooks are called.
const SOURCE: &str = "hook";

/// Where a token may be beside `Authorization`.
const TOKEN: &str = "x-openclaw-token";

/// The name of one request that may be sent twice; the second is the older name.
const IDEMPOTENCY: [&str; 2] = ["idempotency-key", "x-openclaw-idempotency-key"];

/// The token of a hook's request.
pub(crate) fn token(head: &Parts) -> Result<Option<&str>, Refusal> {
    let mut names = head.uri.query().unwrap_or_default().split('&');
    if names.any(|pair| pair.split('=').next() == Some("token")) {
        return Err(Refusal::token_in_address());
    }
    let own = only(head, &HeaderName::from_static(TOKEN))?;
    match (bearer(head)?, own) {
        (Some(token), _) => Ok(Some(token)),
        (None, own) => Ok(own.and_then(|own| own.to_str().ok()).map(str::trim)),
    }
}

/// `POST /hooks/{name}`.
pub(crate) async fn hook(mut call: Call, body: Body) -> Response {
    let Some(permit) = call.permit.take() else { return Refusal::no_answer().response() };
    let name = match Path::<String>::from_request_parts(&mut call.head, &()).await {
        Ok(Path(name)) if name.len() <= MAX_NAME => name,
        Ok(_) | Err(_) => return Refusal::bad_path().response(),
    };
    let mut place = Place::default();
    let admit = &mut || place.take(&call.front, &permit);
    let (body, share) = match call.body(body, MAX_BODY, admit).await {
        Ok(read) => read,
        Err(response) => return *response,
    };
    let response = async {
        let [key, older] = IDEMPOTENCY;
        let mut idempotency_key = call.name(key)?;
        if idempotency_key.is_empty() {
            idempotency_key = call.name(older)?;
        }
        place.take(&call.front, &permit)?;
        let ticket = place.ticket().ok_or_else(Refusal::no_answer)?;
        let request_id = call.identity.id().to_owned();
        let route = Route::Hook.into();
        // What has no name of its own gets one that nobody else has.
        let event =
            if idempotency_key.is_empty() { request_id.clone() } else { idempotency_key.clone() };
        let account = format!("hook:{name}");
        let asked = ServeRequest {
            route,
            body,
            model: name,
            request_id,
            idempotency_key,
            ..ServeRequest::default()
        };
        // Each in a conversation of its own: which session it is for, only the worker reads.
        let event = Event { source: SOURCE, account: &account, lane: &event, event: &event };
        let delivered = call.front.tenants.deliver_hook(ticket, event, asked);
        tokio::select! {
            biased;
            () = call.identity.seat.ended() => Err(Refusal::revoked()),
            delivered = delivered => answered(delivered),
        }
    };
    let response = response.await;
    // The worker has its copy by now, so the body no longer counts.
    drop(share);
    response.unwrap_or_else(|refusal| refusal.response())
}

/// What the caller is told: what the worker says, or that the hook is kept and under which names.
fn answered(delivered: Result<Delivered<ServePart>, tenants::Error>) -> Result<Response, Refusal> {
    match delivered {
        Ok(Delivered::Answer(ServePart { head: Some(head), data })) => {
            Ok(relay::response(&head, JSON, Body::from(data)))
        }
        Ok(Delivered::Answer(ServePart { head: None, .. })) => Err(Refusal::no_answer()),
        Ok(Delivered::Later(id)) => {
            let kept = format!(
                r#"{{"ok":true,"status":"accepted","eventId":"{id}","runId":"hook:{id}"}}"#
            );
            let mut response = Response::new(Body::from(kept));
            *response.status_mut() = StatusCode::ACCEPTED;
            response.headers_mut().insert(CONTENT_TYPE, JSON);
            Ok(response)
        }
        Err(err) => {
            tracing::debug!(error = %types::Chain(&err), "a hook was not kept");
            Err((&err).into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(path: &str, headers: &[(&str, &str)], want: Result<Option<&str>, ()>) {
        let request = headers.iter().fold(http::Request::builder().uri(path), |request, header| {
            request.header(header.0, header.1)
        });
        let head = request.body(()).unwrap().into_parts().0;
        assert_eq!(token(&head).map_err(drop), want, "{path} {headers:?}");
    }

    #[test]
    fn a_token_is_in_a_header_and_never_in_the_address() {
        check("/hooks/wake", &[], Ok(None));
        check("/hooks/wake", &[("authorization", "Bearer a")], Ok(Some("a")));
        check("/hooks/wake", &[(TOKEN, "b")], Ok(Some("b")));
        check("/hooks/wake", &[(TOKEN, "b"), ("authorization", "Bearer a")], Ok(Some("a")));
        check("/hooks/wake", &[(TOKEN, "b"), (TOKEN, "c")], Err(()));
        check("/hooks/wake?token=a", &[("authorization", "Bearer a")], Err(()));
        check("/hooks/wake?x=1&token=", &[], Err(()));
        check("/hooks/wake?tokens=1", &[], Ok(None));
    }
}

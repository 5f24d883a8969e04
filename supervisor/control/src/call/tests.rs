//! What is read from a request, and what is refused.

use axum::Router;
use axum::body::Body as Bytes;
use axum::routing::any;
use control_api::{CreateTenant, PageQuery, TenantPath};
use http::{Request as Http, StatusCode};
use tower::ServiceExt as _;

use super::*;
use crate::reply;

async fn check(uri: &str, body: impl Into<Bytes>, expected: u16) {
    let read = |request: Http<Bytes>| async move {
        let (mut head, body) = request.into_parts();
        match inputs::<TenantPath, PageQuery, CreateTenant>(&mut head, body).await {
            Ok(_) => reply::json(StatusCode::OK, &"ok").unwrap(),
            Err(error) => reply::failure(&error, "test", "r"),
        }
    };
    let router = Router::new().route("/t/{id}", any(read));
    let request = Http::post(uri).body(body.into()).unwrap();
    assert_eq!(router.oneshot(request).await.unwrap().status().as_u16(), expected, "{uri}");
}

#[tokio::test]
async fn requests_are_read_into_types_that_refuse_the_unknown() {
    let good = r#"{"id":"acme"}"#;
    check("/t/acme?limit=5&after=a", good, 200).await;
    check("/t/acme", good, 200).await;
    check("/t/ACME", good, 400).await;
    check("/t/..%2fx", good, 400).await;
    check("/t/acme?offset=5", good, 400).await;
    check("/t/acme?limit=-1", good, 400).await;
    check("/t/acme?after=A", good, 400).await;
    check("/t/acme", "", 400).await;
    check("/t/acme", "{", 400).await;
    check("/t/acme", r#"{"id":"acme","role":"owner"}"#, 400).await;
    check("/t/acme", r#"{"id":"acme"} trailing"#, 400).await;
}

#[tokio::test]
async fn a_body_is_bounded() {
    let padded = |length: usize| r#"{"id":"acme"}"#.to_owned() + &" ".repeat(length - 13);
    check("/t/acme", padded(control_api::MAX_BODY), 200).await;
    check("/t/acme", padded(control_api::MAX_BODY + 1), 413).await;
}

#[tokio::test(start_paused = true)]
async fn a_body_that_does_not_arrive_is_not_waited_for() {
    check("/t/acme", Bytes::new(Stalled), 408).await;
}

/// A body of which nothing ever comes.
struct Stalled;

impl hyper::body::Body for Stalled {
    type Data = bytes::Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<hyper::body::Frame<bytes::Bytes>, std::io::Error>>> {
        std::task::Poll::Pending
    }
}

//! Who is reached, and who is not.

use http::Response;
use serde_json::json;

use super::*;
use crate::testing::{Answer, Farm, ok, text};

#[tokio::test]
async fn what_is_allowed_is_fetched_and_says_nothing_of_anybody() {
    let house = House::build().await;
    let farm = Farm::plain(&house.tasks, |_| {
        let mut answer = text("<p>hello</p>");
        answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/html"));
        answer
    })
    .await;
    house.allow(&[format!("GET http://farm.test:{}/docs", farm.port)]);
    let url = format!("http://farm.test:{}/docs/x?q=1#top", farm.port);
    let fetched = fetch(&house, &url).await.unwrap();
    assert_eq!((fetched.head.status, fetched.body.as_slice()), (200, &b"<p>hello</p>"[..]));
    assert_eq!(fetched.head.content_type, "text/html");
    assert_eq!(fetched.head.url, url.replace("#top", ""));
    let [(head, _)] = &farm.asked()[..] else { panic!("one request") };
    assert_eq!((head.method.as_str(), head.uri.to_string().as_str()), ("GET", "/docs/x?q=1"));
    let mut names: Vec<_> = head.headers.keys().map(http::HeaderName::as_str).collect();
    names.sort_unstable();
    assert_eq!(names, ["accept", "accept-encoding", "connection", "host", "user-agent"]);
    assert_eq!(head.headers["host"], format!("farm.test:{}", farm.port));
    assert!(house.notes.all().is_empty());
    let head = fetch_with(&house, &url, |it| it.method = "HEAD".to_owned()).await.unwrap();
    assert_eq!((head.head.status, head.body.len()), (200, 0));
}

#[tokio::test]
async fn what_no_rule_allows_is_refused_and_noted_without_its_path() {
    let house = House::build().await;
    let url = "http://farm.test/secret-path?secret=query";
    refused(&house, url, Code::PermissionDenied, "no egress rule").await;
    house.allow(&["http://other.test".to_owned(), "https://farm.test".to_owned()]);
    refused(&house, url, Code::PermissionDenied, "no egress rule").await;
    let settings = json!({"tools": {"deny": ["web_fetch"]}});
    house.settle(&["http://farm.test".to_owned()], &settings);
    refused(&house, url, Code::PermissionDenied, "web_fetch").await;
    let notes = house.notes.all();
    assert_eq!(notes.len(), 3, "{notes:?}");
    assert!(notes[0].starts_with("egress refused: http://farm.test: no egress rule"), "{notes:?}");
    assert!(notes.iter().all(|it| !it.contains("secret")), "{notes:?}");
    assert_eq!(house.names.asked("farm.test"), 0);
}

#[tokio::test]
async fn no_rule_opens_what_is_not_public() {
    let house = House::closed(|_, _| vec!["127.0.0.1".parse().unwrap()]).await;
    let farm = Farm::plain(&house.tasks, ok).await;
    let port = farm.port;
    house.allow(&["127.0.0.1", "*", "localhost", "[::1]"].map(|it| format!("http://{it}:{port}")));
    house.settle(
        &[format!("http://*:{port}"), "http://*".to_owned(), format!("http://127.0.0.1:{port}")],
        &json!({}),
    );
    for host in ["127.0.0.1", "farm.test", "localhost", "[::1]", "0.0.0.0"] {
        refused(&house, &format!("http://{host}:{port}/"), Code::PermissionDenied, "not public")
            .await;
    }
    for host in
        ["169.254.169.254", "[fd00:ec2::254]", "10.0.0.1", "[::ffff:10.0.0.1]", "[64:ff9b::7f00:1]"]
    {
        refused(&house, &format!("http://{host}/"), Code::PermissionDenied, "not public").await;
    }
    for host in ["0x7f.1", "2130706433", "127.1", "0177.0.0.1"] {
        refused(&house, &format!("http://{host}:{port}/"), Code::InvalidArgument, "host").await;
    }
    assert!(farm.asked().is_empty());
    assert!(house.notes.all().iter().any(|it| it.contains("loopback")));
}

#[tokio::test]
async fn the_address_that_was_checked_is_the_one_that_is_used() {
    // The first answer may be used; every later one is loopback of another kind.
    let zone = |_: &str, number| {
        vec![if number == 0 { [127, 0, 0, 1].into() } else { [10, 0, 0, 1].into() }]
    };
    let house = House::with(zone, |_| ()).await;
    let farm = Farm::plain(&house.tasks, ok).await;
    house.allow(&[format!("http://farm.test:{}", farm.port)]);
    let url = format!("http://farm.test:{}/", farm.port);
    assert_eq!(fetch(&house, &url).await.unwrap().body, b"ok");
    assert_eq!(house.names.asked("farm.test"), 1);
    refused(&house, &url, Code::PermissionDenied, "private").await;
    assert_eq!(farm.asked().len(), 1);
}

/// A farm whose every path is a redirect to what follows the first slash.
fn redirect(request: &Request<()>) -> Answer {
    let mut answer = text("");
    *answer.status_mut() = StatusCode::FOUND;
    let location = request.uri().query().unwrap_or_default();
    answer.headers_mut().insert(LOCATION, HeaderValue::from_str(location).unwrap());
    answer
}

#[tokio::test]
async fn a_redirect_is_a_request_anew() {
    let house = House::build().await;
    let from = Farm::plain(&house.tasks, redirect).await;
    let to = Farm::plain(&house.tasks, ok).await;
    let url = |location: &str| format!("http://farm.test:{}/?{location}", from.port);
    house.allow(&[
        format!("http://farm.test:{}", from.port),
        format!("http://other.test:{}/ok", to.port),
        "http://*".to_owned(),
    ]);
    let good = format!("http://other.test:{}/ok", to.port);
    let fetched = fetch(&house, &url(&good)).await.unwrap();
    assert_eq!((fetched.head.url, fetched.head.redirects), (good, 1));
    let other = format!("http://other.test:{}/other", to.port);
    refused(&house, &url(&other), Code::PermissionDenied, "no egress rule").await;
    refused(&house, &url("http://169.254.169.254/latest/"), Code::PermissionDenied, "metadata")
        .await;
    refused(&house, &url("//10.0.0.1/"), Code::PermissionDenied, "private").await;
    refused(&house, &url("http://127.1/"), Code::InvalidArgument, "host").await;
    refused(&house, &url("file:///etc/passwd"), Code::InvalidArgument, "http://").await;
    refused(&house, &url("http://u:p@other.test/"), Code::InvalidArgument, "password").await;
    assert_eq!(to.asked().len(), 1);
    let notes = house.notes.all();
    assert!(notes.iter().any(|it| it.contains("http://169.254.169.254: ")), "{notes:?}");
}

#[tokio::test]
async fn a_loop_of_redirects_ends() {
    let house = House::build().await;
    let farm = Farm::plain(&house.tasks, |_| {
        let mut answer = Response::new(text("").into_body());
        *answer.status_mut() = StatusCode::TEMPORARY_REDIRECT;
        answer.headers_mut().insert(LOCATION, HeaderValue::from_static("/again"));
        answer
    })
    .await;
    house.allow(&[format!("http://farm.test:{}", farm.port)]);
    let url = format!("http://farm.test:{}/", farm.port);
    refused(&house, &url, Code::ResourceExhausted, "more than 5 redirects").await;
    assert_eq!(farm.asked().len(), 6);
    let none = fetch_with(&house, &url, |it| it.max_redirects = 0).await.unwrap_err();
    assert_eq!(none.code(), Code::ResourceExhausted);
    assert_eq!(farm.asked().len(), 7);
}

#[tokio::test]
async fn tls_is_with_whom_the_certificate_names_and_is_not_left() {
    let house = House::build().await;
    let farm = Farm::secure(&house.tasks, |request| {
        if request.uri().path() == "/down" { redirect(request) } else { ok(request) }
    })
    .await;
    let plain = Farm::plain(&house.tasks, ok).await;
    let port = farm.port;
    house.allow(&[format!("https://*.test:{port}"), format!("http://*.test:{}", plain.port)]);
    let fetched = fetch(&house, &format!("https://farm.test:{port}/")).await.unwrap();
    assert_eq!(fetched.body, b"ok");
    let wrong = format!("https://wrong.test:{port}/");
    refused(&house, &wrong, Code::PermissionDenied, "certificate of the host is no good").await;
    let address = format!("https://127.0.0.1:{port}/");
    house.allow(&[
        format!("https://*.test:{port}"),
        format!("https://127.0.0.1:{port}"),
        format!("https://farm.test:{port}"),
        format!("http://*.test:{}", plain.port),
    ]);
    refused(&house, &address, Code::PermissionDenied, "certificate of the host is no good").await;
    let down = format!("https://farm.test:{port}/down?http://farm.test:{}/", plain.port);
    refused(&house, &down, Code::PermissionDenied, "from https to http").await;
    let not_tls = format!("https://farm.test:{}/", plain.port);
    house.allow(&[format!("https://farm.test:{}", plain.port)]);
    refused(&house, &not_tls, Code::Unavailable, "no TLS").await;
    assert!(plain.asked().is_empty());
}

#[tokio::test]
async fn a_certificate_of_an_authority_that_nobody_named_is_none() {
    let zone = |_: &str, _| vec!["127.0.0.1".parse().unwrap()];
    let house = House::with(zone, |config| config.authorities.clear()).await;
    let farm = Farm::secure(&house.tasks, ok).await;
    house.allow(&[format!("https://farm.test:{}", farm.port)]);
    let url = format!("https://farm.test:{}/", farm.port);
    refused(&house, &url, Code::PermissionDenied, "certificate of the host is no good").await;
    assert!(farm.asked().is_empty());
}

//! How much, how long, how many.

use futures_util::stream;
use http::Response;
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::Frame;

use super::*;
use crate::testing::{Farm, ok, text};

/// A body that begins and never ends.
fn endless() -> http_body_util::combinators::UnsyncBoxBody<Bytes, Infallible> {
    let begun = stream::iter([Ok(Frame::data(Bytes::from_static(b"begun")))]);
    StreamBody::new(begun.chain(stream::pending())).boxed_unsync()
}

#[tokio::test]
async fn a_body_is_cut_where_it_is_too_long_and_only_there() {
    let house = House::build().await;
    let farm = Farm::plain(&house.tasks, |_| text(vec![b'x'; 3 << 20])).await;
    house.allow(&[format!("http://farm.test:{}", farm.port)]);
    let url = format!("http://farm.test:{}/", farm.port);
    let check = async |asked: u64, length: usize, truncated: bool| {
        let fetched = fetch_with(&house, &url, |it| it.max_bytes = asked).await.unwrap();
        assert_eq!((fetched.body.len(), fetched.truncated), (length, truncated), "{asked}");
    };
    check(0, 2 << 20, true).await;
    check(u64::MAX, 2 << 20, true).await;
    check(1, 1, true).await;
    check(100_000, 100_000, true).await;
}

#[tokio::test]
async fn a_body_of_just_the_length_is_whole() {
    let house = House::build().await;
    let farm = Farm::plain(&house.tasks, ok).await;
    house.allow(&[format!("http://farm.test:{}", farm.port)]);
    let url = format!("http://farm.test:{}/", farm.port);
    let fetched = fetch_with(&house, &url, |it| it.max_bytes = 2).await.unwrap();
    assert_eq!((fetched.body.as_slice(), fetched.truncated), (&b"ok"[..], false));
}

#[tokio::test]
async fn what_takes_too_long_ends() {
    let house = House::build().await;
    let body = Farm::plain(&house.tasks, |_| Response::new(endless())).await;
    let head = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    for port in [body.port, head.local_addr().unwrap().port()] {
        house.allow(&[format!("http://farm.test:{port}")]);
        let url = format!("http://farm.test:{port}/");
        let slow = fetch_with(&house, &url, |it| it.timeout_ms = 300).await.unwrap_err();
        assert_eq!(slow.code(), Code::DeadlineExceeded, "{slow:?}");
    }
}

#[tokio::test]
async fn so_many_are_fetched_at_once_and_a_place_comes_back() {
    let house = House::build().await;
    let farm = Farm::plain(&house.tasks, |_| Response::new(endless())).await;
    house.allow(&[format!("http://farm.test:{}", farm.port)]);
    let url = format!("http://farm.test:{}/", farm.port);
    let begin = async || {
        let request = FetchRequest { url: url.clone(), ..FetchRequest::default() };
        Fetcher(Arc::clone(&house.outlet)).fetch(tonic::Request::new(request)).await
    };
    let mut open = Vec::new();
    for _ in 0..8 {
        open.push(begin().await.unwrap());
    }
    assert_eq!(begin().await.err().unwrap().code(), Code::ResourceExhausted);
    drop(open.pop());
    begin().await.unwrap();
}

#[tokio::test]
async fn a_day_has_so_many_bytes_and_then_another_begins() {
    let zone = |_: &str, _| vec!["127.0.0.1".parse().unwrap()];
    let house = House::with(zone, |config| config.daily_bytes = 100_000).await;
    let farm = Farm::plain(&house.tasks, |_| text(vec![b'x'; 200_000])).await;
    house.allow(&[format!("http://farm.test:{}", farm.port)]);
    let url = format!("http://farm.test:{}/", farm.port);
    refused(&house, &url, Code::ResourceExhausted, "bytes of today").await;
    assert_eq!(farm.asked().len(), 1);
    refused(&house, &url, Code::ResourceExhausted, "bytes of today").await;
    assert_eq!(farm.asked().len(), 1);
    house.clock.advance(86_400_000);
    let fetched = fetch_with(&house, &url, |it| it.max_bytes = 10).await.unwrap();
    assert!(fetched.truncated);
}

#[tokio::test]
async fn nothing_is_decoded() {
    let house = House::build().await;
    let farm = Farm::plain(&house.tasks, |_| {
        let mut answer = text("zipped");
        answer.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        answer
    })
    .await;
    house.allow(&[format!("http://farm.test:{}", farm.port)]);
    refused(&house, &format!("http://farm.test:{}/", farm.port), Code::Unavailable, "compresses")
        .await;
}

#[tokio::test]
async fn refusals_are_noted_so_often_and_no_oftener() {
    let house = House::build().await;
    for _ in 0..100 {
        refused(&house, "http://farm.test/", Code::PermissionDenied, "no egress rule").await;
    }
    assert_eq!(house.notes.all().len(), 30);
    house.clock.advance(60_000);
    refused(&house, "http://farm.test/", Code::PermissionDenied, "no egress rule").await;
    let notes = house.notes.all();
    assert!(notes[30].contains("70 more"), "{notes:?}");
}

//! How much, how long, how many.

use futures_util::stream;
use http::Response;
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::Frame;
use types::{Clock as _, Limits, LimitsPatch, Window};

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
    let notes = house.notes.all();
    assert!(notes.len() == 4 && notes[0].contains("more than 2097152 bytes"), "{notes:?}");
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
        assert!(house.notes.all().last().unwrap().ends_with("it took too long"));
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
async fn bytes_are_the_tenants_and_a_limit_of_its_account_ends_them() {
    let house = House::build().await;
    let patch = LimitsPatch {
        quotas: Some(vec!["egressBytes/hour=100000".to_owned()]),
        ..LimitsPatch::default()
    };
    house.account.set_limits(&Limits::default().with(&patch).unwrap());
    let farm = Farm::plain(&house.tasks, |_| text(vec![b'x'; 200_000])).await;
    house.allow(&[format!("http://farm.test:{}", farm.port)]);
    let url = format!("http://farm.test:{}/", farm.port);
    refused(&house, &url, Code::ResourceExhausted, "egressBytes/hour of 100000").await;
    refused(&house, &url, Code::ResourceExhausted, "egressBytes/hour").await;
    assert_eq!(farm.asked().len(), 1);
    let used = house.account.used(Window::Day, house.clock.now());
    assert_eq!(used.egress_bytes, 100_000);
    house.clock.advance(3_600_000);
    fetch_with(&house, &url, |it| it.max_bytes = 10).await.unwrap();
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
    assert!(notes[30].contains("and 70 more refusals"), "{notes:?}");
    assert_eq!(notes.len(), 32);
}

#[tokio::test]
async fn refusals_that_nothing_follows_are_told_when_the_minute_is_over() {
    let house = House::build().await;
    tokio::time::pause();
    for _ in 0..33 {
        refused(&house, "http://farm.test/", Code::PermissionDenied, "no egress rule").await;
    }
    assert_eq!(house.notes.all().len(), 30);
    tokio::time::sleep_until(Instant::now() + Duration::from_mins(1)).await;
    let notes = house.notes.all();
    assert!(notes.len() == 31 && notes[30].contains("and 3 more refusals"), "{notes:?}");
}

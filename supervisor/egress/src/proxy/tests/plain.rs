//! Requests in the clear.

use super::*;
use crate::testing::{Farm, ok, text};

#[tokio::test]
async fn a_request_is_written_anew() {
    let house = House::build().await;
    let farm = Farm::plain(&house.tasks, |_| {
        let mut answer = text("hello");
        answer.headers_mut().insert("keep-alive", HeaderValue::from_static("timeout=5"));
        answer.headers_mut().insert("x-kept", HeaderValue::from_static("yes"));
        answer
    })
    .await;
    house.allow(&[format!("GET,POST http://farm.test:{}/a", farm.port)]);
    let proxy = serve_for(&house);
    let address = format!("http://farm.test:{}", farm.port);
    let answer = proxy
        .send(&format!(
            "POST {address}/a/./b?q HTTP/1.1\r\nHost: evil.test\r\nProxy-Authorization: x\r\nConnection: close, X-Named\r\nX-Named: 1\r\nKeep-Alive: 5\r\nTE: trailers\r\nUpgrade: h2c\r\nX-Other: 2\r\nContent-Length: 4\r\n\r\nbody"
        ))
        .await;
    assert!(
        answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("\r\n\r\nhello"),
        "{answer}"
    );
    assert!(answer.contains("x-kept: yes") && !answer.contains("timeout=5"), "{answer}");
    let [(head, body)] = &farm.asked()[..] else { panic!("one request") };
    assert_eq!((head.uri.to_string().as_str(), body.as_str()), ("/a/b?q", "body"));
    let mut names: Vec<_> = head.headers.keys().map(http::HeaderName::as_str).collect();
    names.sort_unstable();
    assert_eq!(names, ["connection", "content-length", "host", "x-other"]);
    assert_eq!(head.headers["host"], format!("farm.test:{}", farm.port));
    let chunked = format!(
        "POST {address}/a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
    );
    assert!(proxy.send(&chunked).await.ends_with("hello"));
    assert_eq!(farm.asked()[1].1, "abc");
}

#[tokio::test]
async fn what_is_no_request_of_a_proxy_or_not_allowed_is_refused() {
    let house = House::build().await;
    let farm = Farm::plain(&house.tasks, ok).await;
    let port = farm.port;
    house.allow(&[format!("GET http://farm.test:{port}/a"), "https://farm.test".to_owned()]);
    let proxy = serve_for(&house);
    let refuses = async |line: &str, status: u16, part: &str| {
        proxy.refuses(&format!("{line} HTTP/1.1\r\nHost: farm.test\r\n\r\n"), status, part).await;
    };
    refuses("GET /a", 400, "this is a proxy").await;
    refuses("OPTIONS *", 400, "this is a proxy").await;
    refuses("GET https://farm.test/", 400, "CONNECT").await;
    refuses("GET ftp://farm.test/", 400, "http://").await;
    refuses(&format!("GET http://u:p@farm.test:{port}/a"), 400, "password").await;
    refuses("GET http://127.1/", 400, "host").await;
    refuses(&format!("POST http://farm.test:{port}/a"), 403, "no egress rule").await;
    refuses(&format!("GET http://farm.test:{port}/b"), 403, "no egress rule").await;
    refuses(&format!("GET http://farm.test:{port}/a/../b"), 403, "no egress rule").await;
    refuses(&format!("GET http://farm.test:{port}/a/%2e%2e/b"), 403, "no egress rule").await;
    refuses(&format!("GET http://farm.test:{port}/a/..%2fb"), 403, "no egress rule").await;
    refuses(&format!("GET http://other.test:{port}/a"), 403, "no egress rule").await;
    refuses("GET http://169.254.169.254/", 403, "no egress rule").await;
    house.allow(&["http://*".to_owned()]);
    refuses("GET http://169.254.169.254/", 403, "metadata").await;
    assert!(farm.asked().is_empty());
}

#[tokio::test]
async fn a_second_request_in_the_body_of_the_first_goes_nowhere() {
    let house = House::build().await;
    let farm = Farm::plain(&house.tasks, ok).await;
    let address = format!("http://farm.test:{}", farm.port);
    house.allow(&[format!("{address}/a")]);
    let proxy = serve_for(&house);
    let second = "GET /secret HTTP/1.1\r\nHost: farm.test\r\n\r\n";
    let length = second.len();
    let heads = [
        // Both lengths, in both orders.
        format!(
            "Content-Length: {}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{second}",
            length + 5
        ),
        format!(
            "Transfer-Encoding: chunked\r\nContent-Length: {}\r\n\r\n0\r\n\r\n{second}",
            length + 5
        ),
        // Two lengths; a length that is none; encodings that are none.
        format!("Content-Length: 0\r\nContent-Length: {length}\r\n\r\n{second}"),
        format!("Content-Length: +0\r\n\r\n{second}"),
        format!("Content-Length: 0x0\r\n\r\n{second}"),
        format!("Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n{second}"),
        format!("Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n{second}"),
        format!("Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n{second}"),
        format!("Transfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n{second}"),
        format!("X: a\r\n Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n{second}"),
        // A chunk whose length lies, and a plain second request.
        format!("Transfer-Encoding: chunked\r\n\r\n0;\n\r\n\r\n{second}"),
        format!("Content-Length: 0\r\n\r\n{second}"),
        format!("Connection: keep-alive\r\n\r\n{second}"),
    ];
    for head in heads {
        let answer = proxy.send(&format!("POST {address}/a HTTP/1.1\r\nHost: a\r\n{head}")).await;
        assert!(answer.matches("HTTP/1.1 ").count() <= 1, "{head}: {answer}");
    }
    for (head, body) in farm.asked() {
        assert_eq!(head.uri.path(), "/a");
        let lengths = [http::header::CONTENT_LENGTH, http::header::TRANSFER_ENCODING];
        let told = lengths.iter().filter(|it| head.headers.contains_key(*it)).count();
        assert!(told <= 1 && body.is_empty(), "{head:?} {body:?}");
    }
}

#[tokio::test]
async fn a_request_that_tells_its_length_twice_is_refused() {
    let house = House::build().await;
    let farm = Farm::plain(&house.tasks, ok).await;
    let address = format!("http://farm.test:{}", farm.port);
    house.allow(std::slice::from_ref(&address));
    let proxy = serve_for(&house);
    for both in [
        "Content-Length: 5\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 5",
    ] {
        let answer = proxy
            .send(&format!("POST {address}/a HTTP/1.1\r\nHost: a\r\n{both}\r\n\r\n0\r\n\r\n"))
            .await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{both}: {answer}");
        assert!(house.notes.all().pop().unwrap().contains("told twice"));
    }
    assert!(farm.asked().is_empty());
}

#[tokio::test]
async fn what_is_no_request_is_noted() {
    let house = House::build().await;
    let proxy = serve_for(&house);
    for (number, sent) in [
        "SSH-2.0-x\r\n\r\n",
        "GET / HTTP/9.9\r\n\r\n",
        "GET http://a b/ HTTP/1.1\r\n\r\n",
        "GET http://farm.test/ HTTP/1.1\r\nno colon\r\n\r\n",
    ]
    .into_iter()
    .enumerate()
    {
        let answer = proxy.send(sent).await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{sent}: {answer}");
        let notes = house.notes.all();
        assert!(notes.len() == number + 1, "{sent}: {notes:?}");
        assert!(notes[number].contains("is no request of HTTP/1.1"), "{sent}: {notes:?}");
    }
}

#[tokio::test]
async fn a_guard_that_is_dropped_ends_everything() {
    let house = House::build().await;
    let served = serve_for(&house);
    let mut open = served.connect().await;
    open.write_all(b"GET http://farm.te").await.unwrap();
    let Served { port, guard, .. } = served;
    drop(guard);
    assert_eq!(open.read(&mut [0; 16]).await.unwrap_or(0), 0);
    // The listener goes with its task, a moment later.
    let gone = async {
        while let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)).await {
            drop(stream.read(&mut [0; 1]).await);
        }
    };
    tokio::time::timeout(Duration::from_secs(5), gone).await.unwrap();
}

#[tokio::test]
async fn so_many_connections_are_served_at_once() {
    let house = House::build().await;
    let proxy = serve_for(&house);
    let mut open = Vec::new();
    for _ in 0..CONNECTIONS {
        let mut stream = proxy.connect().await;
        stream.write_all(b"GET /").await.unwrap();
        open.push(stream);
    }
    let mut next = proxy.connect().await;
    next.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    let mut answer = [0; 12];
    let waits = tokio::time::timeout(Duration::from_millis(300), next.read_exact(&mut answer));
    waits.await.unwrap_err();
    drop(open.pop());
    next.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 400");
}

//! Requests that a proxy and the gateway might read differently: each is refused, or read as the
//! standard says, and what hides in it is never answered.

use tests::{Gateway, Wire};

use super::{LAST, chat_body, head};

#[tokio::test]
async fn no_request_can_be_hidden_in_another() {
    let gateway = Gateway::start();
    let tenant = gateway.tenant("acme");
    gateway.client(&tenant).chat("demo", "the worker is awake").await.answer();
    for (attempt, answered) in attempts(&tenant.token) {
        let mut wire = Wire::open(gateway.address()).await;
        wire.send(format!("{attempt}{LAST}")).await;
        assert_eq!(wire.statuses().await, answered, "{attempt:?}");
    }
    gateway.client(&tenant).chat("demo", "and still is").await.answer();
}

/// One attempt to make the gateway and a proxy before it disagree on where a request ends, with
/// the statuses of everything that is answered. A lone 400 is a refusal that closes the connection.
fn attempts(token: &str) -> Vec<(String, &'static [u16])> {
    let (post, get) = (head("POST", "/v1/chat/completions", token), head("GET", "/health", token));
    let hidden = "GET /v1/models HTTP/1.1\r\nhost: x\r\n\r\n";
    let body = chat_body();
    let chunked = format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len());
    let length = format!("content-length: {}\r\n", hidden.len());
    let with = |fields: &str, body: &str| format!("{post}{fields}\r\n{body}");
    let chunk = |text: &str| with("transfer-encoding: chunked\r\n", text);
    let path = |path: &str| format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n");
    let field = |field: &str| format!("{get}{field}\r\n\r\n");
    let mut all: Vec<(String, &'static [u16])> = vec![
        (with(&format!("content-length: 0\r\n{length}"), hidden), &[400]),
        (with(&format!("{length}content-length: 0\r\n"), hidden), &[400]),
        // The chunks count, and the connection ends after them.
        (
            with(&format!("{length}transfer-encoding: chunked\r\n"), &(chunked.clone() + hidden)),
            &[200],
        ),
        (
            with(&format!("transfer-encoding: chunked\r\n{length}"), &(chunked.clone() + hidden)),
            &[200],
        ),
        (with("transfer-encoding: chunked\r\n", &chunked), &[200, 200]),
        // A body where none is expected hides no request.
        (format!("{get}{length}\r\n{hidden}"), &[200, 200]),
        (path("http://other.example/health"), &[200, 200]),
        (path("http://other.example/v1/models"), &[401, 200]),
        (path("/v1/../health"), &[404, 200]),
        (path("/v1/%2e%2e/health"), &[404, 200]),
        (path("/%2e%2e/%2e%2e/etc/passwd"), &[404, 200]),
        (path("//health"), &[404, 200]),
        (path("/health/"), &[404, 200]),
        (path("/v1/models%2fx"), &[404, 200]),
        (path("/v1/models/..%2f..%2fetc"), &[401, 200]),
        (path("/hea\0lth"), &[400]),
        ("CONNECT other:443 HTTP/1.1\r\nhost: x\r\n\r\n".to_owned(), &[404, 200]),
        ("GET /health HTTP/1.2\r\nhost: x\r\n\r\n".to_owned(), &[400]),
        ("GET /health\r\n\r\n".to_owned(), &[400]),
        ("POST /rpc HTTP/1.0\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n".to_owned(), &[400]),
    ];
    let lengths = ["+5", "-5", "0x5", "5, 5", "5 5", "5;", "99999999999999999999999", ""];
    all.extend(lengths.map(|it| (with(&format!("content-length: {it}\r\n"), "hello"), &[400][..])));
    for coding in ["xchunked", "chunked, identity", "identity", "\x0bchunked", "chunked;q=1"] {
        let coded = with(&format!("transfer-encoding: {coding}\r\n{length}"), hidden);
        all.push((coded, &[400]));
    }
    // Nobody here undoes another coding, so nothing after it is answered.
    for coding in ["gzip, chunked", "identity, chunked", "gzip,\tchunked"] {
        let coded = format!("transfer-encoding: {coding}\r\n");
        all.push((with(&coded, &(chunked.clone() + hidden)), &[501]));
    }
    for size in ["zz", "-5", "0x5", "5 5", "+5", "", "ffffffffffffffffff", "10000000000000005"] {
        all.push((chunk(&format!("{size}\r\nhello\r\n0\r\n\r\n{hidden}")), &[400]));
    }
    for text in ["5\nhello\n0\n\n", "5\r\nhelloXX0\r\n\r\n", "5;\nx\r\nhello\r\n0\r\n\r\n"] {
        all.push((chunk(&(text.to_owned() + hidden)), &[400]));
    }
    let names = ["a b: c", "a : c", "transfer-encoding : chunked", "a\0b: c", "a: b\0c", " a: b"];
    all.extend(names.map(|it| (field(it), &[400][..])));
    let lines = ["a: b\r\n folded", "a: b\rc: d", ": x", "a", "host : y", "(a): b"];
    all.extend(lines.map(|it| (field(it), &[400][..])));
    all
}

//! The client against a server that answers with what the test says.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixListener;
use std::path::Path;

use control_api::Deleted;

use super::*;
use crate::error::Outcome;

/// Answers one connection and gives back what was asked.
fn answer_once(socket: &Path, status: &str, body: &str) -> std::thread::JoinHandle<String> {
    let listener = UnixListener::bind(socket).unwrap();
    let length = body.len();
    let answer = format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\n\r\n{body}");
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let (mut asked, mut part) = (Vec::new(), [0; 4096]);
        while !asked.windows(4).any(|four| four == b"\r\n\r\n") {
            let read = stream.read(&mut part).unwrap();
            asked.extend_from_slice(&part[..read]);
        }
        stream.write_all(answer.as_bytes()).unwrap();
        String::from_utf8(asked).unwrap()
    })
}

async fn check(status: &str, body: &str) -> (Result<Deleted, Error>, String) {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("c.sock");
    let server = answer_once(&socket, status, body);
    let key = Some(Secret::from("ak_k".to_owned()));
    let client = Client { target: Target::Socket(socket), key };
    let result = client.delete("/v1/keys/key_0").await;
    (result, server.join().unwrap())
}

#[tokio::test]
async fn an_answer_is_read() {
    let (result, asked) = check("200 OK", r#"{"id":"key_0","deleted":true,"more":1}"#).await;
    assert_eq!(result.unwrap(), Deleted { id: "key_0".to_owned(), deleted: true });
    assert!(asked.starts_with("DELETE /v1/keys/key_0 HTTP/1.1\r\n"), "{asked}");
    assert!(asked.contains("authorization: Bearer ak_k\r\n"), "{asked}");
    assert!(asked.contains("host: localhost\r\n"), "{asked}");
}

#[tokio::test]
async fn a_failure_keeps_its_code_and_sentence() {
    let body = r#"{"error":{"code":"not_found","message":"no such key","requestId":"r"}}"#;
    let error = check("404 Not Found", body).await.0.unwrap_err();
    assert_eq!((error.to_string().as_str(), error.outcome()), ("no such key", Outcome::NotFound));
    let error = check("403 Forbidden", "<html>").await.0.unwrap_err();
    assert_eq!(error.outcome(), Outcome::Refused);
    let error = check("200 OK", "[]").await.0.unwrap_err();
    assert_eq!((error.code(), error.outcome()), ("unknown_answer", Outcome::Failed));
}

#[tokio::test]
async fn nobody_there_says_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let client = Client { target: Target::Socket(dir.path().join("none")), key: None };
    let error = client.get::<Deleted>("/v1/status").await.unwrap_err();
    assert_eq!((error.code(), error.outcome()), ("unreachable", Outcome::Failed));
    assert!(error.hint().unwrap().contains("openclawmu serve"));
}

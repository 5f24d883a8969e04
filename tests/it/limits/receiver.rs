//! An operator's program that is told of alerts: takes requests over HTTP and holds each signature
//! against the shared secret.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

const KEY: [u8; 32] = [7; 32];

pub(super) struct Receiver(TcpListener);

impl Receiver {
    pub(super) async fn start() -> Self {
        Self(TcpListener::bind("127.0.0.1:0").await.unwrap())
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}/alerts", self.0.local_addr().unwrap())
    }

    pub(super) fn secret() -> String {
        format!("whsec_{}", STANDARD.encode(KEY))
    }

    /// The next alert.
    pub(super) async fn next(&self) -> Value {
        let (mut stream, _) = self.0.accept().await.unwrap();
        let (head, body) = request(&mut stream).await;
        assert!(head.starts_with("POST /alerts HTTP/1.1"), "{head}");
        let header = |name: &str| {
            let mut lines = head.lines().filter_map(|line| line.split_once(": "));
            let line = lines.find(|(it, _)| it.eq_ignore_ascii_case(name));
            line.unwrap_or_else(|| panic!("no {name}: {head}")).1
        };
        let signed = format!("{}.{}.", header("webhook-id"), header("webhook-timestamp"));
        let signature = header("webhook-signature").strip_prefix("v1,").unwrap();
        let key = hmac::Key::new(hmac::HMAC_SHA256, &KEY);
        let signature = STANDARD.decode(signature).unwrap();
        hmac::verify(&key, &[signed.as_bytes(), &body].concat(), &signature).unwrap();
        stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.unwrap();
        serde_json::from_slice(&body).unwrap()
    }
}

async fn request(stream: &mut TcpStream) -> (String, Vec<u8>) {
    let mut bytes = Vec::new();
    loop {
        let mut chunk = [0; 4096];
        let read = stream.read(&mut chunk).await.unwrap();
        assert!(read > 0, "the request ended early");
        bytes.extend_from_slice(&chunk[..read]);
        let Some(end) = bytes.windows(4).position(|it| it == b"\r\n\r\n") else { continue };
        let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
        let length = head.to_lowercase();
        let length = length.lines().find_map(|line| line.strip_prefix("content-length: "));
        let length: usize = length.unwrap().parse().unwrap();
        if bytes.len() >= end + 4 + length {
            return (head, bytes.split_off(end + 4));
        }
    }
}

//! A small HTTP client that checks what must hold of every reply.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpStream;

/// How long a reply may take.
const PATIENCE: Duration = Duration::from_mins(1);

/// One caller of a gateway.
#[derive(Debug, Clone)]
pub struct Client {
    address: SocketAddr,
    token: Option<String>,
    headers: Vec<(String, String)>,
}

/// A complete reply.
#[derive(Debug)]
pub struct Reply {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

/// An event stream.
#[derive(Debug)]
pub struct Stream {
    status: StatusCode,
    headers: HeaderMap,
    body: Incoming,
    buffer: String,
}

impl Client {
    /// A caller with a token, or without.
    pub const fn new(address: SocketAddr, token: Option<String>) -> Self {
        Self { address, token, headers: Vec::new() }
    }

    /// The same caller with another header on every request.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Sends a request and reads the whole reply.
    pub async fn send(&self, method: Method, path: &str, body: impl Into<Bytes>) -> Reply {
        let reply = self.open(method, path, body).await;
        let (parts, body) = reply.into_parts();
        let body = tokio::time::timeout(PATIENCE, body.collect()).await.expect("a whole body");
        let body = body.expect("a whole body").to_bytes();
        if let Some(token) = &self.token {
            assert!(!contains(&body, token.as_bytes()), "the token is in the reply");
        }
        Reply { status: parts.status, headers: parts.headers, body }
    }

    /// Sends a request and reads the head of the reply.
    pub async fn open(
        &self,
        method: Method,
        path: &str,
        body: impl Into<Bytes>,
    ) -> http::Response<Incoming> {
        self.try_open(method, path, body).await.expect("a reply")
    }

    /// The same, where the connection may fail.
    pub async fn try_open(
        &self,
        method: Method,
        path: &str,
        body: impl Into<Bytes>,
    ) -> Result<http::Response<Incoming>, Box<dyn std::error::Error + Send + Sync>> {
        let stream = TcpStream::connect(self.address).await?;
        stream.set_nodelay(true)?;
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        drop(tokio::spawn(connection));
        let mut request = Request::builder().method(method).uri(path).header("host", "gateway");
        if let Some(token) = &self.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        let request = request.body(Full::new(body.into()))?;
        let reply = tokio::time::timeout(PATIENCE, sender.send_request(request)).await??;
        Ok(reply)
    }

    /// `GET path`.
    pub async fn get(&self, path: &str) -> Reply {
        self.send(Method::GET, path, Bytes::new()).await
    }

    /// `POST path` with JSON.
    pub async fn post(&self, path: &str, body: &Value) -> Reply {
        let client = self.clone().header("content-type", "application/json");
        client.send(Method::POST, path, body.to_string()).await
    }

    /// One user message to `model`, answered at once.
    pub async fn chat(&self, model: &str, text: &str) -> Reply {
        let body = json!({"model": model, "messages": [{"role": "user", "content": text}]});
        self.post("/v1/chat/completions", &body).await
    }

    /// One user message to `model`, streamed.
    pub async fn stream(&self, model: &str, text: &str) -> Stream {
        let body = json!({
            "model": model, "stream": true, "stream_options": {"include_usage": true},
            "messages": [{"role": "user", "content": text}],
        });
        let reply = self.open(Method::POST, "/v1/chat/completions", body.to_string()).await;
        let (parts, body) = reply.into_parts();
        Stream { status: parts.status, headers: parts.headers, body, buffer: String::new() }
    }
}

impl Reply {
    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|err| panic!("{} {:?}: {err}", self.status, self.text()))
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The assistant's text of a chat completion.
    pub fn answer(&self) -> String {
        assert_eq!(self.status, StatusCode::OK, "{}", self.text());
        self.json()["choices"][0]["message"]["content"].as_str().expect("an answer").to_owned()
    }
}

impl Stream {
    /// The status.
    pub const fn status(&self) -> StatusCode {
        self.status
    }

    /// The headers.
    pub const fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// The data of the next event; `None` at the end of the body.
    pub async fn next(&mut self) -> Option<String> {
        loop {
            if let Some((event, rest)) = self.buffer.split_once("\n\n") {
                let data = event.strip_prefix("data: ").expect("a data line").to_owned();
                self.buffer = String::from(rest);
                return Some(data);
            }
            let frame = tokio::time::timeout(PATIENCE, self.body.frame()).await.expect("an event");
            let Some(Ok(frame)) = frame else { return None };
            if let Some(data) = frame.data_ref() {
                self.buffer.push_str(std::str::from_utf8(data).expect("text"));
            }
        }
    }

    /// Every event that is still to come, with their texts joined.
    pub async fn rest(mut self) -> (String, Vec<String>) {
        let (mut text, mut events) = (String::new(), Vec::new());
        while let Some(event) = self.next().await {
            if let Ok(value) = serde_json::from_str::<Value>(&event) {
                text.push_str(value["choices"][0]["delta"]["content"].as_str().unwrap_or(""));
            }
            events.push(event);
        }
        (text, events)
    }
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}

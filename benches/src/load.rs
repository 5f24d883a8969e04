//! A load generator on raw sockets: kept-alive connections that each send the next request when
//! the last is answered, or at a fixed pace.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde::Serialize;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::stats::Spread;

/// One target of the load.
#[derive(Debug, Clone)]
pub struct Target {
    /// Where to connect.
    pub address: SocketAddr,
    /// The bearer token, where one is needed.
    pub token: Option<String>,
}

/// What came of a load.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Outcome {
    /// Answers per second.
    pub per_second: f64,
    /// How long each took.
    pub latency: Spread,
}

impl Target {
    /// A request with a JSON body.
    pub fn request(&self, body: &str) -> Vec<u8> {
        self.request_to("/v1/chat/completions", body)
    }

    /// The same to another path.
    pub fn request_to(&self, path: &str, body: &str) -> Vec<u8> {
        let token = self.token.as_ref().map(|token| format!("authorization: Bearer {token}\r\n"));
        format!(
            "POST {path} HTTP/1.1\r\nhost: bench\r\n{}content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            token.unwrap_or_default(),
            body.len()
        )
        .into_bytes()
    }
}

/// A plain completion with about 1 KiB of text.
pub fn body(model: &str, stream: bool) -> String {
    let text = "b".repeat(1000);
    format!(
        r#"{{"model":"{model}","stream":{stream},"messages":[{{"role":"user","content":"{text}"}}]}}"#
    )
}

/// `connections` callers, each at once with its next request, for `time`.
pub async fn closed(target: &Target, body: &str, connections: usize, time: Duration) -> Outcome {
    let request = Arc::new(target.request(body));
    let until = Instant::now() + time;
    let mut callers = Vec::new();
    for _ in 0..connections {
        let (request, address) = (Arc::clone(&request), target.address);
        callers.push(tokio::spawn(async move {
            let mut nanos = Vec::new();
            let mut stream = connect(address).await;
            let mut buffer = Vec::with_capacity(16 << 10);
            while Instant::now() < until {
                nanos.push(exchange(&mut stream, &request, &mut buffer).await);
            }
            nanos
        }));
    }
    let mut nanos = Vec::new();
    for caller in callers {
        nanos.extend(caller.await.unwrap());
    }
    Outcome { per_second: nanos.len() as f64 / time.as_secs_f64(), latency: Spread::of(nanos) }
}

/// Requests at `per_second` over 16 connections for `time`, whatever the answers take.
pub async fn paced(target: &Target, body: &str, per_second: u32, time: Duration) -> Outcome {
    const CONNECTIONS: u32 = 16;
    let request = Arc::new(target.request(body));
    let mut callers = Vec::new();
    for n in 0..CONNECTIONS {
        let (request, address) = (Arc::clone(&request), target.address);
        callers.push(tokio::spawn(async move {
            let period = Duration::from_secs(1) * CONNECTIONS / per_second;
            let mut ticks = tokio::time::interval_at(
                tokio::time::Instant::now() + period * n / CONNECTIONS,
                period,
            );
            let mut stream = connect(address).await;
            let (mut nanos, mut buffer) = (Vec::new(), Vec::with_capacity(16 << 10));
            let until = Instant::now() + time;
            while Instant::now() < until {
                ticks.tick().await;
                nanos.push(exchange(&mut stream, &request, &mut buffer).await);
            }
            nanos
        }));
    }
    let mut nanos = Vec::new();
    for caller in callers {
        nanos.extend(caller.await.unwrap());
    }
    Outcome { per_second: nanos.len() as f64 / time.as_secs_f64(), latency: Spread::of(nanos) }
}

/// What came of a flood of streams.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Flood {
    /// Streamed chunks per second over all streams.
    pub chunks_per_second: f64,
    /// From the request to the first byte of the body.
    pub first_chunk: Spread,
}

/// `streams` streams of `model` at once, each as fast as it comes.
pub async fn flood(target: &Target, model: &str, streams: usize) -> Flood {
    let request = Arc::new(target.request(&body(model, true)));
    let chunks = Arc::new(AtomicU64::new(0));
    let started = Instant::now();
    let mut callers = Vec::new();
    for _ in 0..streams {
        let (request, address, chunks) =
            (Arc::clone(&request), target.address, Arc::clone(&chunks));
        callers.push(tokio::spawn(async move {
            let mut stream = connect(address).await;
            let sent = Instant::now();
            stream.write_all(&request).await.unwrap();
            let mut buffer = vec![0; 64 << 10];
            let (mut first, mut tail) = (0, Vec::new());
            loop {
                let count = stream.read(&mut buffer).await.unwrap();
                if first == 0 {
                    first = nanos(sent);
                }
                assert!(count > 0, "the stream ended early");
                let data = &buffer[..count];
                let found = data.windows(6).filter(|it| it == b"data: ").count();
                chunks.fetch_add(found as u64, Ordering::Relaxed);
                tail.extend_from_slice(&data[data.len().saturating_sub(32)..]);
                if tail.windows(6).any(|it| it == b"[DONE]") {
                    return first;
                }
                tail.drain(..tail.len().saturating_sub(16));
            }
        }));
    }
    let mut firsts = Vec::new();
    for caller in callers {
        firsts.push(caller.await.unwrap());
    }
    let seconds = started.elapsed().as_secs_f64();
    Flood {
        chunks_per_second: chunks.load(Ordering::Relaxed) as f64 / seconds,
        first_chunk: Spread::of(firsts),
    }
}

async fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

/// One request and its answer; how long it took, in nanoseconds.
async fn exchange(stream: &mut TcpStream, request: &[u8], buffer: &mut Vec<u8>) -> u64 {
    let sent = Instant::now();
    stream.write_all(request).await.unwrap();
    let answer = read_message(stream, buffer).await.expect_answer();
    assert!(answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer));
    nanos(sent)
}

trait ExpectAnswer {
    fn expect_answer(self) -> Vec<u8>;
}

impl ExpectAnswer for Option<Vec<u8>> {
    fn expect_answer(self) -> Vec<u8> {
        self.unwrap_or_else(|| panic!("the connection was closed"))
    }
}

fn nanos(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_nanos()).unwrap()
}

/// One HTTP message with a content-length, or `None` when the peer closes.
pub async fn read_message(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<Vec<u8>> {
    loop {
        if let Some(length) = message_length(buffer)
            && buffer.len() >= length
        {
            let rest = buffer.split_off(length);
            return Some(std::mem::replace(buffer, rest));
        }
        if stream.read_buf(buffer).await.ok()? == 0 {
            return None;
        }
    }
}

fn message_length(buffer: &[u8]) -> Option<usize> {
    let head = buffer.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let text = std::str::from_utf8(&buffer[..head]).ok()?;
    let length = text.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
    });
    Some(head + length.unwrap_or(0))
}

/// One call of a method, on a fresh connection; its result.
pub async fn call(target: &Target, method: &str, params: Value) -> Value {
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).to_string();
    let mut stream = connect(target.address).await;
    stream.write_all(&target.request_to("/rpc", &body)).await.unwrap();
    let answer = read_message(&mut stream, &mut Vec::new()).await.expect_answer();
    let text = String::from_utf8(answer).unwrap();
    let (_, body) = text.split_once("\r\n\r\n").unwrap();
    let mut answer: Value = serde_json::from_str(body).unwrap();
    assert!(answer["error"].is_null(), "{method}: {answer}");
    answer["result"].take()
}

/// One request on a fresh connection; how long its answer took, in nanoseconds.
pub async fn once(target: &Target, body: &str) -> u64 {
    let mut stream = connect(target.address).await;
    exchange(&mut stream, &target.request(body), &mut Vec::new()).await
}

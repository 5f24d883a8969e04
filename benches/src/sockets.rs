//! Small method calls over `WebSocket`s, beside an echo server on the same stack that knows nothing
//! but frames.

use std::net::SocketAddr;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use futures_util::{SinkExt as _, StreamExt as _};
use serde::Serialize;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

use crate::load::{Outcome, Target};
use crate::stats::Spread;

/// What is called.
#[derive(Debug, Clone, Copy)]
pub enum What {
    /// Frames that come back as they are.
    Echo,
    /// A method that the supervisor answers.
    Supervisor,
    /// A method that the tenant's worker answers.
    Worker,
}

/// One way of calling, over an echo server and over the gateway.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Compared {
    /// Sockets, each with one call under way.
    pub sockets: usize,
    /// The echo server.
    pub echo: Outcome,
    /// A method of the supervisor.
    pub supervisor: Outcome,
    /// A method of the worker.
    pub worker: Outcome,
    /// Calls of the supervisor's method for each echo.
    pub supervisor_over_echo: f64,
    /// Calls of the worker's method for each echo.
    pub worker_over_echo: f64,
}

/// Starts an echo server and gives its address.
pub fn echo() -> SocketAddr {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async move {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            sender.send(listener.local_addr().unwrap()).unwrap();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                stream.set_nodelay(true).unwrap();
                tokio::spawn(reflect(stream));
            }
        });
    });
    receiver.recv().unwrap()
}

async fn reflect(stream: TcpStream) {
    let mut socket = tokio_tungstenite::accept_async(stream).await.unwrap();
    while let Some(Ok(message)) = socket.next().await {
        if message.is_text() && socket.send(message).await.is_err() {
            return;
        }
    }
}

/// The same calls over `sockets` sockets of each kind, for `time` each.
pub async fn compare(
    echo: SocketAddr,
    gateway: &Target,
    sockets: usize,
    time: Duration,
) -> Compared {
    let bare = Target { address: echo, token: None };
    let echo = closed(&bare, What::Echo, sockets, time).await;
    let supervisor = closed(gateway, What::Supervisor, sockets, time).await;
    let worker = closed(gateway, What::Worker, sockets, time).await;
    Compared {
        sockets,
        supervisor_over_echo: supervisor.per_second / echo.per_second,
        worker_over_echo: worker.per_second / echo.per_second,
        echo,
        supervisor,
        worker,
    }
}

async fn closed(target: &Target, what: What, sockets: usize, time: Duration) -> Outcome {
    let mut open = Vec::new();
    for _ in 0..sockets {
        open.push(connect(target, what).await);
    }
    let until = Instant::now() + time;
    let callers: Vec<_> =
        open.into_iter().map(|socket| tokio::spawn(calls(socket, what, until))).collect();
    let mut nanos = Vec::new();
    for caller in callers {
        nanos.extend(caller.await.unwrap());
    }
    Outcome { per_second: nanos.len() as f64 / time.as_secs_f64(), latency: Spread::of(nanos) }
}

async fn calls(mut socket: Socket, what: What, until: Instant) -> Vec<u64> {
    let method = if matches!(what, What::Worker) { "health" } else { "tenants.get" };
    let mut nanos = Vec::new();
    let mut number = 1_u64;
    while Instant::now() < until {
        number += 1;
        let id = number.to_string();
        let frame = json!({"type": "req", "id": id, "method": method, "params": {}});
        let started = Instant::now();
        socket.send(Message::text(frame.to_string())).await.unwrap();
        answer(&mut socket, &id).await;
        nanos.push(started.elapsed().as_nanos() as u64);
    }
    nanos
}

type Socket = WebSocketStream<TcpStream>;

async fn connect(target: &Target, what: What) -> Socket {
    let stream = TcpStream::connect(target.address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let url = format!("ws://{}/", target.address);
    let (mut socket, _) = tokio_tungstenite::client_async(url, stream).await.unwrap();
    if !matches!(what, What::Echo) {
        let params = json!({
            "minProtocol": 4,
            "maxProtocol": 4,
            "client": {"id": "test", "version": "0", "platform": "linux", "mode": "test"},
            "role": "operator",
            "scopes": ["operator.read"],
            "auth": {"token": target.token},
        });
        let frame = json!({"type": "req", "id": "1", "method": "connect", "params": params});
        socket.send(Message::text(frame.to_string())).await.unwrap();
        answer(&mut socket, "1").await;
    }
    socket
}

/// Reads until the answer to `id`; events are passed over.
async fn answer(socket: &mut Socket, id: &str) {
    loop {
        let message = socket.next().await.unwrap().unwrap();
        let Ok(text) = message.to_text() else { continue };
        let frame: Value = serde_json::from_str(text).unwrap();
        if frame["id"] == id {
            assert_ne!(frame["ok"], false, "{frame}");
            return;
        }
    }
}

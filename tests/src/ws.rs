//! A small client of the gateway's WebSocket protocol, and a device's key.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures_util::{SinkExt as _, StreamExt as _};
use ring::digest::{SHA256, digest};
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
use tokio_tungstenite::tungstenite::{self, Message};

/// How long an answer or an event may take.
const PATIENCE: Duration = Duration::from_mins(1);

/// An Ed25519 key with which a device proves itself.
#[derive(Debug)]
pub struct Device {
    key: Ed25519KeyPair,
    id: String,
}

/// A connection that is to be made.
#[derive(Debug, Clone)]
pub struct Connect<'a> {
    address: SocketAddr,
    path: String,
    origin: Option<String>,
    params: Value,
    device: Option<&'a Device>,
}

/// A connection that was let in.
#[derive(Debug)]
pub struct Ws {
    socket: WebSocketStream<TcpStream>,
    hello: Value,
    waiting: VecDeque<Value>,
    calls: u32,
}

/// How a connection ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Closed {
    /// The close code; 1006 where the connection broke off.
    pub code: u16,
    /// The reason.
    pub reason: String,
}

/// A connection that was not let in.
#[derive(Debug)]
pub struct Refused {
    /// The `error` of the answer; null where there was none.
    pub error: Value,
    /// How the connection ended.
    pub closed: Closed,
}

impl Device {
    /// The device of a seed; another seed is another device.
    pub fn of(seed: u8) -> Self {
        let key = Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap();
        let id = digest(&SHA256, key.public_key().as_ref());
        let mut hex = String::new();
        for byte in id.as_ref() {
            write!(hex, "{byte:02x}").unwrap();
        }
        Self { key, id: hex }
    }

    /// SHA-256 of the public key in hexadecimal.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// What stands in `connect` as `device`.
    pub fn proof(&self, params: &Value, challenge: &Value) -> Value {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let lower = |value: &Value| text(value).trim().to_ascii_lowercase();
        let (client, auth) = (&params["client"], &params["auth"]);
        let scopes = params["scopes"].as_array().cloned().unwrap_or_default();
        let scopes: Vec<_> = scopes.iter().map(text).collect();
        let token = if auth["token"].is_string() {
            text(&auth["token"])
        } else {
            text(&auth["deviceToken"])
        };
        let signed = [
            "v3".to_owned(),
            self.id.clone(),
            text(&client["id"]),
            text(&client["mode"]),
            params["role"].as_str().unwrap_or("operator").to_owned(),
            scopes.join(","),
            challenge["ts"].to_string(),
            token,
            text(&challenge["nonce"]),
            lower(&client["platform"]),
            lower(&client["deviceFamily"]),
        ];
        let signature = self.key.sign(signed.join("|").as_bytes());
        json!({
            "id": self.id,
            "publicKey": URL_SAFE_NO_PAD.encode(self.key.public_key().as_ref()),
            "signature": URL_SAFE_NO_PAD.encode(signature.as_ref()),
            "signedAt": challenge["ts"],
            "nonce": challenge["nonce"],
        })
    }
}

impl<'a> Connect<'a> {
    /// An operator like the official command line, with a tenant's token and these scopes.
    pub fn new(address: SocketAddr, token: &str, scopes: &[&str]) -> Self {
        let params = json!({
            "minProtocol": 4, "maxProtocol": 4,
            "client": {"id": "cli", "version": "1.0", "platform": "linux", "mode": "cli"},
            "role": "operator", "scopes": scopes, "caps": [], "auth": {"token": token},
        });
        Self { address, path: "/".to_owned(), origin: None, params, device: None }
    }

    /// The same, for a client that takes what only those get that say so.
    pub fn cap(mut self, cap: &str) -> Self {
        self.params["caps"] = json!([cap]);
        self
    }

    /// A node with these commands.
    pub fn node(address: SocketAddr, token: &str, commands: &[&str]) -> Self {
        let mut node = Self::new(address, token, &[]);
        node.params["client"]["id"] = "node-host".into();
        node.params["client"]["mode"] = "node".into();
        node.params["role"] = "node".into();
        node.params["commands"] = json!(commands);
        node
    }

    /// Another path than `/`.
    pub fn path(mut self, path: &str) -> Self {
        path.clone_into(&mut self.path);
        self
    }

    /// As a browser's page would.
    pub fn origin(mut self, origin: &str) -> Self {
        self.origin = Some(origin.to_owned());
        self
    }

    /// With the proof of a device.
    pub const fn device(mut self, device: &'a Device) -> Self {
        self.device = Some(device);
        self
    }

    /// With another value at a JSON pointer of the parameters, for example `/auth/token`.
    pub fn with(mut self, pointer: &str, value: Value) -> Self {
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        self.params.pointer_mut(parent).unwrap()[key] = value;
        self
    }

    /// Connects, and is let in.
    pub async fn open(&self) -> Ws {
        self.attempt().await.unwrap_or_else(|refused| panic!("not let in: {refused:?}"))
    }

    /// Connects, and is not let in.
    pub async fn refused(&self) -> Refused {
        match self.attempt().await {
            Ok(ws) => panic!("let in: {}", ws.hello),
            Err(refused) => refused,
        }
    }

    /// Connects.
    pub async fn attempt(&self) -> Result<Ws, Refused> {
        let mut ws = self.challenged().await;
        let challenge = ws.next_event("connect.challenge").await;
        let mut params = self.params.clone();
        if let Some(device) = self.device {
            params["device"] = device.proof(&params, &challenge);
        }
        let id = ws.send("connect", params).await;
        match ws.try_answer(&id).await {
            Ok(frame) if frame["ok"] == true => {
                ws.hello = frame["payload"].clone();
                Ok(ws)
            }
            Ok(frame) => Err(Refused { error: frame["error"].clone(), closed: ws.closed().await }),
            Err(closed) => Err(Refused { error: Value::Null, closed }),
        }
    }

    /// A connection that has said nothing yet.
    pub async fn challenged(&self) -> Ws {
        let stream = TcpStream::connect(self.address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let mut request = http::Request::builder()
            .uri(format!("ws://{}{}", self.address, self.path))
            .header("host", self.address.to_string())
            .header("connection", "Upgrade")
            .header("upgrade", "websocket")
            .header("sec-websocket-version", "13")
            .header("sec-websocket-key", tungstenite::handshake::client::generate_key());
        if let Some(origin) = &self.origin {
            request = request.header("origin", origin);
        }
        let request = request.body(()).unwrap();
        let (socket, _) = tokio_tungstenite::client_async(request, stream).await.unwrap();
        Ws { socket, hello: Value::Null, waiting: VecDeque::new(), calls: 0 }
    }
}

impl Ws {
    /// The payload of the answer to `connect`.
    pub const fn hello(&self) -> &Value {
        &self.hello
    }

    /// Calls a method; the first answer is its result, or its `error`.
    pub async fn call(&mut self, method: &str, params: Value) -> Result<Value, Value> {
        let id = self.send(method, params).await;
        let mut frame = self.answer(&id).await;
        if frame["ok"] == true { Ok(frame["payload"].take()) } else { Err(frame["error"].take()) }
    }

    /// Calls a method that must succeed.
    pub async fn ok(&mut self, method: &str, params: Value) -> Value {
        let result = self.call(method, params).await;
        result.unwrap_or_else(|err| panic!("{method} failed: {err}"))
    }

    /// Sends a request without waiting; gives its id.
    pub async fn send(&mut self, method: &str, params: Value) -> String {
        self.calls += 1;
        let id = self.calls.to_string();
        let frame = json!({"type": "req", "id": id, "method": method, "params": params});
        self.raw(&frame.to_string()).await;
        id
    }

    /// Sends any text.
    pub async fn raw(&mut self, text: &str) {
        self.socket.send(Message::text(text)).await.unwrap();
    }

    /// Sends the beginning of a text in parts, with a pong after each, and never its end.
    pub async fn unfinished(&mut self, part: &str, count: usize) {
        for at in 0..count {
            let kind = if at == 0 { Data::Text } else { Data::Continue };
            let part = Frame::message(part.to_owned(), OpCode::Data(kind), false);
            self.socket.feed(Message::Frame(part)).await.unwrap();
            self.socket.send(Message::Pong("x".into())).await.unwrap();
        }
    }

    /// The next answer to the request of that id, as a frame.
    pub async fn answer(&mut self, id: &str) -> Value {
        self.try_answer(id).await.unwrap_or_else(|closed| panic!("no answer: {closed:?}"))
    }

    /// The payload of the next event of that name; what comes before it can still be asked for.
    pub async fn next_event(&mut self, name: &str) -> Value {
        self.event_frame(name).await["payload"].take()
    }

    /// The next event of that name, as a frame.
    pub async fn event_frame(&mut self, name: &str) -> Value {
        let wanted = |frame: &Value| frame["type"] == "event" && frame["event"] == name;
        let frame = self.find(wanted).await;
        frame.unwrap_or_else(|closed| panic!("no event {name}: {closed:?}"))
    }

    /// Events of that name that have come so far; waits for none.
    pub fn seen(&self, name: &str) -> usize {
        self.waiting.iter().filter(|frame| frame["event"] == name).count()
    }

    /// The next frame of an event of one of these names.
    pub async fn next_of(&mut self, names: &[&str]) -> Value {
        let wanted = |frame: &Value| frame["event"].as_str().is_some_and(|it| names.contains(&it));
        self.find(wanted).await.unwrap_or_else(|closed| panic!("{names:?}: {closed:?}"))
    }

    /// Every frame that has come and was not asked for.
    pub const fn frames(&self) -> &VecDeque<Value> {
        &self.waiting
    }

    /// Throws away what has come and was not asked for.
    pub fn forget(&mut self) {
        self.waiting.clear();
    }

    /// How the connection ends; what comes before is thrown away.
    pub async fn closed(&mut self) -> Closed {
        loop {
            if let Err(closed) = self.next().await {
                return closed;
            }
        }
    }

    /// Ends the connection and waits for the other side to do so.
    pub async fn close(mut self) {
        self.socket.close(None).await.unwrap();
        self.closed().await;
    }

    async fn try_answer(&mut self, id: &str) -> Result<Value, Closed> {
        self.find(|frame| frame["type"] == "res" && frame["id"] == id).await
    }

    async fn find(&mut self, wanted: impl Fn(&Value) -> bool) -> Result<Value, Closed> {
        if let Some(at) = self.waiting.iter().position(&wanted) {
            return Ok(self.waiting.remove(at).unwrap());
        }
        loop {
            let frame = self.next().await?;
            if wanted(&frame) {
                return Ok(frame);
            }
            self.waiting.push_back(frame);
        }
    }

    async fn next(&mut self) -> Result<Value, Closed> {
        loop {
            let message = tokio::time::timeout(PATIENCE, self.socket.next()).await;
            match message.expect("nothing came in time") {
                Some(Ok(Message::Text(text))) => return Ok(serde_json::from_str(&text).unwrap()),
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                Some(Ok(Message::Close(Some(frame)))) => {
                    let reason = frame.reason.as_str().to_owned();
                    return Err(Closed { code: frame.code.into(), reason });
                }
                Some(Ok(Message::Close(None))) => {
                    return Err(Closed { code: 1005, reason: String::new() });
                }
                Some(Ok(other)) => panic!("not text: {other:?}"),
                Some(Err(_)) | None => return Err(Closed { code: 1006, reason: String::new() }),
            }
        }
    }
}

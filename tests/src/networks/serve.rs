//! HTTP and WebSocket under our own counterparts: takes requests whole, gives answers, and fails in
//! every way in which a network does. What is answered is left to the counterpart.

mod form;

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures_util::SinkExt as _;
use futures_util::stream;
use http::{HeaderMap, Method, Request, Response, StatusCode, Uri};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full, Limited, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::upgrade::Upgraded;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role};
use tokio_util::sync::{CancellationToken, DropGuard};

pub(crate) use form::{Part, parts};
pub(super) use form::{encoded, fields};

/// The largest body that is taken, in bytes: more than either network takes of a bot.
const MAX_BODY: usize = 32 << 20;

/// Failures that are still to come.
const MAX_FAILURES: usize = 10_000;

/// How one request fails.
#[derive(Debug, Clone)]
pub enum Failure {
    /// Nothing is done, and this is answered: status, headers, body.
    Answer(u16, Vec<(String, String)>, String),
    /// Nothing is done, and the connection is cut.
    Cut,
    /// It is done, and the connection is cut before the answer.
    CutAfter,
    /// It is done, and the answer breaks off after some bytes.
    CutWithin,
    /// It is done, and the answer comes so much later.
    Late(Duration),
}

impl Failure {
    /// An answer of JSON.
    pub fn json(status: u16, headers: &[(&str, &str)], body: &Value) -> Self {
        let headers = headers.iter().map(|(name, value)| ((*name).into(), (*value).into()));
        let kind = ("content-type".to_owned(), "application/json".to_owned());
        Self::Answer(status, headers.chain([kind]).collect(), body.to_string())
    }

    /// An answer of a proxy that stands before the network: its service has failed.
    pub fn gateway(status: u16) -> Self {
        let kind = ("content-type".to_owned(), "text/html".to_owned());
        Self::Answer(status, vec![kind], format!("<html><h1>{status}</h1></html>"))
    }
}

/// Failures that wait for requests, by what is asked.
#[derive(Debug, Default)]
pub(super) struct Failures(Mutex<Vec<(String, Failure)>>);

impl Failures {
    pub(super) fn add(&self, asked: String, failure: Failure, times: usize) {
        let mut all = self.0.lock().unwrap();
        assert!(all.len() + times <= MAX_FAILURES, "more failures than anybody can await");
        all.extend(std::iter::repeat_n((asked, failure), times));
    }

    pub(super) fn take(&self, asked: &str) -> Option<Failure> {
        let mut all = self.0.lock().unwrap();
        let at = all.iter().position(|(it, _)| it == asked)?;
        Some(all.remove(at).1)
    }

    pub(super) fn clear(&self) {
        self.0.lock().unwrap().clear();
    }
}

/// A request, whole.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) query: Vec<(String, String)>,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    /// Whether it wants to become a WebSocket.
    pub(super) upgrades: bool,
}

impl Asked {
    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|it| it.to_str().ok()).unwrap_or_default()
    }

    pub(super) fn query(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(it, _)| it == name).map(|(_, value)| value.as_str())
    }
}

/// What becomes of a request.
#[derive(Debug)]
pub(super) enum Told {
    Whole(Response<Bytes>),
    /// The connection is cut.
    Cut,
    /// The answer breaks off.
    Within(Response<Bytes>),
    /// It becomes a WebSocket.
    Socket,
}

impl Told {
    pub(super) fn json(status: u16, headers: &[(&str, String)], body: &Value) -> Self {
        let mut reply =
            Response::builder().status(status).header("content-type", "application/json");
        for (name, value) in headers {
            reply = reply.header(*name, value);
        }
        Self::Whole(reply.body(body.to_string().into()).unwrap())
    }

    pub(super) fn failure(status: u16, headers: Vec<(String, String)>, body: String) -> Self {
        let mut reply = Response::builder().status(status);
        for (name, value) in headers {
            reply = reply.header(name, value);
        }
        Self::Whole(reply.body(body.into()).unwrap())
    }

    pub(super) fn status(&self) -> u16 {
        match self {
            Self::Whole(reply) | Self::Within(reply) => reply.status().as_u16(),
            Self::Cut => 0,
            Self::Socket => 101,
        }
    }

    /// The same where the request fails like that, after it was done.
    pub(super) async fn after(self, failure: Option<Failure>) -> Self {
        match (failure, self) {
            (Some(Failure::CutAfter), _) => Self::Cut,
            (Some(Failure::CutWithin), Self::Whole(reply)) => Self::Within(reply),
            (Some(Failure::Late(by)), told) => {
                tokio::time::sleep(by).await;
                told
            }
            (_, told) => told,
        }
    }
}

/// A WebSocket that was let in.
pub(super) type Socket = WebSocketStream<TokioIo<Upgraded>>;

/// A counterpart.
pub(super) trait Side: Send + Sync + 'static {
    fn answer(self: Arc<Self>, asked: Asked) -> impl Future<Output = Told> + Send;

    /// Serves a WebSocket until it ends.
    fn socket(self: Arc<Self>, asked: Asked, socket: Socket) -> impl Future<Output = ()> + Send;
}

/// A listener with all that it has begun; dropped, all of it ends.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) address: SocketAddr,
    tasks: CancellationToken,
    _ends: DropGuard,
}

impl Server {
    pub(super) async fn bind() -> (Self, TcpListener) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let tasks = CancellationToken::new();
        let server = Self {
            address: listener.local_addr().unwrap(),
            tasks: tasks.clone(),
            _ends: tasks.drop_guard(),
        };
        (server, listener)
    }

    /// What begins tasks that end with the listener, without keeping it.
    pub(super) fn tasks(&self) -> CancellationToken {
        self.tasks.clone()
    }

    pub(super) fn serve(&self, listener: TcpListener, side: &Arc<impl Side>) {
        spawn(&self.tasks, accept(listener, Arc::clone(side), self.tasks.clone()));
    }
}

/// A task that ends with those others.
pub(super) fn spawn(with: &CancellationToken, task: impl Future<Output = ()> + Send + 'static) {
    drop(tokio::spawn(with.clone().run_until_cancelled_owned(task)));
}

async fn accept(listener: TcpListener, side: Arc<impl Side>, tasks: CancellationToken) {
    while let Ok((stream, _)) = listener.accept().await {
        stream.set_nodelay(true).unwrap();
        let (side, inner) = (Arc::clone(&side), tasks.clone());
        let service = hyper::service::service_fn(move |request| {
            handle(request, Arc::clone(&side), inner.clone())
        });
        let connection = hyper::server::conn::http1::Builder::new()
            .serve_connection(TokioIo::new(stream), service)
            .with_upgrades();
        spawn(&tasks, async { drop(connection.await) });
    }
}

type Body = BoxBody<Bytes, io::Error>;

async fn handle(
    mut request: Request<Incoming>,
    side: Arc<impl Side>,
    tasks: CancellationToken,
) -> Result<Response<Body>, io::Error> {
    let key = request.headers().get("sec-websocket-key").map(|it| derive_accept_key(it.as_bytes()));
    let upgrade = key.is_some().then(|| hyper::upgrade::on(&mut request));
    let (parts, body) = request.into_parts();
    let body = Limited::new(body, MAX_BODY).collect().await.map_err(io::Error::other)?.to_bytes();
    let asked = Asked {
        method: parts.method,
        path: form::decoded(parts.uri.path(), false),
        query: fields(parts.uri.query().unwrap_or_default()),
        headers: parts.headers,
        body,
        upgrades: key.is_some(),
    };
    let again = Asked {
        method: asked.method.clone(),
        path: asked.path.clone(),
        query: asked.query.clone(),
        headers: asked.headers.clone(),
        body: Bytes::new(),
        upgrades: asked.upgrades,
    };
    match Arc::clone(&side).answer(asked).await {
        Told::Whole(reply) => {
            Ok(reply.map(|it| Full::new(it).map_err(|never| match never {}).boxed()))
        }
        Told::Within(reply) => Ok(reply.map(broken)),
        Told::Cut => Err(io::Error::other("cut")),
        Told::Socket => {
            let (Some(upgrade), Some(key)) = (upgrade, key) else {
                return Err(io::Error::other("no upgrade was asked for"));
            };
            spawn(&tasks, async move {
                let Ok(upgraded) = upgrade.await else { return };
                let socket = TokioIo::new(upgraded);
                let socket = WebSocketStream::from_raw_socket(socket, Role::Server, None).await;
                side.socket(again, socket).await;
            });
            let reply = Response::builder()
                .status(StatusCode::SWITCHING_PROTOCOLS)
                .header("connection", "Upgrade")
                .header("upgrade", "websocket")
                .header("sec-websocket-accept", key);
            let empty = Full::new(Bytes::new()).map_err(|never| match never {}).boxed();
            Ok(reply.body(empty).unwrap())
        }
    }
}

/// A body of which the second half never comes.
fn broken(mut whole: Bytes) -> Body {
    let half = whole.split_to(whole.len() / 2);
    let pieces = [Ok(Frame::data(half)), Err(io::Error::other("cut"))];
    StreamBody::new(stream::iter(pieces)).boxed()
}

/// Ends a WebSocket with a code and a reason.
pub(super) async fn close(mut socket: Socket, code: u16, reason: &str) {
    let frame = CloseFrame { code: code.into(), reason: reason.to_owned().into() };
    // Where the other side has gone already there is nobody to tell.
    drop(socket.send(Message::Close(Some(frame))).await);
    drop(socket.close(None).await);
}

/// A client for what a network posts to the addresses of its bots.
pub(super) type Poster = Client<HttpConnector, Full<Bytes>>;

pub(super) fn poster() -> Poster {
    // Each on a connection of its own: one that was cut spoils no other.
    Client::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build_http()
}

/// Posts, and gives the answer's status, headers and body.
///
/// # Errors
/// When no whole answer came in that time.
pub(super) async fn post(
    poster: &Poster,
    url: &str,
    headers: &[(&str, String)],
    body: String,
    within: Duration,
) -> Result<Response<Bytes>, Unposted> {
    let uri: Uri = url.parse().unwrap_or_else(|err| panic!("{url}: {err}"));
    let mut request = Request::post(uri);
    for (name, value) in headers {
        request = request.header(*name, value);
    }
    let request = request.body(Full::new(Bytes::from(body))).unwrap();
    let answer = async {
        let (parts, body) = poster.request(request).await.or(Err(Unposted::Failed))?.into_parts();
        let body = Limited::new(body, MAX_BODY).collect().await.or(Err(Unposted::Failed))?;
        Ok(Response::from_parts(parts, body.to_bytes()))
    };
    tokio::time::timeout(within, answer).await.unwrap_or(Err(Unposted::Late))
}

/// Why no answer came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unposted {
    /// Nobody listens, or the connection broke.
    Failed,
    /// Not in time.
    Late,
}

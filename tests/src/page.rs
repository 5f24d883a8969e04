//! A visitor's page without a browser: the frames of its socket, and what it would show.

mod visitor;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use http::StatusCode;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::{self, Error, Message};

pub use visitor::Visitor;

/// How long an answer may take: what comes back from a kill waits for its turn.
const PATIENCE: Duration = Duration::from_mins(1);

/// The page of an account: where it is.
#[derive(Debug, Clone)]
pub struct Site {
    address: SocketAddr,
    path: String,
}

/// One open page.
#[derive(Debug)]
pub struct Page {
    /// Its socket.
    pub socket: WebSocketStream<TcpStream>,
    /// The visitor's id.
    pub id: String,
    /// What the page keeps of its visitor; null for one for whom the site has signed.
    pub word: Value,
    /// Whether what was shown before is not shown any more.
    pub anew: bool,
    /// The latest change.
    pub rev: u64,
    /// What is shown, by place.
    pub items: BTreeMap<u64, Value>,
}

/// Why a page was not opened, or is not open any more: its last frame, and the code of its end.
#[derive(Debug, PartialEq)]
pub struct Ended {
    /// The `error`; null where nothing was said.
    pub error: Value,
    /// The code; 0 where there was none.
    pub code: u16,
}

impl Site {
    /// The page that `channels add` has printed the path of.
    pub fn new(address: SocketAddr, added: &Value) -> Self {
        Self { address, path: added["path"].as_str().unwrap().to_owned() }
    }

    /// The path, with slashes around it.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// A socket from a page of `origin`, of which nothing is said yet.
    ///
    /// # Errors
    /// With the status that there is instead of one.
    pub async fn knock(
        &self,
        origin: Option<&str>,
    ) -> Result<WebSocketStream<TcpStream>, StatusCode> {
        match self.open(origin).await {
            Ok(socket) => Ok(socket),
            Err(Error::Http(response)) => Err(response.status()),
            Err(err) => panic!("no socket: {err}"),
        }
    }

    async fn open(&self, origin: Option<&str>) -> Result<WebSocketStream<TcpStream>, Error> {
        let stream = TcpStream::connect(self.address).await?;
        stream.set_nodelay(true)?;
        let mut request = http::Request::builder()
            .uri(format!("ws://{}{}socket", self.address, self.path))
            .header("host", self.address.to_string())
            .header("connection", "Upgrade")
            .header("upgrade", "websocket")
            .header("sec-websocket-version", "13")
            .header("sec-websocket-key", tungstenite::handshake::client::generate_key());
        if let Some(origin) = origin {
            request = request.header("origin", origin);
        }
        let request = request.body(()).unwrap();
        Ok(tokio_tungstenite::client_async(request, stream).await?.0)
    }

    /// A page that says this in its `hello`, with all that it is shown at first.
    ///
    /// # Errors
    /// When it is ended instead.
    pub async fn enter(&self, hello: Value) -> Result<Page, Ended> {
        let own = format!("http://{}", self.address);
        let socket = self.knock(Some(&own)).await.expect("a socket");
        Self::greet(socket, hello).await
    }

    /// The same, where it may be that nobody is there: then there is none.
    pub async fn try_enter(&self, hello: Value) -> Option<Page> {
        let own = format!("http://{}", self.address);
        let socket = self.open(Some(&own)).await.ok()?;
        Self::greet(socket, hello).await.ok()
    }

    async fn greet(socket: WebSocketStream<TcpStream>, hello: Value) -> Result<Page, Ended> {
        let (id, word) = (String::new(), Value::Null);
        let mut page = Page { socket, id, word, anew: false, rev: 0, items: BTreeMap::new() };
        let mut frame = json!({"type": "hello"});
        let more: serde_json::Map<_, _> = serde_json::from_value(hello).unwrap();
        frame.as_object_mut().unwrap().extend(more);
        page.raw(&frame.to_string()).await;
        let welcome = page.until("welcome").await?;
        page.id = welcome["id"].as_str().unwrap().to_owned();
        page.word = welcome["visitor"].clone();
        page.anew = welcome["anew"].as_bool().unwrap();
        let ready = page.until("ready").await?;
        page.rev = ready["rev"].as_u64().unwrap();
        Ok(page)
    }

    /// A page of somebody new.
    pub async fn new_visitor(&self) -> Page {
        self.enter(json!({})).await.unwrap()
    }
}

impl Page {
    /// Sends any text; it is heard where nobody listens any more.
    pub async fn raw(&mut self, text: &str) {
        if let Err(err) = self.socket.send(Message::text(text)).await {
            assert!(matches!(err, Error::ConnectionClosed | Error::Io(_)), "{err}");
        }
    }

    /// Sends a message without waiting.
    pub async fn send(&mut self, id: &str, text: &str) {
        let frame = json!({"type": "say", "message": {"id": id, "text": text}});
        self.raw(&frame.to_string()).await;
    }

    /// Sends a message; gives what became of it: `kept`, `refused` or `later`.
    pub async fn say(&mut self, id: &str, text: &str) -> Value {
        self.send(id, text).await;
        loop {
            let frame = self.next().await.unwrap();
            if frame["id"] == id && frame["type"] != "item" {
                return frame;
            }
        }
    }

    /// The next frame. What it shows is among the items then.
    ///
    /// # Errors
    /// When there is none any more.
    pub async fn next(&mut self) -> Result<Value, Ended> {
        let mut error = Value::Null;
        loop {
            let message = tokio::time::timeout(PATIENCE, self.socket.next()).await;
            match message.expect("nothing comes") {
                Some(Ok(Message::Text(text))) => {
                    let frame: Value = serde_json::from_str(&text).unwrap();
                    if frame["type"] == "error" {
                        error = frame;
                        continue;
                    }
                    if frame["type"] == "item" {
                        self.items.insert(frame["seq"].as_u64().unwrap(), frame["it"].clone());
                    }
                    return Ok(frame);
                }
                Some(Ok(Message::Close(close))) => {
                    let code = close.map_or(0, |it| it.code.into());
                    return Err(Ended { error, code });
                }
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return Err(Ended { error, code: 0 }),
            }
        }
    }

    /// The next frame of a type.
    ///
    /// # Errors
    /// When there is none any more.
    pub async fn until(&mut self, kind: &str) -> Result<Value, Ended> {
        loop {
            let frame = self.next().await?;
            if frame["type"] == kind {
                return Ok(frame);
            }
        }
    }

    /// How the page ends.
    pub async fn ended(mut self) -> Ended {
        loop {
            if let Err(ended) = self.next().await {
                return ended;
            }
        }
    }

    /// Waits until so many answers are shown; gives them in their order.
    pub async fn answers(&mut self, count: usize) -> Vec<String> {
        loop {
            let answers = self.shown("message");
            if answers.len() >= count {
                return answers;
            }
            self.next().await.unwrap();
        }
    }

    /// Waits until just these answers are shown: one may grow before it is whole.
    pub async fn reads(&mut self, answers: &[&str]) {
        while self.shown("message") != answers {
            self.next().await.unwrap();
        }
    }

    /// The texts that are shown of what visitors said, or what was answered.
    pub fn shown(&self, kind: &str) -> Vec<String> {
        let of = self.items.values().filter(|it| it["type"] == kind);
        let text = of.map(|it| if kind == "said" { &it["message"]["text"] } else { &it["text"] });
        text.map(|it| it.as_str().unwrap_or_default().to_owned()).collect()
    }
}

//! An address at which a bot is told something: it keeps what comes, and answers as it is told to. For
//! the tests of the counterparts themselves, where there is no gateway yet.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;

use super::found;
use super::serve::{Asked, Server, Side, Socket, Told};

/// Requests that are kept: more than the longest test brings.
const MAX_CAME: usize = 1_000_000;

/// The address; dropped, nobody is there.
#[derive(Debug)]
pub struct Receiver {
    inner: Arc<Inner>,
    server: Server,
}

/// A request that came.
#[derive(Debug, Clone)]
pub struct Came {
    /// Its path.
    pub path: String,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
}

/// One answer.
#[derive(Debug, Clone, Default)]
pub struct Says {
    /// How long it takes.
    pub after: Duration,
    /// Its status; 0 is none, and the connection is cut.
    pub status: u16,
    /// Its headers.
    pub headers: Vec<(String, String)>,
    /// Its body.
    pub body: String,
}

type Answer = Box<dyn Fn(&Came) -> Says + Send + Sync>;

struct Inner {
    came: Mutex<Vec<Came>>,
    next: Mutex<VecDeque<Says>>,
    usual: Answer,
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inner").field("came", &self.came).finish_non_exhaustive()
    }
}

impl Receiver {
    /// Starts one that answers so, where it is not told otherwise.
    pub async fn start(usual: impl Fn(&Came) -> Says + Send + Sync + 'static) -> Self {
        let (server, listener) = Server::bind().await;
        let usual = Box::new(usual);
        let inner = Arc::new(Inner { came: Mutex::default(), next: Mutex::default(), usual });
        server.serve(listener, &inner);
        Self { inner, server }
    }

    /// Where it is.
    pub fn url(&self) -> String {
        format!("http://{}/events", self.server.address)
    }

    /// Its address without the path.
    pub const fn address(&self) -> SocketAddr {
        self.server.address
    }

    /// What it answers to the next requests, one after the other.
    pub fn then(&self, says: impl IntoIterator<Item = Says>) {
        self.inner.next.lock().unwrap().extend(says);
    }

    /// What came, oldest first.
    pub fn came(&self) -> Vec<Came> {
        self.inner.came.lock().unwrap().clone()
    }

    /// What came after so much, oldest first.
    pub fn since(&self, count: usize) -> Vec<Came> {
        self.inner.came.lock().unwrap().get(count..).unwrap_or_default().to_vec()
    }

    /// Waits until so much has come, and gives it.
    pub async fn has(&self, count: usize) -> Vec<Came> {
        found("requests", || Some(self.came()).filter(|it| it.len() >= count)).await
    }
}

impl Came {
    /// A header.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|it| it.to_str().ok()).unwrap_or_default()
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON; null where it is none.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

impl Says {
    /// An answer with a status and a body.
    pub fn new(status: u16, body: &str) -> Self {
        Self { status, body: body.to_owned(), ..Self::default() }
    }

    /// The same with one more header.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The same, so much later.
    pub const fn after(mut self, after: Duration) -> Self {
        self.after = after;
        self
    }
}

impl Side for Inner {
    async fn answer(self: Arc<Self>, asked: Asked) -> Told {
        let came = Came { path: asked.path, headers: asked.headers, body: asked.body };
        let next = self.next.lock().unwrap().pop_front();
        let says = next.unwrap_or_else(|| (self.usual)(&came));
        {
            let mut all = self.came.lock().unwrap();
            assert!(all.len() < MAX_CAME, "too much comes");
            all.push(came);
        }
        tokio::time::sleep(says.after).await;
        if says.status == 0 {
            Told::Cut
        } else {
            Told::failure(says.status, says.headers, says.body)
        }
    }

    async fn socket(self: Arc<Self>, _asked: Asked, socket: Socket) {
        drop(socket);
    }
}

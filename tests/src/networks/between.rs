//! What stands between the gateway and a network, and keeps back what a test says: a message on its way,
//! or the answer to it. Everything else passes as it is.

mod stream;

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy, copy_bidirectional, sink};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::found;
use super::serve::{Server, spawn};

/// Bytes of a request's head.
const MAX_HEAD: usize = 64 << 10;

/// How long whoever is told to wait is to wait.
const WAIT: Duration = Duration::from_mins(10);

/// The same where it is not for long.
const SOON: Duration = Duration::from_secs(2);

/// What becomes of requests of one kind, or of what is said over connections that stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// They pass.
    Passed,
    /// Nobody gets them, and nobody answers.
    Held,
    /// They arrive, and nobody hears of it.
    Unanswered,
    /// They are told to wait longer than any test does; where nobody can be told that, nobody is let in.
    PutOff,
    /// They are told to wait a moment, again and again.
    Later,
}

/// It; dropped, it ends with all that goes through it.
#[derive(Debug)]
pub struct Between {
    server: Server,
    inner: Arc<Inner>,
}

/// How the two sides talk.
#[derive(Debug, Clone, Copy)]
enum Manner {
    /// By requests, each on a connection of its own.
    Requests,
    /// Over connections that stay. Messages come from this side.
    Stream(Side),
}

/// One side of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Whoever has connected.
    Near,
    /// Whoever was connected to.
    Far,
}

#[derive(Debug)]
struct Inner {
    to: SocketAddr,
    /// What a request's first line has that is of the kind, or what is said over a connection.
    kind: Mutex<&'static str>,
    manner: Manner,
    fate: watch::Sender<Fate>,
    met: AtomicUsize,
}

impl Between {
    /// Stands before `to`, and knows requests by what is in their first line.
    pub async fn start(to: SocketAddr, kind: &'static str) -> Self {
        Self::of(to, kind, Manner::Requests).await
    }

    /// Stands before `to`, where connections stay: messages come from that side of them, and have that in
    /// their text.
    pub async fn stream(to: SocketAddr, kind: &'static str, from: Side) -> Self {
        Self::of(to, kind, Manner::Stream(from)).await
    }

    async fn of(to: SocketAddr, kind: &'static str, manner: Manner) -> Self {
        let (server, listener) = Server::bind().await;
        let (fate, met) = (watch::Sender::new(Fate::Passed), AtomicUsize::new(0));
        let inner = Arc::new(Inner { to, kind: Mutex::new(kind), manner, fate, met });
        let (shared, tasks) = (Arc::clone(&inner), server.tasks());
        spawn(&server.tasks(), async move {
            while let Ok((stream, _)) = listener.accept().await {
                serve(&tasks, stream, &shared);
            }
        });
        Self { server, inner }
    }

    /// Where it is.
    pub fn url(&self) -> String {
        format!("http://{}", self.server.address)
    }

    /// Requests are known by this from now on.
    pub fn means(&self, kind: &'static str) {
        *self.inner.kind.lock().unwrap() = kind;
    }

    /// What becomes of requests of its kind from now on. Whoever is cut off by it knows that afterwards.
    pub async fn turn(&self, fate: Fate) {
        self.inner.fate.send_modify(|it| {
            self.inner.met.store(0, Ordering::SeqCst);
            *it = fate;
        });
        if fate == Fate::PutOff && matches!(self.inner.manner, Manner::Stream(_)) {
            self.has_met(1).await;
        }
    }

    /// Waits until so many have met that fate.
    pub async fn has_met(&self, count: usize) {
        let met = || (self.inner.met.load(Ordering::SeqCst) >= count).then_some(());
        found("requests that are kept back", met).await;
    }
}

impl Inner {
    fn fate(&self) -> Fate {
        *self.fate.borrow()
    }

    fn kind(&self) -> &'static str {
        *self.kind.lock().unwrap()
    }

    fn meets(&self) {
        self.met.fetch_add(1, Ordering::SeqCst);
    }
}

fn serve(tasks: &CancellationToken, stream: TcpStream, inner: &Arc<Inner>) {
    let inner = Arc::clone(inner);
    // Whoever hangs up has done so.
    spawn(tasks, async move {
        drop(match inner.manner {
            Manner::Requests => pass(stream, &inner).await,
            Manner::Stream(from) => stream::pass(stream, &inner, from).await,
        });
    });
}

/// A request as far as its head at least.
///
/// # Errors
/// When whoever asks hangs up before.
pub(super) async fn head(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    while !head.windows(4).any(|it| it == b"\r\n\r\n") && head.len() < MAX_HEAD {
        if stream.read_buf(&mut head).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(head)
}

async fn pass(mut stream: TcpStream, inner: &Inner) -> io::Result<()> {
    let head = head(&mut stream).await?;
    let line = head.split(|it| *it == b'\r').next().unwrap_or_default();
    let is_meant = String::from_utf8_lossy(line).contains(inner.kind());
    let fate = if is_meant { inner.fate() } else { Fate::Passed };
    if is_meant {
        inner.meets();
    }
    match fate {
        Fate::Passed => {
            let mut far = TcpStream::connect(inner.to).await?;
            far.write_all(&head).await?;
            copy_bidirectional(&mut stream, &mut far).await?;
        }
        Fate::Held => {
            copy(&mut stream, &mut sink()).await?;
        }
        Fate::Unanswered => {
            let mut far = TcpStream::connect(inner.to).await?;
            far.write_all(&head).await?;
            let (mut from, mut to) = far.split();
            let mut nobody = sink();
            tokio::try_join!(copy(&mut stream, &mut to), copy(&mut from, &mut nobody))?;
        }
        Fate::PutOff => put_off(stream, WAIT).await?,
        Fate::Later => put_off(stream, SOON).await?,
    }
    Ok(())
}

/// Says that one is to wait so long.
async fn put_off(mut stream: TcpStream, wait: Duration) -> io::Result<()> {
    let wait = wait.as_secs();
    let answer = format!(
        "HTTP/1.1 429 Too Many Requests\r\nretry-after: {wait}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
    );
    stream.write_all(answer.as_bytes()).await?;
    copy(&mut stream, &mut sink()).await?;
    Ok(())
}

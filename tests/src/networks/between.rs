//! What stands between the gateway and a network, and keeps back what a test says: a message on its way,
//! or the answer to it. Everything else passes as it is.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy, copy_bidirectional, sink};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

use super::found;
use super::serve::{Server, spawn};

/// Bytes of a request's head.
const MAX_HEAD: usize = 64 << 10;

/// How long whoever is told to wait is to wait.
const WAIT: Duration = Duration::from_mins(10);

/// What becomes of requests of one kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// They pass.
    Passed,
    /// Nobody gets them, and nobody answers.
    Held,
    /// They arrive, and nobody hears of it.
    Unanswered,
    /// They are told to wait longer than any test does.
    PutOff,
}

/// It; dropped, it ends with all that goes through it.
#[derive(Debug)]
pub struct Between {
    server: Server,
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    to: SocketAddr,
    /// What the first line of a request has that is of that kind.
    kind: &'static str,
    state: Mutex<(Fate, usize)>,
}

impl Between {
    /// Stands before `to`, and knows requests by what is in their first line.
    pub async fn start(to: SocketAddr, kind: &'static str) -> Self {
        let (server, listener) = Server::bind().await;
        let inner = Arc::new(Inner { to, kind, state: Mutex::new((Fate::Passed, 0)) });
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

    /// What becomes of requests of its kind from now on.
    pub fn turn(&self, fate: Fate) {
        *self.inner.state.lock().unwrap() = (fate, 0);
    }

    /// Waits until so many have met that fate.
    pub async fn has_met(&self, count: usize) {
        let met = || (self.inner.state.lock().unwrap().1 >= count).then_some(());
        found("requests that are kept back", met).await;
    }
}

fn serve(tasks: &CancellationToken, stream: TcpStream, inner: &Arc<Inner>) {
    let inner = Arc::clone(inner);
    // Whoever hangs up has done so.
    spawn(tasks, async move { drop(pass(stream, &inner).await) });
}

async fn pass(mut stream: TcpStream, inner: &Inner) -> io::Result<()> {
    let mut head = Vec::new();
    while !head.windows(4).any(|it| it == b"\r\n\r\n") && head.len() < MAX_HEAD {
        if stream.read_buf(&mut head).await? == 0 {
            return Ok(());
        }
    }
    let line = head.split(|it| *it == b'\r').next().unwrap_or_default();
    let is_meant = String::from_utf8_lossy(line).contains(inner.kind);
    let fate = {
        let mut state = inner.state.lock().unwrap();
        state.1 += usize::from(is_meant);
        if is_meant { state.0 } else { Fate::Passed }
    };
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
        Fate::PutOff => {
            let wait = WAIT.as_secs();
            let answer = format!(
                "HTTP/1.1 429 Too Many Requests\r\nretry-after: {wait}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
            );
            stream.write_all(answer.as_bytes()).await?;
            copy(&mut stream, &mut sink()).await?;
        }
    }
    Ok(())
}

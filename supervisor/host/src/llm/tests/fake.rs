//! A provider on loopback that answers what a test tells it to, and notes what it is asked.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use runtime::Tasks;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// One answer.
#[derive(Clone)]
pub(crate) struct Act {
    status: u16,
    headers: String,
    /// Each a chunk of its own.
    pieces: Vec<String>,
    end: End,
}

/// What happens after the last piece.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// The answer is complete and the connection stays.
    Whole,
    /// The connection breaks.
    Cut,
    /// Nothing more comes.
    Hang,
    /// The answer is complete, and the connection ends afterwards without a word.
    Bye,
}

/// What a provider was asked.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) head: String,
    pub(super) body: serde_json::Value,
}

pub(crate) struct Fake {
    pub(crate) address: SocketAddr,
    state: Arc<Mutex<State>>,
    closed: UnboundedReceiver<()>,
}

#[derive(Default)]
struct State {
    script: VecDeque<Act>,
    seen: Vec<Seen>,
    connections: usize,
}

impl Act {
    pub(super) fn events(pieces: &[&str]) -> Self {
        Self {
            status: 200,
            headers: "content-type: text/event-stream\r\n".to_owned(),
            pieces: pieces.iter().map(|it| (*it).to_owned()).collect(),
            end: End::Whole,
        }
    }

    pub(crate) fn status(status: u16, body: &str) -> Self {
        let headers = "content-type: application/json\r\n".to_owned();
        Self { status, headers, pieces: vec![body.to_owned()], end: End::Whole }
    }

    pub(super) fn header(mut self, header: &str) -> Self {
        self.headers += header;
        self.headers += "\r\n";
        self
    }

    pub(super) fn end(self, end: End) -> Self {
        Self { end, ..self }
    }

    /// Takes the request and does nothing.
    pub(super) fn silence() -> Self {
        Self { status: 0, ..Self::events(&[]) }.end(End::Hang)
    }
}

impl Fake {
    /// Answers with `script`, one after the other; then with 500.
    pub(crate) async fn start(script: impl IntoIterator<Item = Act>, tasks: &Tasks) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let script = script.into_iter().collect();
        let state = Arc::new(Mutex::new(State { script, ..State::default() }));
        let (close, closed) = unbounded_channel();
        let (shared, scope) = (Arc::clone(&state), tasks.clone());
        tasks.spawn_until_stopped(async move {
            while let Ok((stream, _)) = listener.accept().await {
                shared.lock().unwrap().connections += 1;
                let connection = serve(stream, Arc::clone(&shared), close.clone());
                scope.spawn_until_stopped(connection);
            }
        });
        Self { address, state, closed }
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.state.lock().unwrap().seen.clone()
    }

    pub(super) fn connections(&self) -> usize {
        self.state.lock().unwrap().connections
    }

    /// Resolves when a client has closed a connection on which an answer was still due.
    pub(super) async fn hung_up_on(&mut self) {
        self.closed.recv().await.unwrap();
    }
}

async fn serve(mut stream: TcpStream, state: Arc<Mutex<State>>, close: UnboundedSender<()>) {
    while let Some(seen) = read(&mut stream).await {
        let act = {
            let mut state = state.lock().unwrap();
            state.seen.push(seen);
            state.script.pop_front().unwrap_or_else(|| Act::status(500, "{}"))
        };
        if write(&mut stream, &act).await.is_err() {
            return;
        }
        match act.end {
            End::Whole => {}
            End::Cut | End::Bye => return,
            End::Hang => {
                let mut byte = [0];
                if matches!(stream.read(&mut byte).await, Ok(0) | Err(_)) {
                    close.send(()).unwrap_or_default();
                }
                return;
            }
        }
    }
}

async fn read(stream: &mut TcpStream) -> Option<Seen> {
    let mut bytes = Vec::new();
    let (head, length) = loop {
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
        let text = String::from_utf8_lossy(&bytes);
        if let Some((head, _)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            break (head.to_owned(), length.map_or(0, |it| it.parse().unwrap()));
        }
    };
    let start = head.len() + 4;
    while bytes.len() < start + length {
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
    let body = serde_json::from_slice(&bytes[start..start + length]).unwrap_or_default();
    Some(Seen { head, body })
}

async fn write(stream: &mut TcpStream, act: &Act) -> std::io::Result<()> {
    if act.status == 0 {
        return Ok(());
    }
    let head =
        format!("HTTP/1.1 {} X\r\n{}transfer-encoding: chunked\r\n\r\n", act.status, act.headers);
    stream.write_all(head.as_bytes()).await?;
    for piece in &act.pieces {
        stream.write_all(format!("{:x}\r\n{piece}\r\n", piece.len()).as_bytes()).await?;
        stream.flush().await?;
    }
    if matches!(act.end, End::Whole | End::Bye) {
        stream.write_all(b"0\r\n\r\n").await?;
    }
    Ok(())
}

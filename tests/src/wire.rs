//! A connection on which a test decides every byte. It reads replies as they are framed and adds
//! nothing of its own.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};

use crate::client::Reply;

/// How long the gateway may take for its next byte, and for taking ours.
const PATIENCE: Duration = Duration::from_mins(1);

/// How a body in chunks ends. No event holds it.
const LAST_CHUNK: &[u8] = b"\r\n0\r\n\r\n";

/// One connection.
#[derive(Debug)]
pub struct Wire {
    stream: TcpStream,
    unread: Vec<u8>,
}

impl Wire {
    /// Connects.
    pub async fn open(address: SocketAddr) -> Self {
        Self::with_room(address, None).await
    }

    /// Connects with so small a buffer for what arrives that a few replies fill it.
    pub async fn open_narrow(address: SocketAddr) -> Self {
        Self::with_room(address, Some(4096)).await
    }

    async fn with_room(address: SocketAddr, room: Option<u32>) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        if let Some(room) = room {
            socket.set_recv_buffer_size(room).unwrap();
        }
        let stream = socket.connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream, unread: Vec::new() }
    }

    /// Sends, and minds nothing: the gateway may have answered and closed already.
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        let sent = tokio::time::timeout(PATIENCE, self.stream.write_all(bytes.as_ref())).await;
        if let Err(err) = sent.expect("the gateway takes what is sent or closes") {
            assert!(is_end(err.kind()), "{err}");
        }
    }

    /// The next reply; `None` when the connection ended before it began.
    pub async fn reply(&mut self) -> Option<Reply> {
        let (status, headers) = self.head().await?;
        let length = headers.get("content-length").map_or("0", |it| it.to_str().unwrap());
        let length: usize = length.parse().unwrap();
        while self.unread.len() < length {
            assert!(self.more().await, "a reply was cut off");
        }
        let body: Vec<u8> = self.unread.drain(..length).collect();
        Some(Reply { status, headers, body: body.into() })
    }

    /// The status of the next reply, whose body is read to its end, however it is framed, and thrown
    /// away; `None` when the connection ended before it.
    pub async fn outcome(&mut self) -> Option<u16> {
        let (status, headers) = self.head().await?;
        let end = loop {
            let end = if let Some(length) = headers.get("content-length") {
                let length: usize = length.to_str().unwrap().parse().unwrap();
                (self.unread.len() >= length).then_some(length)
            } else {
                let end = self.unread.windows(LAST_CHUNK.len()).position(|it| it == LAST_CHUNK);
                end.map(|end| end + LAST_CHUNK.len())
            };
            if let Some(end) = end {
                break end;
            }
            if !self.more().await {
                return None;
            }
        };
        drop(self.unread.drain(..end));
        Some(status.as_u16())
    }

    /// The head of the next reply, whose body stays unread.
    pub async fn head(&mut self) -> Option<(StatusCode, HeaderMap)> {
        let end = loop {
            let end = self.unread.windows(4).position(|window| window == b"\r\n\r\n");
            if let Some(end) = end {
                break end;
            }
            if !self.more().await {
                let left = String::from_utf8_lossy(&self.unread);
                assert!(left.is_empty(), "the connection ended in {left:?}");
                return None;
            }
        };
        let head: Vec<u8> = self.unread.drain(..end + 4).collect();
        let head = String::from_utf8(head).unwrap();
        let mut lines = head.trim_end().split("\r\n");
        let status = lines.next().unwrap().strip_prefix("HTTP/1.1 ").expect("a status line");
        let status = status.split(' ').next().unwrap().parse().unwrap();
        let field = |line: &str| {
            let (name, value) = line.split_once(": ").expect("a field");
            let name: HeaderName = name.parse().unwrap();
            (name, HeaderValue::from_str(value).unwrap())
        };
        Some((status, lines.map(field).collect()))
    }

    /// The statuses of every reply until the gateway closes.
    pub async fn statuses(mut self) -> Vec<u16> {
        let mut statuses = Vec::new();
        while let Some(reply) = self.reply().await {
            statuses.push(reply.status.as_u16());
        }
        statuses
    }

    /// Whether another byte came before the end.
    async fn more(&mut self) -> bool {
        let read = tokio::time::timeout(PATIENCE, self.stream.read_buf(&mut self.unread)).await;
        match read.expect("the gateway answers or closes") {
            Ok(count) => count > 0,
            Err(err) if is_end(err.kind()) => false,
            Err(err) => panic!("{err}"),
        }
    }
}

fn is_end(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::ConnectionReset | ErrorKind::BrokenPipe)
}

//! A sandbox's programs at the proxy: honest ones and others.

mod plain;
mod tunnels;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::*;
use crate::testing::{House, Notes};

/// A proxy on loopback.
struct Served {
    port: u16,
    guard: Guard,
    notes: Arc<Notes>,
}

fn serve_for(house: &House) -> Served {
    let listener = StdTcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let guard = house.outlet.proxy(listener.into(), &house.tasks).unwrap();
    Served { port, guard, notes: Arc::clone(&house.notes) }
}

impl Served {
    async fn connect(&self) -> TcpStream {
        TcpStream::connect(("127.0.0.1", self.port)).await.unwrap()
    }

    /// All that comes back for `sent`.
    async fn send(&self, sent: &str) -> String {
        let mut stream = self.connect().await;
        stream.write_all(sent.as_bytes()).await.unwrap();
        let mut read = Vec::new();
        // A proxy that closes with something unread resets the connection.
        drop(stream.read_to_end(&mut read).await);
        String::from_utf8_lossy(&read).into_owned()
    }

    /// That `sent` is refused with this status and a sentence that has this part, as in the log.
    async fn refuses(&self, sent: &str, status: u16, part: &str) {
        let answer = self.send(sent).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{sent}: {answer}");
        assert!(answer.contains(part), "{sent}: {answer}");
        let note = self.notes.all().pop().unwrap_or_default();
        assert!(note.starts_with("egress refused: ") && note.contains(part), "{sent}: {note}");
    }
}

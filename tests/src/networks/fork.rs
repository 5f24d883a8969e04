//! One address of several servers: the first step of a request's path says by its number which one is meant,
//! and does not reach it.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::{AsyncWriteExt as _, copy_bidirectional};
use tokio::net::TcpStream;

use super::between::head;
use super::serve::{Server, spawn};

/// It; dropped, it ends with all that goes through it.
#[derive(Debug)]
pub struct Fork {
    server: Server,
}

impl Fork {
    /// Stands before these. Each request is on a connection of its own.
    pub async fn start(servers: Vec<SocketAddr>) -> Self {
        let (server, listener) = Server::bind().await;
        let (servers, tasks) = (Arc::new(servers), server.tasks());
        spawn(&server.tasks(), async move {
            while let Ok((stream, _)) = listener.accept().await {
                let servers = Arc::clone(&servers);
                // Whoever hangs up has done so.
                spawn(&tasks, async move { drop(pass(stream, &servers).await) });
            }
        });
        Self { server }
    }

    /// Where all of them are.
    pub fn url(&self) -> String {
        format!("http://{}", self.server.address)
    }

    /// Where the server of that number is.
    pub fn url_of(&self, number: usize) -> String {
        format!("{}/{number}", self.url())
    }
}

async fn pass(mut stream: TcpStream, servers: &[SocketAddr]) -> io::Result<()> {
    let head = head(&mut stream).await?;
    let (to, head) = meant(&head, servers).ok_or(io::ErrorKind::InvalidInput)?;
    let mut far = TcpStream::connect(to).await?;
    far.write_all(&head).await?;
    copy_bidirectional(&mut stream, &mut far).await?;
    Ok(())
}

/// Which server is meant, and the request as that one gets it.
fn meant(head: &[u8], servers: &[SocketAddr]) -> Option<(SocketAddr, Vec<u8>)> {
    let (method, rest) = head.split_at(head.windows(2).position(|it| it == b" /")? + 1);
    let (number, path) = rest.split_at(rest.iter().skip(1).position(|it| *it == b'/')? + 1);
    let number: usize = std::str::from_utf8(&number[1..]).ok()?.parse().ok()?;
    Some((*servers.get(number)?, [method, path].concat()))
}

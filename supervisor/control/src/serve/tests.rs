//! Bytes on real sockets: who is asked for a key, what is bounded, and how it ends.

use std::time::Duration;

use auth::Auth;
use records::Records;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UnixStream};
use types::ManualClock;

use super::*;
use crate::gate::tests::LetThrough;
use crate::metrics::Requests;

async fn server() -> Server {
    let clock = Arc::new(ManualClock::at(1_795_334_400_000));
    let auth = Auth::load(Records::in_memory(), clock).await.unwrap();
    let tasks = Tasks::default();
    let (audit, requests) = (audit::Audit::none(), Requests::default());
    let gate = Gate { auth, audit, requests, tasks: tasks.clone() };
    Server::over(gate::router(rows(), &gate, &LetThrough), tasks)
}

/// The status of the next reply, whose body is read to its end.
async fn status(stream: &mut (impl AsyncRead + Unpin)) -> u16 {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    let head = String::from_utf8(head).unwrap();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
    let mut body = vec![0; length.parse().unwrap()];
    stream.read_exact(&mut body).await.unwrap();
    head.split(' ').nth(1).unwrap().parse().unwrap()
}

const STATUS: &[u8] = b"GET /v1/status HTTP/1.1\r\nhost: localhost\r\n\r\n";

#[tokio::test]
async fn the_network_needs_a_key_and_the_socket_its_credentials() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("run/control.sock");
    let local = crate::bind(&path).await.unwrap();
    let remote = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = remote.local_addr().unwrap();
    let (one, two) = (server().await, server().await);
    let (stop_one, stop_two) = (one.tasks.clone(), two.tasks.clone());
    let serving = async { tokio::join!(one.unix(local, &[]), two.tcp(remote)) };
    let asking = async {
        let mut stream = UnixStream::connect(&path).await.unwrap();
        for _ in 0..2 {
            stream.write_all(STATUS).await.unwrap();
            assert_eq!(status(&mut stream).await, 200);
        }
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(STATUS).await.unwrap();
        assert_eq!(status(&mut stream).await, 401);
        stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
        assert_eq!(status(&mut stream).await, 200);
        // Idle connections do not hold up the end.
        assert!(stop_one.shut_down(Duration::from_secs(5)).await);
        assert!(stop_two.shut_down(Duration::from_secs(5)).await);
        assert_eq!(stream.read(&mut [0]).await.unwrap(), 0);
    };
    tokio::join!(serving, asking);
}

#[tokio::test]
async fn a_head_is_bounded() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = server().await;
    let tasks = server.tasks.clone();
    let asking = async {
        let ask = async |headers: String| {
            let mut stream = TcpStream::connect(address).await.unwrap();
            let head = format!("GET /healthz HTTP/1.1\r\n{headers}\r\n");
            stream.write_all(head.as_bytes()).await.unwrap();
            status(&mut stream).await
        };
        assert_eq!(ask("a: b\r\n".repeat(MAX_HEADERS)).await, 200);
        assert_eq!(ask("a: b\r\n".repeat(MAX_HEADERS + 1)).await, 431);
        assert_eq!(ask(format!("a: {}\r\n", "b".repeat(2 * MAX_HEAD))).await, 431);
        tasks.stop();
    };
    tokio::join!(server.tcp(listener), asking);
    assert!(tasks.shut_down(Duration::from_secs(5)).await);
}
